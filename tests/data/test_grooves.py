"""Drum hits become grooves: on the beat, of one level, the same for a seed, bad files named."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiogen.cli.main import main
from audiogen.data import render_grooves
from audiogen.data.notes.nsynth import PEAK
from audiogen.data.render.grooves import JITTER, N_STEPS, SWING, TEMPO, euclidean, groove
from audiogen.errors import FormatError, ParameterError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RATE = 16000
CLICK = np.array([1.0, -1.0])


@pytest.fixture
def hits(tmp_path):
    """A low, a high and a noisy hit, of several rates and channels."""
    folder = tmp_path / "hits"
    (folder / "kit").mkdir(parents=True)
    time_s = np.arange(4410) / 44100
    decay = np.exp(-40 * time_s)
    soundfile.write(folder / "low.wav", 0.5 * decay * np.sin(400 * time_s), 44100)
    soundfile.write(folder / "high.flac", 0.002 * decay * np.sin(30000 * time_s), 22050)
    noise = np.random.default_rng(0).normal(size=(4410, 2))
    soundfile.write(folder / "kit" / "noise.wav", 0.2 * decay[:, None] * noise, 44100)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def exit_code(*arguments: str) -> object:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    return stopped.value.code


@pytest.mark.parametrize("n_strokes", range(N_STEPS + 1))
def test_strokes_are_as_even_as_can_be(n_strokes):
    struck = np.flatnonzero(euclidean(n_strokes, 0))
    assert len(struck) == n_strokes
    gaps = np.diff(np.append(struck, struck[:1] + N_STEPS))
    assert not n_strokes or gaps.max() - gaps.min() <= 1
    np.testing.assert_array_equal(euclidean(n_strokes, 3), np.roll(euclidean(n_strokes, 0), -3))


@pytest.mark.parametrize("seed", range(5))
def test_strokes_are_on_the_beat(seed):
    waveform = groove([CLICK], RATE, np.random.default_rng(seed))
    struck = np.flatnonzero(waveform > 0)
    n_steps = 8 * N_STEPS
    step = len(waveform) / n_steps
    assert TEMPO[0] <= 15 * RATE / step <= TEMPO[1] * 1.01
    late = struck / step % 1
    assert late.max() <= SWING + JITTER + 1 / step
    # Ghosts aside, every bar has the same strokes, some of which fall out.
    bars = np.zeros((8, N_STEPS), bool)
    bars.flat[(np.flatnonzero(waveform > 0.45 * PEAK) / step).astype(int)] = True
    pattern = bars.any(axis=0)
    n_strokes = int(pattern.sum())
    assert any((pattern == euclidean(n_strokes, turned)).all() for turned in range(N_STEPS))
    assert 0.7 < bars[:, pattern].mean() < 1


def test_bright_hits_come_more_often():
    dark, bright = np.ones(32), np.tile(CLICK, 16)
    power = np.zeros(2)
    for seed in range(40):
        spectrum = np.abs(np.fft.rfft(groove([bright, dark], RATE, np.random.default_rng(seed))))
        power += [np.sum(part**2) for part in np.array_split(spectrum, 2)]
    assert power[1] > 1.2 * power[0]


def test_grooves_are_of_one_level_and_of_all_hits(hits, tmp_path):
    done = render_grooves(hits, tmp_path / "out", n=4)
    assert (done.n_hits, done.left_out) == (3, ())
    seconds = 0.0
    for path in (tmp_path / "out").glob("*.wav"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
        waveform = soundfile.read(path)[0]
        assert np.abs(waveform).max() == pytest.approx(PEAK, abs=1e-3)
        # However quiet a hit's file, it is heard: 64 Hz and 2387 Hz.
        power = np.abs(np.fft.rfft(waveform)) ** 2
        at = (np.array([64, 2387]) * len(waveform) / RATE).astype(int)
        low, high = (power[i - 40 : i + 40].max() for i in at)
        assert 1e-3 < high / low < 1e3
        seconds += info.duration
    assert done.minutes == pytest.approx(seconds / 60)


def test_a_long_sound_is_cut_without_a_click(tmp_path):
    (tmp_path / "hits").mkdir()
    tone = 0.5 * np.sin(2 * np.pi * 203.75 / RATE * np.arange(3 * RATE))
    soundfile.write(tmp_path / "hits" / "tone.wav", tone, RATE)
    render_grooves(tmp_path / "hits", tmp_path / "out", n=1)
    waveform = soundfile.read(tmp_path / "out" / "groove0000.wav")[0]
    assert np.abs(np.diff(waveform)).max() < 1.5 * PEAK * 2 * np.pi * 203.75 / RATE


def test_a_seed_gives_the_same_and_more_are_those_and_others(hits, tmp_path):
    for name, options in (("a", {}), ("b", {}), ("c", {"seed": 1}), ("more", {"n": 3})):
        render_grooves(hits, tmp_path / name, **{"n": 2, **options})
    a, b, c, more = (contents(tmp_path / name) for name in ("a", "b", "c", "more"))
    assert a == b
    assert a["groove0000.wav"] != c["groove0000.wav"]
    assert a["groove0000.wav"] != a["groove0001.wav"]
    assert {name: more[name] for name in a if name.endswith("wav")}.items() <= a.items()


def test_the_command_names_what_it_left_out(hits, tmp_path, capsys):
    (hits / "broken.wav").write_bytes(b"RIFF")
    command = ["data", "grooves", str(hits), "-o", str(tmp_path / "out"), "--grooves", "2"]
    assert exit_code(*command, "--licence", "CC0-1.0") == 0
    shown = capsys.readouterr()
    assert "2 grooves of 3 hits" in shown.out and "1 left out" in shown.out
    assert "left out broken.wav" in shown.err
    source = tomllib.loads((tmp_path / "out" / "source.toml").read_text(encoding="utf-8"))
    assert (source["licence"], source["seed"]) == ("CC0-1.0", 0)
    assert source["source"] == "2 grooves of 3 hits in hits"
    assert source["hits"] == ["high.flac", str(Path("kit", "noise.wav")), "low.wav"]
    assert source["left_out"][0].startswith("broken.wav: ")
    assert exit_code(*command) == 2
    assert "isn't an empty folder" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{"n": 0}, {"n": 10000}, {"seed": -1}, {"sample_rate": 10}])
def test_numbers_out_of_range_are_refused(hits, tmp_path, options):
    with pytest.raises(ParameterError, match=next(iter(options))):
        render_grooves(hits, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_sound_is_refused(tmp_path):
    (tmp_path / "hits").mkdir()
    with pytest.raises(FormatError, match="holds no sound file"):
        render_grooves(tmp_path / "hits", tmp_path / "out")
    with pytest.raises(FormatError, match="isn't a folder"):
        render_grooves(tmp_path / "missing", tmp_path / "out")
