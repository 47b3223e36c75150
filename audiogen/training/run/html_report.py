"""The report of a run as one self-contained HTML page: numbers, curves, sounds, pictures."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiogen.core.atomic_write import write_whole

HELD_OUT = "held_out_"  # prefix of measurements on held-out data
MOST_POINTS = 400  # points of a curve; longer curves are averaged
_LINE, _DOTS, _TEXT, _FRAME = "#8fb8ff", "#ffb86b", "#d8dae3", "#3a3d4a"

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ background: #0b0c10; color: #d8dae3; font: 16px/1.5 system-ui, sans-serif;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
h1, h2 {{ font-weight: 500; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1.5rem; }}
dt {{ color: #8b8fa0; }} dd {{ margin: 0; overflow-wrap: anywhere; }}
.warning {{ border-left: 4px solid #ffb86b; padding: 0.5rem 1rem; background: #1b1710; }}
svg, img, audio {{ width: 100%; height: auto; display: block; }}
audio {{ height: 2.5rem; margin: 0.3rem 0; }}
figure {{ margin: 1.5rem 0; }}
</style>
</head>
<body>
<h1>{title}</h1>
{warning}<dl>
{about}</dl>
{curves}{previews}{details}</body>
</html>
"""


class Preview(NamedTuple):
    """A sound and its picture.

    Parameters
    ----------
    title : str
        Caption.
    flac, jpeg : bytes
        Contents of the files.
    """

    title: str
    flac: bytes
    jpeg: bytes


def write_page(
    path: Path,
    title: str,
    about: Mapping[str, str],
    warning: str,
    entries: Sequence[Mapping[str, Any]],
    previews: Sequence[Preview],
    details: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write the page, the whole of it or nothing.

    Parameters
    ----------
    path : Path
        File of the page.
    title : str
        Title of the page.
    about : mapping of str to str
        Facts at the top; empty ones are left out.
    warning : str
        Warning at the top; empty for none.
    entries : sequence of mapping
        Entries of the log, each with ``step`` and values.
    previews : sequence of Preview
        Previews, newest first.
    details : mapping of str to sequence of str
        Lists at the end, by title, collapsed.

    Raises
    ------
    ParameterError
        If the file can't be written.
    """
    escape = html.escape
    terms = [f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>\n" for k, v in about.items() if v]
    figures = [
        f"<figure><figcaption>{escape(each.title)}</figcaption>"
        f'<audio controls preload="metadata" src="{_data("audio/flac", each.flac)}"></audio>'
        f'<img alt="Rainbowgram" src="{_data("image/jpeg", each.jpeg)}"></figure>\n'
        for each in previews
    ]
    lists = [
        f"<details><summary>{escape(title)} ({len(lines)})</summary>\n<ul>\n"
        + "".join(f"<li>{escape(line)}</li>\n" for line in lines)
        + "</ul></details>\n"
        for title, lines in (details or {}).items()
        if lines
    ]
    svg = curves(entries)
    text = _PAGE.format(
        title=escape(title),
        warning=f'<p class="warning">{escape(warning)}</p>\n' if warning else "",
        about="".join(terms),
        curves=f"<h2>Curves</h2>\n{svg}\n" if svg else "",
        previews="<h2>Previews</h2>\n" + "".join(figures) if figures else "",
        details="".join(lists),
    )
    write_whole(path, text)


def curves(entries: Sequence[Mapping[str, Any]]) -> str:
    """Draw losses over steps, a panel each, with the held-out ones beside them.

    Parameters
    ----------
    entries : sequence of mapping
        Entries of the log.

    Returns
    -------
    str
        An SVG element; empty if there is nothing to draw.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    panels = panels_of(entries)
    if not panels:
        return ""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    width, height = 12.0, 2.6 * rows  # inches
    figure = Figure(figsize=(width, height))
    # Matplotlib's own layouts take longer than the drawing.
    figure.subplots_adjust(
        left=0.6 / width,
        right=1.0 - 0.1 / width,
        wspace=0.2,
        bottom=0.3 / height,
        top=1.0 - 0.3 / height,
        hspace=0.3,
    )
    figure.patch.set_alpha(0.0)
    for axes, (panel, names) in zip(
        figure.subplots(rows, columns, squeeze=False).flat, panels.items(), strict=False
    ):
        for name in names:
            steps, values = _thinned(entries, name)
            held_out = name.startswith(HELD_OUT)
            axes.plot(
                steps,
                values,
                color=_DOTS if held_out else _LINE,
                marker="o" if held_out or len(steps) < 3 else "",
                markersize=3,
                linewidth=1.2,
                label="held-out" if held_out else "training",
            )
        axes.set_title(panel.replace("_", " "), color=_TEXT, fontsize=10)
        axes.patch.set_alpha(0.0)
        axes.tick_params(colors=_TEXT, labelsize=8)
        for spine in axes.spines.values():
            spine.set_color(_FRAME)
        if any(name.startswith(HELD_OUT) for name in names):
            axes.legend(frameon=False, labelcolor=_TEXT, fontsize=8)
    for axes in figure.axes[len(panels) :]:
        axes.set_visible(False)
    FigureCanvasSVG(figure)
    text = io.StringIO()
    with rc_context({"svg.fonttype": "none"}):  # text stays text
        omitted = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", metadata=omitted)
    svg = text.getvalue()
    return svg[svg.index("<svg") :]  # without the XML declaration and the doctype


def panels_of(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Names of the values of each panel, by its name.

    Examples
    --------
    >>> panels_of([{"step": 1, "bits": 3.0, "held_out_bits": 3.5}, {"step": 2, "overfit": 0.1}])
    {'bits': ['bits', 'held_out_bits'], 'overfit': ['overfit']}
    """
    panels: dict[str, list[str]] = {}
    for entry in entries:
        for name in entry:
            if name in ("step", "seconds", "time"):
                continue
            names = panels.setdefault(name.removeprefix(HELD_OUT), [])
            if name not in names:
                names.append(name)
    return panels


def _thinned(entries: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values; where there are too many, means of consecutive ones."""
    points = np.array([(e["step"], e[name]) for e in entries if name in e], np.float64)
    each = -(-len(points) // MOST_POINTS)
    starts = np.arange(0, len(points), each)
    counts = np.diff(np.append(starts, len(points)))
    steps, values = np.add.reduceat(points, starts).T / counts
    return steps, values


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
