"""Public kernels, as functions on NumPy arrays and torch tensors.

Each op gives back the kind that it got. Single precision (and what is smaller: half precision,
integers) runs in the compiled module, on CUDA tensors in the CUDA library, and without either in
numba; `float64` on the CPU is computed by `audiogen.ops.reference` in double precision. Time is
the last axis but one, [..., n_frames, n_bins], unless said otherwise. No op has a gradient.
"""

from __future__ import annotations

import math
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogen.errors import ParameterError, ShapeError
from audiogen.ops._arrays import Source, check_axis, check_integer

__all__ = [
    "conv_rows",
    "instantaneous_frequency",
    "integrate",
    "istft",
    "overlap_add",
    "philox_uniform",
    "polar_to_rectangular",
    "unwrap",
    "wrap",
]


def wrap(phase: Any) -> Any:
    """Bring a phase into [-pi, pi) by whole turns.

    Parameters
    ----------
    phase : array or tensor [...], rad
        Any real numbers; NaN stays NaN.

    Returns
    -------
    array or tensor [...], rad

    Raises
    ------
    ParameterError
        If `phase` isn't real, requires a gradient, or is float64 on CUDA.

    Examples
    --------
    >>> import numpy as np
    >>> wrap(np.array([0.5, np.pi, 7.0])).round(4)
    array([ 0.5   , -3.1416,  0.7168])
    """
    source = Source("phase", phase)
    if source.is_double:
        return source.restore(_reference().wrap(source.array))
    return source.restore(source.kernels.wrap(source.array))


def unwrap(phase: Any, axis: int = -2) -> Any:
    """Remove the jumps of a wrapped phase along time.

    Takes from each value the multiple of 2 pi that keeps every step within [-pi, pi]; a step of
    exactly pi or -pi is left alone.

    Parameters
    ----------
    phase : array or tensor [..., n_frames, n_bins], rad
        Wrapped phase.
    axis : int
        The axis that is time.

    Returns
    -------
    array or tensor [..., n_frames, n_bins], rad
        Equal to `phase` in the first frame.

    Raises
    ------
    ShapeError
        If `phase` has no such axis.
    ParameterError
        If `phase` isn't real, requires a gradient, or is float64 on CUDA.

    Notes
    -----
    Turns are counted, not summed up as multiples of 2 pi, so that float32 is as precise as its
    result allows: near 1e4 rad it steps by 1e-3 rad. Long signals want
    `instantaneous_frequency` straight away.

    References
    ----------
    `numpy.unwrap`, for the definition. Engel et al., "GANSynth", ICLR 2019, section 2.2, for why
    a generator should see the derivative of the unwrapped phase.

    Examples
    --------
    >>> import numpy as np
    >>> unwrap(np.array([0.0, 3.0, -3.0, 0.0]), axis=0).round(4)
    array([0.    , 3.    , 3.2832, 6.2832])
    """
    return _along_time("unwrap", "phase", phase, axis)


def instantaneous_frequency(phase: Any, axis: int = -2) -> Any:
    """Differentiate a phase along time.

    Parameters
    ----------
    phase : array or tensor [..., n_frames, n_bins], rad
        Phase, wrapped or not.
    axis : int
        The axis that is time.

    Returns
    -------
    array or tensor [..., n_frames, n_bins]
        In the first frame phase / pi; then the change since the frame before, wrapped, over pi:
        in [-1, 1], in units of half the frame rate.

    Raises
    ------
    ShapeError
        If `phase` has no such axis.
    ParameterError
        If `phase` isn't real, requires a gradient, or is float64 on CUDA.

    See Also
    --------
    integrate : the inverse.

    References
    ----------
    Engel et al., "GANSynth: Adversarial neural audio synthesis", ICLR 2019, section 2.2.

    Examples
    --------
    >>> import numpy as np
    >>> instantaneous_frequency(np.array([[0.0], [3.0], [-3.0]])).round(4)
    array([[0.    ],
           [0.9549],
           [0.0901]])
    """
    return _along_time("instantaneous_frequency", "phase", phase, axis)


def integrate(inst_freq: Any, axis: int = -2) -> Any:
    """Sum up an instantaneous frequency to a phase.

    Parameters
    ----------
    inst_freq : array or tensor [..., n_frames, n_bins]
        First frame phase / pi, then change of phase / pi.
    axis : int
        The axis that is time.

    Returns
    -------
    array or tensor [..., n_frames, n_bins], rad
        Phase in [-pi, pi). It is wrapped after each step, so that the error in float32 doesn't
        grow with the phase.

    Raises
    ------
    ShapeError
        If `inst_freq` has no such axis.
    ParameterError
        If `inst_freq` isn't real, requires a gradient, or is float64 on CUDA.

    See Also
    --------
    instantaneous_frequency : the inverse.

    Examples
    --------
    >>> import numpy as np
    >>> integrate(instantaneous_frequency(np.array([[0.0], [3.0], [-3.0]]))).round(4)
    array([[ 0.],
           [ 3.],
           [-3.]])
    """
    return _along_time("integrate", "inst_freq", inst_freq, axis)


def polar_to_rectangular(log_magnitude: Any, phase: Any) -> Any:
    """Make a complex spectrum from natural log magnitude and phase.

    Parameters
    ----------
    log_magnitude : array or tensor [...]
        Natural logarithm of the magnitude.
    phase : array or tensor [...], rad
        Phase, same shape. In single precision at most 65536 rad, NaN beyond.

    Returns
    -------
    array or tensor [...], complex64 (complex128 if both arguments are float64)
        exp(log_magnitude) * e^(i phase).

    Raises
    ------
    ShapeError
        If the shapes differ.
    ParameterError
        If an argument isn't real, requires a gradient, or is float64 on CUDA.

    Examples
    --------
    >>> import numpy as np
    >>> polar_to_rectangular(np.log([2.0, 2.0]), np.array([0.0, np.pi / 2])).round(4)
    array([2.+0.j, 0.+2.j])
    """
    magnitude, angle = Source("log_magnitude", log_magnitude), Source("phase", phase)
    if magnitude.array.shape != angle.array.shape:
        raise ShapeError(
            f"log_magnitude has shape {tuple(magnitude.array.shape)} and phase "
            f"{tuple(angle.array.shape)}; they must be equal"
        )
    if magnitude.is_double and angle.is_double:
        return angle.restore(_reference().polar_to_rectangular(magnitude.array, angle.array))
    _same_place(magnitude, angle)
    result = angle.kernels.polar_to_rectangular(_single(magnitude.array), _single(angle.array))
    return angle.restore(result)


def overlap_add(frames: Any, hop_length: int) -> Any:
    """Add up frames that start `hop_length` samples apart.

    Parameters
    ----------
    frames : array or tensor [..., n_frames, n_fft]
        Samples of each frame, already windowed.
    hop_length : int
        From one frame's start to the next, samples.

    Returns
    -------
    array or tensor [..., hop_length * (n_frames - 1) + n_fft]
        The signal; empty if there are no frames.

    Raises
    ------
    ShapeError
        If `frames` has fewer than two axes.
    ParameterError
        If `hop_length` isn't a positive integer, or `frames` isn't real, requires a gradient, or is
        float64 on CUDA.

    Examples
    --------
    >>> import numpy as np
    >>> overlap_add(np.ones((3, 4)), hop_length=2)
    array([1., 1., 2., 2., 2., 2., 1., 1.])
    """
    source = _at_least_2d(Source("frames", frames))
    hop_length = check_integer("hop_length", hop_length, 1)
    if source.is_double:
        return source.restore(_reference().overlap_add(source.array, hop_length))
    *batch, n_frames, n_fft = source.array.shape
    flat = source.array.reshape(math.prod(batch), n_frames, n_fft)
    signal = source.kernels.overlap_add(flat, hop_length)
    return source.restore(signal.reshape(*batch, signal.shape[-1]))


def istft(spectrum: Any, n_fft: int, hop_length: int) -> Any:
    """Turn a spectrogram into a signal: inverse transform, Hann window, weighted overlap-add.

    Parameters
    ----------
    spectrum : array or tensor [..., n_frames, n_fft / 2 + 1], complex
        One-sided spectra of frames under a periodic Hann window of `n_fft` samples. The imaginary
        parts of the first and last bin don't count.
    n_fft : int
        Samples in a frame, a power of two, 16 or more.
    hop_length : int
        From one frame's start to the next, samples, at most `n_fft`.

    Returns
    -------
    array or tensor [..., hop_length * (n_frames - 1) + n_fft]
        The whole span of the frames; nothing is cut off.

    Raises
    ------
    ShapeError
        If `spectrum` has fewer than two axes or another number of bins.
    ParameterError
        If `n_fft` or `hop_length` is out of its range, or `spectrum` requires a gradient or is
        complex128 on CUDA.

    Notes
    -----
    Each frame is windowed again and the sum divided by the sum of the squared windows that met at
    the sample, but by no less than a thousandth of the largest such sum: with a hop of a quarter
    of `n_fft`, the signal's first and last n_fft / 15 samples fade, and the rest is exact.

    References
    ----------
    D. Griffin and J. Lim, "Signal estimation from modified short-time Fourier transform", IEEE
    Trans. ASSP 32(2), 1984, equation 6.

    Examples
    --------
    >>> import numpy as np
    >>> signal = np.sin(0.1 * np.arange(64))
    >>> window = np.sin(np.pi * np.arange(16) / 16) ** 2
    >>> frames = np.stack([signal[i : i + 16] for i in range(0, 49, 4)])
    >>> again = istft(np.fft.rfft(frames * window), n_fft=16, hop_length=4)
    >>> bool(np.allclose(again[2:-2], signal[2:-2]))
    True
    """
    source = _at_least_2d(Source("spectrum", spectrum, is_complex=True))
    n_fft = check_integer("n_fft", n_fft, 16)
    if n_fft & (n_fft - 1):
        raise ParameterError(f"n_fft={n_fft} is not a power of two; use for instance 1024 or 2048")
    hop_length = check_integer("hop_length", hop_length, 1, n_fft)
    *batch, n_frames, n_bins = source.array.shape
    if n_bins != n_fft // 2 + 1:
        raise ShapeError(
            f"spectrum has {n_bins} bins in its last axis where n_fft={n_fft} gives "
            f"{n_fft // 2 + 1}; bins of a spectrogram without DC need a bin of zeros in front"
        )
    if source.is_double:
        return source.restore(_reference().istft(source.array, n_fft, hop_length))
    kernels = source.kernels
    plan = _istft_plan(kernels, n_fft, hop_length, n_frames)
    signal = kernels.istft(plan, source.array.reshape(math.prod(batch), n_frames, n_bins))
    return source.restore(signal.reshape(*batch, signal.shape[-1]))


def conv_rows(
    x: Any,
    weight: Any,
    bias: Any,
    slope: float = 0.2,
    normalise: bool = True,
    upsample: bool = False,
) -> Any:
    """Compute one layer of the GANSynth generator.

    A 3x3 convolution of `x`, zero-padded to keep its size (of `x` with every frame and bin
    doubled, if asked), then bias, leaky ReLU and pixel norm.

    Parameters
    ----------
    x : array or tensor [in_channels, n_frames, n_bins]
        Input.
    weight : array or tensor [out_channels, in_channels, 3, 3]
        Kernels, as `torch.nn.functional.conv2d` takes them.
    bias : array or tensor [out_channels]
        Added to each channel.
    slope : float
        Factor of the leaky ReLU for negative values.
    normalise : bool
        Divide each pixel by its root mean square over channels, plus 1e-8 under the root.
    upsample : bool
        Double `x` along both axes first, to the nearest value.

    Returns
    -------
    array or tensor [out_channels, n_frames, n_bins] (both doubled after upsampling)

    Raises
    ------
    ShapeError
        If the shapes don't fit together.
    ParameterError
        If an argument isn't real, requires a gradient, or is float64 on CUDA.

    References
    ----------
    Karras et al., "Progressive growing of GANs", ICLR 2018, section 4.2, for the pixel norm.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.ones((1, 2, 2))
    >>> conv_rows(x, np.ones((1, 1, 3, 3)), np.zeros(1), normalise=False)
    array([[[4., 4.],
            [4., 4.]]])
    """
    image, kernel, offset = Source("x", x), Source("weight", weight), Source("bias", bias)
    if image.array.ndim != 3:
        raise ShapeError(
            f"x has shape {tuple(image.array.shape)}; [in_channels, n_frames, n_bins] is wanted"
        )
    out_channels = kernel.array.shape[0] if kernel.array.ndim else 0
    wanted = (out_channels, image.array.shape[0], 3, 3)
    if tuple(kernel.array.shape) != wanted:
        raise ShapeError(
            f"weight has shape {tuple(kernel.array.shape)}; [out_channels, "
            f"{image.array.shape[0]}, 3, 3] is wanted for x of shape {tuple(image.array.shape)}"
        )
    if tuple(offset.array.shape) != (out_channels,):
        raise ShapeError(
            f"bias has shape {tuple(offset.array.shape)}; ({out_channels},) is wanted, one for "
            "each output channel"
        )
    if image.is_double and kernel.is_double and offset.is_double:
        result = _reference().conv_rows(
            image.array, kernel.array, offset.array, slope, normalise, upsample
        )
        return image.restore(result)
    _same_place(image, kernel)
    _same_place(image, offset)
    arrays = [_single(s.array) for s in (image, kernel, offset)]
    return image.restore(image.kernels.conv_rows(*arrays, slope, normalise, upsample))


def philox_uniform(seed: int, stream: int, row: int, n: int) -> NDArray[np.float32]:
    """Draw uniform numbers that depend on their position alone.

    Number `i` is word `i % 4` of the Philox4x32-10 block with key `seed` and counter
    (i // 4, row, stream, 0): the same in Python, C++ and CUDA, in any order, on any thread.

    Parameters
    ----------
    seed : int, 0 .. 2**64 - 1
        The key.
    stream : int, 0 .. 2**32 - 1
        What the numbers are for; two purposes take two streams.
    row : int, 0 .. 2**32 - 1
        Position, such as a frame's number.
    n : int, 0 .. 2**32 - 1
        How many numbers.

    Returns
    -------
    array [n], float32
        In [0, 1), multiples of 2**-24.

    Raises
    ------
    ParameterError
        If an argument is out of its range.

    References
    ----------
    J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

    Examples
    --------
    >>> [f"{number:.4f}" for number in philox_uniform(seed=0, stream=0, row=0, n=3)]
    ['0.3990', '0.8805', '0.7357']
    """
    from audiogen.core import backend as _native

    seed = check_integer("seed", seed, 0, 2**64 - 1)
    stream = check_integer("stream", stream, 0, 2**32 - 1)
    row = check_integer("row", row, 0, 2**32 - 1)
    n = check_integer("n", n, 0, 2**32 - 1)
    return _native.kernels().philox_uniform(seed, stream, row, n)


def _reference() -> ModuleType:
    from audiogen.ops import reference

    return reference


def _along_time(op: str, name: str, value: Any, axis: int) -> Any:
    """Runs `op` on an array seen as [n_outer, n_frames, n_inner]."""
    source = Source(name, value)
    axis = check_axis(source, axis)
    if source.is_double:
        return source.restore(getattr(_reference(), op)(source.array, axis))
    shape = tuple(source.array.shape)
    flat = source.array.reshape(math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
    return source.restore(getattr(source.kernels, op)(flat).reshape(shape))


def _at_least_2d(source: Source) -> Source:
    if source.array.ndim < 2:
        raise ShapeError(
            f"{source.name} has shape {tuple(source.array.shape)}; two axes or more are wanted, "
            "frames in the last but one"
        )
    return source


def _same_place(first: Source, second: Source) -> None:
    if first.on_cuda != second.on_cuda:
        where = {True: "a CUDA device", False: "the CPU"}
        raise ParameterError(
            f"{first.name} is on {where[first.on_cuda]} and {second.name} on "
            f"{where[second.on_cuda]}; move one to the other"
        )


def _single(array: Any) -> Any:
    return array.astype(np.float32, copy=False) if isinstance(array, np.ndarray) else array


@lru_cache(maxsize=16)
def _istft_plan(kernels: ModuleType, n_fft: int, hop_length: int, n_frames: int) -> Any:
    return kernels.IstftPlan(n_fft, hop_length, n_frames)
