"""The last three checkpoints and the best are kept; damage and a full disk are reported."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import audiogen
from audiogen.errors import AudiogenError, FormatError
from audiogen.training.run import checkpoints
from audiogen.training.run.checkpoints import Checkpoints


class Counter:
    """Something to save: its step, and numbers that follow from it."""

    def __init__(self, step: int, best: int = 0):
        self.step, self.best = step, {"step": best}

    def state(self) -> dict[str, Any]:
        return {"kind": "samplernn", "step": self.step, "numbers": torch.arange(1000.0) + self.step}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail(line: str) -> None:
    pytest.fail(f"said: {line}")


def test_the_last_three_and_the_best_are_kept(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "run", fail)
    assert kept.newest() is None
    for step in (8, 9, 10, 11, 12, 100):
        kept.save(Counter(step, best=9))
    assert [p.name for p in kept.paths()] == [f"checkpoint-{n}.pt" for n in (9, 11, 12, 100)]
    assert names(kept.folder) == sorted(p.name for p in kept.paths())
    state = kept.newest()
    assert state is not None and state["step"] == 100 and state["numbers"][0] == 100.0


def test_one_training_writes_at_a_time(tmp_path: Path) -> None:
    first, second = (Checkpoints(tmp_path / "run", fail) for _ in range(2))
    with first.claimed():
        with pytest.raises(AudiogenError, match="another training writes there"):
            with second.claimed():
                pass
        assert second.newest() is None  # it may be read meanwhile
    with second.claimed():
        pass


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF  # in the numbers: torch.load reads on
    path.write_bytes(content)


DAMAGE = {
    "a flipped byte": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:2000]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello"),
    "zeros": lambda path: path.write_bytes(bytes(5000)),
    "a zip": lambda path: (
        shutil.make_archive(str(path), "zip", path.parent, "none")
        and shutil.move(f"{path}.zip", path)
    ),
    "a tensor": lambda path: torch.save(torch.zeros(3), path),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_checkpoint_before_a_damaged_one_is_used(tmp_path: Path, damage: str) -> None:
    said: list[str] = []
    kept = Checkpoints(tmp_path, said.append)
    for step in (1, 2, 3):
        kept.save(Counter(step))
    newest = tmp_path / "checkpoint-3.pt"
    (tmp_path / "none").mkdir()
    DAMAGE[damage](newest)
    state = kept.newest()
    assert state is not None and state["step"] == 2
    assert len(said) == 1
    assert said[0].startswith(f"{newest}: can't be read (") and said[0].endswith("is used")
    # What training goes on to save takes the place of the damaged one.
    kept.save(Counter(2))
    assert [p.name for p in kept.paths()] == ["checkpoint-1.pt", "checkpoint-2.pt"]


def test_no_readable_checkpoint_is_an_error(tmp_path: Path) -> None:
    said: list[str] = []
    kept = Checkpoints(tmp_path, said.append)
    for step in (1, 2):
        kept.save(Counter(step))
        flip(tmp_path / f"checkpoint-{step}.pt")
    with pytest.raises(FormatError, match="none of its 2 checkpoints can be read"):
        kept.newest()
    assert len(said) == 2


def test_a_checkpoint_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Checkpoints(tmp_path, fail)
    monkeypatch.setattr("audiogen.__version__", "0.0.9")
    kept.save(Counter(1))
    monkeypatch.undo()
    with pytest.raises(FormatError, match=r"was written by audiogen 0\.0\.9, this is"):
        kept.newest()


def test_a_checkpoint_states_its_kind_and_version(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, fail)
    kept.save(Counter(1))
    state = kept.newest()
    assert state is not None and state["kind"] == "samplernn"
    assert state["audiogen_version"] == audiogen.__version__


def test_a_checkpoint_without_a_kind_is_refused(tmp_path: Path) -> None:
    """Early builds wrote none, and the key "version"."""
    kept = Checkpoints(tmp_path, fail)
    state = {"version": audiogen.__version__, "step": 1, "average_latents": torch.zeros(2)}
    torch.save(state, tmp_path / "checkpoint-1.pt")
    for read in (kept.newest, lambda: kept.at(1)):
        with pytest.raises(FormatError, match=r"early build .* --init-from"):
            read()


def test_a_disk_that_fills_up_leaves_what_is_there(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, fail)
    draft = tmp_path / "checkpoint.tmp"
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full")
    draft.symlink_to(full)
    with pytest.raises(AudiogenError, match=r"the disk is full.*no checkpoint is the last one"):
        kept.save(Counter(1))
    kept.save(Counter(1))
    draft.symlink_to(full)
    with pytest.raises(AudiogenError, match=r"step 2 .*disk is full.*checkpoint-1\.pt.*--resume"):
        kept.save(Counter(2))
    assert names(tmp_path) == ["checkpoint-1.pt"]
    state = kept.newest()
    assert state is not None and state["step"] == 1


def test_too_little_space_is_an_error_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Checkpoints(tmp_path, fail)
    free = 100_000_000 + checkpoints.OTHER_BYTES
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    kept.require_space(20_000_000)
    with pytest.raises(AudiogenError, match=r"has 368 MB left, and this training needs 373 MB"):
        kept.require_space(21_000_000)
    # What is there is replaced in time.
    (tmp_path / "checkpoint-1.pt").write_bytes(bytes(6_000_000))
    kept.require_space(21_000_000)
