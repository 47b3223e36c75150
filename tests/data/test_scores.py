"""MIDI scores become recordings: in tune, on time, dry, of one level, bad ones named."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from audiogen.cli.main import main
from audiogen.data import render_scores
from audiogen.data.notes.nsynth import PEAK
from audiogen.errors import FormatError, MidiError, MissingPackageError, ParameterError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.skipif(
    find_spec("midirenderer") is None,
    reason="needs midirenderer, of the extra soundfont",
)

RATE = 16000


def write_score(path: Path, *notes: tuple[float, float, int, int, int], tracks: int = 1) -> Path:
    """Write notes (start and end in s, key, velocity, channel) to a MIDI file of 1 ms ticks."""
    file = mido.MidiFile(ticks_per_beat=500)  # at 120 beats per minute
    for number in range(tracks):
        track = mido.MidiTrack()
        file.tracks.append(track)
        # What a score says about instrument, volume, place and room doesn't count.
        track.append(mido.Message("program_change", program=1, channel=notes[0][4]))
        for control, value in ((7, 20 + number), (10, 127), (91, 127), (93, 127)):
            track.append(
                mido.Message("control_change", control=control, value=value, channel=notes[0][4])
            )
        events = []
        for on_s, off_s, key, velocity, channel in notes[number::tracks]:
            press = mido.Message("note_on", note=key, velocity=velocity, channel=channel)
            release = mido.Message("note_off", note=key, channel=channel)
            events += [(round(1000 * on_s), press), (round(1000 * off_s), release)]
        now = 0
        for tick, message in sorted(events, key=lambda event: event[0]):
            track.append(message.copy(time=tick - now))
            now = tick
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path)
    return path


def read(path: Path, sample_rate: int = RATE) -> np.ndarray:
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype) == (sample_rate, 1, "PCM_16")
    return soundfile.read(path)[0]


def level(waveform: np.ndarray, begin_s: float, end_s: float, frequency_hz: float = 0) -> float:
    """Amplitude of a sine within a stretch; without a frequency, of all that is there."""
    part = waveform[round(begin_s * RATE) : round(end_s * RATE)]
    if not frequency_hz:
        return float(np.sqrt(2 * np.mean(part**2)))
    window = np.hanning(len(part))
    turn = np.exp(-2j * np.pi * frequency_hz / RATE * np.arange(len(part)))
    return float(2 * np.abs(np.sum(part * window * turn)) / np.sum(window))


def hertz(key: int) -> float:
    return 440 * 2 ** ((key - 69) / 12)


# --- The sound -----------------------------------------------------------------------------------


def test_notes_sound_at_their_pitch_and_time(tiny_font, tmp_path):
    notes = [(0.5, 1.5, 60, 100, 0), (2.0, 3.0, 72, 100, 3)]
    score = write_score(tmp_path / "two.mid", *notes, tracks=2)
    rendered = render_scores([score], tmp_path / "out", font=tiny_font)
    waveform = read(tmp_path / "out" / "two.wav")
    # From the first note on: 0.5 s earlier than in the score.
    assert np.flatnonzero(np.abs(waveform) > 0.01)[0] < 0.004 * RATE
    assert level(waveform, 0.1, 0.9, hertz(60)) == pytest.approx(PEAK, abs=0.02)
    assert level(waveform, 1.6, 2.4, hertz(72)) == pytest.approx(PEAK, abs=0.02)
    assert level(waveform, 1.15, 1.45) < 0.01
    assert level(waveform, 0.1, 0.9, hertz(72)) < 0.001
    assert len(waveform) / RATE == pytest.approx(2.5, abs=0.2)
    assert rendered.minutes == pytest.approx(len(waveform) / RATE / 60)


def test_every_piece_has_one_peak_however_loud(tiny_font, tmp_path):
    quiet = write_score(tmp_path / "quiet.mid", (0, 1, 60, 10, 0))
    # 13 sines at full velocity would be 13 times full scale.
    loud = write_score(tmp_path / "loud.mid", *[(0, 2, key, 127, 0) for key in range(55, 68)])
    render_scores([quiet, loud], tmp_path / "out", font=tiny_font)
    for name in ("quiet", "loud"):
        waveform = read(tmp_path / "out" / f"{name}.wav")
        assert np.abs(waveform).max() == pytest.approx(PEAK, abs=1e-3)
    # A clipped chord would have partials between and above its sines.
    spectrum = np.abs(np.fft.rfft(waveform[4000:28000] * np.hanning(24000)))
    frequency_hz = np.fft.rfftfreq(24000, 1 / RATE)
    beyond = spectrum[(frequency_hz > hertz(67) + 30)]
    assert beyond.max() < 0.003 * spectrum.max()


def test_a_chord_too_loud_for_the_renderer_is_named(tiny_font, tmp_path, monkeypatch):
    monkeypatch.setattr("audiogen.data.render.scores.VOLUMES", (127, 120))
    chord = [(0, 1, key, 127, 0) for key in range(50, 70)]
    score = write_score(tmp_path / "wall.mid", *chord)
    with pytest.raises(MidiError, match=r"first: wall\.mid, clips at the lowest volume"):
        render_scores([score], tmp_path / "out", font=tiny_font)


def test_scores_are_dry_and_their_controllers_dont_count(tiny_font, wet_font, tmp_path):
    score = write_score(tmp_path / "a.mid", (0, 1, 60, 100, 0))
    for font in (tiny_font, wet_font):
        render_scores([score], tmp_path / font.stem, font=font)
    dry, wet = (read(tmp_path / font.stem / "a.wav") for font in (tiny_font, wet_font))
    np.testing.assert_array_equal(wet, dry)
    assert len(dry) / RATE == pytest.approx(1.0, abs=0.15)


def test_a_unison_isnt_ended_by_its_shorter_voice(tiny_font, tmp_path):
    notes = [(0, 2, 60, 100, 0), (0, 0.5, 60, 100, 1), (0.5, 1, 60, 100, 1)]
    score = write_score(tmp_path / "a.mid", *notes)
    render_scores([score], tmp_path / "out", font=tiny_font)
    waveform = read(tmp_path / "out" / "a.wav")
    both, one = level(waveform, 0.1, 0.4), level(waveform, 1.2, 1.9)
    assert both / one == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("louder", [0, 1])
def test_the_channel_with_more_energy_is_kept(tiny_font, tmp_path, monkeypatch, louder):
    from audiogen.data.render import midi_renderer, scores

    def uneven(font, midi):
        audio = midi_renderer.render_midi(font, midi)
        audio[:, 1 - louder] = 100 * (np.arange(len(audio)) % 7)
        return audio

    monkeypatch.setattr(scores, "render_midi", uneven)
    score = write_score(tmp_path / "a.mid", (0, 1, 60, 100, 0))
    render_scores([score], tmp_path / "out", font=tiny_font)
    waveform = read(tmp_path / "out" / "a.wav")
    assert level(waveform, 0.1, 0.9, hertz(60)) == pytest.approx(PEAK, abs=0.02)


def test_percussion_is_left_out(tiny_font, tmp_path):
    both = write_score(tmp_path / "both.mid", (0, 1, 60, 100, 0), (0, 1, 64, 100, 9))
    only = write_score(tmp_path / "only.mid", (0, 1, 60, 100, 9))
    rendered = render_scores([both, only], tmp_path / "out", font=tiny_font)
    assert rendered.left_out == (
        ("only.mid", "holds only percussion; give a score with pitched notes"),
    )
    assert level(read(tmp_path / "out" / "both.wav"), 0.1, 0.9, hertz(64)) < 0.001


def test_a_long_score_is_stopped(tiny_font, tmp_path):
    notes = [(t, t + 1, 60 + t, 100, 0) for t in range(4)]
    score = write_score(tmp_path / "a.mid", *notes)
    rendered = render_scores([score], tmp_path / "out", font=tiny_font, longest_s=1.5)
    waveform = read(tmp_path / "out" / "a.wav")
    assert len(waveform) / RATE == pytest.approx(1.5, abs=0.15)
    assert abs(waveform[-1]) < 0.001
    assert rendered.pieces[0].cut
    assert tomllib.loads((tmp_path / "out" / "source.toml").read_text())["pieces"][0]["cut"]


def test_other_sample_rate_keeps_time_and_pitch(tiny_font, tmp_path):
    score = write_score(tmp_path / "a.mid", (0, 2, 69, 100, 0))
    render_scores([score], tmp_path / "out", font=tiny_font, sample_rate=22050)
    waveform = read(tmp_path / "out" / "a.wav", 22050)
    assert len(waveform) / 22050 == pytest.approx(2, abs=0.15)
    spectrum = np.abs(np.fft.rfft(waveform[:22050] * np.hanning(22050)))
    assert np.argmax(spectrum) == pytest.approx(440, abs=1)


def test_a_general_midi_piano_plays_a_chorale(general_midi_font, tmp_path):
    keys = (48, 55, 64, 72)
    notes = [(0, 2, key, 90, voice) for voice, key in enumerate(keys)]
    score = write_score(tmp_path / "a.mid", *notes, tracks=4)
    render_scores([score], tmp_path / "out", font=general_midi_font)
    waveform = read(tmp_path / "out" / "a.wav")
    assert np.abs(waveform).max() == pytest.approx(PEAK, abs=1e-3)
    sounding = [level(waveform, 0.2, 1.2, hertz(key)) for key in keys]
    silent = [level(waveform, 0.2, 1.2, hertz(key)) for key in (50, 57, 61, 70)]
    assert min(sounding) > 10 * max(silent)
    assert 2 < len(waveform) / RATE < 4


# --- The folder ----------------------------------------------------------------------------------


def test_folders_are_searched_and_kept(tiny_font, tmp_path):
    for name in ("in/bach/a.mid", "in/bach/b.MIDI", "in/c.mid", "c.mid"):
        write_score(tmp_path / name, (0, 0.3, 60, 100, 0))
    (tmp_path / "in" / "notes.txt").write_text("not a score")
    steps = []
    rendered = render_scores(
        [tmp_path / "in", tmp_path / "c.mid"],
        tmp_path / "out",
        font=tiny_font,
        progress=lambda *step: steps.append(step),
    )
    wavs = sorted(p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("*.wav"))
    assert wavs == ["bach/a.wav", "bach/b.wav", "c-2.wav", "c.wav"]
    assert sorted(piece.file for piece in rendered.pieces) == wavs
    assert steps[0] == (0, 4, "a.mid")
    assert steps[-1] == (4, 4, "")


def test_source_toml_names_font_licence_and_scores(tiny_font, tmp_path):
    score = write_score(tmp_path / 'say "a".mid', (0, 1, 60, 100, 0))
    bad = tmp_path / "bad.mid"
    bad.write_bytes(b"RIFF")
    for name, licence in (("own", None), ("given", 'say "MIT"')):
        folder = tmp_path / name
        render_scores([score, bad], folder, font=tiny_font, program=73, licence=licence)
        table = tomllib.loads((folder / "source.toml").read_text())
        assert (table["font"], table["file"]) == ("Tiny", "tiny.sf2")
        assert table["licence"] == (licence or "CC0-1.0")
        assert (table["program"], table["instrument"]) == (73, "Two zones")
        assert (table["sample_rate"], table["peak"]) == (16000, PEAK)
        (piece,) = table["pieces"]
        assert (piece["file"], piece["score"]) == ('say "a".wav', 'say "a".mid')
        assert piece["seconds"] == pytest.approx(1, abs=0.15)
        assert table["left_out"][0].startswith("bad.mid: ")


def test_rendering_repeats_to_the_byte(tiny_font, tmp_path):
    score = write_score(tmp_path / "s.mid", (0, 0.3, 60, 100, 0), (0.2, 0.5, 64, 80, 1))
    for name in ("a", "b"):
        render_scores([score], tmp_path / name, font=tiny_font)
    for name in ("s.wav", "source.toml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


# --- Bad input -----------------------------------------------------------------------------------


def test_unreadable_scores_are_named_and_the_rest_is_rendered(tiny_font, tmp_path):
    good = write_score(tmp_path / "in" / "good.mid", (0, 0.3, 60, 100, 0))
    whole = good.read_bytes()
    (tmp_path / "in" / "cut.mid").write_bytes(whole[:-9])
    (tmp_path / "in" / "empty.mid").write_bytes(b"")
    mido.MidiFile(tracks=[mido.MidiTrack()]).save(tmp_path / "in" / "silent.mid")
    rendered = render_scores([tmp_path / "in"], tmp_path / "out", font=tiny_font)
    assert [piece.score for piece in rendered.pieces] == ["good.mid"]
    assert [name for name, _ in rendered.left_out] == ["cut.mid", "empty.mid", "silent.mid"]
    assert all(why and str(tmp_path) not in why for _, why in rendered.left_out)


def test_silent_program_is_named(tiny_font, tmp_path):
    score = write_score(tmp_path / "a.mid", (0, 0.3, 60, 100, 0))
    with pytest.raises(MidiError, match=r"none of 1 MIDI file.*a\.mid, is silent with 'Silence'"):
        render_scores([score], tmp_path / "out", font=tiny_font, program=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"program": 5}, r"program=5 not found in bank 0 of tiny.sf2, which has 3: 0, 1, 73"),
        ({"sample_rate": 10}, "sample_rate=10 must be a whole number"),
        ({"longest_s": 0}, "longest_s=0 must be from 1 to 3600 seconds"),
        ({"longest_s": float("nan")}, "longest_s=nan must be"),
    ],
)
def test_bad_options_are_named(tiny_font, tmp_path, options, message):
    score = write_score(tmp_path / "a.mid", (0, 0.3, 60, 100, 0))
    with pytest.raises(ParameterError, match=message):
        render_scores([score], tmp_path / "out", font=tiny_font, **options)
    assert not (tmp_path / "out").exists()


def test_no_scores_are_refused(tiny_font, tmp_path):
    (tmp_path / "in").mkdir()
    for scores, message in (
        ([], "scores is empty; give MIDI files or folders"),
        ([tmp_path / "in"], r"scores: the folder .*in holds no \.mid, \.midi"),
        ([tmp_path / "none.mid"], r"scores: .*none\.mid not found"),
    ):
        with pytest.raises(ParameterError, match=message):
            render_scores(scores, tmp_path / "out", font=tiny_font)


def test_occupied_folder_is_refused_and_kept(tiny_font, tmp_path):
    score = write_score(tmp_path / "a.mid", (0, 0.3, 60, 100, 0))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("precious")
    with pytest.raises(ParameterError, match=r"out.*exists and isn't an empty folder"):
        render_scores([score], tmp_path / "out", font=tiny_font)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_nothing_is_left_of_a_broken_run(tiny_font, tmp_path):
    score = write_score(tmp_path / "a.mid", (0, 0.3, 60, 100, 0))

    def stop(done: int, total: int, name: str) -> None:
        if done:
            raise KeyboardInterrupt

    before = set(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        render_scores([score, score], tmp_path / "out", font=tiny_font, progress=stop)
    assert set(tmp_path.iterdir()) == before


def test_bad_font_and_missing_renderer_are_named(tiny_font, tmp_path, monkeypatch):
    score = write_score(tmp_path / "a.mid", (0, 0.3, 60, 100, 0))
    with pytest.raises(FormatError, match=r"none\.sf2.*can't be read"):
        render_scores([score], tmp_path / "out", font=tmp_path / "none.sf2")
    monkeypatch.setitem(sys.modules, "midirenderer", None)
    with pytest.raises(MissingPackageError, match=r"audiogen-synth\[soundfont\]"):
        render_scores([score], tmp_path / "out", font=tiny_font)


# --- The command ---------------------------------------------------------------------------------


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def test_command_renders_and_counts(tiny_font, tmp_path, capsys):
    write_score(tmp_path / "in" / "a.mid", (0, 6, 60, 100, 0))
    (tmp_path / "in" / "bad.mid").write_bytes(b"MThd")
    out = tmp_path / "out"
    options = ["--font", tiny_font, "--program", 73, "--licence", "MIT", "--longest-s", 5]
    assert run("data", "midi", tmp_path / "in", "-o", out, *options) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("1 piece, 0.1 minutes, in")
    assert printed.out.rstrip().endswith("; 1 left out")
    assert "left out bad.mid: " in printed.err
    assert tomllib.loads((out / "source.toml").read_text())["program"] == 73


def test_bad_input_ends_with_status_2(tiny_font, tmp_path, capsys):
    (tmp_path / "bad.mid").write_bytes(b"MThd")
    options = ["-o", tmp_path / "out", "--font", tiny_font]
    for scores, message in (
        (tmp_path / "none.mid", "not found; give a MIDI file or a folder"),
        (tmp_path / "bad.mid", "none of 1 MIDI file can be rendered (first: bad.mid,"),
    ):
        assert run("data", "midi", scores, *options) == 2
        error = " ".join(capsys.readouterr().err.split())
        assert message in error
        assert "Traceback" not in error
    assert run("data", "midi", *options) == 2
