"""The log of a run: ``log.jsonl``, TensorBoard, previews, and a report page of all of them."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.audio.files import write_audio
from audiogen.data.subset import evenly_spaced
from audiogen.errors import AudiogenError
from audiogen.training.run.forecast import duration
from audiogen.training.run.html_report import Preview, write_page

PAGE_EVERY_S = 60.0
THUMBNAIL_WIDTH = 720  # pixels
N_PREVIEWS = 8  # on the page

Sound = tuple[np.ndarray, int]  # [n_samples], sample rate in Hz


class Journal:
    """Writes ``log.jsonl``, ``tensorboard/``, ``previews/`` and ``report.html`` into a folder.

    An error here doesn't stop the training; each kind is reported once.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    title : str
        Title of the page.
    about : mapping of str to str
        Facts about the data and the command, for the page.
    say : callable
        Receives messages about what couldn't be written.
    step, n_steps : int
        First and last step of this run. Entries of later steps than the first are removed from an
        existing log, since these steps are taken again.
    details : mapping of str to sequence of str
        Lists for the end of the page, by title.
    """

    def __init__(
        self,
        folder: Path,
        title: str,
        about: Mapping[str, str],
        say: Callable[[str], None],
        step: int,
        n_steps: int,
        details: Mapping[str, Sequence[str]] | None = None,
    ):
        self.folder, self._title, self._about, self._say = folder, title, dict(about), say
        self._n_steps, self._details = n_steps, details or {}
        self._reported: set[str] = set()
        self._log, self._previews = folder / "log.jsonl", folder / "previews"
        self._entries = [entry for entry in read_log(self._log) if entry["step"] <= step]
        self._thumbnails: dict[Path, bytes] = {}
        self._warning = self._finish = self._left = ""
        self._result: Preview | None = None
        self._page_s = -PAGE_EVERY_S
        self._board: Any = None
        with _Harmless(self, "the log"):
            lines = [json.dumps(entry) + "\n" for entry in self._entries]
            self._log.write_text("".join(lines))
        with _Harmless(self, "TensorBoard's curves"):
            self._board = self._open_board(step)

    def report(
        self,
        step: int,
        losses: Mapping[str, float],
        seconds: float,
        seconds_left: float,
        warning: str = "",
    ) -> None:
        """Log the losses of a step.

        Parameters
        ----------
        step : int
            Number of steps taken.
        losses : mapping of str to float
            Losses by name.
        seconds : float, s
            Time of the training so far.
        seconds_left : float, s
            Time that remains.
        warning : str
            Text for the top of the page.
        """
        entry = {"step": step, "seconds": round(seconds, 1), "time": round(time.time())}
        self._entries.append(entry | dict(losses))
        self._warning, self._left = warning, f", {duration(seconds_left)} left"
        with _Harmless(self, "the log"), self._log.open("a") as file:
            file.write(json.dumps(self._entries[-1]) + "\n")
        if self._board is not None:
            with _Harmless(self, "TensorBoard's curves"):
                for name, value in losses.items():
                    self._board.add_scalar(name, value, step)
                self._board.flush()
        if time.monotonic() - self._page_s >= PAGE_EVERY_S or step == self._n_steps:
            self.write_page()

    def preview(self, step: int, sketch: Callable[[], Sound]) -> None:
        """Save a preview with its rainbowgram.

        Parameters
        ----------
        step : int
            Number of steps taken.
        sketch : callable
            Returns the sound.
        """
        from audiogen.audio.plots import plot_rainbowgram

        with _Harmless(self, "a preview"):
            samples, sample_rate = sketch()
            self._previews.mkdir(exist_ok=True)
            sound, picture = (self._previews / f"{step}.{kind}" for kind in ("flac", "png"))
            write_audio(sound, samples, sample_rate)
            plot_rainbowgram(samples, sample_rate, picture, f"step {step}")
            if self._board is not None:
                shown = samples[None] / max(1.0, float(np.abs(samples).max()))
                self._board.add_audio("preview", shown, step, sample_rate)
                self._board.add_image("preview", _pixels(picture), step, dataformats="HWC")
                self._board.flush()
        self.write_page()

    def finish(self, text: str, preset: Path | None = None) -> None:
        """Write the result onto the page.

        Parameters
        ----------
        text : str
            The result.
        preset : Path, optional
            Folder of the new preset, whose preview is shown.
        """
        self._finish = text
        with _Harmless(self, "the page"):
            if preset is not None:
                sound, picture = (preset / f"preview.{kind}" for kind in ("flac", "png"))
                self._result = Preview("The preset", sound.read_bytes(), _thumbnail(picture))
        self.write_page()
        if self._board is not None:
            self._board.close()

    def write_page(self) -> None:
        """Write ``report.html``, the whole of it or nothing."""
        with _Harmless(self, "the page"):
            shown = [] if self._result is None else [self._result]
            for step in reversed(evenly_spaced(self._preview_steps(), N_PREVIEWS)):
                sound, picture = (self._previews / f"{step}.{kind}" for kind in ("flac", "png"))
                if picture not in self._thumbnails:
                    self._thumbnails[picture] = _thumbnail(picture)
                shown.append(Preview(f"Step {step}", sound.read_bytes(), self._thumbnails[picture]))
            last = self._entries[-1] if self._entries else {"step": 0, "seconds": 0.0}
            progress = {
                "step": f"{last['step']} of {self._n_steps}",
                "time": f"{duration(last['seconds'])} so far{self._left}",
                "written": time.strftime("%Y-%m-%d %H:%M:%S"),
            }
            if self._finish:
                progress |= {"time": duration(last["seconds"]), "result": self._finish}
            about = progress | self._about
            path = self.folder / "report.html"
            write_page(path, self._title, about, self._warning, self._entries, shown, self._details)
        self._page_s = time.monotonic()

    def _preview_steps(self) -> list[int]:
        names = [path.stem for path in self._previews.glob("*.png")]
        steps = sorted(int(name) for name in names if name.isdecimal())
        return [step for step in steps if (self._previews / f"{step}.flac").exists()]

    def _open_board(self, step: int) -> Any:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._say(
                "tensorboard isn't installed, so curves are in report.html only; pip install"
                " tensorboard"
            )
            return None
        return SummaryWriter(str(self.folder / "tensorboard"), purge_step=step + 1)


class _Harmless:
    """Context that reports an error, once for each kind of output, and suppresses it."""

    def __init__(self, journal: Journal, what: str):
        self._journal, self._what = journal, what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        if self._what not in self._journal._reported:
            self._journal._reported.add(self._what)
            reason = error if isinstance(error, AudiogenError) else repr(error)
            self._journal._say(f"{self._what} can't be written ({reason}); training continues")
        return True


def read_log(path: Path) -> list[dict[str, Any]]:
    """Entries of a log; a truncated line is skipped."""
    entries = []
    if path.exists():
        for line in path.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and "step" in entry and "seconds" in entry:
                entries.append(entry)
    return entries


def _thumbnail(path: Path) -> bytes:
    """A small JPEG of a picture."""
    from PIL import Image

    with Image.open(path) as image:
        small = image.convert("RGB")
        small.thumbnail((THUMBNAIL_WIDTH, THUMBNAIL_WIDTH))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _pixels(path: Path) -> np.ndarray:
    """Pixels [height, width, 3] of the small picture."""
    from PIL import Image

    with Image.open(io.BytesIO(_thumbnail(path))) as image:
        return np.asarray(image)
