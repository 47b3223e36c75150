"""Report on the notes of a folder of samples, and on what was left out: lines and a picture."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.audio.plots import TEXT_COLOUR, dark_figure, save, style_axes
from audiogen.core.counting import counted
from audiogen.core.packages import require_package
from audiogen.notes import pitch_name

_MAX_COLOURS = 20  # instruments with a colour of their own; the others are grey
_MAX_LINES = 3  # files that are named on the terminal; more are counted


def instrument_rows(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row per instrument: name, number of notes, pitches, velocities, changed lengths.

    Parameters
    ----------
    report : dict
        Attribute `report` of a `folder.SampleSet`.
    """
    rows: list[tuple[str, ...]] = []
    for entry in report["instruments"]:
        notes = _notes_of(report, entry)
        low, high = entry["pitches"]
        velocities = [note["velocity"] for note in notes]
        shapes = Counter(note["shape"] for note in notes if note["shape"] != "whole")
        rows.append(
            (
                entry["name"],
                str(len(notes)),
                f"{pitch_name(low)} to {pitch_name(high)}",
                _range(velocities) + (" and softer" if entry["softer_copies"] else ""),
                ", ".join(f"{n} {shape}" for shape, n in shapes.items()),
            )
        )
    return rows


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def summary(report: dict[str, Any]) -> str:
    """Return a summary with the numbers of notes, instruments and files."""
    counts, n = report["counts"], len(report["instruments"])
    return (
        f"{counted(counts['notes'], 'note')} of {counted(n, 'instrument')} in"
        f" {counts['files_used']} of {counted(counts['files'], 'file')}"
    )


def left_out_line(report: dict[str, Any]) -> str:
    """Return one line on what was left out: up to three by name, more by number; or ""."""
    entries = report["left_out"]
    if len(entries) <= _MAX_LINES:
        return "; ".join(left_out_lines(report))
    groups = []
    for noun, is_part in (("whole file", False), ("part", True)):
        kinds = Counter(e["kind"] for e in entries if (e["at_s"] is not None) == is_part)
        if kinds:
            listed = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
            groups.append(f"{counted(kinds.total(), noun)} ({listed})")
    return f"{' and '.join(groups)}; report.json names each with its reason"


def left_out_lines(report: dict[str, Any]) -> list[str]:
    """Return a line per file, or part of one, from which no note was made."""
    return [
        entry["file"]
        + (f" at {entry['at_s']:.2f} s" if entry["at_s"] is not None else "")
        + f": {entry['why']}"
        for entry in report["left_out"]
    ]


def draw_report(report: dict[str, Any], path: Path) -> None:
    """Draw the notes' pitch, loudness and length, and what was left out, into a PNG file.

    Parameters
    ----------
    report : dict
        Attribute `report` of a `folder.SampleSet`.
    path : Path
        Name that ends in ``.png``.

    Raises
    ------
    MissingPackageError
        If matplotlib is not installed.
    """
    palette = require_package("matplotlib", "train", "drawing the report").colormaps["tab20"]
    figure = dark_figure(12, 7, dpi=110, layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 1))
    loud, long = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    counts = figure.add_subplot(grid[:, 1])
    colours = palette(np.arange(_MAX_COLOURS) / 20.0)
    for index, entry in enumerate(report["instruments"]):
        notes = _notes_of(report, entry)
        pitch = [note["pitch"] for note in notes]
        colour = [colours[index] if index < _MAX_COLOURS else (0.6, 0.6, 0.6, 1.0)]
        name = entry["name"] if index < _MAX_COLOURS else None
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
        axes.grid(linewidth=0.5, alpha=0.3)
    loud.legend(fontsize=7, ncols=2, labelcolor=TEXT_COLOUR, framealpha=0.2)
    kinds = {"notes": report["counts"]["notes"], **report["counts"]["left_out"]}
    bars = counts.barh(list(kinds), list(kinds.values()), color="#b0643c")
    bars[0].set_color("#8fb8ff")
    counts.bar_label(bars, color=TEXT_COLOUR, padding=3, fontsize=9)
    counts.set_xscale("symlog")
    counts.invert_yaxis()
    counts.set_title("kept and left out", color=TEXT_COLOUR, fontsize=10)
    for axes in (loud, long, counts):
        style_axes(axes)
    title = f"{report['source']}: {summary(report)}"
    figure.suptitle(title, color=TEXT_COLOUR, fontsize=11, parse_math=False)
    save(figure, path)


def _notes_of(report: dict[str, Any], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the notes of an instrument."""
    start = entry["instrument_str"] + "-"
    return [note for note in report["notes"] if note["note"].startswith(start)]
