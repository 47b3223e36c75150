"""Reading a whole file into memory, up to a limit."""

from __future__ import annotations

import os

from audiogen.errors import FormatError

_BLOCK = 1 << 20  # bytes; a device or pipe, whose size is unknown, is read no further than needed


def read_limited(path: str | os.PathLike[str], max_bytes: int) -> bytearray:
    """Read a file that must not be larger than a limit.

    Parameters
    ----------
    path : path
        File, device or pipe.
    max_bytes : int
        Largest allowed size.

    Raises
    ------
    FormatError
        If the file cannot be read or is larger.
    """
    data = bytearray()
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                data += block
                if len(data) > max_bytes:
                    raise FormatError(
                        f"{path}: is too large; files must be at most {max_bytes >> 20} MiB"
                    )
    except OSError as error:
        raise FormatError(f"{path}: can't be read ({error.strerror or error})") from error
    return data
