"""Limits of a call on this core: products in registers, and reading memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from audiogen.bench.compare import Limit
from audiogen.core import backend

ROUNDS, LASTING_S = 40, 1.0  # minimum number and duration; the fastest counts
ROUND_S = 0.0005  # shorter than the time slice that another program takes
MOST_ROUNDS = 1 << 24  # for products that don't exist here, which take no time
SMALLEST = 1 << 16  # floats; reading a smaller array takes less time than the call overhead


def peak_per_second(product: str) -> float:
    """Measure how many operations per second the core performs in registers.

    Parameters
    ----------
    product : str
        ``float32``, ``bfloat16`` (pairs), ``int8``, ``bfloat16 tiles`` or ``int8 tiles``.

    Returns
    -------
    float, 1/s
        Operations per second, two per multiply-add; 0 if the instruction set in use has no
        such product.
    """
    native = backend.require()
    n = 64
    while _seconds(partial(native.peak, product, n)) < ROUND_S and n < MOST_ROUNDS:
        n *= 2
    operations = float(native.peak(product, n))
    return operations / _quickest(partial(native.peak, product, n)) if operations else 0.0


def bandwidth(n_bytes: float) -> float:
    """Measure the rate at which a working set of this size is read repeatedly, bytes per second."""
    native = backend.require()
    x = _zeros(max(SMALLEST, int(n_bytes) // 4))
    repeats = max(1, (1 << 18) // x.size)

    def read() -> None:
        for _ in range(repeats):
            native.read_floats(x)

    read()
    return repeats * x.nbytes / _quickest(read)


def compute_limit(operations: float, product: str) -> Callable[[], Limit] | None:
    """Return the limit set by a call's operations, for `Race.limit`.

    Parameters
    ----------
    operations : float
        Number of operations of our algorithm in a call, two per multiply-add.
    product : str
        Kind of product; see `peak_per_second`.
    """

    def limit() -> Limit:
        peak = peak_per_second(product)
        unit = "GOP" if product.startswith("int8") else "GFLOP"
        what = (
            f"{operations / 1e9:.3g} {unit} at {peak / 1e9:,.0f} {unit}/s, {product} in registers"
        )
        return Limit(operations / peak, what)

    return limit if backend.require().peak(product, 1) else None


def memory_limit(n_bytes: float, working_set: float) -> Callable[[], Limit]:
    """Return the limit set by a call's reads from memory, for `Race.limit`.

    Parameters
    ----------
    n_bytes : float
        Number of bytes that a call reads.
    working_set : float, bytes
        Size of the memory that it reads them from.
    """

    def limit() -> Limit:
        rate = bandwidth(working_set)
        what = (
            f"{n_bytes / 1e6:.3g} MB at {rate / 1e9:.3g} GB/s, read from {working_set / 1e6:.3g} MB"
        )
        return Limit(n_bytes / rate, what)

    return limit


def larger_limit(*limits: Callable[[], Limit] | None) -> Callable[[], Limit] | None:
    """Return the limit that takes longest, for `Race.limit`; None is no limit."""
    present = [limit for limit in limits if limit is not None]
    if not present:
        return None
    return lambda: max((limit() for limit in present), key=lambda limit: limit.seconds)


@cache
def _zeros(n: int) -> np.ndarray:
    return np.zeros(n, np.float32) + np.float32(0)  # not one zero page shared by all


def _quickest(call: Callable[[], Any]) -> float:
    end, times = time.perf_counter() + LASTING_S, [_seconds(call)]
    while len(times) < ROUNDS or time.perf_counter() < end:
        times.append(_seconds(call))
    return min(times)


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
