"""Reader of SoundFont 2 files: the presets of a font, and the recorded keys of each."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from os import PathLike
from pathlib import Path

import numpy as np

from audiogen.core.limited_read import read_limited
from audiogen.errors import FormatError, ParameterError

MAX_FILE_BYTES = 2 << 30  # a font is held in memory twice while it is read

PERCUSSION_BANK = 128  # its presets are drum kits: each key is a sound of its own

# Generator numbers, SoundFont Technical Specification 2.04, section 8.1.2.
_CHORUS_SEND, _REVERB_SEND, _EXCLUSIVE_CLASS = 15, 16, 57
_CLEARED = (_CHORUS_SEND, _REVERB_SEND, _EXCLUSIVE_CLASS)
_INSTRUMENT, _KEY_RANGE, _VELOCITY_RANGE = 41, 43, 44
_COARSE_TUNE, _FINE_TUNE, _SAMPLE_ID, _SCALE_TUNING, _ROOT_KEY = 51, 52, 53, 56, 58

# Record formats of the hydra, section 7: each list ends with one terminal record.
_RECORDS = {
    b"phdr": "<20sHHHIII",
    b"pbag": "<HH",
    b"pgen": "<Hh",
    b"inst": "<20sH",
    b"ibag": "<HH",
    b"igen": "<Hh",
    b"shdr": "<20sIIIIIBbHH",
}


@dataclass(frozen=True)
class Zone:
    """One sample of a preset, with the keys and velocities that play it.

    Parameters
    ----------
    keys, velocities : tuple[int, int]
        Lowest and highest, both included.
    recorded_key : float, MIDI number
        Key that plays the sample without transposition.
    semitones_per_key : float
        Semitones from key to key.
    """

    keys: tuple[int, int]
    velocities: tuple[int, int]
    recorded_key: float
    semitones_per_key: float = 1.0


@dataclass(frozen=True)
class FontPreset:
    """One preset of a font, such as bank 0, program 0, "Yamaha Grand Piano"."""

    bank: int
    program: int
    name: str
    zones: tuple[Zone, ...]

    @property
    def semitones_per_key(self) -> float:
        """Semitones from key to key, of the zone that has the most."""
        return max((zone.semitones_per_key for zone in self.zones), default=1.0)

    def distance_semitones(self, pitch: int, velocity: int) -> float:
        """Return the transposition of the nearest sample that a key plays, or infinity."""
        return min(
            (
                self.semitones_per_key * abs(pitch - zone.recorded_key)
                for zone in self.zones
                if zone.keys[0] <= pitch <= zone.keys[1]
                and zone.velocities[0] <= velocity <= zone.velocities[1]
            ),
            default=float("inf"),
        )


@dataclass(frozen=True)
class SoundFont:
    """A font in memory.

    Parameters
    ----------
    path : Path
        File that the font was read from.
    data : bytes
        Whole file, with the effect sends and the exclusive class of every zone set to 0: notes are
        dry, and a stereo pair of zones sounds on both sides.
    info : dict[str, str]
        Texts of the INFO list, such as INAM (name), ICOP (copyright), IENG (author).
    presets : dict[tuple[int, int], FontPreset]
        Presets by (bank, program).
    """

    path: Path
    data: bytes
    info: dict[str, str]
    presets: dict[tuple[int, int], FontPreset]

    @property
    def name(self) -> str:
        """Name in the font, or else its file name."""
        return self.info.get("INAM") or self.path.stem

    @property
    def licence(self) -> str:
        """Copyright text (INFO ICOP), or "not stated by the font"."""
        return self.info.get("ICOP") or "not stated by the font"

    def choose(self, programs: Sequence[int], bank: int = 0) -> list[FontPreset]:
        """Return presets of a bank.

        Raises
        ------
        ParameterError
            If the font lacks a program.
        """
        present = sorted(program for other, program in self.presets if other == bank)
        absent = sorted(set(programs) - set(present))
        if absent:
            raise ParameterError(
                f"program={absent[0]} not found in bank {bank} of {self.path.name}, which has "
                f"{len(present)}: {', '.join(map(str, present))}"
            )
        return [self.presets[bank, program] for program in programs]

    def origin(self, licence: str | None) -> dict[str, object]:
        """Return the fields that a TOML file has on the font; the licence overrides its own."""
        return {
            "font": self.name,
            "file": self.path.name,
            "licence": self.licence if licence is None else licence,
            "author": self.info.get("IENG", ""),
            "comment": self.info.get("ICMT", ""),
        }


@dataclass(frozen=True)
class FontSample:
    """One recording of a font: its header and its samples.

    Parameters
    ----------
    name : str
        Name in the font.
    data : array [n_samples], int16
        Recording.
    sample_rate : int, Hz
        Sample rate that the font states.
    """

    name: str
    data: np.ndarray
    sample_rate: int


def read_font_samples(path: str | PathLike[str]) -> tuple[FontSample, ...]:
    """Read the recordings of a SoundFont 2 file.

    Raises
    ------
    FormatError
        If the file is missing, too large or truncated, or is not a SoundFont 2 file.
    """
    path = Path(path)
    data = read_limited(path, MAX_FILE_BYTES)
    try:
        _, hydra = _chunks(data)
        first, end = hydra[b"smpl"]
        recording = np.frombuffer(data, "<i2", (end - first) // 2, first)
        headers = list(struct.iter_unpack(_RECORDS[b"shdr"], data[slice(*hydra[b"shdr"])]))
    except (struct.error, KeyError, ValueError) as error:
        raise _not_whole(path, error) from error
    samples = []
    for name, begin, stop, _, _, rate, *_ in headers[:-1]:  # the last record is terminal
        text = name.split(b"\0")[0].decode("latin-1").strip()
        if begin < stop <= len(recording):
            samples.append(FontSample(text, recording[begin:stop], rate))
    return tuple(samples)


def read_soundfont(path: str | PathLike[str]) -> SoundFont:
    """Read a SoundFont 2 file.

    Parameters
    ----------
    path : str or PathLike
        A `.sf2` file of at most 2 GiB; the compressed `.sf3` is not supported.

    Returns
    -------
    SoundFont

    Raises
    ------
    FormatError
        If the file is missing, too large or truncated, or is not a SoundFont 2 file.

    References
    ----------
    SoundFont Technical Specification, version 2.04, Creative Technology, 2006.
    """
    path = Path(path)
    data = read_limited(path, MAX_FILE_BYTES)
    try:
        info, hydra = _chunks(data)
        lists = {
            name.decode(): list(struct.iter_unpack(form, data[slice(*hydra[name])]))
            for name, form in _RECORDS.items()
        }
        presets = _presets(lists)
    except (struct.error, KeyError, IndexError, ValueError) as error:
        raise _not_whole(path, error) from error
    for name in (b"pgen", b"igen"):
        _clear_sends_and_classes(data, *hydra[name])
    return SoundFont(path, bytes(data), info, presets)


def _not_whole(path: Path, error: Exception) -> FormatError:
    return FormatError(
        f"{path}: isn't a whole SoundFont 2 file ({error}); give a .sf2 file (a .sf3 must be "
        "converted first)"
    )


def _chunks(data: bytearray) -> tuple[dict[str, str], dict[bytes, tuple[int, int]]]:
    """Return the INFO texts, and the byte ranges of the recordings and of the hydra's lists."""
    if data[:4] != b"RIFF" or data[8:12] != b"sfbk":
        raise ValueError("no RIFF sfbk header")
    info: dict[str, str] = {}
    hydra: dict[bytes, tuple[int, int]] = {}
    for kind, begin, end in _walk(data, 12, len(data)):
        if kind != b"LIST":
            continue
        what = bytes(data[begin : begin + 4])
        for name, first, last in _walk(data, begin + 4, end):
            if what == b"INFO" and name not in (b"ifil", b"iver"):
                text = bytes(data[first:last]).split(b"\0")[0]
                info[name.decode("ascii", "replace")] = text.decode("utf-8", "replace").strip()
            elif what in (b"pdta", b"sdta"):
                hydra[name] = (first, last)
    return info, hydra


def _walk(data: bytearray, begin: int, end: int):
    while begin + 8 <= end:
        name, size = struct.unpack_from("<4sI", data, begin)
        if begin + 8 + size > end:
            raise ValueError(f"chunk {name.decode('ascii', 'replace')} ends after the file")
        yield name, begin + 8, begin + 8 + size
        begin += 8 + size + size % 2


def _clear_sends_and_classes(data: bytearray, begin: int, end: int) -> None:
    for offset in range(begin, end, 4):
        if struct.unpack_from("<H", data, offset)[0] in _CLEARED:
            struct.pack_into("<h", data, offset + 2, 0)


def _presets(lists: dict[str, list[tuple]]) -> dict[tuple[int, int], FontPreset]:
    presets: dict[tuple[int, int], FontPreset] = {}
    headers = lists["phdr"]
    for header, following in pairwise(headers):
        name, program, bank = header[:3]
        zones = []
        for outer in _zones(lists["pbag"], lists["pgen"], header[3], following[3], _INSTRUMENT):
            first = lists["inst"][outer[_INSTRUMENT]][1]
            last = lists["inst"][outer[_INSTRUMENT] + 1][1]
            for inner in _zones(lists["ibag"], lists["igen"], first, last, _SAMPLE_ID):
                zone = _zone(outer, inner, lists["shdr"][inner[_SAMPLE_ID]])
                if zone is not None:
                    zones.append(zone)
        text = name.split(b"\0")[0].decode("latin-1").strip()
        presets[bank, program] = FontPreset(bank, program, text, tuple(zones))
    return presets


def _zones(bags: list[tuple], generators: list[tuple], first: int, last: int, target: int):
    """Yield the generators of each zone with a target, merged with those of the global zone."""
    common: dict[int, int] = {}
    for index in range(first, last):
        own = dict(generators[bags[index][0] : bags[index + 1][0]])
        if target in own:
            own[target] &= 0xFFFF
            yield common | own
        elif index == first:
            common = own


def _zone(outer: dict[int, int], inner: dict[int, int], sample: tuple) -> Zone | None:
    ranges = []
    for generator in (_KEY_RANGE, _VELOCITY_RANGE):
        pairs = [struct.pack("<h", zone.get(generator, 0x7F00)) for zone in (outer, inner)]
        ranges.append((max(pair[0] for pair in pairs), min(pair[1] for pair in pairs)))
    scale = inner.get(_SCALE_TUNING, 100) + outer.get(_SCALE_TUNING, 0)  # cents a key
    if any(low > high for low, high in ranges) or scale <= 0:
        return None
    tune_cents = sample[7] + sum(
        100 * zone.get(_COARSE_TUNE, 0) + zone.get(_FINE_TUNE, 0) for zone in (outer, inner)
    )
    root = inner.get(_ROOT_KEY, -1)
    if not 0 <= root <= 127:
        root = sample[6] if sample[6] <= 127 else 60
    return Zone(ranges[0], ranges[1], root - tune_cents / scale, scale / 100)
