"""Checks of arguments that several parts take."""

from __future__ import annotations

from typing import Any

import numpy as np

from audiogen.errors import ParameterError


def check_whole(name: str, value: Any, lowest: int, highest: int, unit: str = "") -> int:
    """Return a whole number within a range.

    Raises
    ------
    ParameterError
        If it is not one.
    """
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or not lowest <= value <= highest:
        unit = f" {unit}" if unit else ""
        raise ParameterError(
            f"{name}={value!r} must be a whole number from {lowest} to {highest}{unit}"
        )
    return int(value)


def check_seed(seed: Any) -> int:
    """Return a seed, 0 to 2^64 - 1.

    Raises
    ------
    ParameterError
        If it is not one.
    """
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 1 << 64:
        raise ParameterError(f"seed={seed!r} must be a whole number from 0 to 2^64 - 1")
    return int(seed)


def check_rate(sample_rate: Any) -> int:
    """Return a sample rate that an engine can run at, Hz.

    Raises
    ------
    ParameterError
        If it is not one.
    """
    return check_whole("sample_rate", sample_rate, 1000, 384000, "Hz, for instance 48000")
