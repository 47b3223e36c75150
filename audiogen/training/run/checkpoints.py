"""The checkpoints of a training: the last three and the best, each whole or not there."""

from __future__ import annotations

import errno
import os
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import torch

import audiogen
from audiogen.errors import AudiogenError, FormatError

N_LAST = 3
# Previews, curves and the preset that comes of it.
BESIDE_BYTES = 1 << 28
_NAME = re.compile(r"checkpoint-(\d+)\.pt")


class Saved(Protocol):
    """What can be saved and gone on from."""

    step: int
    best: dict[str, Any]  # of held-out sound: "step", when it was heard

    def state(self) -> dict[str, Any]: ...


class Checkpoints:
    """A folder of files ``checkpoint-STEP.pt``.

    Parameters
    ----------
    folder : Path
        Made where it isn't there, once a training claims it or wants to save.
    say : callable
        Gets a sentence about a file that can't be used.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]):
        self.folder, self._say = folder, say

    def require_place(self) -> None:
        """Find out whether the folder is there or can be made; all is left as it was.

        Raises
        ------
        AudiogenError
        """
        missing = [path for path in self._upwards() if not os.path.exists(path)]
        self._make()
        with suppress(OSError):  # another training may begin beside it
            for path in missing:
                path.rmdir()

    def _upwards(self) -> tuple[Path, ...]:
        return (self.folder, *self.folder.parents)

    def _make(self) -> None:
        try:
            with suppress(FileNotFoundError):  # as `require_place` of another took a parent away
                self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AudiogenError(
                f"{self.folder}: can't be made ({error.strerror or error}); name another with --run"
            ) from error

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other trainings out of the folder meanwhile; the system knows when a process dies.

        Raises
        ------
        AudiogenError
            If another one has it, or it can't be made.
        """
        self._make()
        if os.name != "posix":
            yield
            return
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            if not _lock(folder):
                raise AudiogenError(
                    f"{self.folder}: another training writes there; wait for its end, stop it, or"
                    " give another folder"
                )
            yield
        finally:
            os.close(folder)

    def paths(self) -> list[Path]:
        """Oldest first."""
        if not self.folder.is_dir():
            return []
        found = [(int(m[1]), path) for path in self.folder.iterdir() if (m := _match(path))]
        return [path for _, path in sorted(found)]

    def newest(self) -> dict[str, Any] | None:
        """The state of the newest checkpoint that can be read; None where there is none.

        Raises
        ------
        FormatError
            If none of those that are there can be read, or it is another version's.
        """
        paths = self.paths()
        for path in reversed(paths):
            try:
                state = _read(path)
            except FormatError as error:
                self._say(f"{error}; the one before it is taken")
                continue
            return _of_this_version(state, path)
        if paths:
            raise FormatError(
                f"{self.folder}: none of its {len(paths)} checkpoints can be read; start anew in"
                " another folder"
            )
        return None

    def at(self, step: int) -> dict[str, Any]:
        """The state of the checkpoint of a step.

        Raises
        ------
        FormatError
            If there is none, it can't be read, or it is another version's.
        """
        path = self.folder / f"checkpoint-{step}.pt"
        if not path.is_file():
            there = ", ".join(str(_step(path)) for path in self.paths())
            raise FormatError(f"{path}: isn't there; there are steps {there or 'none'}")
        return _of_this_version(_read(path), path)

    def save(self, trainer: Saved) -> None:
        """Write a checkpoint beside its place, move it there, and let go of the oldest.

        The best is kept beside the last three: what was saved at the step of `Saved.best`.

        Raises
        ------
        AudiogenError
            If it can't be written; those that are there stay.
        """
        self._make()
        draft = self.folder / "checkpoint.tmp"
        try:
            with draft.open("wb") as file:
                torch.save({"version": audiogen.__version__, **trainer.state()}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.folder / f"checkpoint-{trainer.step}.pt")
        except OSError as error:
            draft.unlink(missing_ok=True)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            there = [path.name for path in self.paths()[-1:]]
            raise AudiogenError(
                f"{self.folder}: step {trainer.step} can't be saved"
                f" ({'the disk is full' if full else error.strerror or error});"
                f" {there[0] if there else 'no checkpoint'} is there:"
                f" {'free some space' if full else 'mend that'} and"
                f" {'go on with --resume' if there else 'start anew'}"
            ) from error
        # What is newer couldn't be read, or training wouldn't be here.
        steps = [_step(path) for path in self.paths() if _step(path) <= trainer.step]
        kept = {*steps[-N_LAST:], trainer.best["step"]}
        for path in self.paths():
            if _step(path) not in kept:
                path.unlink()

    def require_space(self, n_bytes: int) -> None:
        """Find out whether the disk has room for what will be kept.

        Parameters
        ----------
        n_bytes : int
            Of one checkpoint.

        Raises
        ------
        AudiogenError
        """
        # The last three, the best, and the one that is being written.
        wanted = (N_LAST + 2) * n_bytes + BESIDE_BYTES
        wanted -= sum(path.stat().st_size for path in self.paths())
        free = shutil.disk_usage(next(filter(os.path.exists, self._upwards()))).free
        if free < wanted:
            raise AudiogenError(
                f"{self.folder}: its disk has {free / 1e6:,.0f} MB left, and this training wants"
                f" {wanted / 1e6:,.0f} MB for checkpoints and previews; free some, or name a"
                " folder on another disk with --run"
            )


def n_bytes_of(*parts: Any) -> int:
    """Bytes of the tensors of modules and of tensors."""
    n = 0
    for part in parts:
        tensors = [part] if isinstance(part, torch.Tensor) else [*part.state_dict().values()]
        n += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return n


def _lock(folder: int) -> bool:
    """Whether nobody else had it; also where the file system knows no locks."""
    import fcntl

    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _match(path: Path) -> re.Match[str] | None:
    return _NAME.fullmatch(path.name)


def _step(path: Path) -> int:
    match = _match(path)
    assert match
    return int(match[1])


def _of_this_version(state: dict[str, Any], path: Path) -> dict[str, Any]:
    if state.get("version") != audiogen.__version__:
        raise FormatError(
            f"{path}: was made by audiogen {state.get('version', 'of old')}, this is"
            f" {audiogen.__version__}; go on with that one, or start anew in another folder"
        )
    return state


def _read(path: Path) -> dict[str, Any]:
    """A checkpoint is the user's own file of tensors and numbers: no code is read from it."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load doesn't look at the sums
            if (part := archive.testzip()) is not None:
                raise ValueError(f"{part} is damaged")
        state = torch.load(path, weights_only=True)
        if not isinstance(state, dict):
            raise ValueError("holds no state")
    except (
        OSError,
        EOFError,
        KeyError,
        RuntimeError,
        ValueError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise FormatError(f"{path}: can't be read ({reason})") from error
    return state
