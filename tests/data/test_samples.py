"""A folder of samples becomes a set of notes: what is found, what is left out, what is kept."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiogen.audio.pitch import track_pitch
from audiogen.data import ingest_samples, read_notes, read_split
from audiogen.data.ingest import folder as samples
from audiogen.data.ingest.cache import cache_folder, content_hash
from audiogen.data.ingest.labels import label_from_name, labels_from_names
from audiogen.data.ingest.note_shape import measure_envelope, shape_note
from audiogen.data.ingest.report import instrument_rows, left_out_line, left_out_lines, summary
from audiogen.data.ingest.segmentation import find_sounds, level_db, split_at_onsets
from audiogen.data.notes.families import family_of_name
from audiogen.errors import FormatError, ParameterError

RATE = 16000


def tone(pitch: float, seconds: float = 0.6, rate: int = RATE, decay_s: float = 0.0) -> np.ndarray:
    """A bright note with an attack of 5 ms and a release of 20 ms, or one that dies away."""
    time = np.arange(round(seconds * rate)) / rate
    hz = 440.0 * 2.0 ** ((pitch - 69) / 12.0)
    n_partials = min(8, int(0.45 * rate / hz))
    wave = sum(np.sin(2 * np.pi * k * hz * time + k) / k for k in range(1, n_partials + 1))
    envelope = np.minimum(1.0, time / 0.005)
    envelope *= np.exp(-time / decay_s) if decay_s else np.minimum(1.0, (seconds - time) / 0.02)
    return 0.25 * wave * envelope


def put(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("AUDIOGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "My Samples").mkdir()
    return tmp_path / "My Samples"


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *folder.rglob("*"))
    }


def left_out(report: dict) -> dict[str, str]:
    return {entry["file"]: entry["kind"] for entry in report["left_out"]}


# --- The whole ----------------------------------------------------------------------------------


def test_mixed_files_become_a_set_that_training_reads(folder):
    put(folder / "flutes" / "a.wav", tone(60, rate=44100), 44100)
    stereo = tone(64, rate=48000)
    put(folder / "flutes" / "b.flac", np.stack((stereo, 0.9 * stereo), axis=1), 48000)
    put(folder / "flutes" / "deep" / "c.ogg", tone(67, rate=22050), 22050)
    put(folder / "d.wav", np.concatenate((np.zeros(8000), tone(55, rate=8000))), 8000)
    before = state_of(folder)
    found = ingest_samples(folder, sample_rate=RATE)
    assert state_of(folder) == before
    notes = read_notes(found.folder, sample_rate=RATE)
    assert sorted((note.pitch, note.family) for note in notes if note.velocity > 100) == [
        (55, "synth_lead"),
        (60, "flute"),
        (64, "flute"),
        (67, "flute"),
    ]
    names = {entry["name"] for entry in found.report["instruments"]}
    assert names == {"flutes", "flutes/deep", "My Samples"}
    waveforms = notes.waveforms()
    assert waveforms.shape == (8, 4 * RATE)  # each with a softer copy
    assert np.abs(waveforms).max() == pytest.approx(0.9, abs=0.01)
    assert np.abs(waveforms[:, 100:300]).max(axis=1).min() > 0.05  # the silence before is cut
    assert (found.folder / "report.png").read_bytes().startswith(b"\x89PNG")
    assert summary(found.report) == "4 notes of 3 instruments in 4 of 4 files"
    assert [row[:3] for row in instrument_rows(found.report)][1] == ("flutes", "2", "C4 to E4")


def test_what_is_left_out_is_named_with_its_reason(folder):
    put(folder / "good.wav", tone(60))
    soundfile.write(
        folder / "again.flac", soundfile.read(folder / "good.wav", dtype="int16")[0], RATE
    )
    put(folder / "silent.wav", np.zeros(RATE))
    put(folder / "tick.wav", np.concatenate((tone(60, 0.05), np.zeros(RATE))))
    put(folder / "wind.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE))
    (folder / "broken.mp3").write_bytes(b"nothing")
    (folder / "phone.m4a").write_bytes(b"nothing")
    (folder / "readme.txt").write_text("not a sound")
    (folder / "._good.wav").write_bytes(b"what macOS leaves behind")
    report = ingest_samples(folder).report
    assert left_out(report) == {
        "good.wav": "duplicate",
        "silent.wav": "silent",
        "tick.wav": "too short",
        "wind.wav": "unpitched",
        "broken.mp3": "unreadable",
        "phone.m4a": "not read",
    }
    assert report["counts"]["left_out"] == dict.fromkeys(left_out(report).values(), 1)
    assert report["counts"]["files"] == 7 and report["counts"]["files_left_out"] == 6
    lines = left_out_lines(report)
    assert "good.wav: has the same samples as again.flac" in lines
    assert "broken.mp3: can't be read as sound" in lines
    assert any(line.startswith("tick.wav: lasts 0.0") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("tracker", ["praat", "pyin"])
def test_noise_has_no_pitch_and_notes_have_theirs(tracker):
    if tracker == "praat":
        pytest.importorskip("parselmouth", reason="needs praat-parselmouth (the extra eval)")
    noise = 0.1 * np.random.default_rng(1).standard_normal(RATE)
    assert track_pitch(noise, RATE, tracker).pitch_between(0, RATE, RATE)[1] < 0.3
    for pitch in (33.0, 60.3, 94.0):
        heard, sure = track_pitch(tone(pitch), RATE, tracker).pitch_between(0, 9600, RATE)
        assert heard == pytest.approx(pitch, abs=0.05) and sure > 0.9


@pytest.mark.slow
def test_a_take_of_three_minutes_is_parted_into_its_notes(folder):
    random = np.random.default_rng(2)
    pitches = 45 + np.cumsum(random.integers(1, 34, 60)) % 35  # none twice in a row
    pieces = []
    for i, pitch in enumerate(pitches):  # some parted by silence, some follow at once
        pieces.append(random.uniform(0.4, 1.0) * tone(pitch, 2.6, 22050, decay_s=(0, 0.5)[i % 2]))
        pieces.append(np.zeros(round(22050 * (0.0, 0.8)[i % 2])))
    take = np.concatenate(pieces) + 1e-5 * random.standard_normal(sum(map(len, pieces)))
    put(folder / "take.wav", take, 22050)
    report = ingest_samples(folder).report
    found = sorted(report["notes"], key=lambda note: note["at_s"])
    assert len(take) / 22050 == pytest.approx(180.0)
    assert [note["pitch"] for note in found] == list(pitches)
    wanted = np.cumsum([0.0, *(len(piece) / 22050 for piece in pieces)])[:-1:2]
    assert np.abs(np.array([note["at_s"] for note in found]) - wanted).max() < 0.05


def test_tremolo_and_vibrato_do_not_part_a_note(folder):
    time = np.arange(2 * RATE) / RATE
    put(folder / "tremolo.wav", tone(60, 2.0) * (1.0 + 0.6 * np.sin(2 * np.pi * 5.0 * time)) / 1.6)
    phase = 2 * np.pi * 300.0 * time - 0.6 * 300.0 * 0.0293 / 5.0 * np.cos(2 * np.pi * 5.0 * time)
    put(folder / "vibrato.wav", 0.3 * np.sin(phase) + 0.1 * np.sin(2 * phase))
    report = ingest_samples(folder).report
    assert [note["at_s"] for note in report["notes"]] == [None, None]


def test_repeated_notes_of_one_pitch_are_parted():
    struck = np.concatenate([tone(60, 0.5, decay_s=0.2)] * 4)
    track = track_pitch(struck, RATE, "pyin")
    (start, end), *none = find_sounds(struck, RATE)
    parts = split_at_onsets(struck, RATE, start, end, track)
    assert not none and [round(a / RATE, 1) for a, _ in parts] == [0.0, 0.5, 1.0, 1.5]


def test_a_small_rise_parts_notes_of_a_take_only():
    for repeats, wanted in ((4, 1), (12, 12)):  # 2 s, 6 s
        struck = np.concatenate([tone(60, 0.5, decay_s=0.5)] * repeats)  # falls by 9 dB
        track = track_pitch(struck, RATE, "pyin")
        assert len(split_at_onsets(struck, RATE, 0, len(struck), track)) == wanted


def test_channels_that_cancel_are_not_mixed(folder):
    left = tone(62)
    put(folder / "wide.wav", np.stack((left, -left), axis=1))
    assert [note["pitch"] for note in ingest_samples(folder).report["notes"]] == [62]


def test_notes_are_brought_to_their_key(folder):
    put(folder / "sharp.wav", tone(60.3))
    tuned, untuned = (
        read_notes(ingest_samples(folder, tune=tune, sample_rate=RATE).folder).waveforms()[0]
        for tune in (True, False)
    )
    heard = [
        track_pitch(wave, RATE, "pyin").pitch_between(0, 40000, RATE)[0]
        for wave in (tuned, untuned)
    ]
    assert heard == pytest.approx([60.0, 60.3], abs=0.02)


# --- What the user says --------------------------------------------------------------------------


def test_names_say_pitch_and_velocity(folder):
    for name, pitch in (("pluck C#3", 49), ("Bb2 mf", 46), ("x_060_v90", 60)):
        put(folder / f"{name}.wav", tone(pitch))
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    put(folder / "breath G4.wav", noise)  # the name is believed where nothing is heard
    notes = {note["file"]: note for note in ingest_samples(folder).report["notes"]}
    assert {name: (note["pitch"], note["pitch_by"]) for name, note in notes.items()} == {
        "pluck C#3.wav": (49, "name"),
        "Bb2 mf.wav": (46, "name"),
        "x_060_v90.wav": (60, "number"),
        "breath G4.wav": (67, "name"),
    }
    assert notes["Bb2 mf.wav"]["velocity"] == 80 and notes["x_060_v90.wav"]["velocity"] == 90


@pytest.mark.parametrize(
    ("stem", "pitch", "number", "round_robin"),
    [
        ("F#7v10", 102, 10, None),  # the Salamander piano
        ("A0v16", 21, 16, None),
        ("C4_v3", 60, 3, None),
        ("Fs3_vel100", 54, 100, None),
        ("Sus_Db5_vl2_rr1", 73, 2, 1),
        ("C4rr12", 60, None, 12),
        ("PianoC4v3RR2", 60, 3, 2),
        ("060v10", 60, 10, None),
        ("bell v2", None, None, None),  # a version
        ("plate A9", None, None, None),  # above MIDI's range
        ("E3 take_B9", 52, None, None),
    ],
)
def test_velocity_layers_and_round_robins_follow_notes(stem, pitch, number, round_robin):
    label = label_from_name(stem)
    assert (label.pitch, label.velocity, label.round_robin) == (pitch, number, round_robin)


def test_velocity_layers_become_velocities(folder):
    """Equally loud noise, so that neither the sound nor its level decides."""
    random = np.random.default_rng(0)
    for note, layer, takes in (("F#7", 4, 1), ("F#7", 8, 1), ("F#7", 16, 1), ("C4", 16, 2)):
        for take in range(takes):
            put(folder / f"{note}v{layer}rr{take + 1}.wav", 0.1 * random.standard_normal(RATE))
    notes = ingest_samples(folder).report["notes"]
    assert sorted((n["pitch"], n["velocity"], n["round_robin"]) for n in notes) == [
        (60, 127, 1),
        (60, 127, 2),
        (102, 32, 1),
        (102, 64, 1),
        (102, 127, 1),
    ]
    alone = labels_from_names([f"{name}v10.ogg" for name in ("A4", "C5", "F#7")])
    assert {label.velocity for label in alone.values()} == {None}  # a single layer says nothing


def test_the_tail_of_a_note_is_not_cut_into_crumbs(folder):
    """It fades through the threshold of silence, where it beats and the room's noise swells."""
    random, time = np.random.default_rng(1), np.arange(12 * RATE) / RATE
    for i, pitch in enumerate((45, 52, 60, 67)):
        beats = 1.0 + 0.5 * np.sin(2 * np.pi * (3.0 + i) * time)
        swell = np.interp(time, np.arange(0, 13, 0.25), 10 ** random.uniform(-3.0, -2.4, 52))
        decaying = tone(pitch, 12.0, decay_s=0.9 + 0.2 * i) * beats
        put(folder / f"{i}.wav", decaying + swell * random.standard_normal(len(time)))
    report = ingest_samples(folder).report
    assert [note["pitch"] for note in report["notes"]] == [45, 52, 60, 67]
    assert report["left_out"] == []


def test_many_left_out_files_are_counted_in_one_line(folder):
    put(folder / "good.wav", tone(60))
    for i in range(3):
        put(folder / f"silent{i}.wav", np.zeros(RATE + i))
    report = ingest_samples(folder).report
    assert left_out_line(report).count("is silent") == 3
    (folder / "phone.m4a").write_bytes(b"nothing")
    clicks = np.concatenate([np.r_[tone(60, 0.05), np.zeros(RATE)] for _ in range(2)])
    put(folder / "take.wav", np.r_[tone(62), np.zeros(RATE), clicks])
    report = ingest_samples(folder).report
    assert left_out_line(report) == (
        "4 whole files (3 silent, 1 not read) and 2 parts (2 too short); report.json names each "
        "with its reason"
    )
    assert list(report)[-1] == "left_out"  # details come last


def test_middle_c_may_be_called_c3(folder):
    for name, pitch in (("C3", 60), ("E3", 64), ("G3", 67), ("A3", 69)):
        put(folder / f"{name}.wav", tone(pitch))
    report = ingest_samples(folder).report
    assert sorted(note["pitch"] for note in report["notes"]) == [60, 64, 67, 69]
    assert any("an octave higher than their names say" in line for line in report["remarks"])


def test_numbers_that_count_takes_are_not_pitches(folder):
    for number, pitch in ((21, 60), (22, 67), (23, 55), (24, 72)):
        put(folder / f"take {number}.wav", tone(pitch))
    report = ingest_samples(folder).report
    assert sorted(note["pitch"] for note in report["notes"]) == [55, 60, 67, 72]
    assert any("weren't taken for pitches" in line for line in report["remarks"])


@pytest.mark.parametrize("between", [",", ";"])
def test_a_table_is_believed(folder, between):
    put(folder / "low" / "one.wav", tone(60))
    put(folder / "two.wav", tone(64))
    put(folder / "three.wav", tone(67))
    lines = ["file,pitch,velocity,instrument", "one.wav,C5,33,bells", "two.wav,64,,"]
    lines += ["three.wav,,50,bells"]
    (folder / "notes.csv").write_text("\n".join(lines).replace(",", between))
    report = ingest_samples(folder).report
    notes = {n["file"]: n for n in report["notes"]}
    table = {name: (n["pitch"], n["pitch_by"], n["velocity"]) for name, n in notes.items()}
    assert table["low/one.wav"] == (72, "table", 33)
    assert table["two.wav"] == (64, "table", 127)
    assert table["three.wav"] == (67, "sound", 50)
    assert notes["low/one.wav"]["instrument"] == notes["three.wav"]["instrument"] == "bells"
    assert {e["name"]: e["notes"] for e in report["instruments"]} == {"bells": 2, "My Samples": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name;pitch\n", "its first line is 'name,pitch'; it must be file,pitch"),
        ("file,pitch\nb.wav,60\n", "line 2: 'b.wav' isn't in the folder"),
        ("file,pitch\na.wav,60\na.wav,H4\n", "line 3: .*'H4'"),
        ("file,pitch,velocity\na.wav,60,200\n", "line 2: velocity '200' must be a whole number"),
    ],
)
def test_a_wrong_table_is_refused_by_its_line(folder, tmp_path, text, message):
    put(folder / "a.wav", tone(60))
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        ingest_samples(folder, table=path)


# --- Loudness and length -------------------------------------------------------------------------


def test_velocity_follows_loudness_among_notes_of_about_one_pitch(folder):
    for name, pitch, level in (("a", 60, 0.8), ("b", 62, 0.2), ("c", 90, 0.2)):
        put(folder / f"{name}.wav", level * tone(pitch, decay_s=0.3))
    found = ingest_samples(folder)
    velocity = {note["file"]: note["velocity"] for note in found.report["notes"]}
    assert velocity["a.wav"] == velocity["c.wav"] == 127
    assert velocity["b.wav"] == pytest.approx(127 / 2, abs=3)  # a quarter as strong: -12 dB
    assert found.report["instruments"][0]["softer_copies"] == 0
    peaks = np.abs(read_notes(found.folder).waveforms()).max(axis=1)
    assert peaks.max() == pytest.approx(0.9, abs=0.01)
    assert peaks.max() / peaks.min() > 3.0  # one gain for the instrument


def test_notes_of_one_loudness_get_softer_copies(folder):
    put(folder / "a.wav", tone(60))
    notes = read_notes(ingest_samples(folder).folder)
    soft, loud = sorted(notes, key=lambda note: note.velocity)
    assert (soft.velocity, loud.velocity) == (51, 127)
    ratio = np.abs(notes.waveform(soft)).max() / np.abs(notes.waveform(loud)).max()
    assert 20 * np.log10(ratio) == pytest.approx(-40 * np.log10(127 / 51), abs=0.1)


def test_two_notes_of_one_pitch_and_velocity_are_both_kept(folder):
    put(folder / "a.wav", tone(60))
    put(folder / "b.wav", tone(60, 0.7))
    assert len(read_notes(ingest_samples(folder).folder)) == 4


def sounds_until(samples: np.ndarray) -> float:
    level = level_db(samples, RATE, 0.02)
    return 0.02 * float(np.flatnonzero(level > level.max() - 40.0)[-1])


def test_a_note_that_was_let_go_early_is_held_on_in_tune():
    shaped, how = shape_note(tone(60.0, 1.1), RATE, 261.63)
    assert how == "lengthened" and len(shaped) == 4 * RATE
    assert sounds_until(shaped) == pytest.approx(3.0, abs=0.1)
    level = level_db(shaped[RATE // 10 : round(2.9 * RATE)], RATE, 0.02)
    assert np.ptp(level) < 1.5  # no seam is heard
    heard, sure = track_pitch(shaped, RATE, "pyin").pitch_between(RATE, 3 * RATE, RATE)
    assert heard == pytest.approx(60.0, abs=0.05) and sure > 0.95


def test_a_cut_note_falls_on_at_its_own_rate():
    cut = tone(60, 1.0, decay_s=1.0)[: round(0.8 * RATE)]
    assert measure_envelope(cut, RATE).slope_db_s == pytest.approx(-8.7, abs=0.5)
    shaped, how = shape_note(cut, RATE, 261.63)
    level = level_db(shaped, RATE, 0.1)
    assert how == "lengthened"
    assert level[2] - level[27] == pytest.approx(8.7 * 2.5, abs=2.0)


def test_a_note_that_dies_away_is_followed_by_silence():
    shaped, how = shape_note(tone(60, 1.5, decay_s=0.2), RATE, 261.63)
    assert how == "whole" and not np.any(shaped[round(1.6 * RATE) :])
    assert np.array_equal(shaped[100:8000], tone(60, 1.5, decay_s=0.2)[100:8000].astype("f4"))


def test_a_long_note_is_let_go_at_three_seconds():
    shaped, how = shape_note(tone(60, 6.0), RATE, 261.63)
    assert how == "faded out" and sounds_until(shaped) == pytest.approx(3.4, abs=0.1)
    level = level_db(shaped, RATE, 0.1)
    assert abs(level[28] - level[5]) < 0.5 and not np.any(shaped[round(3.41 * RATE) :])


# --- Splits and the cache ------------------------------------------------------------------------


def test_whole_instruments_are_held_out_where_there_are_enough(folder):
    for instrument in range(4):
        for pitch in (60, 65):
            put(folder / str(instrument) / f"{pitch}.wav", tone(pitch + instrument))
    found = ingest_samples(folder)
    split = read_split(found.folder / "split.json")
    assert split.by == "instrument"
    owners = [{name.rsplit("-", 2)[0] for name in names} for names in split.parts.values()]
    assert sum(map(len, owners)) == 4 == len(set().union(*owners))
    assert "holds out whole instruments" in found.report["remarks"][-1]


def test_one_instrument_holds_out_notes_with_their_copies(folder):
    for pitch in range(60, 66):
        put(folder / f"{pitch}.wav", tone(pitch))
    found = ingest_samples(folder)
    split = read_split(found.folder / "split.json")
    assert split.by == "note"
    assert sum(map(len, split.parts.values())) == len(read_notes(found.folder)) == 12
    for names in split.parts.values():
        assert len({name.rsplit("-", 1)[0] for name in names}) == len(names) / 2
    assert "there is one instrument, so split.json holds out single notes" in "".join(
        found.report["remarks"]
    )


def test_the_second_start_reads_no_sound(folder, cache, monkeypatch):
    put(folder / "a.wav", tone(60))
    first = ingest_samples(folder)
    assert first.is_new and cache in first.folder.parents

    def fail(*_: object) -> None:
        raise AssertionError("a sound was read again")

    monkeypatch.setattr(samples, "extract_notes", fail)
    second = ingest_samples(folder)
    assert not second.is_new and second.folder == first.folder and second.report == first.report
    with pytest.raises(AssertionError):  # other settings make another set
        ingest_samples(folder, tune=False)
    put(folder / "a.wav", tone(61))
    with pytest.raises(AssertionError):  # and so does other sound
        ingest_samples(folder)


def test_a_damaged_set_in_the_cache_is_made_anew(folder):
    put(folder / "a.wav", tone(60))
    first = ingest_samples(folder)
    next((first.folder / "audio").iterdir()).unlink()
    again = ingest_samples(folder)
    assert again.is_new and len(read_notes(again.folder)) == 2


def test_a_copy_is_whole_and_the_licence_goes_with_it(folder, tmp_path):
    put(folder / "a.wav", tone(60))
    found = ingest_samples(folder, licence="CC0-1.0")
    found.copy_to(tmp_path / "copy")
    assert len(read_notes(tmp_path / "copy")) == 2
    assert 'licence = "CC0-1.0"' in (tmp_path / "copy" / "font.toml").read_text()
    assert json.loads((tmp_path / "copy" / "report.json").read_text()) == found.report
    with pytest.raises(ParameterError, match="isn't an empty folder"):
        found.copy_to(tmp_path / "copy")


def test_folders_without_notes_are_refused(folder, tmp_path):
    with pytest.raises(FormatError, match="isn't a folder"):
        ingest_samples(tmp_path / "nowhere")
    (folder / "x.m4a").write_bytes(b"1")
    with pytest.raises(FormatError, match="holds no sound file"):
        ingest_samples(folder)
    put(folder / "silent.wav", np.zeros(RATE))
    with pytest.raises(FormatError, match=r"no usable note; .*silent.wav \(is silent\)"):
        ingest_samples(folder)
    put(folder / "a.wav", tone(60))
    with pytest.raises(ParameterError, match="sample_rate=10"):
        ingest_samples(folder, sample_rate=10)
    with pytest.raises(ParameterError, match="min_confidence=2"):
        ingest_samples(folder, min_confidence=2)
    made = ingest_samples(folder)
    with pytest.raises(FormatError, match="already is a set of notes"):
        ingest_samples(made.folder)


def test_the_cache_is_where_caches_are(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("AUDIOGEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_folder() == tmp_path / "xdg" / "audiogen"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder().parts[-3:] == ("Library", "Caches", "audiogen")


def test_a_hash_changes_with_names_content_and_settings(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for place in (one, two):
        place.mkdir()
        (place / "a").write_bytes(b"sound")
    hashes = [
        content_hash(one, [one / "a"], {"rate": 1}),
        content_hash(two, [two / "a"], {"rate": 1}),
        content_hash(one, [one / "a"], {"rate": 2}),
    ]
    (two / "a").write_bytes(b"other")
    hashes.append(content_hash(two, [two / "a"], {"rate": 1}))
    (one / "a").rename(one / "b")
    hashes.append(content_hash(one, [one / "b"], {"rate": 1}))
    assert hashes[0] == hashes[1] and len(set(hashes)) == 4


@pytest.mark.parametrize(
    ("name", "family"),
    [("Bassoon", "reed"), ("Upright_Bass", "bass"), ("tenor sax", "reed"), ("thing", "synth_lead")],
)
def test_families_are_guessed_from_names(name, family):
    assert family_of_name(name)[0] == family


@pytest.mark.skipif(os.name != "posix", reason="names are text elsewhere")
def test_names_that_are_not_text_are_read_and_shown_as_well_as_can_be(folder):
    put(folder / "My Samples" / "a.wav", tone(60))
    put(folder / "My Samples" / "b.wav", tone(64))
    (folder / "My Samples" / "b.wav").rename(folder / "My Samples" / os.fsdecode(b"b\xe9.wav"))
    found = ingest_samples(folder / "My Samples")
    assert sorted(note["file"] for note in found.report["notes"])[0] == "a.wav"
    assert {note.pitch for note in read_notes(found.folder)} == {60, 64}
    told = json.loads((found.folder / samples.REPORT).read_text(encoding="utf-8"))
    assert {note["file"] for note in told["notes"]} == {"a.wav", "b\ufffd.wav"}


def test_what_has_no_pitch_is_left_out_however_little_is_asked(folder):
    put(folder / "My Samples" / "a.wav", tone(60))
    noise = np.random.default_rng(0).standard_normal(RATE) * np.linspace(0.3, 0.0, RATE) ** 2
    put(folder / "My Samples" / "hiss.wav", noise)
    put(folder / "My Samples" / "click.wav", np.r_[np.zeros(20), 0.5 * np.ones(2000), np.zeros(20)])
    found = ingest_samples(folder / "My Samples", min_confidence=0.0)
    kept = {note["file"] for note in found.report["notes"]}
    assert "a.wav" in kept and left_out(found.report)["click.wav"] == "unpitched"
