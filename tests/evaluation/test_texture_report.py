"""The report on a texture: clips, a long stream, and the seam of a continuation."""

from __future__ import annotations

import json

import numpy as np
import pytest

from audiogen.errors import MissingPackageError, ParameterError
from audiogen.evaluation import texture_report
from audiogen.evaluation.metrics import CLICK_RATIO
from audiogen.evaluation.texture_report import PROMPT_S, evaluate_texture, seam_ratio

RATE = 8000


def chords(seconds: float, seed: int) -> np.ndarray:
    """Tones that change twice a second."""
    random = np.random.default_rng(seed)
    t = np.arange(RATE // 2) / RATE
    parts = [
        0.3 * np.sin(2 * np.pi * random.uniform(200, 900) * t) * np.exp(-4 * t)
        for _ in range(int(2 * seconds))
    ]
    return np.concatenate(parts) + 0.001 * random.standard_normal(len(parts) * len(t))


def generate(seconds, seed, prime):
    return chords(seconds, seed) if prime is None else 0.9 * chords(seconds, seed)


def test_report_has_clips_a_stream_and_real_sound(tmp_path):
    seen = []
    report = evaluate_texture(
        generate,
        sample_rate=RATE,
        real=chords(40, 99),
        n_clips=3,
        minutes=0.5,
        seed=5,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(report.generated) == len(report.real) == len(report.seams) == 3
    assert report.life.verdict == "alive" and len(report.life.windows) == 3
    rows = {what: (ours, real) for what, ours, real in report.table()}
    assert rows["clips of 8 s"] == ("3", "3")
    assert rows["a stream of 30 s"][0] == "alive"
    paths = report.write(tmp_path)
    assert [path.name for path in paths] == ["report.json", "report.html", "rainbowgrams.png"]
    content = json.loads(paths[0].read_text())
    assert content["seed"] == 5 and len(content["stream"]["windows"]) == 3


def test_silent_clips_and_a_missing_detector_leave_the_other_numbers(monkeypatch):
    def no_detector(*_):
        raise MissingPackageError("silero-vad")

    monkeypatch.setattr(texture_report, "speech_share", no_detector)
    report = evaluate_texture(
        lambda seconds, seed, prime: chords(seconds, seed) * (seed > 0),
        sample_rate=RATE,
        n_clips=3,
        minutes=0.2,
    )
    rows = {what: (ours, real) for what, ours, real in report.table()}
    assert rows["clips with 50% of speech or more"] == ("-", "-")
    assert "pip install 'audiogen-synth[eval]'" in report.remarks()[0]
    assert {"flatness", "held_share"} < set(report.measured()) and "speech" not in report.measured()


def test_a_stream_that_dies_is_reported():
    def dies(seconds, seed, prime):
        sound = chords(seconds, seed)
        sound[12 * RATE :] = 0.0
        return sound

    report = evaluate_texture(dies, sample_rate=RATE, n_clips=1, minutes=0.7)
    assert report.life.verdict.startswith("silence from 20 s")
    assert not report.real and "-" in report.table()[0]


def test_a_jump_at_the_seam_is_a_click_and_a_smooth_one_is_not():
    sound = chords(4, 0)
    seam = round(PROMPT_S * RATE) + 1234
    assert seam_ratio(sound, seam, RATE) < 5
    broken = sound.copy()
    broken[seam:] += 0.9
    assert seam_ratio(broken, seam, RATE) > CLICK_RATIO
    assert seam_ratio(broken, seam + 300, RATE) < CLICK_RATIO  # it clicks where it clicks


def test_recordings_shorter_than_a_clip_are_refused():
    with pytest.raises(ParameterError, match="8 s or more"):
        evaluate_texture(generate, sample_rate=RATE, real=chords(2, 0))
