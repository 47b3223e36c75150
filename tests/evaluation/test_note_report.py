"""The report: faults that were put in are found, and what's written is whole and readable."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from audiogen.data import NoteSet, SetWriter, read_notes
from audiogen.data.source_toml import NOTES_TOML, toml_text
from audiogen.errors import ParameterError, ShapeError
from audiogen.evaluation import Report, evaluate_notes, note_report
from audiogen.evaluation.note_report import chosen_metrics, draw_real, summarise
from audiogen.evaluation.report_files import PAGE, PICTURE, REPORT, check_folder
from audiogen.evaluation.timbre_features import note_features
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.partials import TimbrePartials

pytestmark = pytest.mark.skipif(
    find_spec("parselmouth") is None, reason="needs praat-parselmouth, of the extra eval"
)

RATE = 16000
TIMBRES = [
    SimpleNamespace(name="reed_acoustic_071", family="reed", program=None),
    SimpleNamespace(name="plucked", family="bass", program=33),
]


def tone(timbre: str, pitch: int, velocity: float, seconds: float, slope: float = 1.5):
    """Harmonics that last while the key is down; the plucked ones decay."""
    time_s = np.arange(4 * RATE) / RATE
    decay = np.exp(-time_s) if timbre in ("plucked", "bass_electronic_033") else 1.0
    fall = 0.5 + 0.5 * np.cos(np.pi * np.clip((time_s - seconds) / 0.1, 0, 1))
    return 0.2 * velocity * decay * harmonics(pitch, slope) * fall


@cache
def harmonics(pitch: int, slope: float) -> np.ndarray:
    time_s = np.arange(4 * RATE) / RATE
    f0_hz = 440 * 2 ** ((pitch - 69) / 12)
    waveform = np.zeros(time_s.size)
    for n in range(1, 1 + min(12, int(7000 / f0_hz))):
        waveform += np.sin(2 * np.pi * n * f0_hz * time_s) / n**slope
    return waveform


def evaluate(render: Callable[..., np.ndarray] = tone, **options: object) -> Report:
    options = {"n_notes": 12, "pitch_range": (40, 80), **options}
    return evaluate_notes(render, TIMBRES, sample_rate=RATE, **options)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> NoteSet:
    folder = tmp_path_factory.mktemp("real") / "set"
    with SetWriter(folder, RATE) as writer:
        for instrument, family, source in (
            ("reed_acoustic_071", "reed", "acoustic"),
            ("bass_electronic_033", "bass", "electronic"),
            ("vocal_acoustic_052", "vocal", "acoustic"),
        ):
            for pitch in range(45, 75, 2):
                for velocity in (50, 127):
                    writer.add(
                        tone(instrument, pitch, velocity / 127, 3.0),
                        instrument=instrument,
                        family=family,
                        source=source,
                        pitch=pitch,
                        velocity=velocity,
                        qualities=[0] * 10,
                    )
        bass = {"instrument_str": "bass_electronic_033", "program": 33}
        writer.add_text(NOTES_TOML, toml_text("Of a test.", {}, "instruments", [bass]))
    return read_notes(folder)


@pytest.fixture(scope="module")
def alike(real: NoteSet) -> Report:
    """Of notes that the function of the real ones made."""
    return evaluate(real=real, n_notes=25, pitch_range=(45, 74))


def test_good_notes_pass():
    summary = summarise(evaluate().generated)
    assert summary["notes"] == 12
    assert summary["pitch_ok"] == summary["pitch_ok_octave_free"] == 1
    assert summary["median_cents"] < 5
    assert summary["clicking"] == summary["silent"] == summary["not_finite"] == 0
    assert summary["unpitched"] == 0
    assert summary["largest_dc"] < 0.05
    assert -60 < summary["median_level_db"] < summary["highest_peak_db"] < 0


def test_notes_are_drawn_evenly_and_repeat_by_seed():
    asked = []

    def render(timbre, pitch, velocity, seconds):
        asked.append((timbre, pitch, round(velocity * 127), seconds))
        return np.zeros(100)

    evaluate(render, n_notes=60, pitch_range=(60, 62), seed=1)
    first, asked = asked, []
    assert {note[0] for note in first} == {"reed_acoustic_071", "plucked"}
    assert {note[1] for note in first} == {60, 61, 62}
    assert {note[2] for note in first} == {50, 90, 127}
    assert {note[3] for note in first} == {3.0}
    evaluate(render, n_notes=60, pitch_range=(60, 62), seed=1)
    assert asked == first
    evaluate(render, n_notes=60, pitch_range=(60, 62), seed=2)
    assert asked[60:] != first


def with_click(*note):
    waveform = tone(*note)
    waveform[20000] += 0.3
    return waveform


@pytest.mark.parametrize(
    ("render", "found"),
    [
        (lambda t, p, v, s: tone(t, p - 12, v, s), {"pitch_ok": 0, "pitch_ok_octave_free": 1}),
        (lambda t, p, v, s: tone(t, p + 1, v, s), {"pitch_ok": 0, "pitch_ok_octave_free": 0}),
        (lambda *note: 0 * tone(*note), {"silent": 1, "unpitched": 1, "pitch_ok": 0}),
        (lambda *note: np.zeros(0), {"silent": 1, "unpitched": 1}),
        (lambda *note: tone(*note) * np.nan, {"not_finite": 1, "silent": 0, "pitch_ok": 0}),
        (with_click, {"clicking": 1, "pitch_ok": 1}),
    ],
    ids=["octave", "semitone", "silence", "empty", "nan", "click"],
)
def test_faults_are_found(render, found):
    summary = summarise(evaluate(render, n_notes=4).generated)
    assert {key: summary[key] for key in found} == found


def test_programs_without_a_pitch_do_not_count_as_out_of_tune():
    block = SimpleNamespace(name="woodblock", family="mallet", program=115)
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)

    def render(timbre, *note):
        return noise if timbre == "woodblock" else tone(timbre, *note)

    options = {"sample_rate": RATE, "pitch_range": (40, 80), "n_notes": 24}
    report = evaluate_notes(render, [*TIMBRES, block], **options)
    assert {note.timbre for note in report.generated if not note.pitched} == {"woodblock"}
    assert summarise(report.generated)["pitch_ok"] == 1
    alone = evaluate_notes(render, [block], **options)
    assert np.isnan(summarise(alone.generated)["pitch_ok"])
    assert "pitch_ok" not in alone.measured()


def test_percussion_with_partials_is_compared_without_pitch(real):
    block = SimpleNamespace(name="reed_acoustic_071", family="reed", program=117)
    report = evaluate_notes(
        tone,
        [block],
        pitch_range=(45, 74),
        sample_rate=RATE,
        real=real,
        n_notes=12,
        metrics=["statistics"],
        partials={block.name: TimbrePartials((1.0, 2.4))},
    )
    titles = [row[0] for row in report.table()]
    assert not any("pitch" in title or "partials" in title for title in titles)
    assert "level (dBFS)" in titles


def test_silence_keeps_its_rows():
    report = evaluate(lambda *_: np.zeros(RATE, np.float32), n_notes=4)
    titles = [row[0] for row in report.table()]
    assert {"highest peak (dBFS)", "median pitch error (cents)"} <= set(titles)


def test_dc_is_found():
    report = evaluate(lambda *note: tone(*note) + 0.05, n_notes=4)
    assert summarise(report.generated)["largest_dc"] > 0.3


@pytest.mark.slow
def test_real_notes_are_those_of_the_timbres(alike):
    assert {note.timbre for note in alike.real} == {"reed_acoustic_071", "bass_electronic_033"}
    assert len(alike.real) == 25
    assert summarise(alike.real)["pitch_ok"] == 1
    assert [title.split(",")[0] for title, *_ in alike.pairs] == ["reed_acoustic_071", "plucked"]
    for _, theirs, ours in alike.pairs:  # made by the same function
        np.testing.assert_allclose(theirs, ours, atol=1e-4)


def test_instruments_are_known_by_the_names_that_presets_give_them(real, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(real.folder, folder)
    said = [
        {"instrument_str": name, "name": "Bell, soft" if "vocal" in name else "Bell (soft)"}
        for name in real.instruments
    ]
    (folder / NOTES_TOML).write_text(toml_text("Of a test.", {}, "instruments", said))
    timbres = [
        SimpleNamespace(name=name, family="synth_lead", program=52)
        for name in ("bell-soft-3", "bell-soft", "bell-soft-2")
    ]
    drawn = draw_real(read_notes(folder), timbres, 100, np.random.default_rng(0))
    names = dict(zip(real.instruments, ("bell-soft", "bell-soft-2", "bell-soft-3"), strict=True))
    assert drawn and all(names[note.instrument] == timbre for timbre, note in drawn)


def test_family_stands_in_for_an_unknown_program(real):
    timbre = SimpleNamespace(name="choir", family="vocal", program=91)
    report = evaluate_notes(
        tone, [timbre], pitch_range=(50, 60), sample_rate=RATE, real=real, n_notes=4
    )
    assert {note.timbre for note in report.real} == {"vocal_acoustic_052"}


def test_notes_are_compared_by_the_partials_of_their_timbres(real, monkeypatch):
    seen = []
    compare = note_report.compare_notes

    def watched(*words, partials, timbres, **options):
        seen.extend(zip(timbres, partials, strict=True))
        return compare(*words, partials=partials, timbres=timbres, **options)

    monkeypatch.setattr(note_report, "compare_notes", watched)
    ratios = (1.0, 2.4)
    evaluate(
        real=real,
        n_notes=10,
        pitch_range=(45, 74),
        metrics=["statistics"],
        partials={TIMBRES[0].name: TimbrePartials(ratios)},
    )
    inharmonic = {name for name, own in seen if own is not None}
    assert inharmonic == {TIMBRES[0].name} < {name for name, _ in seen}


def test_distances_tell_likeness(real, alike):
    options = {"n_notes": 25, "pitch_range": (45, 74), "metrics": ["distances"]}
    brighter = evaluate(lambda *note: tone(*note, slope=0.0), real=real, **options).distances
    alike = alike.distances
    assert set(alike) == {"Frechet distance", "kernel distance", "different bins of 2"}
    for name in ("Frechet distance", "kernel distance"):
        assert alike[name].among_real == brighter[name].among_real
        assert brighter[name].to_real > 3 * abs(alike[name].to_real)
        assert alike[name].random_phase > 3 * abs(alike[name].to_real)
    assert evaluate(real=real, n_notes=4).distances == {}


def test_distances_are_of_like_notes(real, alike):
    """Pitches that an instrument lacks are in the range, and not in what is set beside it."""
    far = evaluate(real=real, n_notes=25, pitch_range=(30, 119), metrics=["distances"])
    assert alike.distances == far.distances


def test_features_ignore_level_and_bad_samples():
    waveform = tone("plucked", 60, 1.0, 3.0)
    features = note_features(waveform, RATE)
    assert features.shape == (96,)
    assert -2 <= features.min() <= features.max() <= 2
    np.testing.assert_allclose(note_features(0.01 * waveform, RATE), features, atol=1e-6)
    assert np.all(np.isfinite(note_features(waveform * np.nan, RATE)))
    assert np.all(np.isfinite(note_features(np.zeros(0), RATE)))


def test_report_is_written_whole(real, tmp_path):
    report = evaluate(lambda *note: 0 * tone(*note), real=real, n_notes=5)
    folder = tmp_path / "deep" / "report"
    assert {path.name for path in report.write(folder)} == {REPORT, PAGE, PICTURE}
    assert {path.name for path in folder.iterdir()} == {REPORT, PAGE, PICTURE}

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} isn't JSON")

    content = json.loads((folder / REPORT).read_text(), parse_constant=refuse)
    assert content["generated"]["median_cents"] is None  # silence has no pitch
    assert content["real"]["pitch_ok"] == 1
    assert len(content["notes"]) == len(content["real_notes"]) == 5
    assert set(content["timbres"]) <= {timbre.name for timbre in TIMBRES}
    from matplotlib.image import imread

    picture = imread(folder / PICTURE)
    assert picture.shape[0] > 400 and picture.shape[1] > 1000
    # On the left real notes, on the right silence: it's drawn black.
    left, right = (picture[60:200, begin : begin + 300, :3] for begin in (100, 650))
    assert left.std() > 3 * right.std()


def test_report_without_real_notes_has_no_picture(tmp_path):
    report = evaluate(n_notes=3)
    assert [path.name for path in report.write(tmp_path)] == [REPORT, PAGE]
    assert json.loads((tmp_path / REPORT).read_text())["real"] is None
    assert all(row[1:3] == ("-", "-") for row in report.table())
    assert "<audio" not in (tmp_path / PAGE).read_text()


def test_table_has_a_row_for_each_number(alike):
    rows = alike.table()
    titles = [row[0] for row in rows]
    assert titles[:2] == ["notes", "pitch within half a semitone"]
    assert "Frechet distance to real notes" in titles
    assert rows[1][1:] == ("100.0%", "-", "100.0%")
    assert "attack (ms)" in titles


@pytest.mark.slow
def test_oracle_and_statistics_stand_beside_the_preset(real, tmp_path):
    pytest.importorskip("torch")
    config = SpectrogramConfig(phase="harmonic", magnitude_floor=1e-4, n_samples=65536)
    report = evaluate(
        real=real, n_notes=20, spectrogram=config, metrics=["distances", "statistics"]
    )
    assert report.header("mine") == ("", "real", "oracle", "mine")
    rows = {row[0]: row[1:] for row in report.table()}
    assert all("-" not in rows[f"{name} distance to real notes"] for name in ("Frechet", "kernel"))
    distance = report.distances["Frechet distance"]
    assert np.isfinite(distance.oracle) and distance.oracle < distance.random_phase
    counts = report.comparison.n_notes
    assert sum(counts.values()) == 40 and rows["compared notes, steady / varying"][0] == (
        f"{counts['steady']} / {counts['varying']}"
    )
    level = next(m for m in report.comparison.medians if m.name == "level_dbfs")
    assert level.values["preset"] == pytest.approx(level.values["real"], abs=1e-3)
    assert report.comparison.areas == {}
    assert report.remarks()
    report.write(tmp_path, "mine")
    page = (tmp_path / PAGE).read_text()
    assert "<th>mine</th>" in page and page.count("<audio") == 2 * len(report.pairs)
    content = json.loads((tmp_path / REPORT).read_text())
    assert content["comparison"]["statistics"]["level_dbfs, steady"]["outside"] is False
    assert content["distances"]["Frechet distance"]["oracle_to_real"] == distance.oracle


def test_comparisons_need_enough_notes(real):
    assert chosen_metrics(None, 0) == ()
    assert chosen_metrics(None, 50) == ("distances", "statistics")
    assert chosen_metrics(None, 60) == ("distances", "statistics", "c2st")
    assert chosen_metrics(["statistics"], 20) == ("statistics",)
    for name, n, wanted in (("statistics", 19, 20), ("distances", 39, 40), ("c2st", 59, 60)):
        with pytest.raises(
            ParameterError, match=f"{n} real notes are too few for {name}.*{wanted}"
        ):
            chosen_metrics([name], n)
    with pytest.raises(ParameterError, match="metrics='fad' must be one of distances, statistics"):
        evaluate(real=real, metrics=["fad"])


def test_progress_reaches_the_end(real):
    seen = []
    evaluate(real=real, n_notes=3, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (9, 9)  # 3 notes, and 6 real ones: too few for statistics
    assert seen == sorted(seen)
    seen.clear()
    evaluate(real=real, n_notes=10, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (32, 32)  # 10, 20, and the statistics of two kinds of notes


def test_notes_outside_of_the_presets_range_are_left_out(real):
    pitches = []

    def heard(timbre, pitch, velocity, seconds):
        pitches.append(pitch)
        return tone(timbre, pitch, velocity, seconds)

    report = evaluate(heard, real=real, pitch_range=(50, 70))
    assert min(pitches) >= 50 and max(pitches) <= 70
    assert {note.pitch for note in report.real} <= set(range(51, 71, 2))
    with pytest.raises(ParameterError, match="has no note from 76 to 80, the preset's pitches"):
        evaluate(real=real, pitch_range=(76, 80))


def test_bad_arguments_are_named(tmp_path):
    for options in ({"n_notes": 0}, {"pitch_range": (60, 50)}, {"pitch_range": (0, 128)}):
        with pytest.raises(ParameterError, match="one timbre"):
            evaluate(**options)
    with pytest.raises(ParameterError, match="0 timbres"):
        evaluate_notes(tone, [], pitch_range=(60, 61), sample_rate=RATE)
    with pytest.raises(ShapeError, match=r"render returned shape \(2, 10\)"):
        evaluate(lambda *note: np.zeros((2, 10)))
    (tmp_path / "file").write_text("")
    with pytest.raises(ParameterError, match="can't be made"):
        check_folder(tmp_path / "file" / "report")
    assert Path(check_folder(tmp_path / "new")).is_dir()
