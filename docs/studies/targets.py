"""Targets of presets' sound, met or missed, from their evaluations and cards.

    audiogen evaluate brass --data UNSEEN --velocities 70,110 --seed 0 --card -o brass-report
    python docs/studies/targets.py brass=brass-report ...

prints the first table of docs/studies/ruler.md: a row for each preset; missed targets are marked
with !.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from audiogen.presets import load_preset

GROUPS = ("steady", "varying")
BANDS = ("0-2", "2-4", "4-8", "8-15.7")
HEADER = (
    "preset",
    "attack (ms)",
    "wander (dB)",
    "flutter (dB)",
    "off partials, bands",
    "AUC, tests",
    "levels of timbres (dB)",
    "in tune",
    "random latents in tune",
)


def mark(text: str, met: bool) -> str:
    return text if met else text + "!"


def statistic(medians: dict[str, dict[str, float]], name: str, met: Any, form: str) -> str:
    """Value and reference of steady and varying notes."""
    cells = []
    for group in GROUPS:
        values = medians.get(f"{name}, {group}")
        if values is None:
            cells.append("-")
            continue
        ours, reference, ok = met(values)
        cells.append(mark(f"{ours:{form}} ({reference:{form}})", ok))
    return " / ".join(cells)


def within_15_percent(values: dict[str, float]) -> tuple[float, float, bool]:
    ours, oracle = values["preset"], values["oracle"]
    return ours, oracle, abs(ours - oracle) <= 0.15 * oracle


def not_much_more(values: dict[str, float]) -> tuple[float, float, bool]:
    ours, real = values["preset"], values["real"]
    return ours, real, ours <= max(1.3 * real, real + 0.1)


def share(errors: dict[str, float], bound: float, form: str) -> str:
    """How many errors are within a bound, and the worst one."""
    if not errors:
        return "-"
    n_met = sum(abs(error) <= bound for error in errors.values())
    worst = max(errors, key=lambda name: abs(errors[name]))
    text = f"{n_met} of {len(errors)}"
    if n_met < len(errors):
        text += f", {errors[worst]:{form}} ({worst})"
    return mark(text, n_met == len(errors))


def tuned(card: dict[str, float], name: str, least: float) -> str:
    """Share of notes in tune; a dash for percussion, which isn't tracked."""
    return mark(f"{100 * card[name]:.1f} %", card[name] >= least) if name in card else "-"


def row(name: str, folder: Path) -> list[str]:
    compared = json.loads((folder / "report.json").read_text())["comparison"]
    card = load_preset(name).measured
    medians = {key: each["median"] for key, each in compared["statistics"].items()}
    medians = {key: each for key, each in medians.items() if None not in each.values()}
    off = {
        f"{band} kHz, {group}": each["preset"] - each["real"]
        for band in BANDS
        for group in GROUPS
        if (each := medians.get(f"off_partials_db {band}, {group}"))
    }
    areas = {part: compared["two_sample"][part] for part in ("oracle", "preset")}
    # A preset that is harder to distinguish from real notes than its oracle meets the target.
    excess = {
        test: max(0.0, median(areas["preset"][test]) - median(areas["oracle"][test]))
        for test in areas["preset"]
    }
    levels = compared["timbre_level_above_real_db"]["preset"].values()
    return [
        f"`{name}`",
        statistic(medians, "attack_ms", within_15_percent, ".0f"),
        statistic(medians, "wander_db", not_much_more, ".2f"),
        statistic(medians, "flutter_db", not_much_more, ".2f"),
        share(off, 1.5, "+.1f"),
        share(excess, 0.05, "+.2f"),
        mark(f"{min(levels):.1f} to {max(levels):.1f}", max(map(abs, levels)) <= 1.0),
        tuned(card, "pitch_ok", 0.98),
        tuned(card, "random_in_tune", 0.95),
    ]


if __name__ == "__main__":
    rows = [list(HEADER), ["---"] * len(HEADER)]
    for argument in sys.argv[1:]:
        name, _, folder = argument.partition("=")
        rows.append(row(name, Path(folder)))
    print("\n".join("| " + " | ".join(cells) + " |" for cells in rows))
