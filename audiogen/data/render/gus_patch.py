"""Reader and player of Gravis UltraSound patches, the format of the freepats bank."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from audiogen.core.limited_read import read_limited
from audiogen.errors import FormatError

MAX_PATCH_BYTES = 64 << 20
_HEADER_BYTES = 129 + 63 + 47  # file, instrument and layer
_SAMPLE_BYTES, _MODE = 96, 55  # size of a sample's header, and offset of its mode
_16_BIT, _UNSIGNED, _LOOPED, _BACK_AND_FORTH, _REVERSED = 1, 2, 4, 8, 16


@dataclass(frozen=True)
class PatchSample:
    """One recording of a patch, with the keys that play it.

    Parameters
    ----------
    name : str
        Name in the file.
    data : array [n_samples], float32
        Recording; full scale is 1.
    sample_rate : int, Hz
        Sample rate at `recorded_key`.
    keys : tuple[float, float], MIDI numbers
        Lowest and highest key.
    recorded_key : float, MIDI number
        Key that plays the recording without transposition.
    loop : tuple[int, int], optional
        First sample of the loop, and first sample after it; None if the recording doesn't loop.
    """

    name: str
    data: np.ndarray
    sample_rate: int
    keys: tuple[float, float]
    recorded_key: float
    loop: tuple[int, int] | None


def read_patch(path: str | PathLike[str]) -> tuple[PatchSample, ...]:
    """Read the samples of a .pat file.

    Raises
    ------
    FormatError
        If the file is missing, too large or truncated, or is not a patch.
    """
    path = Path(path)
    data = bytes(read_limited(path, MAX_PATCH_BYTES))
    try:
        if data[:12] != b"GF1PATCH110\0":
            raise ValueError("no GF1PATCH110 header")
        samples, offset = [], _HEADER_BYTES
        for _ in range(data[198]):  # number of samples of the first layer
            samples.append(_sample(data, offset))
            offset += _SAMPLE_BYTES + struct.unpack_from("<I", data, offset + 8)[0]
        if not samples:
            raise ValueError("it has no samples")
    except (struct.error, ValueError, IndexError) as error:
        raise FormatError(f"{path}: isn't a whole GUS patch ({error}); remove it") from error
    return tuple(samples)


def read_patch_bank(folder: str | PathLike[str]) -> dict[int, Path]:
    """Return the patches of a folder by General MIDI program.

    The program is the number that a file name begins with, as in
    ``Tone_000/073_Flute.pat``; percussion (``Drum_*``) is left out.

    Raises
    ------
    FormatError
        If the folder has no such file.
    """
    folder = Path(folder)
    patches: dict[int, Path] = {}
    for path in sorted(folder.rglob("*.pat")):
        number = re.match(r"(\d{3})_", path.name)
        if number and int(number[1]) < 128 and not path.parent.name.startswith("Drum"):
            patches.setdefault(int(number[1]), path)
    if not patches:
        raise FormatError(
            f"{folder}: has no GUS patches such as Tone_000/073_Flute.pat; give the folder of"
            " freepats, or a .sf2 file"
        )
    return patches


def nearest_sample(samples: tuple[PatchSample, ...], pitch: int) -> PatchSample:
    """Return the sample that plays a key: in range if any is, with the nearest recorded key."""
    fitting = [s for s in samples if s.keys[0] - 0.5 <= pitch <= s.keys[1] + 0.5] or samples
    return min(fitting, key=lambda s: abs(s.recorded_key - pitch))


def play_patch(
    samples: tuple[PatchSample, ...], pitch: int, seconds: float, sample_rate: int
) -> np.ndarray:
    """Return a note [n_samples] of a patch, with the key held throughout.

    Loops are repeated without the patch's envelope.
    """
    import soxr

    sample = nearest_sample(samples, pitch)
    rate = sample.sample_rate * 2 ** ((pitch - sample.recorded_key) / 12)
    n_needed = int(np.ceil(seconds * rate)) + 64
    sound = sample.data
    if sample.loop and len(sound) < n_needed:
        first, end = sample.loop
        n_repeats = -(-(n_needed - end) // (end - first))
        sound = np.concatenate([sound[:end], np.tile(sound[first:end], n_repeats)])
    sound = soxr.resample(sound[:n_needed], rate, sample_rate, quality="HQ")
    note = np.zeros(round(seconds * sample_rate), np.float32)
    note[: len(sound)] = sound[: len(note)]
    return note


def _sample(data: bytes, offset: int) -> PatchSample:
    fields = struct.unpack_from("<7sBIIIHIIIhB", data, offset)
    name, _, n_bytes, loop_start, loop_end, rate, low_mhz, high_mhz, root_mhz = fields[:9]
    mode = data[offset + _MODE]
    first = offset + _SAMPLE_BYTES
    raw = data[first : first + n_bytes]
    if len(raw) < n_bytes:
        raise ValueError("its samples extend beyond the end of the file")
    width = 2 if mode & _16_BIT else 1
    kind = {(1, 0): "i1", (1, 1): "u1", (2, 0): "<i2", (2, 1): "<u2"}
    unsigned = bool(mode & _UNSIGNED)
    values = np.frombuffer(raw[: n_bytes - n_bytes % width], kind[width, int(unsigned)])
    sound = values.astype(np.float32) / np.float32(1 << (8 * width - 1))
    sound -= np.float32(unsigned)
    if mode & _REVERSED:
        sound = sound[::-1]
    loop = (loop_start // width, loop_end // width)
    has_loop = bool(mode & _LOOPED) and 0 <= loop[0] < loop[1] <= len(sound)
    if has_loop and mode & _BACK_AND_FORTH:  # unfold it once
        sound = np.concatenate([sound[: loop[1]], sound[loop[0] : loop[1]][::-1]])
        loop = (loop[0], len(sound))
    if not rate or not len(sound):
        raise ValueError("a sample is empty")
    keys = [_key(mhz) for mhz in (low_mhz, high_mhz, root_mhz)]
    text = name.split(b"\0")[0].decode("latin-1").strip()
    return PatchSample(text, sound, rate, (keys[0], keys[1]), keys[2], loop if has_loop else None)


def _key(millihertz: int) -> float:
    return float(69 + 12 * np.log2(max(millihertz, 1) / 440_000))
