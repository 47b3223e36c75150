"""Files of a report: report.json, report.html, and rainbowgrams of real and generated sounds."""

from __future__ import annotations

import base64
import html
import io
import json
import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.core.atomic_write import write_whole, written_whole
from audiogen.core.packages import require_package
from audiogen.errors import ParameterError

REPORT, PAGE, PICTURE = "report.json", "report.html", "rainbowgrams.png"


def write_report(
    folder: str | PathLike[str],
    content: str,
    pairs: Sequence[tuple[str, np.ndarray, np.ndarray]],
    sample_rate: int,
    *,
    title: str,
    table: Sequence[Sequence[str]],
    remarks: Sequence[str] = (),
) -> list[Path]:
    """Write report.json, report.html and, if there are pairs of sounds, rainbowgrams.png.

    The page has the table, the remarks, and players of the pairs with their rainbowgrams.

    Parameters
    ----------
    folder : path
        Folder of the report; it is made if needed.
    content : str
        Content of report.json.
    pairs : sequence of (str, array, array)
        Title, real and generated waveform.
    sample_rate : int, Hz
        Sample rate of the waveforms.
    title : str
        Title of the page.
    table : sequence of rows
        Texts of the page's table, its header first.
    remarks : sequence of str
        Paragraphs below the table.

    Returns
    -------
    list of Path
        Written files; each is complete.

    Raises
    ------
    ParameterError
        If the folder cannot be written.
    MissingPackageError
        If there are pairs and matplotlib is not installed.
    """
    folder = check_folder(folder)
    written = [folder / REPORT, folder / PAGE]
    if pairs:
        with written_whole(folder / PICTURE) as draft:
            _draw_pairs(pairs, sample_rate, draft)
        written.append(folder / PICTURE)
    write_whole(folder / PAGE, _page(title, table, remarks, pairs, sample_rate))
    write_whole(folder / REPORT, content)
    return written


_PAGE_FORM = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ background: #0b0c10; color: #d8dae3; font: 16px/1.5 system-ui, sans-serif;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
h1, h2 {{ font-weight: 500; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
td, th {{ padding: 0.15rem 0.8rem 0.15rem 0; text-align: right; white-space: nowrap; }}
td:first-child {{ text-align: left; white-space: normal; }}
tr:nth-child(even) {{ background: #14161d; }}
th {{ font-weight: 500; color: #8b8fa0; }}
.sounds {{ display: grid; grid-template-columns: 1fr 1fr; gap: 0.3rem 1rem; }}
audio, img {{ width: 100%; }}
</style>
</head>
<body>
<h1>{title}</h1>
<table>
{rows}</table>
{remarks}{sounds}</body>
</html>
"""


def _page(
    title: str,
    table: Sequence[Sequence[str]],
    remarks: Sequence[str],
    pairs: Sequence[tuple[str, np.ndarray, np.ndarray]],
    sample_rate: int,
) -> str:
    rows = []
    for index, row in enumerate(table):
        tag = "td" if index else "th"
        rows.append("<tr>" + "".join(f"<{tag}>{html.escape(x)}</{tag}>" for x in row) + "</tr>\n")
    sounds = []
    for name, *waveforms in pairs:
        sounds.append(f"<h2>{html.escape(name)}</h2>\n<div class=sounds>\n")
        for which, waveform in zip(("real", "generated"), waveforms, strict=True):
            address = _flac_address(waveform, sample_rate)
            player = f'<audio controls preload="none" src="{address}"></audio>'
            sounds.append(f"<label>{which}{player}</label>\n")
        sounds.append("</div>\n")
    if pairs:
        sounds.append(f'<img src="{PICTURE}" alt="Rainbowgrams of the same sounds">\n')
    return _PAGE_FORM.format(
        title=html.escape(title),
        rows="".join(rows),
        remarks="".join(f"<p>{html.escape(remark)}</p>\n" for remark in remarks),
        sounds="".join(sounds),
    )


def _flac_address(waveform: np.ndarray, sample_rate: int) -> str:
    """The sound as a data URL."""
    import soundfile

    file = io.BytesIO()
    sound = np.clip(np.nan_to_num(np.asarray(waveform, np.float32)), -1.0, 1.0)
    soundfile.write(file, sound, sample_rate, format="FLAC")
    return "data:audio/flac;base64," + base64.b64encode(file.getvalue()).decode()


def check_folder(folder: str | PathLike[str]) -> Path:
    """Make the folder of a report, before the work that fills it.

    Raises
    ------
    ParameterError
        If the folder cannot be made or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(
            f"output={str(folder)!r} can't be made ({error.strerror}); name another folder"
        ) from error
    if not os.access(folder, os.W_OK):
        raise ParameterError(f"output={str(folder)!r} can't be written to; name another folder")
    return folder


def _draw_pairs(
    pairs: Sequence[tuple[str, np.ndarray, np.ndarray]], sample_rate: int, path: Path
) -> None:
    """Draw rainbowgrams, real on the left and generated on the right, each from its loudest bin."""
    from audiogen.audio.plots import BINS_PER_OCTAVE, LOWEST_PITCH, rainbow_image

    figures = require_package("matplotlib.figure", "plot", "drawing rainbowgrams")
    agg = require_package("matplotlib.backends.backend_agg", "plot", "drawing rainbowgrams")
    figure = figures.Figure(figsize=(11, 2.1 * len(pairs) + 0.6), layout="constrained")
    agg.FigureCanvasAgg(figure)
    axes = figure.subplots(len(pairs), 2, squeeze=False, sharex=True, sharey=True)
    for row, (title, *waveforms) in zip(axes, pairs, strict=True):
        for axis, which, waveform in zip(row, ("real", "generated"), waveforms, strict=True):
            sound = np.nan_to_num(np.asarray(waveform, np.float32))
            image, _ = rainbow_image(sound, sample_rate)
            highest = LOWEST_PITCH + 12 * len(image) / BINS_PER_OCTAVE
            axis.imshow(
                image,
                origin="lower",
                aspect="auto",
                extent=(0, len(sound) / sample_rate, LOWEST_PITCH, highest),
            )
            axis.set_title(f"{which}: {title}", fontsize=8)
        row[0].set_ylabel("MIDI pitch", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("s", fontsize=8)
    figure.savefig(path, dpi=110, format="png")


def json_text(content: dict[str, Any]) -> str:
    """Format JSON; NaN becomes null."""
    return json.dumps(_without_nan(content), indent=1)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
