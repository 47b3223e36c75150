"""Rows of the documentation's tables of presets, from the presets' cards.

    python docs/preset_tables.py

rewrites the measured columns of README.md, docs/presets.md and docs/tutorials/sound_design.md. A
test compares them with the cards.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
MACROS = ("brightness", "breath", "swell", "hardness", "decay")
HELD_OUT = ("notes", "instruments", "bank")


def percent(share: float) -> str:
    return f"{100.0 * share:.1f}".removesuffix(".0") + " %"


def attack(card: dict[str, Any], prefix: str = "") -> str:
    names = (f"{prefix}attack_ms_{group}" for group in ("steady", "varying"))
    return " / ".join(f"{card[name]:.0f}" for name in names if name in card)


def readme_row(preset: dict[str, Any]) -> list[str]:
    """In tune, Frechet distance, AUC, attack."""
    card = preset["measured"]
    frechet = [f"frechet_distance_{part}" for part in ("to_real", "oracle", "among_real")]
    far, oracle, among = (f"{card[name]:.1f}" for name in frechet)
    held, oracles = (f"{card[p + 'auc_log_mel_held']:.2f}" for p in ("", "oracle_"))
    return [
        percent(card["pitch_ok"]),
        f"{far} ({oracle}, {among})",
        f"{held} ({oracles})",
        f"{attack(card)} ({attack(card, 'oracle_')})",
    ]


def distances_row(preset: dict[str, Any]) -> list[str]:
    """In tune, cents, recordings in tune, Frechet and kernel distances."""
    card = preset["measured"]
    real, free = card["real_pitch_ok"], card["real_pitch_ok_octave_free"]
    in_tune = percent(real) + (f" ({percent(free)} but for octaves)" if real < free else "")
    frechet = [f"frechet_distance_{part}" for part in ("to_real", "random_phase", "among_real")]
    return [
        percent(card["pitch_ok"]),
        f"{card['median_cents']:.1f}",
        in_tune,
        *(f"{card[name]:.1f}" for name in frechet),
        *(f"{card[f'kernel_distance_{part}']:.2f}" for part in ("to_real", "random_phase")),
    ]


def held_out_row(preset: dict[str, Any]) -> list[str]:
    """Frechet distance, that of real notes, AUC, of the three rows of held-out notes."""
    card = preset["measured"]
    cells = []
    for part in HELD_OUT:
        far, among = (card[f"held_out_{part}_frechet_distance{end}"] for end in ("", "_among_real"))
        cells.append(f"{far:.1f} ({among:.1f}), {card[f'held_out_{part}_auc_log_mel_held']:.2f}")
    return cells


def macros_row(preset: dict[str, Any]) -> list[str]:
    """Values at -1, 0 and 1 of each macro that is stored."""
    effects = {macro["name"]: macro.get("effect", "") for macro in preset["macros"]}
    return [_values(effects[name]) if name in effects else "-" for name in MACROS]


def _values(effect: str) -> str:
    found = re.search(r"(\S+) \(-1\), (\S+) \(0\), (\S+) (\S+) \(1\)", effect)
    if found is None:
        raise SystemExit(f"effect {effect!r} must have values at -1, 0 and 1")
    first, second, third, unit = found.groups()
    return f"{first}, {second}, {third} {unit}"


# File, beginning of the table's header, number of columns that stay, and the others.
TABLES: list[tuple[str, str, int, Callable[[dict[str, Any]], list[str]]]] = [
    ("README.md", "| preset | sounds | bandwidth |", 3, readme_row),
    ("docs/presets.md", "| preset | in tune | cents |", 1, distances_row),
    ("docs/presets.md", "| preset | trained instruments,", 1, held_out_row),
    ("docs/tutorials/sound_design.md", "| preset | `brightness` |", 1, macros_row),
]


def rewrite_table(text: str, header: str, n_kept: int, cells: Callable[..., list[str]]) -> str:
    """Return a page, with the rows of one table rewritten from the presets' cards."""
    lines = text.splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith(header)]
    if len(heads) != 1:
        raise SystemExit(f"{len(heads)} tables begin with {header!r}; there must be one")
    for i in range(heads[0] + 2, len(lines)):
        if not lines[i].startswith("|"):
            break
        kept = lines[i].strip("| ").split(" | ")[:n_kept]
        card = ROOT / "presets" / kept[0].strip("`") / "preset.toml"
        preset = tomllib.loads(card.read_text(encoding="utf-8"))
        lines[i] = "| " + " | ".join([*kept, *cells(preset)]) + " |"
    return "\n".join(lines) + "\n"


def pages() -> Iterator[tuple[Path, str]]:
    """Each page with a table, and what it should say."""
    texts: dict[str, str] = {}
    for name, header, n_kept, cells in TABLES:
        text = texts.get(name) or (ROOT / name).read_text(encoding="utf-8")
        texts[name] = rewrite_table(text, header, n_kept, cells)
    for name, text in texts.items():
        yield ROOT / name, text


if __name__ == "__main__":
    for page, text in pages():
        page.write_text(text, encoding="utf-8")
