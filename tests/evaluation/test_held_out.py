"""Held-out notes, instruments and banks: compared notes, their latents, and the card."""

from __future__ import annotations

import json
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(
    find_spec("parselmouth") is None, reason="needs praat-parselmouth, of the extra eval"
)

from audiogen.data.notes.nsynth import SetWriter, read_notes
from audiogen.data.source_toml import NOTES_TOML, toml_text
from audiogen.errors import ParameterError
from audiogen.evaluation import held_out, two_sample
from audiogen.evaluation.held_out import BANK, INSTRUMENTS, NOTES, evaluate_held_out

RATE = 8000
PITCHES = range(50, 58)
TIMBRES = [SimpleNamespace(name="reed", family="reed", program=71)]


@pytest.fixture(autouse=True)
def short_tests(monkeypatch):
    monkeypatch.setattr(held_out, "MIN_NOTES", 10)
    monkeypatch.setattr(two_sample, "MIN_NOTES", 10)
    monkeypatch.setattr(two_sample, "N_STEPS", {"attack": 3, "held": 3})


def sine(pitch: float, brightness: float, seconds: float = 3.0) -> np.ndarray:
    time_s = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time_s
    return 0.3 * (np.sin(phase) + brightness * np.sin(2 * phase)).astype(np.float32)


def write_set(folder, brightness_of, velocities=(80, 110)):
    with SetWriter(folder, RATE) as writer:
        for instrument, brightness in brightness_of.items():
            for pitch in PITCHES:
                for velocity in velocities:
                    writer.add(
                        sine(pitch, brightness),
                        instrument=instrument,
                        family="reed",
                        source="acoustic",
                        pitch=pitch,
                        velocity=velocity,
                        qualities=[0] * 10,
                    )
    programs = {"reed": 71, "oboe": 68, "pipe": 75}
    tables = [{"instrument_str": i, "name": i, "program": programs[i]} for i in brightness_of]
    (folder / NOTES_TOML).write_text(toml_text("Set.", {}, "instruments", tables))
    return read_notes(folder)


@pytest.fixture
def bank(tmp_path):
    return write_set(tmp_path / "bank", {"reed": 0.1, "oboe": 0.9, "pipe": 0.5})


def play(timbre, pitch, velocity, seconds):
    brightness = 0.1 if timbre == "reed" else timbre[0]
    return sine(pitch, brightness, seconds + 0.5)


def encode(samples, pitch):
    """Measure the level of the second harmonic."""
    time_s = np.arange(len(samples)) / RATE
    f0_hz = 440 * 2 ** ((pitch - 69) / 12)
    levels = [abs(np.exp(-2j * np.pi * k * f0_hz * time_s) @ samples) for k in (1, 2)]
    return [float(levels[1] / levels[0])], 1.5


def evaluated(sets, **options):
    options = {"pitch_range": (48, 70), "sample_rate": RATE, "n_classifiers": 1} | options
    return evaluate_held_out(sets, TIMBRES, play, options.pop("encode", encode), **options)


@pytest.mark.slow
def test_each_set_has_a_row_with_its_own_instruments(bank, tmp_path):
    done = []
    report = evaluated(
        {BANK: bank, NOTES: bank, INSTRUMENTS: bank}, progress=lambda i, n: done.append((i, n))
    )
    notes, instruments, other = report.rows
    assert [row.name for row in report.rows] == [NOTES, INSTRUMENTS, BANK]
    # 16 notes of each instrument; two of each encoded one are not compared.
    assert (notes.n_notes, notes.n_instruments, notes.n_encoded) == (16, 1, 0)
    assert (instruments.n_notes, instruments.n_instruments, instruments.n_encoded) == (28, 2, 4)
    assert (other.n_notes, other.n_instruments, other.n_encoded) == (42, 3, 6)
    assert done[-1][0] == done[-1][1]
    assert "left out what no timbre is of: oboe, pipe." in report.remarks()[2]
    assert "left out what the preset was trained on: reed." in report.remarks()[3]
    # The player is exact, so distances are those between two halves of the real notes.
    for row in report.rows:
        assert row.frechet == pytest.approx(row.frechet_real, abs=0.05)
        assert row.pitch_ok == row.pitch_ok_real == 1.0
    card = report.measured()
    assert card["held_out_bank_count"] == 42 and card["held_out_instruments_encoded"] == 4
    assert card["held_out_instruments_encoding_error_db"] == 1.5
    assert "held_out_notes_encoding_error_db" not in card  # nothing was encoded
    for name in ("frechet_distance", "kernel_distance", "auc_log_mel_attack", "pitch_ok"):
        assert f"held_out_notes_{name}" in card
    assert report.prefixes() == ("held_out_notes_", "held_out_instruments_", "held_out_bank_")
    written = report.write(tmp_path / "report", "reeds")
    content = json.loads(written[0].read_text())
    assert list(content["rows"]) == [NOTES, INSTRUMENTS, BANK]
    page = written[1].read_text()
    assert "held-out instruments, encoded" in page and page.count("<audio") == 2 * 3 * 3


def test_a_wrong_latent_is_farther_away(bank):
    right = evaluated({INSTRUMENTS: bank}).rows[0]
    wrong = evaluated({INSTRUMENTS: bank}, encode=lambda samples, pitch: ([0.0], 9.0)).rows[0]
    assert wrong.frechet > right.frechet + 1 and wrong.kernel > right.kernel
    assert wrong.error_db == 9.0


def test_notes_have_the_latent_of_the_nearest_encoded_key(bank):
    played = []

    def spied(timbre, pitch, velocity, seconds):
        played.append((pitch, timbre[0]))
        return play(timbre, pitch, velocity, seconds)

    evaluate_held_out(
        {INSTRUMENTS: bank},
        TIMBRES,
        spied,
        lambda samples, pitch: ([float(pitch)], 0.0),
        pitch_range=(48, 70),
        sample_rate=RATE,
        n_classifiers=1,
    )
    assert {timbre for _, timbre in played} == {52.0, 56.0}
    assert all(timbre == (52.0 if pitch <= 54 else 56.0) for pitch, timbre in played)


def test_encoded_notes_are_spread_and_loud(bank):
    of = [note for note in bank if note.instrument == "oboe"]
    chosen = held_out.notes_to_encode(of, 3)
    assert [(note.pitch, note.velocity) for note in chosen] == [(51, 110), (54, 110), (56, 110)]
    assert len(held_out.notes_to_encode(of[:1], 3)) == 1


def test_too_few_notes_name_the_number_needed(bank):
    with pytest.raises(ParameterError, match=r"trained instruments.*: 4 notes .* 10 are needed"):
        evaluated({NOTES: bank}, pitch_range=(56, 70))
    with pytest.raises(ParameterError, match=r"6 notes from 56 to 70, without 9 encoded ones"):
        evaluated({BANK: bank}, pitch_range=(56, 70), n_encoded=9)


def test_a_note_that_cannot_be_encoded_is_named(bank):
    def failing(samples, pitch):
        raise ParameterError("the recording is silent")

    with pytest.raises(ParameterError, match=r"oboe-052-110 can't be encoded: the recording is"):
        evaluated({INSTRUMENTS: bank}, encode=failing)
