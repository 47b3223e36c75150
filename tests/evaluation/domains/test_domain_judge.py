"""Judges of several banks: selection, evidence, novelty alarm, file, tags and reports."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")

from audiogen.cli.main import main
from audiogen.data.toy_notes import draw_notes
from audiogen.errors import FormatError, ParameterError
from audiogen.evaluation.domains import judge as judges
from audiogen.evaluation.domains.banks import read_domains
from audiogen.evaluation.domains.judge import DomainJudge, judge_images, make_judge
from audiogen.evaluation.domains.sweep import plan, sweep
from audiogen.evaluation.domains.tag import tag_files
from audiogen.evaluation.sets import spoiled
from audiogen.evaluation.sets.judge import read_judge

FAMILY_OF_TOYS = ("bass", "brass")  # families 0 and 1 stand for plucked and sustained


@pytest.fixture(scope="module")
def runs(toy_domains, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    names = ("bright", "dark", "plain")
    planned = plan(toy_domains, names, algorithms=["erm", "coral"], draws=1, trials=1, n_steps=2)
    sweep(planned, folder)
    return folder


@pytest.fixture(scope="module")
def judge(toy_domains, runs):
    from audiogen.evaluation.domains.sweep import read_records

    return make_judge(
        read_domains(toy_domains), read_records(runs), name="toy", n_steps=40,
        banks=[{"name": "plain", "licence": "CC0"}],
    )  # fmt: skip


def call(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, " ".join(captured.err.split())


def toy_sounds(n, seed):
    notes = draw_notes(n, seed)
    return np.repeat(notes.sounds, 4, axis=1), notes


@pytest.mark.slow
def test_its_evidence_is_of_banks_that_it_did_not_see(judge, monkeypatch, toy_domains, runs):
    assert [u.bank for u in judge.unheard] == ["bright", "dark", "plain"]
    assert all(u.n == 100 and u.family > 0.75 for u in judge.unheard)
    assert "On unseen banks: family" in judge.evidence and "plain" in judge.evidence
    trained, train = [], judges.train

    def spied(algorithm, domains, *rest):
        trained.append(sum(len(notes.labels) for notes in domains))
        return train(algorithm, domains, *rest)

    monkeypatch.setattr(judges, "train", spied)
    from audiogen.evaluation.domains.sweep import read_records

    make_judge(read_domains(toy_domains), read_records(runs), name="x", n_steps=1)
    assert trained == [160, 160, 160, 240]  # each bank is left out once; all but the notes aside


def test_it_names_families_and_marks_what_it_does_not_know(judge):
    sounds, notes = toy_sounds(60, 77)
    families, pitches = judge.probabilities(judge_images(sounds, 16000))
    assert families.shape == (60, 11) and pitches.shape == (60, 49)
    assert families.sum(axis=1) == pytest.approx(1) and pitches.sum(axis=1) == pytest.approx(1)
    assert np.mean(families.argmax(axis=1) == notes.families) > 0.85
    assert judge.pitch_probabilities(sounds, 16000) == pytest.approx(pitches)
    assert judge.embed(sounds, 16000).shape == (60, 64)
    twice = judge.embed(np.repeat(sounds[:4], 2, axis=1), 32000)
    assert twice == pytest.approx(judge.embed(sounds[:4], 16000), abs=0.5)
    known = judge.is_novel(judge_images(sounds, 16000)).mean()
    noise = np.random.default_rng(0).standard_normal((20, 16000))
    assert known < 0.3 and judge.is_novel(judge_images(noise, 16000)).mean() > 0.9
    with pytest.raises(ParameterError, match=r"sample_rate=8000 must be 16000 Hz or more"):
        judge.embed(sounds, 8000)


def test_novelty_is_the_distance_to_the_nearest_family():
    features = np.random.default_rng(0).standard_normal((200, 3))
    families = np.repeat([0, 1], 100)
    features[100:] += 10
    means, precision = judges._fitted(features, families)
    assert means[0] == pytest.approx(features[:100].mean(axis=0))
    assert means[5] == pytest.approx(features.mean(axis=0))
    near, far = judges._distances(np.array([means[1], means[1] + [5, 0, 0]]), means, precision)
    assert near == pytest.approx(0, abs=1e-9) and far == pytest.approx(25 * precision[0, 0])


def test_its_file_is_data_and_keeps_everything(judge, tmp_path):
    judge.save(tmp_path / "j.safetensors")
    again = read_judge(tmp_path / "j.safetensors")
    assert isinstance(again, DomainJudge)
    assert (again.hash, again.evidence, again.card) == (judge.hash, judge.evidence, judge.card)
    assert (tmp_path / "j.safetensors").stat().st_size < 1_000_000
    sounds, _ = toy_sounds(4, 5)
    assert np.array_equal(again.embed(sounds, 16000), judge.embed(sounds, 16000))
    weights = {k: v for k, v in judge.weights.items() if k != "classifier.bias"}
    with pytest.raises(FormatError, match=r"incomplete: .*classifier.bias"):
        DomainJudge(weights, judge.card)
    with pytest.raises(FormatError, match=r"incomplete: 'threshold'"):
        DomainJudge(judge.weights, {"name": "x"})
    (tmp_path / "bad").write_text("x")
    with pytest.raises(FormatError, match=r"can't be read as a judge"):
        judges.read_domain_judge(tmp_path / "bad")


def test_files_are_tagged_and_bad_ones_named(judge, tmp_path, capsys):
    judge.save(tmp_path / "j.safetensors")
    folder = tmp_path / "mine"
    folder.mkdir()
    sounds, notes = toy_sounds(10, 3)
    for i, sound in enumerate(sounds):
        silence = np.zeros(4000)
        stereo = np.stack([np.concatenate([silence, 0.2 * sound])] * 2, axis=1)
        soundfile.write(folder / f"{i}.wav", stereo, 16000)
    tags = list(tag_files(sorted(folder.glob("*.wav")), judge))
    right = [t.family == FAMILY_OF_TOYS[f] for t, f in zip(tags, notes.families, strict=True)]
    assert np.mean(right) >= 0.8 and all(36 <= t.pitch <= 84 for t in tags)
    status, out, error = call(capsys, "tag", folder, "--judge", tmp_path / "j.safetensors")
    assert status == 0 and len(out.splitlines()) == 10 and "On unseen banks" in error
    soundfile.write(folder / "silent.wav", np.zeros(16000), 16000)
    soundfile.write(folder / "click.wav", np.r_[np.ones(10), np.zeros(16000)], 16000)
    soundfile.write(folder / "low.wav", sounds[0], 8000)
    status, out, error = call(
        capsys, "tag", folder, tmp_path / "no.wav", "--json", "--judge", tmp_path / "j.safetensors"
    )
    assert status == 2 and len(out.splitlines()) == 10 and "4 files can't be tagged" in error
    assert set(json.loads(out.splitlines()[0])) >= {"family", "pitch", "is_novel"}
    for message in ("is silent", "too short", "must be 16000 Hz or more", "isn't there"):
        assert message in error, message


def test_a_judge_is_exported_by_a_command(toy_domains, runs, tmp_path, capsys):
    words = ("domains", "judge", toy_domains, "--runs", runs, "--steps", "2")
    status, out, _ = call(capsys, *words, "-o", tmp_path / "j.safetensors")
    assert status == 0 and "On unseen banks" in out
    card = judges.read_domain_judge(tmp_path / "j.safetensors").card
    assert card["name"] == "j" and {b["licence"] for b in card["banks"]} == {"CC0"}
    status, _, error = call(capsys, *words, "-o", tmp_path / "no" / "j.safetensors")
    assert status == 2 and "there is no folder" in error
    status, _, error = call(
        capsys, "domains", "judge", toy_domains, "--runs", tmp_path, "-o", tmp_path / "k"
    )
    assert status == 2 and "has no runs; give the folder of audiogen domains sweep" in error


@pytest.mark.slow
def test_the_judge_of_the_package_names_its_banks_and_reports_print_it(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("AUDIOGEN_CACHE", str(tmp_path / "cache"))
    for name in ("random_phase", "wrong_pitch"):
        monkeypatch.setattr(spoiled, name, lambda notes, seed: notes)
    monkeypatch.setattr(spoiled, "averaged_over_time", lambda notes: notes)
    shipped = judges.shipped_judge()
    assert judges.SHIPPED.stat().st_size < 1_000_000
    assert {u.bank for u in shipped.unheard} == {b["name"] for b in shipped.card["banks"]}
    assert all(b["licence"] and len(b["sha256"]) == 64 for b in shipped.card["banks"])
    assert np.mean([u.pitch for u in shipped.unheard]) > 0.9
    assert np.mean([u.family for u in shipped.unheard]) > 0.22  # the most frequent family's share
    t = np.arange(24000) / 16000
    for seed, name in enumerate(("real", "made")):
        (tmp_path / name).mkdir()
        random = np.random.default_rng(seed)
        for i in range(90 if name == "real" else 45):
            hz = 440 * 2 ** ((int(random.integers(48, 72)) - 69) / 12)
            sound = sum(random.random() / k * np.sin(2 * np.pi * hz * k * t) for k in range(1, 6))
            soundfile.write(tmp_path / name / f"{i}.wav", 0.1 * np.exp(-2 * t) * sound, 16000)
    words = ("evaluate", tmp_path / "made", "--against", tmp_path / "real", "--metrics", "is")
    status, out, error = call(capsys, *words, "--judge", "domains", "-o", tmp_path / "report")
    assert status == 0, error
    assert " ".join(shipped.evidence.split()) in " ".join(out.split())
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["judge"]["evidence"] == shipped.evidence
