"""The Python examples and the notebook run (the C example: tests/cpp)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
OUTPUTS = {  # sound files that each script writes
    "render_notes": ["notes", "tuples", "two-presets"],
    "generate_and_continue": ["speech", "take-1", "take-2", "take-3"],
    "mix_timbres": ["mixed", "mixed-by-name", "random", "morphed"],
    "stream_blocks": ["score", "live", "speech"],
    "train_small": ["tones"],
}
NEEDS = {"train_small": "torch"}


def run(script: Path, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=600,
    )
    assert not done.returncode, done.stderr
    return done.stdout


def test_every_script_is_tested():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*OUTPUTS, "gpu_check"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n.startswith("train") else []) for n in OUTPUTS],
)
def test_script_writes_sound(name, tmp_path):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    run(EXAMPLES / f"{name}.py", tmp_path)
    assert sorted(p.stem for p in tmp_path.glob("*.wav")) == sorted(OUTPUTS[name])
    for output in OUTPUTS[name]:
        audio, _ = soundfile.read(tmp_path / f"{output}.wav")
        assert 1e-3 < abs(audio).max() <= 1.0


def test_gpu_check_without_a_gpu():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU; run examples/gpu_check.py")
    command = [sys.executable, str(EXAMPLES / "gpu_check.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert done.stderr.startswith("gpu_check: device='cuda' not found: torch ")
    assert done.stderr.count("\n") == 1


def code_cells() -> list[str]:
    notebook = json.loads((EXAMPLES / "explore.ipynb").read_text(encoding="utf-8"))
    return ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]


def test_the_notebook_has_no_outputs():
    notebook = json.loads((EXAMPLES / "explore.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
def test_the_notebook_runs(capsys):
    matplotlib = pytest.importorskip("matplotlib")
    pytest.importorskip("librosa")
    matplotlib.use("agg")
    # No IPython, which tests don't install: nobody looks at the players.
    names: dict = {"Audio": lambda *_, **__: None, "display": lambda *_: None}
    for cell in code_cells():
        cell = cell.replace("from IPython.display import Audio, display\n", "")
        exec(compile(cell, "explore.ipynb", "exec"), names)
    printed = [line.split(":") for line in capsys.readouterr().out.splitlines() if ":" in line]
    assert len(printed) == 7
    for asked, found in printed:
        assert abs(float(asked) - float(found)) < 0.2
