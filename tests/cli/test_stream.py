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

from audiogen.cli.stream import Format, _write
from audiogen.engine import Synth, Texture, render_score
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
    assert "note: 1 drum notes are left out" in said
    plucked = load_preset(folder.parent / "presets" / "plucked")
    score = read_midi("song.mid").without_drums()
    voices = assign_programs(score.programs, [plucked])
    wanted = render_score(score, voices)
    assert status == 0 and np.array_equal(np.frombuffer(data, "<f4"), wanted)
    assert voices[0] != voices[24]


@pytest.mark.parametrize("stereo", [False, True])
def test_a_texture_is_the_librarys_stream(pipe: Any, murmur: Path, stereo: bool) -> None:
    wide = "|--stereo" if stereo else ""
    line = f"murmur|--seconds|0.3|--temperature|0:0.5 0.2:1.2|--top-p|0.9|--seed|3{wide}"
    status, data, said = pipe(line)
    stream = Texture(murmur).stream(
        2400, temperature=[(0.0, 0.5), (0.2, 1.2)], top_p=0.9, seed=3, stereo=stereo
    )
    assert status == 0 and f"{'stereo' if stereo else 'mono'}, f32, raw" in said
    assert np.array_equal(np.frombuffer(data, "<f4"), next(stream).ravel())


def test_what_16_bits_cut_off_is_counted(tmp_path: Path, capsys: Any) -> None:
    pieces = [np.float32([0.5, 1.5]), np.float32([-1.0, -2.0])]
    for form, said in ((Format.s16, "note: 2 samples were over full scale"), (Format.f32, "")):
        with (tmp_path / "pipe").open("wb") as out:
            _write(b"", iter(pieces), form, out)
        err = capsys.readouterr().err
        assert err.startswith(said) if said else err == ""


def test_another_rate(pipe: Any, murmur: Path) -> None:
    import soxr

    _, data, _ = pipe("murmur|--seconds|0.5|--sample-rate|48000")
    own = next(Texture(murmur).stream(8000))
    wanted = soxr.resample(own, 8000, 48000, quality="VHQ")[:24000]
    got = np.frombuffer(data, "<f4")
    assert len(got) == 24000
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("format_", ["f32", "s16"])
def test_a_wav_header_of_any_length(pipe: Any, murmur: Path, format_: str) -> None:
    line = f"murmur|--seconds|0.25|--stereo|--format|{format_}"
    _, raw, _ = pipe(line)
    _, wav, said = pipe(f"{line}|--wav")
    assert wav[4:8] == wav[40:44] == b"\xff" * 4  # no length, which ffmpeg and sox read to the end
    assert wav[44:] == raw and wav[:4] == b"RIFF" and said == f"8000 Hz, stereo, {format_}, WAV\n"
    sound, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    assert rate == 8000 and sound.shape == (2000, 2)
    wanted = next(Texture(murmur).stream(2000, stereo=True))
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
def test_a_full_disk_and_a_closed_output_are_told(murmur: Path) -> None:
    runs = "from audiogen.cli.main import main; main()"
    command = f"{sys.executable} -c '{runs}' stream {murmur} --seconds 0.1"
    for redirected, sentence in (
        ("> /dev/full", "audiogen: standard output can't be written (No space left on device)"),
        (">&-", "audiogen: standard output is closed"),
    ):
        told = subprocess.run(f"{command} {redirected}", shell=True, capture_output=True, text=True)
        assert told.returncode == 2 and sentence in told.stderr and "Error" not in told.stderr


def test_a_part_of_a_sample_is_one(pipe: Any, murmur: Path) -> None:
    status, data, _ = pipe("murmur|--seconds|1e-9")
    assert status == 0 and len(data) == 4


def test_notes_outside_the_range_are_told(pipe: Any, murmur: Path) -> None:
    status, _, said = pipe("winds|--notes|C0:0.01")
    assert status == 0 and "note: 1 notes lie outside the pitches 36 to 84" in said


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("murmur|--notes|C4", "preset 'murmur' plays no notes, it makes sound on its own"),
        ("winds", "preset 'winds' plays notes; give --midi or --notes"),
        ("winds|--midi|a.mid|--notes|C4", "preset 'winds' plays notes; give --midi or --notes"),
        ("winds|--notes|C4|--seconds|1", "--seconds is for presets without notes"),
        ("plucked|--notes|C4|--top-p|0.5", "top_p can't be used with preset 'plucked'"),
        ("winds|--notes|C4|--temperature|0:1 1:2", "--temperature takes a curve with --seconds"),
        ("winds|--notes|C4|--stereo", "--stereo is for presets without notes"),
        ("winds|--midi|none.mid", "none.mid"),
        ("winds|--notes|H4", "'H4' can't be read"),
        ("winds:kazoo|--notes|C4", "timbre 'kazoo' isn't known; there are: flute"),
        ("murmur|--seconds|0", "--seconds 0 isn't usable"),
        ("winds|--notes|C4|--seconds|0", "--seconds is for presets without notes"),
        ("winds|--midi|drums.mid", "drums.mid: has only drum notes"),
        ("murmur|--seed|-1", "--seed -1 isn't usable"),
        ("murmur|--sample-rate|1", "sample_rate=1 must be a whole number"),
        ("murmur|--temperature|hot", "--temperature hot can't be read"),
        ("nowhere", "preset 'nowhere' isn't known"),
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
    assert result.status == 2 and "samples aren't for a terminal; pipe them, as in" in result.err
