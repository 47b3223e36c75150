"""`audiogen render`: what is written, what is said, and what each bad input leads to."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file, save_file

import audiogen

DEMO = Path(__file__).parents[2] / "presets" / "demo.mid"


def rows(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("name", "file_format", "subtype"),
    [
        ("a.wav", "WAV", "PCM_24"),
        ("a.flac", "FLAC", "PCM_24"),
        ("a.ogg", "OGG", "VORBIS"),
        ("A.WAV", "WAV", "PCM_24"),
    ],
)
def test_suffix_chooses_the_format(call, folder, engine, name, file_format, subtype):
    result = call(f"render --notes C4:1 -o {name}")
    assert result.status == 0, result
    info = soundfile.info(folder / name)
    assert (info.format, info.subtype, info.channels) == (file_format, subtype, 1)
    assert info.duration == pytest.approx(1.1, abs=0.01)
    assert [entry.name for entry in folder.iterdir()] == [name]


def test_demo_is_mapped_by_program_and_says_so(call, folder, engine):
    result = call(f"render {DEMO} -o demo.wav")
    assert result.status == 0, result
    assert engine.calls[0]["voices"] == {
        46: "plucked:harp",
        11: "struck:vibes",
        40: "plucked:harp",  # same family of eight as the harp
        68: "plucked:harp",  # the default
        None: "plucked:harp",
    }
    said = rows(result.out)
    assert re.search(r"11 vibraphone -> struck:vibes \(\d+ notes\)", said)
    assert "46 orchestral harp -> plucked:harp" in said
    assert re.search(r"40 violin -> plucked:harp \(\d+ notes, substituted\)", said)
    assert re.search(r"68 oboe -> plucked:harp \(\d+ notes, substituted\)", said)
    assert "x real time" in said and "38.0 s, 22050 Hz, mono, peak -6.0 dBFS" in said
    assert "trained at" not in said
    assert result.err == ""


def test_output_is_named_after_the_score(call, folder, engine):
    assert call(f"render {DEMO}").status == 0
    assert call("render --notes C4").status == 0
    assert sorted(entry.name for entry in folder.iterdir()) == ["demo.wav", "notes.wav"]


def test_options_reach_the_engine(call, folder, engine):
    line = "render --notes C4 --preset struck --seed 7 --sample-rate 48000 --gain -3 --normalize"
    assert call(line).status == 0
    asked = engine.calls[0]
    assert asked["voices"] == {None: "struck:vibes"}
    assert (asked["seed"], asked["sample_rate"]) == (7, 48000)
    assert (asked["gain_db"], asked["normalize"]) == (-3.0, True)
    assert soundfile.info(folder / "notes.wav").samplerate == 48000


def test_default_rate_is_the_highest_but_48_khz_at_most(call, folder, write_kit, drums):
    write_kit(folder / "kit", sample_rate=64000)
    assert call("render --notes D2 --preset ./kit -o kit.wav").status == 0
    assert call("render drums.mid --program drums=./kit --preset struck -o both.wav").status == 0
    for name in ("kit.wav", "both.wav"):
        assert soundfile.info(folder / name).samplerate == 48000


def test_rate_is_the_presets_own(call, folder, engine):
    assert call("render --notes C4 --preset plucked").status == 0
    assert soundfile.info(folder / "notes.wav").samplerate == 16000


def test_preset_narrows_the_choice_and_timbre_plays_all(call, folder, engine):
    assert call(f"render {DEMO} --preset plucked").status == 0
    assert engine.calls[-1]["voices"][11] == "plucked:harp"
    assert call(f"render {DEMO} --preset plucked --timbre dream").status == 0
    assert set(engine.calls[-1]["voices"].values()) == {"plucked:dream"}
    assert call(f"render {DEMO} --preset plucked:dream").status == 0
    assert set(engine.calls[-1]["voices"].values()) == {"plucked:dream"}
    assert call(f"render {DEMO} --timbre vibes").status == 0
    assert set(engine.calls[-1]["voices"].values()) == {"struck:vibes"}


def test_program_options_override(call, folder, engine):
    line = f"render {DEMO} --program 40=plucked:dream --program 68=struck"
    assert call(line).status == 0
    voices = engine.calls[0]["voices"]
    assert (voices[40], voices[68], voices[46]) == ("plucked:dream", "struck:vibes", "plucked:harp")


def test_plot(call, folder, engine):
    result = call("render --notes 'C4:0.3 E4' -o a.wav --plot a.png")
    assert result.status == 0, result
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "picture: a.png" in result.out


def test_a_peak_over_full_scale_is_turned_down(call, folder, engine):
    engine.peak = 2.0
    result = call("render --notes C4 -o a.wav --gain 1")
    samples, _ = soundfile.read(folder / "a.wav")
    assert np.abs(samples).max() == pytest.approx(10 ** (-0.1 / 20), abs=1e-4)
    assert "turned down by 6.1 dB" in result.out and "--gain -5.1 gives the same" in result.out


def test_warnings_are_printed_once(call, folder, engine):
    engine.warning = "C1 is below the trained range"
    result = call("render --notes C1")
    assert result.out.count("note: C1 is below the trained range") == 1
    assert result.err == ""


@pytest.fixture
def drums(folder: Path) -> None:
    """A file of one note of a piano and two of drums, one of which is the key of a snare."""
    import mido

    track = mido.MidiTrack()
    for channel, note in ((0, 40), (9, 38), (9, 99)):
        track.append(mido.Message("note_on", note=note, channel=channel))
        track.append(mido.Message("note_off", note=note, channel=channel, time=240))
    mido.MidiFile(tracks=[track]).save(folder / "drums.mid")


def test_drums_are_left_out_and_counted_without_a_kit(call, folder, drums):
    result = call("render drums.mid")
    assert result.status == 0 and "note: 2 drum notes are left out; no drum kit" in rows(result.out)
    assert "drums ->" not in result.out


def test_drums_are_played_by_a_kit(call, folder, drums, write_kit):
    call("render drums.mid -o without.wav")
    write_kit(folder.parent / "presets" / "kit")
    write_kit(folder.parent / "presets" / "other", default_timbre="hat")
    result = call("render drums.mid -o with.wav")
    assert result.status == 0 and "drums -> kit (2 notes)" in rows(result.out)
    assert "1 drum note is left out; kit 'kit' has no key 99" in rows(result.out)
    with_kit, without = (soundfile.read(folder / f"{name}.wav")[0] for name in ("with", "without"))
    assert not np.array_equal(with_kit[: len(without)], without)
    assert "drums -> other" in rows(call("render drums.mid --program drums=other").out)
    assert "drums" not in call("render drums.mid --preset struck").out.replace("drums.wav", "")
    result = call("render drums.mid --preset kit -o kit.wav")
    assert result.status == 0 and "drums -> kit" in rows(result.out)
    assert "N from 0 to 127 or 'drums'" in rows(call("render drums.mid --program bells=kit").err)


def test_channels(call, folder, engine):
    for option, stereo in (("", None), ("--stereo", True), ("--mono", False)):
        result = call(f"render --notes C4 {option} -o a.wav")
        assert result.status == 0 and engine.calls[-1]["stereo"] is stereo
        assert soundfile.info(folder / "a.wav").channels == (2 if stereo else 1)
        assert (", stereo, peak" if stereo else ", mono, peak") in result.out


def test_a_score_that_pans_is_stereo(call, folder):
    import mido

    track = mido.MidiTrack()
    track.append(mido.Message("control_change", control=10, value=127))
    track.append(mido.Message("program_change", program=46))
    track.append(mido.Message("note_on", note=60))
    track.append(mido.Message("note_off", note=60, time=100))
    mido.MidiFile(tracks=[track]).save(folder / "right.mid")
    result = call("render right.mid -o a.wav --seed 3 --normalize --gain -1")
    assert result.status == 0 and "16000 Hz, stereo" in result.out and result.err == ""
    sound, _ = soundfile.read(folder / "a.wav", dtype="float32")
    options = {"seed": 3, "normalize": True, "gain_db": -1.0}
    wanted = audiogen.render(folder / "right.mid", {None: "plucked:harp"}, **options)
    np.testing.assert_allclose(sound, wanted, rtol=0, atol=2.0**-23)
    assert sound[:, 1].any() and not sound[:, 0].any()
    assert call("render right.mid -o b.wav --mono").status == 0
    assert soundfile.info(folder / "b.wav").channels == 1


@pytest.mark.parametrize("timbre", ["harp+guitar", "harp:0.6+dream:0.4", "random:7"])
def test_mixed_and_random_timbres(call, folder, engine, timbre):
    for options in (f"--timbre {timbre}", f"--preset plucked:{timbre}"):
        result = call(f"render --notes C4 {options}")
        assert result.status == 0, result
        assert engine.calls[-1]["voices"] == {None: f"plucked:{timbre}"}
        assert f"notes -> plucked:{timbre}" in result.out
    assert call(f"render --notes C4 --program 0=plucked:{timbre}").status == 0
    assert engine.calls[-1]["voices"][0] == f"plucked:{timbre}"


def test_a_rate_above_the_presets_is_explained(call, folder, engine):
    result = call("render --notes C4 --preset plucked --sample-rate 48000")
    assert "note: the preset was trained at 16000 Hz; above 8 kHz there is silence" in result.out
    assert "trained at" not in call("render --notes C4 --preset plucked").out


class TestBadInput:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("", "give a MIDI file, --notes, or --seconds with an unconditional preset"),
            ("a.mid --notes C4", "give either a MIDI file or --notes"),
            ("missing.mid", "missing.mid: "),
            ("truncated.mid", "truncated.mid: "),
            ("empty.mid", "empty.mid: "),
            ("drums.mid", "the score has only drum notes (channel 10), and no drum kit plays them"),
            ("--notes 'r:1'", "has no notes"),
            ("--notes 'C4 X9'", "'X9'"),
            ("--notes C4:14401", "lasts 14401 s; up to 14400 s"),
            ("--notes C4 --preset pluckd", "did you mean plucked?"),
            ("--notes C4 --timbre hrap", "did you mean harp?"),
            ("--notes C4 --timbre hrap+guitar", "did you mean harp?"),
            ("--notes C4 --timbre harp+vibes", "timbre 'harp+vibes'"),
            ("--notes C4 --preset plucked:hrap", "did you mean harp?"),
            ("--notes C4 --preset plucked:harp --timbre dream", "give one of the two"),
            ("'C4 E4:2'", 'C4 E4:2: is not a file; for a note string write --notes "C4 E4:2"'),
            ("--notes C4 --preset broken", "spectrogram.n_fft"),
            ("--notes C4 --preset nan", "to_rgb.bias"),
            ("--notes C4 --sample-rate 1", "sample_rate=1 "),
            ("--notes C4 --sample-rate 1000000", "sample_rate=1000000 "),
            ("--notes C4 --gain nan", "--gain nan must be from -200 to 100 dB"),
            ("--notes C4 --gain 1000", "--gain 1000 must be from -200 to 100 dB"),
            ("--notes C4 -o a.mp3", "output a.mp3 ends in .mp3; use .wav, .flac, .ogg"),
            ("--notes C4 -o a", "output a has no suffix"),
            ("--notes C4 -o no/a.wav", "there is no folder no"),
            ("--notes C4 -o folder.wav", "output folder.wav is a folder"),
            ("--notes C4 -o full.wav/a.wav", "there is no folder full.wav"),
            ("--notes C4 --plot a.jpg", "output a.jpg ends in .jpg; use .png"),
            ("--notes C4 --plot no/a.png", "there is no folder no"),
            ("--notes C4 --program x=plucked", "--program x=plucked must be N=PRESET"),
            ("--notes C4 --program 128=plucked", "--program 128=plucked must be N=PRESET"),
            ("--notes C4 --program 3", "--program 3 must be N=PRESET"),
            ("--notes C4 --program 3=", "--program 3= must be N=PRESET"),
            ("--notes C4 --program 3=plucked:vibes", "timbre 'vibes'"),
            ("--notes C4 --program 3=air", "preset 'air'"),
        ],
    )
    def test_message_and_status(self, call, folder, engine, write_tiny, line, message):
        self.prepare(folder, write_tiny)
        before = {entry: entry.stat().st_mtime_ns for entry in folder.rglob("*")}
        result = call(f"render {line}")
        assert result.status == 2
        assert message in result.err
        assert result.err.startswith("audiogen: ") and result.err.count("\n") == 1
        assert result.out == "" and "Traceback" not in result.err
        assert {entry: entry.stat().st_mtime_ns for entry in folder.rglob("*")} == before
        assert not engine.calls

    def prepare(self, folder, write_tiny):
        import mido

        (folder / "truncated.mid").write_bytes(DEMO.read_bytes()[:700])
        mido.MidiFile(tracks=[mido.MidiTrack()]).save(folder / "empty.mid")
        drum = mido.Message("note_on", note=40, channel=9)
        mido.MidiFile(tracks=[mido.MidiTrack([drum])]).save(folder / "drums.mid")
        (folder / "folder.wav").mkdir()
        (folder / "full.wav").write_bytes(b"")
        broken = write_tiny(folder / "broken") / "preset.toml"
        broken.write_text(broken.read_text().replace("n_fft = 128", "n_fft = 'many'"))
        weights_path = write_tiny(folder / "nan") / "weights.safetensors"
        weights = load_file(weights_path)
        weights["to_rgb.bias"][0] = np.nan
        save_file(weights, weights_path)

    def test_engine_that_makes_nan_writes_nothing(self, call, folder, engine):
        engine.peak = np.nan
        result = call("render --notes C4 -o a.wav")
        assert result.status == 2
        assert "samples holds NaN or infinity; nothing was written" in result.err
        assert list(folder.iterdir()) == []

    def test_failure_while_writing_keeps_the_old_file(self, call, folder, engine, monkeypatch):
        (folder / "a.wav").write_bytes(b"old")

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("soundfile.SoundFile.write", fail)
        result = call("render --notes C4 -o a.wav")
        assert result.status == 2
        assert "output a.wav can't be written (No space left on device)" in result.err
        assert (folder / "a.wav").read_bytes() == b"old"
        assert [entry.name for entry in folder.iterdir()] == ["a.wav"]

    def test_debug_raises_wherever_it_stands(self, folder, engine):
        from audiogen.cli.main import main
        from audiogen.errors import MidiError

        for words in (["--debug", "render", "no.mid"], ["render", "no.mid", "--debug"]):
            with pytest.raises(MidiError):
                main(words)
