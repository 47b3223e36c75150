"""Phase arithmetic: wrap, unwrap, instantaneous frequency and its integral."""

from __future__ import annotations

from typing import Any

from audiogen.ops._arrays import check_axis
from audiogen.ops._dispatch import argument, run


def wrap(phase: Any) -> Any:
    """Wrap a phase to [-pi, pi).

    Parameters
    ----------
    phase : array or tensor [...], rad
        Any real numbers; NaN stays NaN.

    Returns
    -------
    array or tensor [...], rad
        ``phase`` minus the multiple of 2 pi nearest to it. The gradient is 1.

    Raises
    ------
    ParameterError
        If ``phase`` is not real.

    Examples
    --------
    >>> import numpy as np
    >>> wrap(np.array([0.5, np.pi, 7.0])).round(4)
    array([ 0.5   , -3.1416,  0.7168])
    """
    return run("wrap", argument("phase", phase))


def unwrap(phase: Any, axis: int = -2) -> Any:
    """Remove the jumps of a wrapped phase along time.

    Subtracts from each frame the multiple of 2 pi that keeps its difference from the frame before
    within [-pi, pi]; a difference of exactly pi or -pi stays.

    Parameters
    ----------
    phase : array or tensor [..., n_frames, n_bins], rad
        Wrapped phase.
    axis : int
        The time axis.

    Returns
    -------
    array or tensor [..., n_frames, n_bins], rad
        Equal to ``phase`` in the first frame. The gradient is 1.

    Raises
    ------
    ShapeError
        If ``phase`` has no such axis.
    ParameterError
        If ``phase`` is not real.

    Notes
    -----
    The kernels count turns instead of summing multiples of 2 pi, so rounding errors do not
    accumulate. The result itself is still coarse when it is large: near 1e4 rad float32 has steps
    of 1e-3 rad. `instantaneous_frequency` needs no unwrapped phase.

    References
    ----------
    `numpy.unwrap`, for the definition.

    Examples
    --------
    >>> import numpy as np
    >>> unwrap(np.array([0.0, 3.0, -3.0, 0.0]), axis=0).round(4)
    array([0.    , 3.    , 3.2832, 6.2832])
    """
    phase = argument("phase", phase)
    check_axis("phase", phase, axis)
    return run("unwrap", phase, axis=axis)


def instantaneous_frequency(phase: Any, axis: int = -2) -> Any:
    """Differentiate a phase along time.

    Parameters
    ----------
    phase : array or tensor [..., n_frames, n_bins], rad
        Phase, wrapped or not.
    axis : int
        The time axis.

    Returns
    -------
    array or tensor [..., n_frames, n_bins]
        The wrapped phase over pi in the first frame; after that the wrapped difference from the
        frame before, over pi. All values lie in [-1, 1], in units of half the frame rate. The
        gradient is that of the difference.

    Raises
    ------
    ShapeError
        If ``phase`` has no such axis.
    ParameterError
        If ``phase`` is not real.

    See Also
    --------
    integrate : the inverse, up to whole turns.

    References
    ----------
    Engel et al., "GANSynth: Adversarial Neural Audio Synthesis", ICLR 2019, section 2.2.

    Examples
    --------
    >>> import numpy as np
    >>> instantaneous_frequency(np.array([[0.0], [3.0], [-3.0]])).round(4)
    array([[0.    ],
           [0.9549],
           [0.0901]])
    """
    phase = argument("phase", phase)
    check_axis("phase", phase, axis)
    return run("instantaneous_frequency", phase, axis=axis)


def integrate(inst_freq: Any, axis: int = -2) -> Any:
    """Sum an instantaneous frequency to a phase along time.

    Parameters
    ----------
    inst_freq : array or tensor [..., n_frames, n_bins]
        Phase over pi in the first frame, then change of phase over pi.
    axis : int
        The time axis.

    Returns
    -------
    array or tensor [..., n_frames, n_bins], rad
        Phase in [-pi, pi]. The sum is kept in turns and wrapped after each frame, so float32 is as
        precise at the end of a long signal as at its start. The gradient is that of the sum.

    Raises
    ------
    ShapeError
        If ``inst_freq`` has no such axis.
    ParameterError
        If ``inst_freq`` is not real.

    See Also
    --------
    instantaneous_frequency : the inverse, up to whole turns.

    References
    ----------
    Engel et al., "GANSynth: Adversarial Neural Audio Synthesis", ICLR 2019, section 2.2.

    Examples
    --------
    >>> import numpy as np
    >>> integrate(instantaneous_frequency(np.array([[0.0], [3.0], [-3.0]]))).round(4)
    array([[ 0.],
           [ 3.],
           [-3.]])
    """
    inst_freq = argument("inst_freq", inst_freq)
    check_axis("inst_freq", inst_freq, axis)
    return run("integrate", inst_freq, axis=axis)
