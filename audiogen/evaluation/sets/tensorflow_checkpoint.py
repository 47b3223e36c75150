"""Reading of a TensorFlow checkpoint (version 2) without TensorFlow.

A checkpoint is a folder with an index, a table of LevelDB's format whose values describe a tensor
each, and a file of their bytes (tensorflow/core/util/tensor_bundle and lib/io/table_format.txt).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.errors import FormatError

INDEX, DATA = ".index", ".data-00000-of-00001"
_MAGIC = bytes.fromhex("57fb808b247547db")  # the last bytes of a table
_FOOTER = 48  # two handles, padded, and the magic number
_FLOAT32 = 1  # DataType
_DTYPE, _SHAPE, _SHARD, _OFFSET, _SIZE = 1, 2, 3, 4, 5  # fields of a BundleEntryProto


def read_checkpoint(folder: Path) -> dict[str, np.ndarray]:
    """Read the float32 variables of a checkpoint in one uncompressed data file.

    Raises
    ------
    FormatError
        If a file is missing or is not of this format.
    """
    try:
        index, data = (folder / INDEX).read_bytes(), (folder / DATA).read_bytes()
    except OSError as error:
        raise FormatError(f"{folder}: isn't a TensorFlow checkpoint ({error})") from error
    try:
        return dict(_variables(index, data))
    except (ValueError, IndexError, struct.error) as error:
        raise FormatError(f"{folder}: the TensorFlow checkpoint can't be read ({error})") from error


def _variables(index: bytes, data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    if index[-len(_MAGIC) :] != _MAGIC:
        raise ValueError("the index isn't a table")
    footer = index[-_FOOTER:]
    position = 0
    for _ in range(2):  # handle of the meta index
        _, position = _varint(footer, position)
    for _, handle in _entries(index, *_handle(footer, position)):
        for name, value in _entries(index, *_handle(handle, 0)):
            fields = dict(_fields(value))
            if not name or fields.get(_DTYPE) != _FLOAT32:  # the header, or a counter
                continue
            if fields.get(_SHARD, 0):
                raise ValueError("it has several data files")
            shape = [
                dict(_fields(dim)).get(1, 0)
                for field, dim in _fields(fields.get(_SHAPE, b""))
                if field == 2
            ]
            offset, size = fields.get(_OFFSET, 0), fields.get(_SIZE, 0)
            values = np.frombuffer(data[offset : offset + size], "<f4").reshape(shape)
            yield name.decode(), values


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number of 7 bits a byte that begins at a position, and the position after it."""
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, position


def _handle(data: bytes, position: int) -> tuple[int, int]:
    offset, position = _varint(data, position)
    size, _ = _varint(data, position)
    return offset, size


def _entries(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; a key shares its beginning with the one before."""
    block = table[offset : offset + size]
    if table[offset + size] != 0:
        raise ValueError("a block is compressed")
    (n_restarts,) = struct.unpack("<I", block[-4:])
    key, position, end = b"", 0, len(block) - 4 - 4 * n_restarts
    while position < end:
        shared, position = _varint(block, position)
        n_key, position = _varint(block, position)
        n_value, position = _varint(block, position)
        key = key[:shared] + block[position : position + n_key]
        position += n_key
        yield key, block[position : position + n_value]
        position += n_value


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and values of the fields of a protocol buffer."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        value: Any
        if tag & 7 == 0:
            value, position = _varint(message, position)
        elif tag & 7 == 2:
            n, position = _varint(message, position)
            value = message[position : position + n]
            position += n
        elif tag & 7 == 5:
            value = message[position : position + 4]
            position += 4
        else:
            raise ValueError(f"a field of type {tag & 7} is unknown")
        yield tag >> 3, value
