"""Counter-based random numbers, as the engine draws them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiogen.core import backend as _native
from audiogen.ops._arrays import check_integer


def philox_uniform(seed: int, stream: int, row: int, n: int) -> NDArray[np.float32]:
    """Draw uniform numbers that depend only on their position.

    Number ``i`` is word ``i % 4`` of the Philox4x32-10 block with key ``seed`` and counter
    ``(i // 4, row, stream, 0)``: the same in Python, C++ and CUDA, in any order, on any thread.

    Parameters
    ----------
    seed : int, 0 to 2**64 - 1
        The key.
    stream : int, 0 to 2**32 - 1
        Number of an independent stream; different uses take different streams.
    row : int, 0 to 2**32 - 1
        Position in the stream, such as a frame number.
    n : int, 0 to 2**32 - 1
        How many numbers to draw.

    Returns
    -------
    array [n], float32
        Multiples of 2**-24 in [0, 1).

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
    seed = check_integer("seed", seed, 0, 2**64 - 1)
    stream = check_integer("stream", stream, 0, 2**32 - 1)
    row = check_integer("row", row, 0, 2**32 - 1)
    n = check_integer("n", n, 0, 2**32 - 1)
    return _native.kernels().philox_uniform(seed, stream, row, n)
