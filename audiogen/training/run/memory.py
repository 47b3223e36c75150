"""Keep memory that a training step frees for the next one, instead of mapping it anew."""

from __future__ import annotations

import ctypes
import os

# Option numbers of glibc's malloc.h, and the largest value of its int.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_LARGEST = 2**31 - 1  # bytes
_TOP_PAD = 1 << 28  # bytes that malloc requests from the system at once


def keep_freed_memory() -> bool:
    """Make glibc keep freed memory until the process ends.

    By default each large block is mapped when it is allocated and unmapped when it is freed, and
    the system clears each of its pages: a third of a training step whose tensors are megabytes.

    Returns
    -------
    bool
        Whether it was set: not with another C library, and not where the environment already has
        ``MALLOC_...`` or ``GLIBC_TUNABLES``.

    References
    ----------
    mallopt(3), for the three settings.
    """
    chosen = any(name.startswith("MALLOC_") for name in os.environ)
    if chosen or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _LARGEST), (_M_TOP_PAD, _TOP_PAD))
    results = [mallopt(name, value) for name, value in settings]
    return all(result == 1 for result in results)
