"""The log of a run makes a self-contained page, and its errors don't stop the training."""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")

from audiogen.training.run import log as journals
from audiogen.training.run.html_report import curves
from audiogen.training.run.log import Journal

RATE = 8000


def tone(seconds: float = 0.5) -> tuple[np.ndarray, int]:
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * 300 * t)).astype(np.float32), RATE


@pytest.fixture
def said() -> list[str]:
    return []


def open_journal(folder: Path, said: list[str], step: int = 0) -> Journal:
    about = {"data": "3 <files>", "command": "audiogen train x"}
    details = {"Left out": ["a.wav: <silent>", "b.wav: no pitch"], "Remarks": []}
    return Journal(folder, "murmur & sons", about, said.append, step, 100, details)


def embedded(page: str, kind: str) -> list[bytes]:
    return [base64.b64decode(text) for text in re.findall(f'src="data:{kind};base64,(.*?)"', page)]


def test_the_page_holds_all_of_it(tmp_path: Path, said: list[str]) -> None:
    journal = open_journal(tmp_path, said)
    journal.report(10, {"bits": 5.0}, 60.0, 540)
    journal.report(20, {"bits": 4.0, "held_out_bits": 4.5}, 120.0, 480, warning="mind the gap > 0")
    journal.preview(20, tone)
    page = (tmp_path / "report.html").read_text()
    assert "murmur &amp; sons" in page and "3 &lt;files&gt;" in page and "audiogen train x" in page
    assert "20 of 100" in page and "2 min 00 s so far, 8 min 00 s left" in page
    assert "mind the gap &gt; 0" in page and "Step 20" in page
    assert page.count("<svg") == 1 and "held-out" in page
    assert "Left out (2)" in page and "<li>a.wav: &lt;silent&gt;</li>" in page
    assert page.index("Previews") < page.index("Left out") and "Remarks" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # nothing lies elsewhere
    (sound,), (picture,) = embedded(page, "audio/flac"), embedded(page, "image/jpeg")
    assert sound == (tmp_path / "previews" / "20.flac").read_bytes()
    assert soundfile.info(tmp_path / "previews" / "20.flac").frames == RATE // 2
    assert picture[:2] == b"\xff\xd8" and len(picture) < 200_000
    assert (tmp_path / "previews" / "20.png").exists()
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [10, 20] and log[1]["held_out_bits"] == 4.5
    assert not said


def test_the_result_is_shown(tmp_path: Path, said: list[str]) -> None:
    run, preset = tmp_path / "run", tmp_path / "preset"
    run.mkdir()
    journal = open_journal(run, said)
    journal.report(100, {"bits": 4.0}, 60.0, 0)
    journal.preview(50, tone)
    preset.mkdir()
    (preset / "preview.flac").write_bytes((run / "previews" / "50.flac").read_bytes())
    (preset / "preview.png").write_bytes((run / "previews" / "50.png").read_bytes())
    journal.finish("held_out_bits 4.000", preset)
    page = (run / "report.html").read_text()
    assert "held_out_bits 4.000" in page and "so far" not in page
    assert page.index("The preset") < page.index("Step 50")
    assert len(embedded(page, "audio/flac")) == 2 and not said


def test_many_previews_are_thinned_on_the_page(tmp_path: Path, said: list[str]) -> None:
    journal = open_journal(tmp_path, said)
    journal.preview(1, tone)
    for step in range(2, 31):
        for kind in ("flac", "png"):
            content = (tmp_path / "previews" / f"1.{kind}").read_bytes()
            (tmp_path / "previews" / f"{step}.{kind}").write_bytes(content)
    journal.write_page()
    shown = re.findall(r"Step (\d+)", (tmp_path / "report.html").read_text())
    assert len(shown) == 8 and shown[0] == "30" and shown[-1] == "1"


def test_a_log_continues_from_the_step_of_the_checkpoint(tmp_path: Path, said: list[str]) -> None:
    first = open_journal(tmp_path, said)
    for step in (10, 20, 30):
        first.report(step, {"bits": float(step)}, 1.0, 1.0)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 31, "secon')  # killed here
    second = open_journal(tmp_path, said, step=20)
    second.report(25, {"bits": 0.0}, 1.0, 3.0)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [10, 20, 25]


def test_tensorboard_gets_curves_and_previews(tmp_path: Path, said: list[str]) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    journal = open_journal(tmp_path, said)
    journal.report(10, {"bits": 5.0}, 60.0, 540)
    journal.report(20, {"bits": 4.0, "held_out_bits": 4.5}, 120.0, 480)
    journal.preview(20, tone)
    journal.finish("")
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("bits")] == [(10, 5.0), (20, 4.0)]
    assert [(e.step, e.value) for e in events.Scalars("held_out_bits")] == [(20, 4.5)]
    (sound,) = events.Audio("preview")
    assert sound.step == 20 and sound.sample_rate == RATE
    assert [image.step for image in events.Images("preview")] == [20] and not said


def test_missing_tensorboard_is_reported_once(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    journal = open_journal(tmp_path, said)
    journal.report(10, {"bits": 5.0}, 60.0, 540)
    journal.preview(10, tone)
    assert len(said) == 1 and "pip install tensorboard" in said[0]
    assert "Step 10" in (tmp_path / "report.html").read_text()


def test_errors_are_reported_once_and_stop_nothing(tmp_path: Path, said: list[str]) -> None:
    journal = open_journal(tmp_path, said)

    def broken() -> tuple[np.ndarray, int]:
        raise RuntimeError("no sound today")

    for step in (1, 2):
        journal.preview(step, broken)
    assert len(said) == 1 and "no sound today" in said[0] and "training continues" in said[0]
    (tmp_path / "report.html").unlink()
    (tmp_path / "report.html").mkdir()
    journal.report(100, {"bits": 1.0}, 1.0, 0)
    assert len(said) == 2 and "the page can't be written" in said[1]
    with pytest.raises(KeyboardInterrupt):  # which is not harmless
        journal.preview(3, lambda: signal_ctrl_c())


def signal_ctrl_c() -> tuple[np.ndarray, int]:
    raise KeyboardInterrupt


def test_the_page_is_written_now_and_then(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(journals.time, "monotonic", lambda: now)
    journal = open_journal(tmp_path, said)
    journal.report(1, {"bits": 1.0}, 1.0, 99)
    page = tmp_path / "report.html"
    page.unlink()
    now += 0.9 * journals.PAGE_EVERY_S
    journal.report(2, {"bits": 1.0}, 1.0, 49)
    assert not page.exists()
    now += 0.1 * journals.PAGE_EVERY_S
    journal.report(3, {"bits": 1.0}, 1.0, 32)
    assert page.exists()


def test_long_curves_are_averaged_not_cut() -> None:
    random = np.random.default_rng(0)
    entries = [{"step": i, "a": float(random.random())} for i in range(30_000)]
    drawn = curves(entries)
    assert len(drawn) < 60_000
    assert curves([]) == "" and curves([{"step": 1, "seconds": 0.0, "time": 1}]) == ""
