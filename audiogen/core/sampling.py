"""Sampling of a SampleRNN: what generation by any backend shares."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiogen.errors import ParameterError

DC_BLOCK_HZ = 10.0  # corner of the DC blocker that generated audio passes


def check_sampling(temperature: ArrayLike, top_p: float, n: int) -> NDArray[np.float32]:
    """The temperature of each of ``n`` samples.

    Raises
    ------
    ParameterError
        If it is not one number or ``n`` of them, 0 or more, or top_p is not above 0, up to 1.
    """
    try:
        temperatures = np.asarray(temperature, np.float32)
    except (TypeError, ValueError):  # no numbers
        temperatures = np.full((), np.nan, np.float32)
    if temperatures.shape not in ((), (1,), (n,)) or not np.all(
        np.isfinite(temperatures) & (temperatures >= 0)
    ):
        wanted = "a number" if n == 1 else f"one number or {n} of them"
        raise ParameterError(f"temperature={temperature!r} must be {wanted}, 0 or more")
    if not (isinstance(top_p, Real) and 0.0 < top_p <= 1.0):
        raise ParameterError(f"top_p={top_p!r} must be above 0, up to 1")
    return np.broadcast_to(temperatures, n)
