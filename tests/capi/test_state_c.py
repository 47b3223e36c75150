"""States and the search for presets through the installed C library, called from Python."""

from __future__ import annotations

import ctypes
import hashlib
import os
import zlib
from pathlib import Path

import pytest

from audiogen.presets import find_presets

ROOT = Path(__file__).parents[2]
PREFIX = os.environ.get("AUDIOGEN_CAPI_PREFIX", "")

pytestmark = pytest.mark.skipif(
    not PREFIX,
    reason="AUDIOGEN_CAPI_PREFIX must name the prefix where libaudiogen is installed:"
    " cmake -S csrc -B build -DAUDIOGEN_CAPI=ON",
)

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(next(Path(PREFIX).rglob("libaudiogen.so"))))
    for name in ("open", "find_presets", "state_read", "state_create"):
        getattr(library, f"audiogen_{name}").restype = ctypes.c_void_p
    for name in ("error", "preset_hash", "found_name", "found_folder", "state_preset"):
        getattr(library, f"audiogen_{name}").restype = ctypes.c_char_p
    return library


def read(library: ctypes.CDLL, data: bytes) -> ctypes.c_void_p:
    """The state of these bytes, read one at a time; null if they are refused."""
    left = bytearray(data)

    def next_byte(_context: int, to: int, n: int) -> int:
        if not left:
            return 0
        assert n > 0
        ctypes.memmove(to, bytes([left.pop(0)]), 1)
        return 1

    return ctypes.c_void_p(library.audiogen_state_read(CALLBACK(next_byte), None))


def written(library: ctypes.CDLL, state: ctypes.c_void_p) -> bytes:
    """The bytes of a state, written one at a time."""
    data = bytearray()

    def take_byte(_context: int, source: int, _n: int) -> int:
        data.extend(ctypes.string_at(source, 1))
        return 1

    assert library.audiogen_state_write(state, CALLBACK(take_byte), None) == 0
    return bytes(data)


def test_a_state_is_text_that_other_programs_can_write(library: ctypes.CDLL) -> None:
    body = b"audiogen-state 1\npreset plucked\nseed 3\nparameter morph 0.1\n"
    data = body + b"end %08x\n" % zlib.crc32(body)
    state = read(library, data)
    assert state, library.audiogen_error()
    assert library.audiogen_state_preset(state) == b"plucked"
    value = ctypes.c_float()
    assert library.audiogen_state_parameter(state, b"morph", ctypes.byref(value)) == 1
    assert value.value == ctypes.c_float(0.1).value
    assert written(library, state) == data
    library.audiogen_state_destroy(state)


def test_a_damaged_state_has_an_error_message(library: ctypes.CDLL) -> None:
    state = ctypes.c_void_p(library.audiogen_state_create())
    data = written(library, state)
    assert not read(library, data[:-3])
    assert b"checksum" in library.audiogen_error()
    assert not read(library, b"audiogen")
    assert b"not one of audiogen" in library.audiogen_error()
    library.audiogen_state_destroy(state)


def test_the_hash_is_sha256_of_the_files(library: ctypes.CDLL) -> None:
    folder = ROOT / "presets" / "plucked"
    preset = ctypes.c_void_p(library.audiogen_open(str(folder).encode()))
    files = [(folder / name).read_bytes() for name in ("preset.toml", "weights.safetensors")]
    expected = hashlib.sha256(b"".join(files)).hexdigest()
    assert library.audiogen_preset_hash(preset).decode() == expected
    library.audiogen_close(preset)


def test_presets_are_found_as_by_python(library: ctypes.CDLL) -> None:
    folders = (ctypes.c_char_p * 1)(str(ROOT / "presets").encode())
    presets = ctypes.c_void_p(library.audiogen_find_presets(folders, ctypes.c_size_t(1)))
    n = library.audiogen_n_found(presets)
    found = {
        library.audiogen_found_name(presets, i).decode(): Path(
            library.audiogen_found_folder(presets, i).decode()
        )
        for i in range(n)
    }
    assert list(found) == sorted(found)
    expected = {folder.name: folder for folder in find_presets()}
    assert {name: folder.resolve() for name, folder in found.items()} == {
        name: folder.resolve() for name, folder in expected.items()
    }
    library.audiogen_free_presets(presets)
