"""Sampled instruments: loops without clicks, and the right pitch in a sampler."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiogen.audio.files import read_channels
from audiogen.audio.pitch import note_pitch
from audiogen.errors import ParameterError, PresetError
from audiogen.export.sfz import (
    AFTER_LOOP,
    Loop,
    SfzOptions,
    export_sfz,
    find_loop,
    key_ranges,
    layers,
    seam_step,
)
from audiogen.presets import load_preset

RATE = 44100


def tone(pitch: float, seconds: float = 4.0, decay_db_s: float = 0.0) -> np.ndarray:
    """Five partials of a pitch, with a beat so that not all periods are alike."""
    t = np.arange(round(seconds * RATE)) / RATE
    f0 = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    sound = sum(np.sin(2 * np.pi * h * f0 * t + h * h) / h for h in range(1, 6))
    sound *= 0.2 * (1.0 + 0.1 * np.sin(2 * np.pi * 1.7 * t)) * 10 ** (-decay_db_s * t / 20)
    return sound.astype(np.float32)


@pytest.mark.parametrize("pitch", [24, 45.3, 60, 84])
def test_a_loop_has_whole_periods_and_no_click(pitch):
    found = find_loop(tone(pitch), RATE, pitch)
    assert found is not None
    samples, loop = found
    period = RATE / (440.0 * 2.0 ** ((pitch - 69.0) / 12.0))
    periods = (loop.end - loop.start) / period
    assert abs(periods - round(periods)) * period <= 0.5
    seam, elsewhere = seam_step(samples, loop)
    assert seam <= elsewhere
    # Played three times, its pitch and level stay.
    played = np.concatenate([samples[: loop.end], *3 * [samples[loop.start : loop.end]]])
    cents = 100 * (note_pitch(played, RATE) - pitch)
    assert abs(cents) < 3.0
    assert np.array_equal(samples[loop.end :], samples[loop.start : loop.start + AFTER_LOOP])


def test_a_seam_that_clicks_is_found():
    samples = tone(60)
    start, period = RATE, RATE / 261.6256
    clicks = Loop(start, start + round(100.5 * period))
    seam, elsewhere = seam_step(samples, clicks)
    assert seam > 3.0 * elsewhere


def test_a_note_that_decays_has_no_loop():
    assert find_loop(tone(60, decay_db_s=20.0), RATE, 60) is None
    assert find_loop(tone(60, seconds=1.2), RATE, 60) is None
    assert find_loop(np.zeros(4 * RATE, np.float32), RATE, 60) is None


@pytest.mark.parametrize("step", [1, 4, 5, 12])
def test_every_key_and_velocity_has_one_region(step):
    ranges = key_ranges(24, 84, step)
    played = [key for _, low, high in ranges for key in range(low, high + 1)]
    assert played == list(range(128))
    assert all(low <= key <= high for key, low, high in ranges)
    assert ranges[0][0] == 24 and ranges[-1][0] == 84
    for n in range(1, 9):
        velocities = [v for low, high in layers(n) for v in range(low, high + 1)]
        assert velocities == list(range(1, 128))


def regions_of(path: Path) -> list[dict[str, str]]:
    lines = [line for line in path.read_text().splitlines() if line.startswith("<region>")]
    return [dict(re.findall(r"(\w+)=(\S+)", line)) for line in lines]


def test_round_robins_and_layers_differ(tmp_path: Path, write_tiny: Any):
    preset = load_preset(write_tiny(tmp_path / "tiny"))
    options = SfzOptions(("harp",), 12, velocities=2, round_robins=2, file_format="wav")
    counts = []
    (path,) = export_sfz(
        preset, tmp_path / "out", options, lambda done, total: counts.append((done, total))
    )
    regions = regions_of(path)
    assert len(regions) == 5 * 2 * 2 and counts[-1] == (20, 20)
    assert {(r["seq_length"], r["seq_position"]) for r in regions} == {("2", "1"), ("2", "2")}
    assert {(r["lovel"], r["hivel"]) for r in regions} == {("1", "64"), ("65", "127")}
    sounds = [read_channels(path.parent / r["sample"])[0] for r in regions[:4]]
    for i, first in enumerate(sounds):
        assert np.abs(first).max() > 0.0
        assert not any(np.array_equal(first, other) for other in sounds[i + 1 :])


def test_a_drum_kit_is_one_instrument(tmp_path: Path, write_kit: Any):
    drums = {"kick": {"pan": -0.5}, "snare": {"group": 3}, "hat": {"group": 3}}
    preset = load_preset(write_kit(tmp_path / "kit", drums))
    options = SfzOptions(velocities=2, round_robins=2, file_format="wav", sample_rate=16000)
    counts = []
    paths = export_sfz(preset, tmp_path / "out", options, lambda *done: counts.append(done))
    assert [path.name for path in paths] == ["kit.sfz"] and counts[-1] == (12, 12)
    regions = regions_of(paths[0])
    assert [(r["lokey"], r["hikey"]) for r in regions[::4]] == [(k, k) for k in ("36", "38", "42")]
    assert {r["loop_mode"] for r in regions} == {"one_shot"}
    assert [r["pan"] for r in regions[::4]] == ["-41", "0", "0"]
    assert [r.get("off_by") for r in regions[::4]] == [None, "3", "3"]
    assert not any(np.array_equal(*(read_channels(paths[0].parent / r["sample"])[0] for r in pair))
                   for pair in pairwise(regions))  # fmt: skip
    (only,) = export_sfz(preset, tmp_path / "hat", replace(options, timbres=("hat",)))
    assert {r["lokey"] for r in regions_of(only)} == {"42"}


def test_one_shot_sounds_play_to_their_end(tmp_path: Path, write_tiny: Any):
    preset = load_preset(write_tiny(tmp_path / "hits", sustain=None))
    options = SfzOptions(("harp", "harp"), step=12, velocities=1, sample_rate=16000)
    (path,) = export_sfz(preset, tmp_path / "out", options)
    regions = regions_of(path)
    assert {region["loop_mode"] for region in regions} == {"one_shot"} and "pan" not in regions[0]


def test_bad_input(tmp_path: Path, write_tiny: Any, write_murmur: Any):
    preset = load_preset(write_tiny(tmp_path / "tiny"))
    with pytest.raises(PresetError, match="timbre 'hrap' not found"):
        export_sfz(preset, tmp_path / "out", SfzOptions(("hrap",)))
    for option, value in {"step": 0, "velocities": 9, "round_robins": 0, "sample_rate": 1}.items():
        with pytest.raises(ParameterError, match=option):
            SfzOptions(**{option: value})
    with pytest.raises(ParameterError, match="file_format='mp3' must be one of flac, wav"):
        SfzOptions(file_format="mp3")
    with pytest.raises(ParameterError, match="unconditional"):
        export_sfz(load_preset(write_murmur(tmp_path / "murmur")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "timbre"), [("woodwinds", "flute"), ("plucked", "harp")])
def test_a_sampler_plays_the_right_pitch(tmp_path: Path, preset: str, timbre: str):
    pysfizz = pytest.importorskip("pysfizz", reason="pysfizz isn't installed; pip install pysfizz")
    (path,) = export_sfz(load_preset(preset), tmp_path / "out", SfzOptions((timbre,), 12, 1))
    for region in regions_of(path):
        if region["loop_mode"] == "loop_continuous":
            samples, _ = read_channels(path.parent / region["sample"])
            loop = Loop(int(region["loop_start"]), int(region["loop_end"]) + 1)
            seam, elsewhere = seam_step(samples[:, 0].astype(np.float32), loop)
            assert seam <= elsewhere, region["sample"]
    loops = {region["loop_mode"] for region in regions_of(path)}
    assert loops == {"loop_continuous"} if preset == "woodwinds" else "no_loop" in loops
    sampler = pysfizz.Synth(sample_rate=48000, block_size=256)
    assert sampler.load_sfz_file(str(path))
    for key in (45, 60, 67, 79):
        sampler.render_note(key, 100, 1.0, 1.5)  # its samples are read in the background
        sound = sampler.render_note(key, 100, 5.0, 6.5)[0].astype(np.float32)
        assert abs(100 * (note_pitch(sound[: 2 * 48000], 48000) - key)) < 15.0, key
        assert np.abs(sound).max() > 0.01
        assert np.abs(sound[-4800:]).max() < 1e-3  # released
        if preset == "woodwinds":  # loops
            late = sound[4 * 48000 : 5 * 48000]
            assert abs(100 * (note_pitch(late, 48000) - key)) < 15.0, key
