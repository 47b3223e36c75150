"""Frequencies of a note's partials, for harmonic, stiff-string and other inharmonic timbres.

Partials of stiff strings are stretched by an inharmonicity that depends on the key (Fletcher,
"Normal Vibration Frequencies of a Stiff Piano String", JASA 36, 1964); those of bells and mallets
have ratios of their own. A note's partials are an array of ratios to its pitch, [n_partials],
ascending; None stands for harmonic ones. Twin of csrc/models/partials.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

MOST_PARTIALS = 64  # ratios of a note; higher partials continue at the last step, or at the pitch's
LARGEST_RATIO = 2048.0
LARGEST_INHARMONICITY = 0.1


@dataclass(frozen=True)
class TimbrePartials:
    """Partials of a timbre at each pitch.

    Parameters
    ----------
    ratios : sequence of float
        Ratios of all notes, ascending; empty for harmonic or stiff-string partials.
    inharmonicity : sequence of float
        Inharmonicity coefficient B of strings at each pitch from ``lowest_pitch`` on; else empty.
    lowest_pitch : int, MIDI number
        Pitch of the first coefficient.
    """

    ratios: Sequence[float] = ()
    inharmonicity: Sequence[float] = ()
    lowest_pitch: int = 0

    def fault(self) -> str | None:
        """Return what is wrong with the numbers, or None."""
        if len(self.ratios) and len(self.inharmonicity):
            return "a timbre has partials and inharmonicity; remove one of them"
        if len(self.ratios) and not are_valid(self.ratios):
            return (
                f"partials of a timbre must be 1 to {MOST_PARTIALS} ascending ratios above 0 and up"
                f" to {LARGEST_RATIO:.0f}"
            )
        if not all(0.0 <= b <= LARGEST_INHARMONICITY for b in self.inharmonicity):
            return f"inharmonicity of a timbre must be 0 to {LARGEST_INHARMONICITY}"
        return None

    def at(self, pitch: float) -> np.ndarray | None:
        """Return the partials of a pitch, [n_partials], or None for harmonic ones."""
        if len(self.ratios):
            return np.array(self.ratios, np.float64)
        if len(self.inharmonicity):
            return string_partials(self.coefficient(pitch))
        return None

    def coefficient(self, pitch: float) -> float:
        """Return the inharmonicity coefficient of the key nearest to a pitch."""
        key = int(np.floor(pitch + 0.5)) - self.lowest_pitch
        return float(self.inharmonicity[min(max(key, 0), len(self.inharmonicity) - 1)])


HARMONIC = TimbrePartials()


def are_valid(ratios: Sequence[float] | np.ndarray) -> bool:
    """Whether ratios are 1 to `MOST_PARTIALS`, ascending, above 0 and up to `LARGEST_RATIO`."""
    ascend = all(a < b for a, b in pairwise([0.0, *ratios]))
    return ascend and 1 <= len(ratios) <= MOST_PARTIALS and ratios[-1] <= LARGEST_RATIO


def string_partials(inharmonicity: float, n: int = MOST_PARTIALS) -> np.ndarray:
    """Partials of a stiff string, h sqrt((1 + B h^2) / (1 + B)) with h from 1 to ``n``."""
    h = np.arange(1.0, n + 1.0)
    return h * np.sqrt((1.0 + inharmonicity * h * h) / (1.0 + inharmonicity))


def stack(notes: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Partials of several notes, [n_notes, MOST_PARTIALS], or None if all of them are harmonic."""
    if all(partials is None for partials in notes):
        return None
    number = np.arange(1.0, MOST_PARTIALS + 1.0)
    return np.stack([ratio_of(number, partials) for partials in notes])


def interpolate(
    first: np.ndarray | None, second: np.ndarray | None, amount: float
) -> np.ndarray | None:
    """Interpolate the partials of two timbres; None if both have harmonic ones.

    If both have harmonics only and one skips some, the result is the list of the nearer timbre:
    a partial halfway between the third harmonic and the second would be out of tune.
    """
    if amount == 0.0 or _equal(first, second):
        return first
    if all(map(_has_harmonics_only, (first, second))) and (_skips(first) or _skips(second)):
        return first if amount < 0.5 else second
    both = stack([first, second])
    assert both is not None  # one of them isn't harmonic
    return both[0] + amount * (both[1] - both[0])


def _equal(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    if first is None or second is None:
        return first is second
    return np.array_equal(first, second)


def _has_harmonics_only(partials: np.ndarray | None) -> bool:
    """Whether all ratios are harmonics, within 1 %."""
    return partials is None or bool((np.abs(partials - np.rint(partials)) < 0.01 * partials).all())


def _skips(partials: np.ndarray | None) -> bool:
    """Whether harmonics are missing between two ratios, or below the first."""
    return partials is not None and bool((np.diff(partials, prepend=0.0) > 1.5).any())


def position_among(ratio, partials: np.ndarray | None):
    """Position of frequencies among a note's partials: ``h`` at partial ``h``, linear between two.

    Parameters
    ----------
    ratio : array [..., n], float64
        Frequencies over that of the pitch.
    partials : array [n_partials] or [..., n_partials], optional
        The note's partials, or those of each note.

    Returns
    -------
    position : array [..., n]
        Positions; the ratio itself for harmonic partials.
    slope : array [..., n] or 1.0
        Change of the position over that of the ratio.
    """
    if partials is None:
        return ratio, 1.0
    if partials.ndim > 1:
        rows = [position_among(*row) for row in zip(ratio, partials, strict=True)]
        return np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])
    knots = np.append(0.0, partials)
    slopes = 1.0 / np.append(np.diff(knots), _last_step(partials))
    below = np.searchsorted(partials, ratio, side="right")
    return below + (ratio - knots[below]) * slopes[below], slopes[below]


def ratio_of(number, partials: np.ndarray | None):
    """Return the ratios of partials by number, 1 or more, [..., n]; see `position_among`."""
    if partials is None:
        return number
    if partials.ndim > 1:
        return np.stack([ratio_of(*row) for row in zip(number, partials, strict=True)])
    n = len(partials)
    index = np.minimum(number, n).astype(int) - 1
    return partials[index] + np.maximum(number - n, 0.0) * _last_step(partials)


def _last_step(partials: np.ndarray) -> float:
    """Distance of the partials above the last: that of the last two, but at least the pitch's."""
    return max(1.0, partials[-1] - partials[-2]) if len(partials) > 1 else 1.0
