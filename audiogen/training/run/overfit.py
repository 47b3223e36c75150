"""How much a critic has learned its notes by heart, and when that is worth a warning.

Karras et al. ("Training Generative Adversarial Networks with Limited Data", NeurIPS 2020, equation
1) call it r_v: of the way from its notes' score to that of generated ones, what the critic puts
held-out notes at. 0 is no overfitting, 1 is complete.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST_OVERFIT = 0.5
N_MEANT = 4  # looks that a warning is due to

Look = tuple[float, float]  # score of known notes less that of held-out, and of generated ones


def overfit(looks: Sequence[Look]) -> float:
    """Of the last looks together; 0 where generated notes score as well as known ones."""
    gap, distance = np.sum(looks, axis=0)
    return float(gap / distance) if distance > 0.0 else 0.0


def overfit_warning(looks: Sequence[Look], advice: str) -> str:
    """What the user should know of it; empty when all is well, or not yet known.

    Parameters
    ----------
    looks : sequence of Look
        The last `N_MEANT`, or fewer while there are fewer.
    advice : str
        What else than more notes would help.
    """
    share = overfit(looks) if len(looks) == N_MEANT else 0.0
    if share <= MOST_OVERFIT:
        return ""
    return (
        f"the critic learns its notes by heart: it puts held-out ones {share:.0%} of the"
        f" way to generated ones ({MOST_OVERFIT:.0%} is the bound); give more notes, or {advice}"
    )
