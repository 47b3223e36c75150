"""Studies: the registry, resuming, and the smoke size of the study of memorisers."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")

from audiogen import studies
from audiogen.errors import ParameterError
from audiogen.studies import StudyResult, Table, nnd_memoriser, run_study, wgan_gp
from audiogen.studies.parts import run_parts

TINY = nnd_memoriser.Size(240, 60, 60, 5, (8,), 8, (1, 2, 3), (8,), 2, 2, False)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(nnd_memoriser.SIZES, "smoke", TINY)


def test_a_stopped_run_is_resumed(tiny, tmp_path, monkeypatch):
    trained = []
    value = nnd_memoriser.critic_value

    def counted(*sets, **options):
        trained.append(options["seed"])
        return value(*sets, **options)

    monkeypatch.setattr(nnd_memoriser, "critic_value", counted)
    stopped = run_study("nnd-memoriser", "smoke", tmp_path, minutes=0.0)
    assert stopped.missing == "22 of 22 critics" and not trained
    with (tmp_path / nnd_memoriser.RUNS).open("w") as file:
        for key in list(nnd_memoriser._runs(TINY))[:20]:
            line = dict(zip(("row", "steps", "seed"), key, strict=True))
            file.write(json.dumps({**line, "value": 0.25, "seen": 0.5}) + "\n")
        file.write('{"row": "cut o')
    result = run_study("nnd-memoriser", "smoke", tmp_path)
    assert len(trained) == 2 and not result.missing
    content = json.loads((tmp_path / "report.json").read_text())
    assert (content["study"], content["size"], content["missing"]) == ("nnd-memoriser", "smoke", "")
    assert "| memorised 8 |" in (tmp_path / "report.md").read_text()
    with pytest.raises(ParameterError, match=r"holds a run with .*name another folder"):
        run_study("nnd-memoriser", "smoke", tmp_path, seed=1)


def test_bad_requests_are_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    for arguments, message in (
        (
            ("nothing", "smoke", tmp_path / "x"),
            "study 'nothing' not found; there are nnd-memoriser, wgan-gp",
        ),
        (("nnd-memoriser", "huge", tmp_path / "x"), "size='huge' must be one of smoke, full"),
        (("nnd-memoriser", "smoke", tmp_path), "isn't empty"),
    ):
        with pytest.raises(ParameterError, match=message):
            run_study(*arguments)


def test_only_a_study_of_sounds_takes_a_folder_of_them(tmp_path):
    with pytest.raises(ParameterError, match=r"data is not supported by soak, only by samplernn-t"):
        run_study("soak", "smoke", tmp_path / "a", data=tmp_path)
    with pytest.raises(ParameterError, match=r"data=None must be a folder .* --data FOLDER"):
        run_study("samplernn-tiers", "full", tmp_path / "b")


def test_every_registered_study_has_a_module_with_run():
    import importlib

    for study in studies.STUDIES.values():
        assert callable(importlib.import_module(f"audiogen.studies.{study.module}").run)


def test_the_command_prints_and_fails_with_a_claim(monkeypatch, tmp_path, capsys):
    from audiogen.cli.main import main

    for checks, status in (({"holds": True}, 0), ({"holds": False}, 3)):
        monkeypatch.setattr(
            nnd_memoriser,
            "run",
            lambda size, folder, checks=checks, **options: StudyResult(
                [Table("numbers", [("a", "b"), ("1", "2")])], {"a": np.nan}, checks
            ),
        )
        with pytest.raises(SystemExit) as stopped:
            main(["study", "run", "nnd-memoriser", "-o", str(tmp_path / str(status))])
        assert int(stopped.value.code or 0) == status
        assert "| 1 | 2 |" in capsys.readouterr().out
        content = json.loads((tmp_path / str(status) / "report.json").read_text())
        assert content["numbers"] == {"a": None}
    with pytest.raises(SystemExit):
        main(["study", "list"])
    assert "nnd-memoriser" in capsys.readouterr().out


def test_the_blur_is_a_mean_over_neighbours():
    image = np.zeros((1, 5, 5), np.float32)
    image[0, 2, 2] = 9
    assert nnd_memoriser.mixed_with_neighbours(image, 0.5)[0, 2, 2] == 5
    assert nnd_memoriser.mixed_with_neighbours(image, 0.5)[0, 1, 1] == 0.5


def test_parts_are_resumed_and_run_in_processes(tmp_path):
    path, parts = tmp_path / "runs.jsonl", [{"name": "a", "n": n} for n in range(5)]
    path.write_text('{"name": "a", "n": 1, "double": -1}\n{"name": "a", "n')  # cut off
    shown = []
    work = partial(dict, double=2)  # which a spawned process can import
    lines = run_parts(
        path, parts, work, jobs=2, progress=lambda done, total: shown.append((done, total))
    )
    assert [(line["n"], line["double"]) for line in lines] == list(enumerate((2, -1, 2, 2, 2)))
    assert shown[0] == (1, 5) and shown[-1] == (5, 5)
    assert run_parts(path, parts, work) == lines
    assert len([line for line in path.read_text().splitlines() if line.endswith("}")]) == 5
    stopped = run_parts(path, [*parts, {"name": "b", "n": 0}], work, minutes=0.0)
    assert stopped == lines


def test_penalty_study_measures_a_perfect_and_a_collapsed_generator():
    points = wgan_gp.toys()["8 Gaussians"]
    perfect = wgan_gp.coverage(points, points.draw(2000))
    assert perfect["modes"] == 8 and perfect["near"] > 0.97 and perfect["distance"] < 0.1
    one = points.centres[0, :1] + points.deviation * wgan_gp.torch.randn(2000, 2)
    collapsed = wgan_gp.coverage(points, one)
    assert collapsed["modes"] == 1 and collapsed["near"] > 0.97 and collapsed["distance"] > 0.5


@pytest.mark.slow
def test_penalty_study_judges_only_what_has_run(tmp_path):
    result = run_study("wgan-gp", "smoke", tmp_path)
    assert not result.missing and not result.checks  # too small to decide
    assert {"contours.png", "gradients.png"} <= {path.name for path in tmp_path.iterdir()}
    assert [row[0] for row in result.tables[0].rows[1:]] == [wgan_gp.REFERENCE, *wgan_gp.OBJECTIVES]
    assert [row[0] for row in result.tables[1].rows[1:]] == list(wgan_gp.DEEP_CRITICS)
    full, lines = wgan_gp.SIZES["full"], []
    for critic, modes, distance in (("wasserstein", 6, 0.06), ("wasserstein-gp", 8, 0.03)):
        for _ in range(3):
            numbers = {"modes": modes, "near": 0.5, "distance": distance}
            lines.append({"part": "points", "set": "8 Gaussians", "critic": critic, **numbers})
    assert list(wgan_gp._checks(full, lines).values()) == [True, True]
    lines[-1]["modes"] = 7
    assert list(wgan_gp._checks(full, lines).values()) == [False, True]
    assert not wgan_gp._checks(full, lines[:-1])
