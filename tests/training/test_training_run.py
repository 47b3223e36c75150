"""The progress line fits 80 columns, a missing GPU is named, and licences are combined."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.progress import Progress

pytest.importorskip("torch")

import audiogen
from audiogen.cli.main import main
from audiogen.cli.train.run import progress_columns
from audiogen.training.run.card import code_version, provenance
from audiogen.training.run.export import licence_with, source_with, training_table

LOSSES = "  ".join(f"{name} 1.234" for name in ("magnitude", "loud", "frequency", "held_out_loud"))


@pytest.mark.parametrize("losses", ["bits 4.123", LOSSES])
def test_the_progress_line_has_bar_step_and_time_left(losses: str) -> None:
    text = io.StringIO()
    console = Console(file=text, width=80, force_terminal=True, color_system=None)
    with Progress(*progress_columns(), console=console, expand=True) as bar:
        left = "1 h 02 min left"
        bar.add_task("", total=360_000, completed=12_345, left=left, losses=losses)
        bar.refresh()
    line = next(line for line in text.getvalue().splitlines() if "12345" in line)
    assert "12345/360000" in line and "1 h 02 min left" in line and "-:--" not in line
    visible = line.replace("\x1b[2K", "")
    assert visible.index("12345") > 16 and losses[:10] in visible  # after a bar of 16 characters
    assert len(visible.rstrip()) <= 80


@pytest.mark.parametrize("family", ["gansynth", "samplernn"])
def test_a_gpu_that_is_not_there_is_named(
    family: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (tmp_path / "sounds").mkdir()
    words = ["train", family, str(tmp_path / "sounds"), "-o", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--steps", "1", "--device", "cuda"])
    assert stopped.value.code == 2
    assert "device='cuda' not found: torch" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sounds", "weights", "both"),
    [
        ("CC0-1.0", "MIT", "CC0-1.0 AND MIT"),
        ("MIT", "MIT", "MIT"),
        ("Apache-2.0 OR MIT", "CC0-1.0", "(Apache-2.0 OR MIT) AND CC0-1.0"),
        ("not stated", "MIT", "unknown"),
        ("unknown", "MIT", "unknown"),
        ("MIT", "unknown", "unknown"),
    ],
)
def test_the_licence_is_that_of_sounds_and_weights(sounds: str, weights: str, both: str) -> None:
    trainer = SimpleNamespace(initialised_from="plucked", initial_licence=weights)
    assert licence_with(trainer, sounds) == both  # type: ignore[arg-type]
    source = source_with(trainer, "my harp")  # type: ignore[arg-type]
    assert source.startswith("my harp; weights initialised from the preset plucked")
    assert ("(MIT)" in source) == (weights == "MIT")  # where the licence is unknown


def test_sounds_of_a_training_are_named_by_their_content(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("b.wav", "a.wav")]
    for path in files:
        path.write_bytes(path.name.encode())
    sums = [hashlib.sha256(name).digest() for name in (b"a.wav", b"b.wav")]
    described = provenance(files, {})
    assert described["data_sha256"] == hashlib.sha256(b"".join(sums)).hexdigest()
    files[0].unlink()
    assert set(provenance(files, {})) == set(provenance([], {})) == {"version"}
    resumed = provenance(files, described | {"version": "0.0.1"})
    assert resumed["version"] == f"0.0.1; {described['version']}"
    assert provenance(files, resumed) == resumed  # the same build again


def test_the_version_of_a_working_tree_has_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "audiogen" / "__init__.py"
    package.parent.mkdir()
    package.write_text("")
    monkeypatch.setattr(audiogen, "__file__", str(package))
    assert code_version() == audiogen.__version__  # not a working tree
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "Begin"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    clean = code_version()
    assert re.fullmatch(rf"{audiogen.__version__}, commit [0-9a-f]{{12}}", clean)
    package.write_text("changed = True\n")
    assert code_version() == f"{clean}-dirty"
    monkeypatch.setenv("PATH", str(tmp_path))  # without git
    assert code_version() == audiogen.__version__


def test_the_command_names_the_initial_preset_once() -> None:
    for command in ("audiogen train x", "audiogen train x --from harp", "train --init-from harp"):
        text = training_table(command, 0, 1.0, 1, "harp", {})["command"]
        assert text.count("harp") == 1
