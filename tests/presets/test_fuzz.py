"""Damaged copies of the shipped presets: each is read, or refused with a `PresetError`."""

from __future__ import annotations

import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from audiogen.errors import PresetError
from audiogen.presets import find_presets, load_preset, read_toml

SHIPPED = sorted(find_presets())
N_TEXTS = 150  # damaged texts of each preset
N_HEADERS = 60  # damaged weights of each kind
TOKENS = [
    *("", "0", "-1", "1e999", "nan", "-inf", "1_0", "0x7f", "true", "1979-05-27", "99999999999999"),
    *("[]", "{}", "[[]]", '""', "'''", "[[timbres]]", "[generator]", "a.b = 1", "z = [nan]"),
    *("\x00", "\ufeff", "\U0001d11e", "\u202e", "\\", '"\\ud800"', "#", "=", "\r", "[" * 2000),
]
pytestmark = pytest.mark.skipif(not SHIPPED, reason="no presets are installed")


def damaged_text(rng: random.Random, text: str) -> bytes:
    """Change a few lines, values or bytes of a TOML file."""
    lines = text.splitlines()
    for _ in range(rng.randint(1, 3)):
        at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        key, equals, _ = lines[at].partition("=")
        what = rng.randrange(6)
        if what == 0:
            lines[at] = key + equals + rng.choice(TOKENS)
        elif what == 1:
            lines[at] = key + equals + lines[other].partition("=")[2]
        elif what == 2:
            lines[at], lines[other] = lines[other], lines[at]
        elif what == 3 and len(lines) > 1:
            del lines[at]
        elif what == 4:
            lines.insert(at, lines[other])
        else:
            place = rng.randint(0, len(lines[at]))
            lines[at] = lines[at][:place] + rng.choice(TOKENS) + lines[at][place:]
    content = bytearray("\n".join(lines).encode())
    for _ in range(rng.choice((0, 0, 1, 4))):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content[: rng.randint(0, len(content))] if rng.random() < 0.1 else content)


def damaged_weights(rng: random.Random, content: bytes) -> bytes:
    """Change the length, the header or the end of a safetensors file."""
    (length,) = struct.unpack("<Q", content[:8])
    header, data = bytearray(content[8 : 8 + length]), content[8 + length :]
    what = rng.randrange(6)
    if what == 0:
        length = rng.choice((0, 1, length - 1, length + 1, len(content), 1 << 63, (1 << 64) - 1))
    elif what == 1:
        for _ in range(rng.randint(1, 4)):
            header[rng.randrange(len(header))] = rng.randrange(256)
    elif what == 2:  # digits: shapes and offsets
        digits = [i for i, byte in enumerate(header) if chr(byte).isdigit()]
        for i in rng.sample(digits, 3):
            header[i] = ord(rng.choice("0123456789"))
    elif what == 3:
        header = header.replace(b"F32", rng.choice((b"F64", b"I32", b"BF1", b"\xff\xff\xff")), 1)
    elif what == 4:
        data = data[: rng.randrange(len(data))]
    else:  # not finite
        place = rng.randrange(len(data) // 4) * 4
        data = (
            data[:place]
            + struct.pack("<f", rng.choice((float("nan"), float("inf"))))
            + (data[place + 4 :])
        )
    return struct.pack("<Q", length) + bytes(header) + data


def is_read(read: Callable[[], object], seed: int) -> bool:
    """Whether it is read; if not, a PresetError says why in a sentence of bounded length."""
    try:
        read()
    except PresetError as error:
        message = str(error)
        assert 0 < len(message) < 2500 and "Traceback" not in message, f"seed {seed}: {message}"
        return False
    except BaseException as error:
        raise AssertionError(f"seed {seed}: {error!r} instead of a PresetError") from error
    return True


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_damaged_texts_are_read_or_refused(folder: Path, tmp_path: Path) -> None:
    text = (folder / "preset.toml").read_text(encoding="utf-8")
    path = tmp_path / "preset.toml"
    path.write_text(text, encoding="utf-8")
    assert is_read(lambda: read_toml(path), -1)
    n_read = 0
    for seed in range(N_TEXTS):
        path.write_bytes(damaged_text(random.Random(seed), text))
        n_read += is_read(lambda: read_toml(path), seed)
    assert n_read < N_TEXTS // 2


@pytest.mark.parametrize("kind", ["gansynth", "samplernn"])
def test_damaged_weights_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    folder = next(f for f in SHIPPED if read_toml(f / "preset.toml").kind == kind)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    content = (folder / "weights.safetensors").read_bytes()
    n_read = 0
    for seed in range(N_HEADERS):
        (copy / "weights.safetensors").write_bytes(damaged_weights(random.Random(seed), content))
        n_read += is_read(lambda: load_preset(copy), seed)
    assert n_read < N_HEADERS // 2


@pytest.mark.parametrize("name", ["preset.toml", "weights.safetensors"])
@pytest.mark.parametrize("state", ["absent", "empty", "folder", "swapped"])
def test_a_folder_out_of_order_is_refused(name: str, state: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(SHIPPED[0], copy)
    other = {"preset.toml": "weights.safetensors", "weights.safetensors": "preset.toml"}[name]
    content = (copy / other).read_bytes()
    (copy / name).unlink()
    if state == "empty":
        (copy / name).touch()
    elif state == "folder":
        (copy / name).mkdir()
    elif state == "swapped":
        (copy / name).write_bytes(content)
    assert not is_read(lambda: load_preset(copy), 0)
