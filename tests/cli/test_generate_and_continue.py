"""`audiogen render --seconds` and `audiogen continue`: what is written, said, and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import audiogen
from audiogen.cli.sound import read_temperature
from audiogen.engine import Synth
from audiogen.errors import ParameterError
from audiogen.notes import Note, Score

RATE = 8000
FINE = 2.0**-23  # of a file of 24 bits


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


def write_tone(path: Path, seconds: float, rate: int, n_channels: int = 1, **options: Any) -> None:
    at = np.arange(round(seconds * rate)) / rate
    hz = 311.0 * np.arange(1, n_channels + 1)
    soundfile.write(path, 0.4 * np.sin(2 * np.pi * at[:, None] * hz + 0.3), rate, **options)


@pytest.mark.parametrize("stereo", [False, True])
def test_the_file_holds_the_samples_of_the_library(call, folder, murmur, stereo):
    wide = "--stereo" if stereo else ""
    line = f"render --preset murmur --seconds 0.5 --seed 3 --temperature 0.8 --top-p 0.9 {wide}"
    result = call(f"{line} -o a.wav")
    assert result.status == 0, result
    wanted = Synth(murmur).generate(0.5, temperature=0.8, top_p=0.9, seed=3, stereo=stereo)
    assert soundfile.info(folder / "a.wav").samplerate == RATE
    np.testing.assert_allclose(read(folder / "a.wav"), wanted, rtol=0, atol=FINE)
    assert result.err == ""
    assert f"a.wav  0.5 s, 8000 Hz, {'stereo' if stereo else 'mono'}, peak " in result.out
    assert "  0.5 s in " in result.out and " x real time" in result.out


def test_a_curve(call, folder, murmur):
    line = "render --preset murmur --seconds 0.3 --temperature '0:0.5 0.2:1.5'"
    assert call(line).status == 0
    wanted = Synth(murmur).generate(0.3, temperature=[(0.0, 0.5), (0.2, 1.5)])
    np.testing.assert_allclose(read(folder / "murmur.wav"), wanted, rtol=0, atol=FINE)


def test_variations_are_numbered(call, folder, murmur):
    line = "render --preset murmur --seconds 0.2 --variations 3 --stereo -o a.flac --plot a.png"
    result = call(line)
    assert result.status == 0, result
    wanted = Synth(murmur).generate(0.2, variations=3, stereo=True)
    for i in range(3):
        np.testing.assert_allclose(read(folder / f"a-{i + 1}.flac"), wanted[i], rtol=0, atol=FINE)
    names = [f"a-{i}.{suffix}" for i in (1, 2, 3) for suffix in ("flac", "png")]
    assert sorted(entry.name for entry in folder.iterdir()) == sorted(names)
    assert "3 x 0.2 s in " in result.out and "picture: a-2.png" in result.out


def test_other_rates_and_levels(call, folder, murmur):
    line = "render --preset murmur --seconds 0.5 --sample-rate 44100 --gain -6 --normalize -o a.wav"
    assert call(line).status == 0
    own = Synth(murmur).generate(0.5, sample_rate=44100)
    got = read(folder / "a.wav")
    assert soundfile.info(folder / "a.wav").samplerate == 44100
    wanted = own / np.abs(own).max() * 10 ** (-6 / 20)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6)
    with_note = call(line.replace("--normalize", "")).out
    assert "trained at 8000 Hz; above 4 kHz there is silence" in with_note


def test_notes_are_played_by_a_samplernn(call, folder, murmur, engine):
    assert call("render --notes C4 --preset winds").status == 0
    assert engine.calls[-1]["voices"] == {None: "winds:oboe"}
    assert call("render --notes C4 --program 0=winds:flute").status == 0
    assert engine.calls[-1]["voices"][0] == "winds:flute"
    # Among all presets only those that play notes are asked.
    assert call("render --notes C4 --timbre flute").status == 0
    assert engine.calls[-1]["voices"] == {None: "winds:flute"}


def test_sampling_and_precision_reach_the_preset(call, folder, murmur):
    winds, usual = murmur.parent / "winds", None
    line = "render --notes C4:0.2 --preset winds --seed 1 -o a.flac"
    for options, sampling in (
        ("", {}),
        ("--temperature 0.5 --top-p 0.9", {"temperature": 0.5, "top_p": 0.9}),
        ("--precision int8", {"precision": "int8"}),
    ):
        assert call(f"{line} {options}").status == 0
        wanted = Synth(winds, seed=1, **sampling).render("C4:0.2")
        np.testing.assert_allclose(read(folder / "a.flac"), wanted, rtol=0, atol=FINE)
        usual = wanted if usual is None else usual
        assert np.array_equal(wanted, usual) == (not sampling)


def test_sampling_is_for_the_samplernns_of_several_presets(murmur):
    winds = str(murmur.parent / "winds")
    notes = [Note(0.0, 0.2, 60.0, 0.8, program=program) for program in (0, 1)]
    options = {"sample_rate": RATE, "temperature": 0.5}
    both = audiogen.render(Score(notes), {0: winds, 1: "plucked"}, **options)
    sampled = Synth(winds, RATE, temperature=0.5).render(Score(notes[:1]))
    plucked = Synth("plucked", RATE).render(Score(notes[1:]))
    wanted = np.zeros(max(len(sampled), len(plucked)), np.float32)
    wanted[: len(sampled)] += sampled
    wanted[: len(plucked)] += plucked
    np.testing.assert_array_equal(both, wanted)
    with pytest.raises(ParameterError, match="temperature is not supported by preset 'plucked'"):
        audiogen.render(Score(notes), {None: "plucked"}, **options)


class TestContinue:
    def test_variations_are_numbered_and_each_begins_with_the_intro(self, call, folder, murmur):
        write_tone(folder / "intro.wav", 0.3, RATE)
        line = "continue intro.wav --preset murmur --seconds 0.2 --variations 2 -o a.flac"
        result = call(line)
        assert result.status == 0 and "  2 x 0.2 s more in " in result.out
        intro = read(folder / "intro.wav")
        wanted = Synth(murmur).generate(0.2, prompt=intro, variations=2)
        for i in range(2):
            got = read(folder / f"a-{i + 1}.flac")
            np.testing.assert_array_equal(got[: len(intro)], intro)
            np.testing.assert_allclose(got[len(intro) :], wanted[i], rtol=0, atol=FINE)
        (folder / "intro.wav").rename(folder / "b-1.wav")
        line = "continue b-1.wav --preset murmur --variations 2 -o b.wav"
        assert "is the file to be continued" in call(line).err

    def test_the_intro_is_kept_and_goes_on(self, call, folder, murmur):
        write_tone(folder / "intro.wav", 0.7, RATE)
        result = call("continue intro.wav --preset murmur --seconds 0.5 --seed 2 -o a.wav")
        assert result.status == 0, result
        intro, _ = soundfile.read(folder / "intro.wav", dtype="int32")
        got, rate = soundfile.read(folder / "a.wav", dtype="int32")
        assert rate == RATE and len(got) == len(intro) + 4000
        np.testing.assert_array_equal(got[: len(intro)], intro)
        wanted = Synth(murmur).generate(0.5, prompt=read(folder / "intro.wav"), seed=2)
        np.testing.assert_allclose(read(folder / "a.wav")[len(intro) :], wanted, rtol=0, atol=FINE)
        assert "a.wav  1.2 s, 8000 Hz, mono, peak " in result.out
        assert "  0.5 s more in " in result.out and " x real time" in result.out

    def test_the_output_is_named_after_the_intro(self, call, folder, murmur):
        write_tone(folder / "intro.flac", 0.2, RATE)
        result = call("continue intro.flac --preset murmur --seconds 0.1 --plot a.png")
        assert result.status == 0, result
        names = ["a.png", "intro-continued.wav", "intro.flac"]
        assert sorted(entry.name for entry in folder.iterdir()) == names

    @pytest.mark.parametrize(
        ("rate", "n_channels", "subtype"),
        [(44100, 2, "PCM_16"), (48000, 1, "PCM_24"), (22050, 3, "PCM_U8"), (8000, 2, "PCM_16")],
    )
    def test_other_rates_and_channels(self, call, folder, murmur, rate, n_channels, subtype):
        write_tone(folder / "intro.wav", 1.3, rate, n_channels, subtype=subtype)
        result = call("continue intro.wav --preset murmur --seconds 0.5 -o a.flac")
        assert result.status == 0, result
        intro, got = read(folder / "intro.wav"), read(folder / "a.flac")
        info = soundfile.info(folder / "a.flac")
        assert (info.samplerate, info.channels) == (rate, n_channels)
        n = len(intro)
        assert abs(len(got) - n - rate // 2) <= rate // RATE + 1
        np.testing.assert_array_equal(got[:n], intro)
        assert np.abs(got[n:]).max() > 0.05
        if n_channels > 1:
            assert not np.array_equal(got[n:, 0], got[n:, 1])

    def test_other_rates_are_the_librarys(self, call, folder, murmur):
        write_tone(folder / "intro.wav", 0.5, 44100, 2, subtype="FLOAT")
        assert call("continue intro.wav --preset murmur --seconds 0.2 -o a.wav").status == 0
        intro = read(folder / "intro.wav")
        wanted = Synth(murmur).generate(0.2, prompt=intro, sample_rate=44100)
        np.testing.assert_allclose(read(folder / "a.wav")[len(intro) :], wanted, rtol=0, atol=FINE)

    def test_channels_that_are_equal_stay_equal(self, call, folder, murmur):
        write_tone(folder / "mono.wav", 0.5, RATE)
        mono = read(folder / "mono.wav")
        soundfile.write(folder / "intro.wav", np.stack([mono, mono], 1), RATE, "PCM_24")
        for name in ("mono", "intro"):
            assert call(f"continue {name}.wav --preset murmur -o {name}-a.wav").status == 0
        got = read(folder / "intro-a.wav")
        np.testing.assert_array_equal(got[:, 0], got[:, 1])
        np.testing.assert_array_equal(got[:, 0], read(folder / "mono-a.wav"))

    def test_what_is_over_full_scale_leaves_the_intro_alone(
        self, call, folder, murmur, monkeypatch
    ):
        monkeypatch.setattr(
            Synth, "generate", lambda *_, **__: np.linspace(0, 2, 801)[1:, None].astype("f4")
        )
        write_tone(folder / "intro.wav", 0.5, RATE)
        result = call("continue intro.wav --preset murmur --seconds 0.1 -o a.wav")
        got = read(folder / "a.wav")
        np.testing.assert_array_equal(got[:4000], read(folder / "intro.wav"))
        assert np.abs(got).max() <= 1.0
        assert "note: 400 new samples over full scale were clipped" in result.out
        assert "turned down" not in result.out


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0.0),
        ("0.8", 0.8),
        ("3:0.5", [(3.0, 0.5)]),
        ("0:0.8 10:1.1", [(0.0, 0.8), (10.0, 1.1)]),
        ("0:1  2.5:0", [(0.0, 1.0), (2.5, 0.0)]),
    ],
)
def test_temperatures(text, value):
    assert read_temperature(text) == value
    assert read_temperature(None) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("warm", "--temperature warm must be a number such as 0.8, or a curve such as"),
        ("", "must be a number"),
        ("0.8 0.9", "must be a number"),
        ("0:0.8 0.9", "must be a number"),
        ("0:0.8:1", "must be a number"),
        (":", "must be a number"),
        ("0:0.8,10:1.1", "must be a number"),
    ],
)
def test_bad_temperatures(text, message):
    with pytest.raises(ParameterError) as error:
        read_temperature(text)
    assert message in str(error.value)


class TestBadInput:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("render", "give a MIDI file, --notes, or --seconds with an unconditional preset"),
            ("render --preset murmur", "give a MIDI file, --notes, or --seconds"),
            ("render --seconds 1", "give --preset with --seconds, an unconditional one"),
            ("render --seconds 1 --preset murmr", "did you mean murmur?"),
            (
                "render --seconds 1 --preset plucked",
                "generate is not supported by preset 'plucked'",
            ),
            ("render --seconds 1 --preset winds", "generate is not supported by preset 'winds'"),
            ("render --notes C4 --preset murmur", "'murmur'"),
            (
                "render a.mid --seconds 1 --preset murmur",
                "a MIDI file is not supported by --seconds",
            ),
            ("render --notes C4 --seconds 1 --preset murmur", "--notes is not supported by --sec"),
            (
                "render --seconds 1 --preset murmur --program 3=plucked",
                "--program is not supported by --seconds",
            ),
            ("render --notes C4 --program 3=murmur", "'murmur'"),
            (
                "render --notes C4 --temperature 1",
                "temperature is not supported by preset 'plucked'",
            ),
            ("render --notes C4 --temperature '0:1 1:2'", "--temperature takes a curve with --sec"),
            ("render --notes C4 --precision int8", "precision='int8' is not supported by preset"),
            ("render --notes C4 --top-p 0.5", "top_p is not supported by preset 'plucked'"),
            ("render --notes C4 --seed -1", "seed=-1 must be a whole number"),
            ("render --notes C4 --variations 2", "--variations goes with --seconds"),
            ("render --seconds 0 --preset murmur", "--seconds 0 must be above 0"),
            ("render --seconds -1 --preset murmur", "--seconds -1 must be above 0"),
            ("render --seconds nan --preset murmur", "--seconds nan must be above 0"),
            ("render --seconds 1e-9 --preset murmur", "seconds=1e-09 must be 0.0503 or more"),
            ("render --seconds 20000 --preset murmur", "must be above 0, up to 14400 s"),
            (
                "render --seconds 9000 --stereo --preset murmur",
                "--seconds 9000 must be above 0, up to 14400 s, for all sounds together",
            ),
            ("render --seconds 1 --variations 0 --preset murmur", "--variations 0 must be from 1"),
            (
                "render --seconds 1 --variations 9999 --preset murmur",
                "--variations 9999 must be from 1 to 1000",
            ),
            ("render --seconds 1 --top-p 0 --preset murmur", "top_p=0.0 must be from 0.01 to 1"),
            (
                "render --seconds 1 --top-p nan --preset murmur",
                "top_p=nan must be from 0.01 to 1",
            ),
            ("render --seconds 1 --temperature x --preset murmur", "--temperature x must be a num"),
            ("render --seconds 1 --seed -1 --preset murmur", "seed=-1 must be a whole number"),
            ("render --seconds 1 --timbre x --preset murmur", "timbre 'x'"),
            ("render --seconds 1 --preset murmur:x", "timbre 'x'"),
            ("render --seconds 1 --timbre random --preset murmur", "preset 'murmur'"),
            ("render --seconds 1 --sample-rate 1 --preset murmur", "sample_rate=1 "),
            ("render --seconds 1 --preset murmur -o a.mp3", "output a.mp3 ends in .mp3"),
            ("render --seconds 1 --preset murmur -o no/a.wav", "there is no folder no"),
            ("continue no.wav --preset murmur", "no.wav: "),
            ("continue text.wav --preset murmur", "text.wav: "),
            ("continue empty.wav --preset murmur", "empty.wav: "),
            ("continue cut.wav --preset murmur", "cut.wav: "),
            ("continue nan.wav --preset murmur", "nan.wav: holds NaN or infinity"),
            ("continue folder.wav --preset murmur", "folder.wav: is a folder"),
            ("continue short.wav --preset murmur", "short.wav: cannot be continued; prompt has 5"),
            ("continue one.wav --preset murmur", "one.wav: has 1 sample; give about a second"),
            (
                "continue slow.wav --preset murmur",
                "slow.wav: has 4000 Hz; it must have 8000 to 192000 Hz",
            ),
            ("continue a.wav --preset plucked", "generate is not supported by preset 'plucked'"),
            ("continue a.wav --preset murmr", "did you mean murmur?"),
            ("continue a.wav --preset murmur -o a.wav", "a.wav is the file to be continued; give"),
            ("continue a.wav --preset murmur -o ./a.wav", "is the file to be continued"),
            ("continue a.wav --preset murmur -o a.mp3", "output a.mp3 ends in .mp3"),
            ("continue a.wav --preset murmur --plot a.jpg", "output a.jpg ends in .jpg; use .png"),
            ("continue a.wav --preset murmur --seconds 0", "--seconds 0 must be above 0"),
            ("continue a.wav --preset murmur --temperature x", "--temperature x must be a number"),
            ("continue a.wav --preset murmur --top-p 2", "top_p=2.0 must be from 0.01 to 1"),
            (
                "continue a.wav --preset murmur --variations 0",
                "--variations 0 must be from 1 to 1000",
            ),
            ("continue a.wav --preset murmur --seed -1", "seed=-1 must be a whole number"),
            ("continue a.wav --preset murmur --timbre x", "timbre 'x'"),
            ("continue a.wav --preset murmur:x", "timbre 'x'"),
        ],
    )
    def test_message_and_status(self, call, folder, murmur, line, message):
        self.prepare(folder)
        before = {entry: entry.stat().st_mtime_ns for entry in folder.rglob("*")}
        result = call(line)
        assert result.status == 2
        assert message in result.err
        assert result.err.startswith("audiogen: ") and result.err.count("\n") == 1
        assert result.out == "" and "Traceback" not in result.err
        assert {entry: entry.stat().st_mtime_ns for entry in folder.rglob("*")} == before

    def prepare(self, folder: Path) -> None:
        write_tone(folder / "a.wav", 0.2, RATE)
        write_tone(folder / "short.wav", 5 / RATE, RATE)
        write_tone(folder / "one.wav", 1 / 48000, 48000)
        write_tone(folder / "slow.wav", 0.2, 4000)
        write_tone(folder / "empty.wav", 0.0, RATE)
        write_tone(folder / "whole.wav", 0.2, RATE)
        (folder / "cut.wav").write_bytes((folder / "whole.wav").read_bytes()[:20])
        (folder / "text.wav").write_text("not a sound")
        (folder / "folder.wav").mkdir()
        soundfile.write(folder / "nan.wav", np.full(99, np.nan), RATE, subtype="FLOAT")

    @pytest.mark.parametrize("line", ["continue --preset murmur", "continue a.wav"])
    def test_missing_words_are_named(self, call, folder, murmur, line):
        result = call(line)
        assert result.status == 2 and "Missing" in result.err and "Traceback" not in result.err
