"""Exploring latents: which are played, what is counted, and the page with its sounds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiogen.audio.files import read_audio
from audiogen.audio.pitch import note_pitch
from audiogen.data.source_toml import NOTES_TOML, toml_text
from audiogen.engine import Synth
from audiogen.errors import ParameterError
from audiogen.evaluation.latents import explore
from audiogen.evaluation.latents.explore import N_NOTES, Exploration, explore_latents
from audiogen.evaluation.latents.explore_page import PEAK, sound_file, write_exploration
from audiogen.evaluation.two_sample import Area
from audiogen.presets import LATENT_PREFIXES, Preset, add_measured, load_preset


@pytest.fixture(scope="module")
def found(few_leads: Preset) -> Exploration:
    pytest.importorskip("parselmouth", reason="the tracker praat needs praat-parselmouth")
    return explore_latents(few_leads, n_latents=2, seed=5)


@pytest.mark.slow
def test_every_latent_can_be_played_by_its_name(found: Exploration, few_leads: Preset) -> None:
    names = few_leads.timbre_names
    assert [sound.timbre for sound in found.group("named")] == names
    assert [sound.timbre for sound in found.group("random")] == ["random:5", "random:6"]
    for sound in found.group("half-way"):
        assert set(sound.timbre.split("+")) < set(names) and sound.timbre.count("+") == 1
    synth = Synth(few_leads)
    for sound in found.sounds:
        latent = synth.latent(sound.timbre)
        assert latent.shape == (synth.preset.generator.latent_size,)


def test_named_timbres_are_in_tune_and_differ(found: Exploration) -> None:
    assert found.share("named", "n_in_tune") >= 0.95
    assert found.share("named", "n_silent") == 0.0
    for name in ("brightness", "breath", "decay"):
        values = [sound.features[name] for sound in found.group("named")]
        assert np.ptp(values) > 1.0
    assert 100 < np.median([s.features["brightness"] for s in found.sounds]) < 8000  # Hz


@pytest.mark.slow
def test_wrong_notes_are_counted(few_leads: Preset, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("parselmouth", reason="the tracker praat needs praat-parselmouth")
    render = Synth.render

    def out_of_tune(self: Synth, notes: Any, **options: Any) -> np.ndarray:
        moved = [(start, length, pitch + 1, level) for start, length, pitch, level in notes]
        quiet = 0.0 if options["timbre"].startswith("random") else 1.0
        return quiet * render(self, moved, **options)

    monkeypatch.setattr(Synth, "render", out_of_tune)
    wrong = explore_latents(few_leads, n_latents=1)
    assert wrong.share("named", "n_in_tune") == 0.0
    assert wrong.share("random", "n_silent") == 1.0


def test_table_and_numbers(found: Exploration) -> None:
    header, *rows = found.table()
    assert header == ("", "named", "half-way", "random")
    assert rows[0] == ("latents", str(len(found.group("named"))), "2", "2")
    cells = {row[0]: row[1] for row in rows}
    assert re.fullmatch(r"\d+ \(\d+ to \d+\)", cells["spectral centroid (Hz)"])
    levels = [sound.level_dbfs for sound in found.group("named")]
    assert cells["level (dBFS)"].startswith(f"{np.median(levels):.1f} (")
    numbers = found.measured()
    assert set(numbers) == {
        "half_way_in_tune", "half_way_clicks", "random_in_tune", "random_clicks"
    }  # fmt: skip
    compared = replace(found, areas={"random": {"held": Area((0.6, 0.7, 0.9))}})
    assert compared.measured()["random_auc_held"] == 0.7


def test_page_and_sounds(found: Exploration, tmp_path: Path) -> None:
    page, content = write_exploration(tmp_path / "out", found)
    text = page.read_text(encoding="utf-8")
    data = json.loads(re.search(r"const data = (.*);\n", text)[1].replace("<\\/", "</"))
    assert len(data["points"]) == len(found.sounds)
    loudest = max(np.abs(sound.phrase).max() for sound in found.sounds)
    assert loudest > 1.0  # it would clip
    for point, sound in zip(data["points"], found.sounds, strict=True):
        heard = read_audio(page.parent / point["file"], found.sample_rate)
        assert np.abs(heard - PEAK / loudest * sound.phrase).max() < 1e-3
        assert point["brightness"] == sound.features["brightness"]
    assert "{{" not in text
    assert {sound["notes"] for sound in json.loads(content.read_text())["sounds"]} == {N_NOTES}
    assert sound_file("random:7") == "random-7.flac"


def test_numbers_in_the_card_replace_only_their_own(
    found: Exploration, write_tiny: Callable[..., Path], tmp_path: Path
) -> None:
    folder = write_tiny(tmp_path / "tiny")
    add_measured(folder, {"pitch": 0.9, "level": -20.0})
    add_measured(folder, {"random_in_tune": 0.5, "random_auc_held": 0.9}, LATENT_PREFIXES)
    add_measured(folder, found.measured(), LATENT_PREFIXES)
    add_measured(folder, {"pitch": 0.95})
    assert load_preset(folder).measured == {"pitch": 0.95, **found.measured()}


def test_bad_input_is_refused() -> None:
    with pytest.raises(ParameterError, match="n_latents=0 must be 1 or more"):
        explore_latents(load_preset("leads"), n_latents=0)
    with pytest.raises(ParameterError, match="latents are not supported by preset 'winds-sketch'"):
        explore_latents(load_preset("winds-sketch"))


class _RealNotes(list):
    """Real notes without files."""

    folder = Path("recorded")

    def __init__(self, n: int, sample_rate: int) -> None:
        super().__init__(_Note(48 + i % 24, 90, i) for i in range(n))
        self._n_samples = 3 * sample_rate

    def waveform(self, note: Any) -> np.ndarray:
        noise = np.random.default_rng(note.index).standard_normal(self._n_samples)
        return (0.1 * noise).astype(np.float32)


class _Note:
    def __init__(self, pitch: int, velocity: int, index: int) -> None:
        self.pitch, self.velocity, self.index = pitch, velocity, index
        self.instrument = "kick"


def test_too_few_real_notes_are_refused_with_the_number() -> None:
    preset = load_preset("leads")
    real: Any = _RealNotes(59, preset.sample_rate)
    with pytest.raises(ParameterError, match="59 real notes have a pitch from"):
        explore_latents(preset, real=real)


@pytest.mark.slow
def test_each_real_note_is_compared_with_one_of_its_pitch(
    few_leads: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("parselmouth", reason="the tracker praat needs praat-parselmouth")
    calls: list[tuple[np.ndarray, ...]] = []

    def test(real: np.ndarray, generated: np.ndarray, pitches: np.ndarray, *_: Any, **__: Any):
        calls.append((real, generated, pitches))
        return {"held": Area((0.5,))}

    monkeypatch.setattr(explore, "two_sample_test", test)
    monkeypatch.setattr(explore, "MIN_NOTES", 12)
    rate = few_leads.sample_rate
    real: Any = _RealNotes(12, rate)
    found = explore_latents(few_leads, n_latents=1, real=real)
    assert set(found.areas) == {"named", "half-way", "random"} and found.n_compared == 12
    assert found.table()[-1] == ("two-sample test, held (AUC)", *["0.50 +-0.00"] * 3)
    (noise, named, pitches), _, (_, random, _) = calls
    assert noise.shape == named.shape == random.shape and noise.std() == pytest.approx(0.1, 0.01)
    for played in (named, random):
        for i in range(0, 12, 4):
            heard = note_pitch(played[i], rate, note_on_s=2.5, tracker="praat")
            assert heard == pytest.approx(pitches[i], abs=0.3)


def test_a_kit_is_explored_by_hits(few_drums: Preset, tmp_path: Path) -> None:
    found = explore_latents(few_drums, n_latents=2, seed=1)
    assert [sound.timbre for sound in found.group("named")] == few_drums.timbre_names
    assert [sound.n_notes for sound in found.sounds] == [1, 1, 1] + 4 * [N_NOTES]
    rows = {row[0]: row[1:] for row in found.table()}
    assert rows["silent notes"] == ("0.0%", "0.0%", "0.0%") and "notes in tune" not in rows
    assert "spectral flatness (dB)" in rows
    assert found.measured() == {"half_way_silent": 0.0, "random_silent": 0.0}
    page, _ = write_exploration(tmp_path / "out", found)
    text = page.read_text(encoding="utf-8")
    assert "five hits" in text and "in tune within" not in text and "{{" not in text
    kick, hat = (
        sound.features["brightness"]
        for sound in found.group("named")
        if sound.timbre in ("bass-drum", "closed-hi-hat")
    )
    assert kick < 200 < 5000 < hat


def test_a_preset_without_a_sustain_is_explored_by_hits_at_five_pitches() -> None:
    found = explore_latents(load_preset("percussion"), n_latents=1)
    assert [sound.n_notes for sound in found.sounds] == 8 * [N_NOTES]
    assert not found.has_pitch and found.share("named", "n_silent") == 0.0
    length = {sound.timbre: sound.features["length"] for sound in found.group("named")}
    assert length["taiko-drum"] < length["synth-drum"] < 0.5 * length["reverse-cymbal"]


def test_recordings_of_a_kit_are_compared_by_key(
    few_drums: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_set(**entry: object) -> None:
        text = toml_text("A kit.", {}, "instruments", [{"instrument_str": "kick", **entry}])
        (tmp_path / NOTES_TOML).write_text(text)

    calls: list[tuple[np.ndarray, ...]] = []

    def test(real: np.ndarray, generated: np.ndarray, keys: np.ndarray, *_: Any, **options: Any):
        calls.append((real, generated, keys))
        return {part: Area((0.5,)) for part in options["parts"]}

    monkeypatch.setattr(explore, "two_sample_test", test)
    monkeypatch.setattr(explore, "MIN_NOTES", 12)
    real: Any = _RealNotes(12, few_drums.sample_rate)
    real.folder = tmp_path
    write_set(key=36)
    found = explore_latents(few_drums, n_latents=1, real=real)
    assert found.n_compared == 12
    assert {"half_way_auc_attack", "random_auc_attack"} < set(found.measured())
    assert "held" not in str(found.measured())  # most drums have ended
    (_, named, keys), (_, half_way, _), _ = calls
    assert set(keys) == {36.0}
    rate, length = few_drums.sample_rate, named.shape[1] / few_drums.sample_rate
    velocity = 90 / 127
    kick = Synth(few_drums).render(
        [(0.0, length, 36, velocity)], seed=0, sample_rate=rate, stereo=False
    )[: named.shape[1]]
    assert np.allclose(named[0, : len(kick)], kick)
    assert not np.allclose(half_way[0, : len(kick)], kick)
    write_set(key=50)  # which the kit lacks
    with pytest.raises(ParameterError, match="0 real notes have a key of the kit"):
        explore_latents(few_drums, n_latents=1, real=real)
    write_set()
    with pytest.raises(ParameterError, match="isn't of a drum kit"):
        explore_latents(few_drums, n_latents=1, real=real)
