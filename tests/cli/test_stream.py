"""`audiogen stream`: the bytes in the pipe are the samples of the library."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("audiogen._native")

import audiogen
from audiogen.cli.stream import Format, _write
from audiogen.engine import Synth
from audiogen.notes import read_midi
from audiogen.presets import assign_programs, load_preset

NOTES = "C4:0.1 r:0.2 [E4 G4]:0.2"


@pytest.fixture
def pipe(capfdbinary: pytest.CaptureFixture[bytes]) -> Any:
    """A function that runs a line; status, bytes, and what was said."""

    def run(line: str) -> tuple[int, bytes, str]:
        from audiogen.cli.main import main

        with pytest.raises(SystemExit) as exit_:
            main(["stream", *line.split("|")])
        sys.stdout.flush()
        captured = capfdbinary.readouterr()
        return int(exit_.value.code or 0), captured.out, captured.err.decode()

    return run


@pytest.mark.parametrize("rate", ["", "|--sample-rate|44100"])
def test_notes_are_the_render(pipe: Any, murmur: Path, rate: str) -> None:
    status, data, said = pipe(f"winds:flute|--notes|{NOTES}|--seed|3{rate}")
    wanted = Synth(murmur.parent / "winds").render(
        NOTES, timbre="flute", seed=3, sample_rate=44100 if rate else None
    )
    assert status == 0, said
    assert np.array_equal(np.frombuffer(data, "<f4"), wanted) and np.abs(wanted).max() > 0.01
    hz = 44100 if rate else 8000
    assert said == f"{hz} Hz, mono, f32, raw, play with aplay -f FLOAT_LE -r {hz} -c 1\n"


def test_a_midi_file(pipe: Any, folder: Path) -> None:
    import mido

    track = mido.MidiTrack()
    track.append(mido.Message("program_change", program=24, channel=1))  # a guitar
    for channel, key in ((0, 60), (9, 38), (1, 67)):  # 9 are drums
        track.append(mido.Message("note_on", note=key, channel=channel, time=50))
        track.append(mido.Message("note_off", note=key, channel=channel, time=100))
    mido.MidiFile(tracks=[track]).save("song.mid")
    status, data, said = pipe("plucked|--midi|song.mid")
    assert "note: 1 drum note is left out" in said
    plucked = load_preset(folder.parent / "presets" / "plucked")
    score = read_midi("song.mid").without_drums()
    voices = assign_programs(score.programs, [plucked])
    wanted = audiogen.render(score, voices)
    assert status == 0 and np.array_equal(np.frombuffer(data, "<f4"), wanted)
    assert voices[0] != voices[24]


def test_a_file_that_pans_is_stereo(pipe: Any, folder: Path) -> None:
    import mido

    track = mido.MidiTrack()
    track.append(mido.Message("control_change", control=10, value=0))
    track.append(mido.Message("note_on", note=60))
    track.append(mido.Message("note_off", note=60, time=100))
    mido.MidiFile(tracks=[track]).save("left.mid")
    status, data, said = pipe("plucked|--midi|left.mid")
    left, right = np.frombuffer(data, "<f4").reshape(-1, 2).T
    assert status == 0 and "16000 Hz, stereo" in said and left.any() and not right.any()
    _, mono, said = pipe("plucked|--midi|left.mid|--mono")
    assert "mono" in said and np.array_equal(np.frombuffer(mono, "<f4"), left)
    _, wide, said = pipe("plucked|--notes|C4:0.1|--stereo")
    wide_left, wide_right = np.frombuffer(wide, "<f4").reshape(-1, 2).T
    assert "stereo" in said and np.array_equal(wide_left, wide_right) and wide_left.any()


@pytest.mark.parametrize("timbre", ["harp+guitar", "harp:0.6+guitar:0.4", "random:7", "guitar"])
def test_any_timbre(pipe: Any, folder: Path, timbre: str) -> None:
    status, data, said = pipe(f"plucked|--timbre|{timbre}|--notes|C4:0.1")
    wanted = Synth(folder.parent / "presets" / "plucked").render("C4:0.1", timbre=timbre)
    assert status == 0, said
    assert np.array_equal(np.frombuffer(data, "<f4"), wanted)
    _, again, _ = pipe(f"plucked:{timbre}|--notes|C4:0.1")
    assert again == data


@pytest.mark.parametrize("rate", ["", "|--sample-rate|44100"])
@pytest.mark.parametrize("stereo", [False, True])
def test_generated_audio_is_the_librarys(pipe: Any, murmur: Path, stereo: bool, rate: str) -> None:
    wide = "|--stereo" if stereo else ""
    line = f"murmur|--seconds|0.3|--temperature|0:0.5 0.2:1.2|--top-p|0.9|--seed|3{wide}{rate}"
    status, data, said = pipe(line)
    wanted = Synth(murmur, 44100 if rate else None).generate(
        0.3, temperature=[(0.0, 0.5), (0.2, 1.2)], top_p=0.9, seed=3, stereo=stereo
    )
    assert status == 0 and f"{'stereo' if stereo else 'mono'}, f32, raw" in said
    assert np.array_equal(np.frombuffer(data, "<f4"), wanted.ravel())


def test_what_16_bits_cut_off_is_counted(tmp_path: Path, capsys: Any) -> None:
    pieces = [np.float32([0.5, 1.5]), np.float32([-1.0, -2.0])]
    for form, said in ((Format.s16, "note: 2 samples over full scale clipped"), (Format.f32, "")):
        with (tmp_path / "pipe").open("wb") as out:
            _write(b"", iter(pieces), form, out)
        err = capsys.readouterr().err
        assert err.startswith(said) if said else err == ""


@pytest.mark.parametrize("format_", ["f32", "s16"])
def test_a_wav_header_of_any_length(pipe: Any, murmur: Path, format_: str) -> None:
    line = f"murmur|--seconds|0.25|--stereo|--format|{format_}"
    _, raw, _ = pipe(line)
    _, wav, said = pipe(f"{line}|--wav")
    assert wav[4:8] == wav[40:44] == b"\xff" * 4  # no length, which ffmpeg and sox read to the end
    assert wav[44:] == raw and wav[:4] == b"RIFF" and said == f"8000 Hz, stereo, {format_}, WAV\n"
    sound, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    assert rate == 8000 and sound.shape == (2000, 2)
    wanted = Synth(murmur).generate(0.25, stereo=True)
    fine = 1e-7 if format_ == "f32" else 1.1 / 32767
    np.testing.assert_allclose(sound, np.clip(wanted, -1, 1), rtol=0, atol=fine)


def test_it_ends_quietly_when_nobody_reads(murmur: Path) -> None:
    environment = os.environ | {"AUDIOGEN_PRESETS": str(murmur.parent)}
    with subprocess.Popen(
        [sys.executable, "-m", "audiogen.cli.main", "stream", "murmur"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert np.isfinite(np.frombuffer(process.stdout.read(40000), "<f4")).all()
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait() == 0
    assert said.splitlines()[-1].startswith("8000 Hz, mono") and "Error" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_and_a_closed_output_are_reported(murmur: Path) -> None:
    runs = "from audiogen.cli.main import main; main()"
    command = f"{sys.executable} -c '{runs}' stream {murmur} --seconds 0.1"
    for redirected, sentence in (
        ("> /dev/full", "audiogen: standard output cannot be written (No space left on device)"),
        (">&-", "audiogen: standard output is closed"),
    ):
        told = subprocess.run(f"{command} {redirected}", shell=True, capture_output=True, text=True)
        assert told.returncode == 2 and sentence in told.stderr and "Error" not in told.stderr


def test_notes_outside_the_range_are_reported(pipe: Any, murmur: Path) -> None:
    status, _, said = pipe("winds|--notes|C0:0.01")
    assert status == 0 and "note: 1 note lies outside the pitches 36 to 84" in said


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("murmur|--notes|C4", "--notes is not supported by preset 'murmur', which is uncond"),
        ("murmur|--midi|a.mid", "--midi is not supported by preset 'murmur', which is uncond"),
        ("winds", "preset 'winds' plays notes; give --midi or --notes"),
        ("winds|--midi|a.mid|--notes|C4", "preset 'winds' plays notes; give --midi or --notes"),
        ("winds|--notes|C4|--seconds|1", "--seconds is for unconditional presets"),
        ("winds|--notes|C4|--seconds|0", "--seconds is for unconditional presets"),
        ("plucked|--notes|C4|--top-p|0.5", "top_p is not supported by preset 'plucked'"),
        ("winds|--notes|C4|--temperature|0:1 1:2", "--temperature takes a curve with --seconds"),
        ("winds|--midi|none.mid", "none.mid"),
        ("winds|--notes|H4", "'H4'"),
        ("winds:kazoo|--notes|C4", "timbre 'kazoo'"),
        ("winds|--timbre|kazoo|--notes|C4", "timbre 'kazoo'"),
        ("winds:flute|--timbre|oboe|--notes|C4", "give one of the two"),
        ("plucked|--timbre|harp+kazoo|--notes|C4", "timbre 'kazoo'"),
        ("winds|--timbre|random:1|--notes|C4", "timbre 'random:1'"),
        ("murmur|--timbre|rain", "timbre 'rain'"),
        ("murmur|--seconds|0", "--seconds 0 must be above 0"),
        ("murmur|--seconds|1e-9", "seconds=1e-09 must be 0.0503 or more"),
        ("winds|--midi|drums.mid", "the score has only drum notes"),
        ("murmur|--seed|-1", "seed=-1 must be a whole number from 0 to 2^64 - 1"),
        ("murmur|--sample-rate|1", "sample_rate=1"),
        ("murmur|--temperature|hot", "--temperature hot must be a number"),
        ("murmur|--temperature|3", "temperature=3.0 must be from 0 to 2"),
        ("nowhere", "preset 'nowhere'"),
    ],
)
def test_bad_input_is_named(pipe: Any, murmur: Path, line: str, sentence: str) -> None:
    import mido

    drum = mido.Message("note_on", note=40, channel=9)
    mido.MidiFile(tracks=[mido.MidiTrack([drum])]).save("drums.mid")
    status, data, said = pipe(line)
    assert status == 2 and data == b""
    assert sentence in said and said.count("\n") == 1 and said.startswith("audiogen: ")


def test_a_terminal_is_refused(call: Any, murmur: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    result = call("stream murmur")
    assert result.status == 2 and "samples are not for a terminal; pipe them: " in result.err
