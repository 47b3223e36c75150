"""What was found in a folder of samples and what was left out: as lines, and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogen.notes import pitch_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DARK, _FRAME, _TEXT = "#0b0c10", "#3a3d4a", "#d8dae3"
_MOST_SHOWN = 20  # instruments of one picture; the others share a colour


def instrument_rows(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """One row for each instrument: name, notes, pitches, velocities, how they were shaped.

    Parameters
    ----------
    report : dict
        As `samples.SampleSet.report`.
    """
    rows: list[tuple[str, ...]] = []
    for entry in report["instruments"]:
        notes = _of(report, entry)
        low, high = entry["pitches"]
        velocities = [note["velocity"] for note in notes]
        shapes = {how: sum(note["shape"] == how for note in notes) for how in ("held on", "let go")}
        rows.append(
            (
                entry["name"],
                str(len(notes)),
                f"{pitch_name(low)} to {pitch_name(high)}",
                _range(velocities) + (" and softer" if entry["softer_copies"] else ""),
                ", ".join(f"{n} {how}" for how, n in shapes.items() if n),
            )
        )
    return rows


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def summary(report: dict[str, Any]) -> str:
    """One sentence that counts."""
    counts, n = report["counts"], len(report["instruments"])
    return (
        f"{_count(counts['notes'], 'note')} of {_count(n, 'instrument')} in {counts['files_used']}"
        f" of {_count(counts['files'], 'file')}; {_count(counts['files_left_out'], 'file')} left"
        " out"
    )


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def left_out_lines(report: dict[str, Any]) -> list[str]:
    """A line for each file, or stretch of one, that made no note."""
    return [
        entry["file"]
        + (f" at {entry['at_s']:.2f} s" if entry["at_s"] is not None else "")
        + f": {entry['why']}"
        for entry in report["left_out"]
    ]


def draw_report(report: dict[str, Any], path: Path) -> None:
    """Draw the notes by pitch, loudness and velocity, and what was left out, into a PNG file.

    Parameters
    ----------
    report : dict
    path : Path
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), dpi=110, facecolor=_DARK, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 1))
    loud, long = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    counts = figure.add_subplot(grid[:, 1])
    colours = colormaps["tab20"](np.arange(_MOST_SHOWN) / 20.0)
    for index, entry in enumerate(report["instruments"]):
        notes = _of(report, entry)
        pitch = [note["pitch"] for note in notes]
        colour = [colours[index] if index < _MOST_SHOWN else (0.6, 0.6, 0.6, 1.0)]
        name = entry["name"] if index < _MOST_SHOWN else None
        style: dict[str, Any] = {"s": 18, "c": colour, "alpha": 0.85}
        loud.scatter(pitch, [note["loudness_db"] for note in notes], label=name, **style)
        long.scatter(pitch, [note["seconds"] for note in notes], **style)
    loud.set_ylabel("loudness, dB")
    long.set_ylabel("duration, s")
    long.set_xlabel("pitch")
    for axes in (loud, long):
        low, high = axes.get_xlim()
        octaves = np.arange(12 * np.ceil(low / 12), high + 1, 12)
        axes.set_xticks(octaves, [pitch_name(p) for p in octaves])
        axes.grid(color=_FRAME, linewidth=0.5)
    legend = loud.legend(fontsize=7, ncols=2, facecolor=_DARK, edgecolor=_FRAME)
    for text in legend.get_texts():
        text.set_color(_TEXT)
    kinds = {"notes": report["counts"]["notes"], **report["counts"]["left_out"]}
    bars = counts.barh(list(kinds), list(kinds.values()), color="#b0643c")
    bars[0].set_color("#8fb8ff")
    counts.bar_label(bars, color=_TEXT, padding=3, fontsize=9)
    counts.set_xscale("symlog")
    counts.invert_yaxis()
    counts.set_title("kept, and left out", color=_TEXT, fontsize=10)
    for axes in (loud, long, counts):
        _darken(axes)
    figure.suptitle(f"{report['source']}: {summary(report)}", color=_TEXT, fontsize=11)
    figure.savefig(path, facecolor=_DARK)


def _of(report: dict[str, Any], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The notes of an instrument."""
    start = entry["instrument_str"] + "-"
    return [note for note in report["notes"] if note["note"].startswith(start)]


def _darken(axes: Axes) -> None:
    axes.set_facecolor(_DARK)
    axes.tick_params(colors=_TEXT, labelsize=8)
    axes.xaxis.label.set_color(_TEXT)
    axes.yaxis.label.set_color(_TEXT)
    for spine in axes.spines.values():
        spine.set_color(_FRAME)
