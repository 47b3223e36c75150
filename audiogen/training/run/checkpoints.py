"""The checkpoints of a run: the last three and the best, each written whole or not at all."""

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
VERSION = "audiogen_version"  # key of the version that wrote a checkpoint; "kind" is beside it
OTHER_BYTES = 1 << 28  # room for previews, curves and the preset
_NAME = re.compile(r"checkpoint-(\d+)\.pt")


class Saved(Protocol):
    """A trainer, as far as `Checkpoints` uses it."""

    step: int
    best: dict[str, Any]  # "step" of the best evaluation

    def state(self) -> dict[str, Any]: ...


class Checkpoints:
    """A folder of files ``checkpoint-STEP.pt``.

    Parameters
    ----------
    folder : Path
        The folder; it is made when a training claims it or saves.
    say : callable
        Receives a message about a file that can't be used.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]):
        self.folder, self._say = folder, say

    def require_place(self) -> None:
        """Check that the folder exists or can be made, and leave everything as it was.

        Raises
        ------
        AudiogenError
            If it can't be made.
        """
        missing = [path for path in self._upwards() if not os.path.exists(path)]
        self._make()
        with suppress(OSError):  # another training may use a parent meanwhile
            for path in missing:
                path.rmdir()

    def _upwards(self) -> tuple[Path, ...]:
        return (self.folder, *self.folder.parents)

    def _make(self) -> None:
        try:
            with suppress(FileNotFoundError):  # another `require_place` removed a parent
                self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AudiogenError(
                f"{self.folder}: can't be made ({error.strerror or error}); name another with --run"
            ) from error

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Lock the folder against other trainings; the lock ends with the process.

        Raises
        ------
        AudiogenError
            If another training has it, or it can't be made.
        """
        self._make()
        if os.name != "posix":
            yield
            return
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            if not _lock(folder):
                raise AudiogenError(
                    f"{self.folder}: another training writes there; wait for it, stop it, or give"
                    " another folder with --run"
                )
            yield
        finally:
            os.close(folder)

    def paths(self) -> list[Path]:
        """Paths of the checkpoints, oldest first."""
        if not self.folder.is_dir():
            return []
        found = [(int(m[1]), path) for path in self.folder.iterdir() if (m := _match(path))]
        return [path for _, path in sorted(found)]

    def newest(self) -> dict[str, Any] | None:
        """Read the newest checkpoint that can be read.

        Returns
        -------
        dict or None
            The state; None if there is no checkpoint.

        Raises
        ------
        FormatError
            If none of the checkpoints can be read, or another version wrote it.
        """
        paths = self.paths()
        for path in reversed(paths):
            try:
                state = _read(path)
            except FormatError as error:
                self._say(f"{error}; the checkpoint before it is used")
                continue
            return _checked(state, path)
        if paths:
            raise FormatError(
                f"{self.folder}: none of its {len(paths)} checkpoints can be read; start a new run"
                " in another folder"
            )
        return None

    def at(self, step: int) -> dict[str, Any]:
        """Read the checkpoint of a step.

        Returns
        -------
        dict
            The state.

        Raises
        ------
        FormatError
            If there is none, it can't be read, or another version wrote it.
        """
        path = self.folder / f"checkpoint-{step}.pt"
        if not path.is_file():
            there = ", ".join(str(_step(path)) for path in self.paths())
            raise FormatError(f"{path}: not found; the run has steps {there or 'none'}")
        return _checked(_read(path), path)

    def save(self, trainer: Saved) -> None:
        """Write a checkpoint to a temporary file, rename it, and remove the oldest ones.

        Keeps the last three, and the one of the step of `Saved.best`.

        Raises
        ------
        AudiogenError
            If it can't be written; the earlier ones stay.
        """
        self._make()
        draft = self.folder / "checkpoint.tmp"
        try:
            with draft.open("wb") as file:
                torch.save({VERSION: audiogen.__version__, **trainer.state()}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.folder / f"checkpoint-{trainer.step}.pt")
        except OSError as error:
            draft.unlink(missing_ok=True)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            saved = [path.name for path in self.paths()[-1:]]
            raise AudiogenError(
                f"{self.folder}: step {trainer.step} can't be saved"
                f" ({'the disk is full' if full else error.strerror or error});"
                f" {saved[0] if saved else 'no checkpoint'} is the last one:"
                f" {'free some space' if full else 'repair that'}, then"
                f" {'--resume' if saved else 'start again'}"
            ) from error
        # Newer ones than this step are damaged, or training would have continued from them.
        steps = [_step(path) for path in self.paths() if _step(path) <= trainer.step]
        kept = {*steps[-N_LAST:], trainer.best["step"]}
        for path in self.paths():
            if _step(path) not in kept:
                path.unlink()

    def require_space(self, n_bytes: int) -> None:
        """Check that the disk has room for the run.

        Parameters
        ----------
        n_bytes : int
            Size of one checkpoint.

        Raises
        ------
        AudiogenError
            If it hasn't.
        """
        # The last three, the best, and the one that is being written.
        wanted = (N_LAST + 2) * n_bytes + OTHER_BYTES
        wanted -= sum(path.stat().st_size for path in self.paths())
        free = shutil.disk_usage(next(filter(os.path.exists, self._upwards()))).free
        if free < wanted:
            raise AudiogenError(
                f"{self.folder}: its disk has {free / 1e6:,.0f} MB left, and this training needs"
                f" {wanted / 1e6:,.0f} MB for checkpoints and previews; free some space, or name a"
                " folder on another disk with --run"
            )


def _lock(folder: int) -> bool:
    """Whether the lock is ours; also true where the file system has no locks."""
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


def _checked(state: dict[str, Any], path: Path) -> dict[str, Any]:
    """The one place that decides which checkpoints this version can continue from."""
    version = state.get(VERSION) or state.get("version")
    if version == audiogen.__version__ and "kind" in state:
        return state
    if version == audiogen.__version__:
        reason = "is of an early build that didn't store the kind of training"
    else:
        reason = f"was written by audiogen {version or '(unknown)'}, this is {audiogen.__version__}"
    raise FormatError(
        f"{path}: {reason}; resume it with the version that wrote it, or start a new run in another"
        " folder, from its preset with --init-from"
    )


def _read(path: Path) -> dict[str, Any]:
    """Read a file of tensors and numbers; it can't hold code (``weights_only``)."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load doesn't verify checksums
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
