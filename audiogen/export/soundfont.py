"""A preset sampled into a SoundFont 2 file: its notes as 24-bit samples, its timbres as presets.

The samples are those of `audiogen.export.sfz`, with the same loops and layers. The format is the
SoundFont Technical Specification 2.04 (Creative, 2006): a RIFF file of three lists, information,
samples, and the tables that refer to each other by index.
"""

from __future__ import annotations

import itertools
import math
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiogen.core.atomic_write import written_whole
from audiogen.engine import Synth
from audiogen.errors import ParameterError
from audiogen.export.sfz import (
    PEAK,
    Progress,
    Region,
    SfzOptions,
    chosen_timbres,
    constant_power_pan,
    instruments,
    sample_instrument,
    tremolo_in_phase,
)
from audiogen.notes.general_midi import MIDDLE_KEY
from audiogen.presets import Preset

# Generators, section 8.1.2.
PAN, RELEASE, INSTRUMENT, KEY_RANGE, VELOCITY_RANGE, SAMPLE = 17, 38, 41, 43, 44, 53
SAMPLE_MODES, SCALE_TUNING, EXCLUSIVE_CLASS = 54, 56, 57
VIBRATO_DEPTH, VIBRATO_DELAY, VIBRATO_RATE = 6, 23, 24
TREMOLO_DEPTH, TREMOLO_DELAY, TREMOLO_RATE = 13, 21, 22
LFO_HZ = 8.176  # rate of an oscillator at 0 cents
LOOPED = 1  # sample mode
# Default modulators of the velocity, section 8.4.1 and 8.4.2, whose amount is set to 0: the layers
# have the engine's levels and brightness. Source, destination, amount, amount's source, transform.
VELOCITY_MODULATORS = ((0x0502, 48, 0, 0, 0), (0x0102, 8, 0, 0, 0))
MONO = 1  # sample type
ZEROS = 46  # zeros after each sample, section 6.1
LONGEST_RELEASE = 8000  # timecents, section 8.1.3: of what plays to its end after the note-off
FULL_SCALE_DB = 100.0  # fall of the level over a release
RELEASE_DB = 60.0  # fall of the level that defines `Region.release_s`
MOST_ENTRIES = 65535  # of a table, which is indexed by 16 bits
GENERATORS = 10  # of each sample, at most
MOST_BYTES = 2**32 - 1
N_BANKS = 128  # of 128 programs each
PERCUSSION = (128, 0)  # bank and program of the standard kit


@dataclass
class _Tables:
    """The samples collected so far, and the rows that refer to them."""

    sample_rate: int
    high: list[NDArray[np.int16]] = field(default_factory=list)  # upper 16 bits of the samples
    low: list[NDArray[np.uint8]] = field(default_factory=list)
    n_samples: int = 0
    headers: list[bytes] = field(default_factory=list)  # shdr
    presets: list[bytes] = field(default_factory=list)  # phdr
    instruments: list[bytes] = field(default_factory=list)  # inst
    zones: list[bytes] = field(default_factory=list)  # ibag
    generators: list[bytes] = field(default_factory=list)  # igen


def export_sf2(
    preset: Preset,
    path: str | os.PathLike[str],
    options: SfzOptions | None = None,
    progress: Progress | None = None,
) -> list[tuple[int, int, str]]:
    """Sample a preset that plays notes into a SoundFont 2 file.

    Parameters
    ----------
    preset : Preset
        A preset that plays notes.
    path : path
        File to write.
    options : SfzOptions, optional
        Timbres, keys and layers; by default, those of `SfzOptions`. SoundFonts have no round
        robins, and ``file_format`` is not used.
    progress : callable, optional
        Function of (samples done, total).

    Returns
    -------
    list of (int, int, str)
        Bank, program and name of each timbre. The program is that of the preset's General MIDI
        table in bank 0, unless already taken. Timbres for which bank 0 has no program left are in
        bank 1 and the next ones. A drum kit is program 0 of bank 128.

    Raises
    ------
    ParameterError
        If the preset is unconditional, or more is sampled than the format can hold.
    PresetError
        If the preset has no such timbre.
    """
    options = options or SfzOptions()
    if options.round_robins != 1:
        raise ParameterError(
            f"round_robins={options.round_robins} must be 1 for sf2, which has no round robins"
        )
    names, total = instruments(preset, options, "sf2")
    timbres = chosen_timbres(preset, options)
    programs = _programs([timbre.program for timbre in timbres])
    tunings = [
        (timbre.transpose or 0, timbre.semitones_per_key or 1.0)
        if slot == (0, timbre.program)
        else (0, 1.0)
        for slot, timbre in zip(programs, timbres, strict=True)
    ]
    if preset.is_kit:
        programs, tunings = [PERCUSSION], [(0, 1.0)]
    too_many = ParameterError(
        f"timbres={len(timbres)}, step={options.step} and velocities={options.velocities} give"
        " more samples than a SoundFont can hold; choose fewer timbres or a larger step"
    )
    if GENERATORS * total >= MOST_ENTRIES:
        raise too_many
    synth = Synth(preset, options.sample_rate, options.seed)
    tables = _Tables(options.sample_rate)
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    for slot, name, tuning in zip(programs, names, tunings, strict=True):
        regions = sample_instrument(synth, name, options, count)
        _add(tables, slot, name, _on_program_keys(regions, *tuning))
    if 3 * tables.n_samples > MOST_BYTES - 2**24:
        raise too_many
    with written_whole(path) as temporary:
        _write(temporary, preset, tables)
    return [(bank, program, name) for (bank, program), name in zip(programs, names, strict=True)]


def _programs(wanted: Iterable[int | None]) -> list[tuple[int, int]]:
    """Distinct banks and programs: of bank 0 those wanted, unless already taken, then free ones."""
    wanted = list(wanted)
    others = {(0, other) for other in wanted if other is not None}
    free = (slot for slot in itertools.product(range(N_BANKS), range(128)) if slot not in others)
    taken: set[tuple[int, int]] = set()
    slots: list[tuple[int, int]] = []
    for program in wanted:
        is_free = program is not None and (0, program) not in taken
        slot = (0, program) if is_free and program is not None else next(free)
        taken.add(slot)
        slots.append(slot)
    return slots


def _on_program_keys(
    regions: list[Region], transpose: int, semitones_per_key: float
) -> list[Region]:
    """Move regions to the keys that sound at their pitches; the outermost reach both ends."""
    if not transpose and semitones_per_key == 1.0:
        return regions

    def key_of(pitch: float) -> float:
        return MIDDLE_KEY + (pitch - transpose - MIDDLE_KEY) / semitones_per_key

    kept = [region for region in regions if 0 <= round(key_of(region.key)) <= 127]
    if not kept:
        return regions
    roots = [region.key for region in kept]
    lowest, highest = min(roots), max(roots)
    moved = []
    for region in kept:
        low = max(0, math.floor(key_of(region.keys[0] - 0.5)) + 1)
        high = min(127, math.floor(key_of(region.keys[1] + 0.5)))
        keys = (0 if region.key == lowest else low, 127 if region.key == highest else high)
        root = key_of(region.key)
        key = round(root)
        cents = 100.0 * semitones_per_key * (key - root)
        own = {"key": key, "keys": keys, "tuning_cents": cents}
        moved.append(replace(region, semitones_per_key=semitones_per_key, **own))
    return moved


def _add(tables: _Tables, slot: tuple[int, int], title: str, regions: list[Region]) -> None:
    """Add an instrument: its samples, the zones that play them, and a preset of the file."""
    peak = max(float(np.abs(region.samples).max(initial=0.0)) for region in regions)
    gain = min(1.0, PEAK / max(peak, 1e-9))
    index = len(tables.instruments)
    bank, program = slot
    tables.presets.append(struct.pack("<20sHHHIII", _name(title), program, bank, index, 0, 0, 0))
    tables.instruments.append(struct.pack("<20sH", _name(title), len(tables.zones)))
    # The first zone is global and has no sample. Each instrument's has the modulators.
    tables.zones.append(
        struct.pack("<HH", len(tables.generators), index * len(VELOCITY_MODULATORS))
    )
    n_modulators = (index + 1) * len(VELOCITY_MODULATORS)
    for region in regions:
        start, n = tables.n_samples, len(region.samples)
        values = np.round(gain * region.samples.astype(np.float64) * 2**23)
        whole = np.clip(values, -(2**23), 2**23 - 1).astype(np.int32)
        whole = np.concatenate([whole, np.zeros(ZEROS, np.int32)])
        tables.high.append((whole >> 8).astype(np.int16))
        tables.low.append((whole & 255).astype(np.uint8))
        loop = (region.loop.start, region.loop.end) if region.loop else (0, n)
        name = _name(f"{region.key:03} v{region.velocities[0]:03} {title}")
        rows = (start, start + n, start + loop[0], start + loop[1], tables.sample_rate)
        tuning = min(max(round(region.tuning_cents), -128), 127)
        header = (name, *rows, region.key, tuning, 0, MONO)
        tables.headers.append(struct.pack("<20sIIIIIBbHH", *header))
        tables.n_samples += len(whole)
        tables.zones.append(struct.pack("<HH", len(tables.generators), n_modulators))
        release_s = region.release_s * FULL_SCALE_DB / RELEASE_DB
        release = round(1200.0 * np.log2(release_s))
        release = LONGEST_RELEASE if region.plays_to_end else release
        generators = {  # the ranges have to be first, and the sample last
            KEY_RANGE: struct.pack("<BB", *region.keys),
            VELOCITY_RANGE: struct.pack("<BB", *region.velocities),
            RELEASE: struct.pack("<h", release),
            SAMPLE_MODES: struct.pack("<H", LOOPED if region.loop else 0),
        }
        if region.vibrato is not None:
            depth, rate, rise = region.vibrato[:3]
            lfos = [(VIBRATO_DEPTH, VIBRATO_RATE, VIBRATO_DELAY, depth)]
            if db := tremolo_in_phase(region.vibrato):
                lfos.append((TREMOLO_DEPTH, TREMOLO_RATE, TREMOLO_DELAY, 10.0 * db))
            for of_depth, of_rate, of_delay, most in lfos:
                generators[of_depth] = struct.pack("<h", round(most))
                cents = round(1200.0 * math.log2(rate / LFO_HZ))
                generators[of_rate] = struct.pack("<h", cents)
                if rise:  # an LFO of a font begins at once with its whole depth
                    delay = round(1200.0 * math.log2(0.5 * rise))
                    generators[of_delay] = struct.pack("<h", delay)
        if region.semitones_per_key != 1.0:
            scale = round(100.0 * region.semitones_per_key)
            generators[SCALE_TUNING] = struct.pack("<h", scale)
        if region.drum is not None:
            position, _ = constant_power_pan(region.drum.pan or 0.0)
            generators[PAN] = struct.pack("<h", round(500.0 * position))
            if region.drum.group:
                generators[EXCLUSIVE_CLASS] = struct.pack("<H", region.drum.group)
        generators[SAMPLE] = struct.pack("<H", len(tables.headers) - 1)
        for generator, amount in generators.items():
            tables.generators.append(struct.pack("<H", generator) + amount)


def _write(path: Path, preset: Preset, tables: _Tables) -> None:
    n = len(tables.instruments)
    modulators = [struct.pack("<HHhHH", *row) for row in VELOCITY_MODULATORS] * n
    # Each table ends in a terminal row that only marks where the row before it ends.
    bags = [struct.pack("<HH", i, 0) for i in range(n + 1)]
    links = [struct.pack("<HH", INSTRUMENT, i) for i in range(n)]
    end = struct.pack("<HH", len(tables.generators), len(modulators))
    information = [
        _chunk(b"ifil", struct.pack("<HH", 2, 4)),
        _chunk(b"isng", b"EMU8000\0"),
        _chunk(b"INAM", _text(preset.name)),
        _chunk(b"ISFT", _text("audiogen")),
        _chunk(b"ICOP", _text(preset.licence)),
    ]
    samples = [
        _chunk(b"smpl", b"".join(part.tobytes() for part in tables.high)),
        _chunk(b"sm24", b"".join(part.tobytes() for part in tables.low)),
    ]
    rows = [
        (b"phdr", [*tables.presets, struct.pack("<20sHHHIII", b"EOP", 0, 0, n, 0, 0, 0)]),
        (b"pbag", bags),
        (b"pmod", [bytes(10)]),
        (b"pgen", [*links, bytes(4)]),
        (b"inst", [*tables.instruments, struct.pack("<20sH", b"EOI", len(tables.zones))]),
        (b"ibag", [*tables.zones, end]),
        (b"imod", [*modulators, bytes(10)]),
        (b"igen", [*tables.generators, bytes(4)]),
        (b"shdr", [*tables.headers, struct.pack("<20sIIIIIBbHH", b"EOS", *[0] * 9)]),
    ]
    lists = (
        _chunk(b"LIST", b"INFO" + b"".join(information)),
        _chunk(b"LIST", b"sdta" + b"".join(samples)),
        _chunk(b"LIST", b"pdta" + b"".join(_chunk(tag, b"".join(row)) for tag, row in rows)),
    )
    path.write_bytes(_chunk(b"RIFF", b"sfbk" + b"".join(lists)))


def _chunk(tag: bytes, body: bytes) -> bytes:
    return tag + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def _name(text: str) -> bytes:
    """ASCII, at most 19 characters and a terminating zero."""
    return text.encode("ascii", "replace")[:19]


def _text(text: str) -> bytes:
    """At most 256 bytes, zero-terminated, padded to an even length."""
    body = text.encode("ascii", "replace")[:254] + b"\0"
    return body + bytes(len(body) % 2)
