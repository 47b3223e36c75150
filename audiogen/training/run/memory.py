"""Memory that training frees is kept for the next step, instead of mapped anew in each."""

from __future__ import annotations

import ctypes
import os

# glibc's malloc.h, and the largest that its int takes.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_MOST = 2**31 - 1  # bytes
_TOP_PAD = 1 << 28  # bytes that are taken from the system at once


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed.

    By default each large block is mapped when it is taken and unmapped when it is freed, and the
    system clears every page of it: of a training step whose tensors are megabytes, that is a third.
    What the process has taken it keeps until it ends.

    Returns
    -------
    bool
        Whether it is so now: not with another C library, and not where the user has chosen by
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
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _MOST), (_M_TOP_PAD, _TOP_PAD))
    told = [mallopt(name, value) for name, value in settings]
    return all(done == 1 for done in told)
