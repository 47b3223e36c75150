"""Studies that train or play: representations, spectra, tiers, own sounds, soak; at smoke size."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("parselmouth")
pytest.importorskip("midirenderer")

from audiogen.data.notes.nsynth import read_notes
from audiogen.studies import (
    SIZES,
    own_sounds,
    representations,
    run_study,
    samplernn_tiers,
    soak,
    wgan_gp_spectra,
)


def test_coherence_is_that_of_steady_phases():
    tone = representations.tone(60.0)
    noise = np.random.default_rng(0).standard_normal(len(tone))
    assert representations.coherence(tone, 60.0) > 0.99
    assert abs(representations.coherence(noise, 60.0)) < 0.15


@pytest.mark.slow
def test_representations_are_measured_beside_real_notes(tmp_path):
    result = run_study("representations", "smoke", tmp_path / "x")
    assert not result.missing and not result.checks
    rows = {line["row"]: line for line in result.numbers["rows"]}
    assert list(rows) == list(representations._rows())
    assert rows["real"]["frechet"] == pytest.approx(0.0, abs=1e-6) and rows["real"]["pitch"] == 1.0
    assert rows["real"]["coherence"] > 0.9 > 0.2 > rows["real, of random phase"]["coherence"]
    assert rows["trained, waveform"]["steps"] >= 2
    assert (tmp_path / "x" / representations.PICTURE).stat().st_size > 1000


def test_the_order_of_representations_is_checked():
    titles = ("IF, mel", "IF", "phase", "waveform")
    lines = [
        {"row": f"trained, {title}", "coherence": 1.0 - 0.1 * i, "frechet": 10.0 + i}
        for i, title in enumerate(titles)
    ]
    assert list(representations._checks(lines).values()) == [True, True]
    lines[0]["frechet"] = 10.5
    assert list(representations._checks(lines).values()) == [True, True]
    lines[0]["coherence"] = 0.85
    assert list(representations._checks(lines).values()) == [False, True]
    assert not representations._checks(lines[1:])


def test_shapes_of_generators_are_compared_with_real_patches(tmp_path):
    result = run_study("wgan-gp-spectra", "smoke", tmp_path / "x")
    assert not result.missing and not result.checks
    of = {(r["generator"], r["critic"]): r for r in result.numbers["generators"]}
    real = of.pop((wgan_gp_spectra.REAL, wgan_gp_spectra.UNTRAINED))["frechet"]
    assert 0 < real < min(line["frechet"] for line in of.values())
    assert len(of) == len(wgan_gp_spectra.SHAPES) * 3
    for line in of.values():
        line["frechet"] = {"wasserstein": 2.0, "wasserstein-gp": 1.0}.get(line["critic"], 3.0)
    assert list(wgan_gp_spectra._checks(of).values()) == [True]
    of["MLP of 4 layers", "wasserstein-gp"]["frechet"] = 2.5
    ((claim, holds),) = wgan_gp_spectra._checks(of).items()
    assert claim.endswith("for 5 of 6 shapes") and not holds


@pytest.mark.slow
def test_tiers_are_trained_on_one_split(tmp_path):
    result = run_study("samplernn-tiers", "smoke", tmp_path / "x")
    bits = {line["network"]: line["bits"] for line in result.numbers["models"]}
    assert list(bits) == ["bigram", "unigram", *samplernn_tiers.NETWORKS]
    assert 0 < bits["bigram"] < bits["unigram"] < 9.0
    assert all(np.isfinite(list(bits.values()))) and not result.checks
    lines = [{"network": name, "bits": 3.0} for name in bits]
    lines[2]["bits"], lines[3]["bits"] = 3.5, 2.5  # equation 2, flat
    assert list(samplernn_tiers._checks(lines).values()) == [True, False]


@pytest.mark.slow
def test_a_folder_of_sounds_may_be_given(tmp_path, monkeypatch):
    sizes = dataclasses.replace(samplernn_tiers.SIZES["smoke"], is_evidence=True)
    monkeypatch.setitem(samplernn_tiers.SIZES, "full", sizes)
    from audiogen.studies.sounds import parametric_notes

    parametric_notes(tmp_path / "mine", 20, 0)
    result = run_study("samplernn-tiers", "full", tmp_path / "x", data=tmp_path / "mine")
    assert result.tables[0].title.startswith("mine:") and len(result.checks) == 2
    settings = json.loads((tmp_path / "x" / "settings.json").read_text())
    assert settings["data"] == str(tmp_path / "mine")


def test_every_file_with_sound_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOGEN_CACHE", str(tmp_path / "cache"))
    result = run_study("own-sounds", "smoke", tmp_path / "x")
    assert not result.missing and list(result.checks.values()) == [True]
    (files,) = result.numbers["parts"]
    assert (files["used"], files["files"]) == (9, 12) and files["notes"] >= 12
    kinds = {path.suffix for path in (tmp_path / "x" / own_sounds.RECORDINGS).iterdir()}
    assert kinds == {".wav", ".flac", ".ogg"}
    files["left_out"].pop()
    assert list(own_sounds._checks({"files": files}).values()) == [False]


@pytest.mark.slow
def test_a_killed_training_has_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOGEN_CACHE", str(tmp_path / "cache"))
    options = ("--family", "samplernn", "--steps", "60", "--dim", "32", "--preview-minutes", "0")
    sizes = dataclasses.replace(own_sounds.SIZES["smoke"], training=options)
    monkeypatch.setitem(own_sounds.SIZES, "smoke", sizes)
    monkeypatch.setattr(own_sounds, "POLL_S", 0.1)
    monkeypatch.setattr(own_sounds, "verify_preset", lambda preset: type("V", (), {"faults": []}))
    result = run_study("own-sounds", "smoke", tmp_path / "x")
    assert not result.missing and all(result.checks.values()), result.text()
    whole, killed = result.numbers["parts"][1:]
    assert whole["weights"] == killed["weights"] and killed["killed_at"] > 0


def test_a_second_of_live_playing(tmp_path):
    if shutil.which("jackd") is None:
        pytest.skip("jackd isn't installed; apt install jackd2")
    pytest.importorskip("jack", reason="JACK-Client isn't installed; pip install JACK-Client")
    pytest.importorskip("audiogen._native")
    result = run_study("soak", "smoke", tmp_path / "x")
    (run,) = result.numbers["runs"]
    assert run["ours"]["blocks"] > 100 < run["idle"]["blocks"] and run["notes"] > 0
    assert len(result.tables[0].rows) == 2 and not result.checks


def test_growth_uncounted_silence_and_late_blocks_refute_the_claims():
    def made(**changed):
        client = soak.Client(100, 0, 0.0)
        values = dict.fromkeys((f.name for f in dataclasses.fields(soak.Soak)), 0)
        return soak.Soak(**{**values, "ours": client, "idle": client, **changed})

    assert list(soak._checks([made()]).values()) == [True, True]
    assert list(soak._checks([made(growth_mb=110.0)]).values()) == [False, True]
    assert list(soak._checks([made(), made(silent=3)]).values()) == [True, False]
    assert list(soak._checks([made(silent=3, late=4)]).values()) == [True, True]
    judged = {"period": 256, "seconds": 600.0}
    assert list(soak._checks([made(late=4), made(**judged)]).values()) == [True, True, True]
    (claim, holds) = list(soak._checks([made(**judged, late=4, margin_ms=5.0)]).items())[-1]
    assert not holds and "10 minutes at 256 samples and a margin of 5 ms (4 of 100)" in claim


def test_every_study_has_both_sizes():
    modules = (representations, wgan_gp_spectra, samplernn_tiers, own_sounds, soak)
    assert all(tuple(module.SIZES) == SIZES for module in modules)


def test_parametric_notes_are_a_set(tmp_path):
    from audiogen.studies.sounds import parametric_notes

    notes = parametric_notes(tmp_path / "notes", 6, 0)
    assert len(notes) == 6 and {note.sample_rate for note in notes} == {16000}
    assert len(read_notes(tmp_path / "notes")) == 6
