"""SoundFonts: tables that fit together, the engine's samples, and the right pitch in FluidSynth."""

from __future__ import annotations

import itertools
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiogen.audio.files import read_channels
from audiogen.audio.pitch import note_pitch
from audiogen.engine import Synth
from audiogen.errors import ParameterError, PresetError
from audiogen.export import sfz, soundfont
from audiogen.export.sfz import SfzOptions, export_sfz, sample_instrument
from audiogen.export.soundfont import ZEROS, _programs, export_sf2
from audiogen.presets import load_preset

RATE = 44100
Tables = dict[str, bytes]


@pytest.fixture
def short_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes just long enough for a loop."""
    monkeypatch.setattr(sfz, "HOLD_S", 1.8)
    monkeypatch.setattr(sfz, "LONGEST_S", 2.0)


def chunks(body: bytes) -> dict[str, bytes]:
    """Bodies of a list's chunks by their tags; lists as LIST-INFO and so on."""
    found, at = {}, 0
    while at < len(body):
        tag, size = body[at : at + 4].decode(), struct.unpack_from("<I", body, at + 4)[0]
        inner = body[at + 8 : at + 8 + size]
        assert len(inner) == size
        if tag == "LIST":
            tag, inner = f"LIST-{inner[:4].decode()}", inner[4:]
        found[tag] = inner
        at += 8 + size + size % 2
    assert at == len(body)
    return found


def read(path: Path) -> Tables:
    data = path.read_bytes()
    assert data[:4] == b"RIFF" and data[8:12] == b"sfbk"
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    lists = chunks(data[12:])
    assert list(lists) == ["LIST-INFO", "LIST-sdta", "LIST-pdta"]
    return {tag: body for one in lists.values() for tag, body in chunks(one).items()}


def rows(tables: Tables, tag: str, layout: str) -> list[tuple[Any, ...]]:
    return list(struct.iter_unpack("<" + layout, tables[tag]))


def zones(tables: Tables, instrument: int) -> list[dict[int, bytes]]:
    """Generators of each zone of an instrument, the first one for all."""
    bags = rows(tables, "ibag", "HH")
    generators = rows(tables, "igen", "H2s")
    first, end = (rows(tables, "inst", "20sH")[instrument + i][1] for i in (0, 1))
    return [dict(generators[bags[i][0] : bags[i + 1][0]]) for i in range(first, end)]


@pytest.mark.usefixtures("short_notes")
def test_the_tables_hold_the_samples(tmp_path: Path, write_tiny: Any) -> None:
    preset = load_preset(write_tiny(tmp_path / "tiny"))
    options = SfzOptions(("harp", "guitar"), 12, velocities=2)
    counts: list[tuple[int, int]] = []
    programs = export_sf2(preset, tmp_path / "t.sf2", options, lambda *done: counts.append(done))
    assert [name for *_, name in programs] == ["harp", "guitar"] and counts[-1] == (20, 20)
    tables = read(tmp_path / "t.sf2")
    assert tables["ifil"] == struct.pack("<HH", 2, 4)
    heads = rows(tables, "phdr", "20sHHHIII")
    assert [(head[0].rstrip(b"\0").decode(), head[1]) for head in heads] == [
        ("harp", programs[0][1]), ("guitar", programs[1][1]), ("EOP", 0),
    ]  # fmt: skip
    n = len(tables["smpl"]) // 2
    assert len(tables["sm24"]) == n
    high = np.frombuffer(tables["smpl"], "<i2").astype(np.int64)
    samples = (high * 256 + np.frombuffer(tables["sm24"], np.uint8)) / 2.0**23
    headers = rows(tables, "shdr", "20sIIIIIBbHH")
    synth = Synth(preset, RATE)
    number = 0
    for instrument, timbre in enumerate(("harp", "guitar")):
        common, *parts = zones(tables, instrument)
        assert common == {} and len(parts) == 10
        played = set()
        regions = sample_instrument(synth, timbre, options)
        peak = max(np.abs(region.samples).max() for region in regions)
        for zone, region in zip(parts, regions, strict=True):
            keys, velocities = zone[43], zone[44]
            assert tuple(keys) == region.keys and tuple(velocities) == region.velocities
            played |= {(key, v) for key in range(keys[0], keys[1] + 1)
                       for v in range(velocities[0], velocities[1] + 1)}  # fmt: skip
            assert struct.unpack("<H", zone[53]) == (number,)
            _, start, end, loop_start, loop_end, rate, key, _, _, kind = headers[number]
            assert (rate, key, kind) == (RATE, region.key, 1)
            expected = region.samples * min(1.0, 0.99 / peak)
            np.testing.assert_allclose(samples[start:end], expected, rtol=0, atol=2.0**-23)
            assert not samples[end : end + ZEROS].any() and end + ZEROS <= n
            assert zone[54] == struct.pack("<H", 1 if region.loop else 0)
            if region.loop:
                assert (loop_start - start, loop_end - start) == (
                    region.loop.start, region.loop.end,
                )  # fmt: skip
            number += 1
        assert len(played) == 128 * 127
    assert headers[number][0].startswith(b"EOS") and len(headers) == number + 1


@pytest.mark.usefixtures("short_notes")
def test_a_transposed_program_sounds_at_its_keys(tmp_path: Path, write_tiny: Any) -> None:
    preset = load_preset(write_tiny(tmp_path / "tiny"))
    options = SfzOptions(("guitar",), 12)
    export_sf2(preset, tmp_path / "plain.sf2", options)
    (guitar,) = (timbre for timbre in preset.timbres if timbre.name == "guitar")
    timbres = [replace(timbre, transpose=7) if timbre is guitar else timbre
               for timbre in preset.timbres]  # fmt: skip
    export_sf2(replace(preset, timbres=timbres), tmp_path / "moved.sf2", options)
    plain, moved = (read(tmp_path / f"{name}.sf2") for name in ("plain", "moved"))
    roots, moved_roots = (
        [row[6] for row in rows(tables, "shdr", "20sIIIIIBbHH")[:-1]] for tables in (plain, moved)
    )
    assert moved_roots == [root - 7 for root in roots]
    ranges = sorted({tuple(zone[43]) for zone in zones(moved, 0)[1:]})
    assert ranges[0][0] == 0 and ranges[-1][1] == 127
    assert all(low == high + 1 for (_, high), (low, _) in itertools.pairwise(ranges))


@pytest.mark.usefixtures("short_notes")
def test_keys_half_a_semitone_apart_are_so_in_the_file(tmp_path: Path, write_tiny: Any) -> None:
    preset = load_preset(write_tiny(tmp_path / "tiny"))
    options = SfzOptions(("guitar",), 6)
    export_sf2(preset, tmp_path / "plain.sf2", options)
    timbres = [replace(timbre, transpose=-10, semitones_per_key=0.5) for timbre in preset.timbres]
    export_sf2(replace(preset, timbres=timbres), tmp_path / "half.sf2", options)
    plain, half = (read(tmp_path / f"{name}.sf2") for name in ("plain", "half"))
    roots, keys = (
        [row[6] for row in rows(tables, "shdr", "20sIIIIIBbHH")[:-1]] for tables in (plain, half)
    )
    sounding = {60 + 0.5 * (key - 60) - 10 for key in keys}
    assert sounding == {root for root in roots if 20 <= root <= 83}
    played = zones(half, 0)[1:]
    assert all(zone[56][0] == 50 for zone in played)
    ranges = sorted({tuple(zone[43]) for zone in played})
    assert ranges[0][0] == 0 and ranges[-1][1] == 127
    assert all(low == high + 1 for (_, high), (low, _) in itertools.pairwise(ranges))
    for zone, key in zip(played, keys, strict=True):
        assert zone[43][0] <= key <= zone[43][1]


@pytest.mark.usefixtures("short_notes")
def test_samples_between_the_keys_of_a_program_are_tuned(tmp_path: Path, write_tiny: Any) -> None:
    preset = load_preset(write_tiny(tmp_path / "tiny"))
    options = SfzOptions(("guitar",), 7)
    export_sf2(preset, tmp_path / "plain.sf2", options)
    timbres = [replace(timbre, transpose=1, semitones_per_key=2.0) for timbre in preset.timbres]
    export_sf2(replace(preset, timbres=timbres), tmp_path / "wide.sf2", options)
    plain, wide = (
        [row[6:8] for row in rows(read(tmp_path / f"{name}.sf2"), "shdr", "20sIIIIIBbHH")[:-1]]
        for name in ("plain", "wide")
    )
    assert {abs(cents) for _, cents in wide} == {0, 100}
    for (pitch, _), (key, cents) in zip(plain, wide, strict=True):
        assert pitch + cents / 100 == 60 + 2 * (key - 60) + 1


@pytest.mark.usefixtures("short_notes")
def test_a_vibrato_is_the_samplers(tmp_path: Path, write_tiny: Any) -> None:
    options = SfzOptions(("guitar",), 12)
    timbre = {"name": "guitar", "z": [0.0, 1.0, 0.0], "family": "guitar", "program": 24}
    vibrato = {"vibrato": [40.0, 5.0, 0.4, 3.0, 60.0]}
    for name, more in (("steady", {"gain_db": -3.0}), ("wavering", vibrato | {"gain_db": -3.0})):
        folder = write_tiny(tmp_path / name, timbres=[timbre | more], default_timbre="guitar")
        preset = load_preset(folder)
        export_sf2(preset, tmp_path / f"{name}.sf2", options)
        export_sfz(preset, tmp_path / f"{name}-sfz", options)
    steady, wavering = (read(tmp_path / f"{name}.sf2") for name in ("steady", "wavering"))
    assert steady["smpl"] == wavering["smpl"]
    zone = zones(wavering, 0)[1]
    values = [struct.unpack("<h", bytes(zone[n]))[0] for n in (6, 23, 24)]
    assert values == [40, round(1200 * np.log2(0.2)), round(1200 * np.log2(5.0 / 8.176))]
    values = [struct.unpack("<h", bytes(zone[n]))[0] for n in (13, 21, 22)]
    assert values == [15, round(1200 * np.log2(0.2)), round(1200 * np.log2(5.0 / 8.176))]
    assert not {6, 13, 21, 22, 23, 24} & set(zones(steady, 0)[1])
    (text,) = (tmp_path / "wavering-sfz").glob("*.sfz")
    assert "pitchlfo_depth=40 pitchlfo_freq=5 pitchlfo_fade=0.4" in text.read_text()
    assert "amplfo_depth=1.5 amplfo_freq=5 amplfo_fade=0.4" in text.read_text()


def test_a_drum_kit_is_one_preset_of_the_percussion_bank(tmp_path: Path, write_kit: Any) -> None:
    drums = {"kick": {"pan": -0.5}, "snare": {"group": 3}, "hat": {"group": 3}}
    preset = load_preset(write_kit(tmp_path / "kit", drums))
    programs = export_sf2(preset, tmp_path / "kit.sf2", SfzOptions(velocities=1))
    assert programs == [(128, 0, "kit")]
    tables = read(tmp_path / "kit.sf2")
    _, *parts = zones(tables, 0)
    assert [tuple(zone[43]) for zone in parts] == [(36, 36), (38, 38), (42, 42)]
    assert [zone[17] for zone in parts] == [struct.pack("<h", pan) for pan in (-205, 0, 0)]
    assert [zone.get(57) for zone in parts] == [None, *2 * [struct.pack("<H", 3)]]
    assert {zone[54] for zone in parts} == {struct.pack("<H", 0)}
    assert {zone[38] for zone in parts} == {struct.pack("<h", 8000)}
    headers = rows(tables, "shdr", "20sIIIIIBbHH")
    assert [header[6] for header in headers[:3]] == [36, 38, 42]
    samples = np.frombuffer(tables["smpl"], "<i2")[headers[1][1] : headers[1][2]]
    snare = Synth(preset, RATE).render([(0.0, 0.1, 38, 64 / 127)], stereo=False)
    snare = snare[: len(samples)]
    assert len(samples) > 500 and np.corrcoef(samples, snare)[0, 1] > 0.999


def test_one_shot_sounds_play_to_their_end(tmp_path: Path, write_tiny: Any) -> None:
    preset = load_preset(write_tiny(tmp_path / "hits", sustain=None))
    export_sf2(preset, tmp_path / "hits.sf2", SfzOptions(step=12, velocities=1))
    _, *parts = zones(read(tmp_path / "hits.sf2"), 0)
    assert {zone[38] for zone in parts} == {struct.pack("<h", 8000)}


def test_programs_are_different() -> None:
    assert _programs([46, 105, 46, None]) == [(0, 46), (0, 105), (0, 0), (0, 1)]
    assert _programs([None, 0, 1]) == [(0, 2), (0, 0), (0, 1)]
    slots = _programs([5] * 300)
    assert slots[0] == (0, 5) and slots[127:129] == [(0, 127), (1, 0)] and slots[-1] == (2, 43)
    assert len(set(slots)) == 300


def test_more_than_128_timbres_are_in_banks(
    tmp_path: Path, write_tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    timbres = [{"name": f"harp-{i}", "z": [1.0, 0.0, 0.5], "family": "string"} for i in range(130)]
    folder = write_tiny(tmp_path / "tiny", timbres=timbres, default_timbre="harp-0")
    preset = load_preset(folder)
    options = SfzOptions(step=12, velocities=1, sample_rate=8000)
    regions = sample_instrument(Synth(preset, 8000), "harp-0", options)  # once: it takes long
    monkeypatch.setattr(soundfont, "sample_instrument", lambda *_: regions)
    programs = export_sf2(preset, tmp_path / "t.sf2", options)
    assert [slot[:2] for slot in programs[-2:]] == [(1, 0), (1, 1)]
    heads = rows(read(tmp_path / "t.sf2"), "phdr", "20sHHHIII")
    written = [(bank, program) for _, program, bank, *_ in heads[:-1]]
    assert written == [(bank, program) for bank, program, _ in programs]


def test_bad_input(
    tmp_path: Path, write_tiny: Any, write_murmur: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = load_preset(write_tiny(tmp_path / "tiny"))
    path = tmp_path / "t.sf2"
    with pytest.raises(PresetError, match="timbre 'hrap' not found"):
        export_sf2(preset, path, SfzOptions(("hrap",)))
    with pytest.raises(ParameterError, match="round_robins=2 must be 1"):
        export_sf2(preset, path, SfzOptions(("harp",), round_robins=2))
    with monkeypatch.context() as patch, pytest.raises(ParameterError, match="more samples than"):
        patch.setattr(soundfont, "MOST_ENTRIES", 200)
        export_sf2(preset, path, SfzOptions(step=12, velocities=2))
    with pytest.raises(ParameterError, match="unconditional"):
        export_sf2(load_preset(write_murmur(tmp_path / "murmur")), path)
    assert not path.exists()


def fluidsynth(folder: Path, font: Path, program: int, key: int, velocity: int) -> np.ndarray:
    """A note of 5 s, and 1.5 s after it, as FluidSynth plays it, without effects."""
    mido = pytest.importorskip("mido", reason="mido is not installed")
    song = mido.MidiFile(ticks_per_beat=480)  # at 120 beats per minute
    track = mido.MidiTrack()
    track.append(mido.Message("program_change", program=program))
    track.append(mido.Message("note_on", note=key, velocity=velocity))
    track.append(mido.Message("note_off", note=key, time=480 * 10))
    track.append(mido.MetaMessage("end_of_track", time=480 * 3))
    song.tracks.append(track)
    song.save(folder / "song.mid")
    command = ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-g", "1", "-r", str(RATE)]
    command += ["-O", "float", "-T", "wav", "-F", str(folder / "out.wav")]
    subprocess.run([*command, font, folder / "song.mid"], check=True, capture_output=True)
    return read_channels(folder / "out.wav")[0][:, 0].astype(np.float32)


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("fluidsynth"), reason="fluidsynth is not installed (Debian: fluidsynth)"
)
@pytest.mark.parametrize(("preset", "timbre"), [("woodwinds", "flute"), ("plucked", "harp")])
def test_fluidsynth_plays_in_tune(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str, timbre: str
) -> None:
    monkeypatch.setattr(sfz, "LONGEST_S", 5.5)  # more than is played
    font = tmp_path / "font.sf2"
    [(_, program, _)] = export_sf2(load_preset(preset), font, SfzOptions((timbre,), 12, 2))
    for key in (45, 60, 67, 79):
        sound = fluidsynth(tmp_path, font, program, key, 100)
        assert abs(100 * (note_pitch(sound[: 2 * RATE], RATE) - key)) < 15.0, key
        assert np.abs(sound).max() > 0.01
        assert np.abs(sound[-RATE // 10 :]).max() < 1e-3  # released
        if preset == "woodwinds":  # loops
            late = sound[4 * RATE : 5 * RATE]
            assert abs(100 * (note_pitch(late, RATE) - key)) < 15.0, key
            assert np.abs(late).max() > 0.1 * np.abs(sound).max()
    # The level of a layer is the engine's: a velocity has no further effect.
    low, middle, high = (
        float(np.abs(fluidsynth(tmp_path, font, program, 60, v)).max()) for v in (70, 100, 127)
    )
    assert low == pytest.approx(middle, rel=0.01) and high == pytest.approx(middle, rel=0.01)
