"""How far a critic overfits: it scores held-out notes as it scores generated ones.

Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020,
equation 1, where it is called r_v: (known - held out) / (known - generated), of mean scores. 0 is a
critic that scores held-out notes as those it trains on, 1 one that takes them for generated notes.
"""

from __future__ import annotations

import numpy as np

WARNING_RATIO = 0.5
N_AVERAGED = 4  # evaluations; a single one is noisy


class CriticOverfit:
    """The ratio r_v over the last `N_AVERAGED` evaluations.

    Parameters
    ----------
    advice : str
        Advice to the user besides more notes.
    least : float
        Mean difference of the scores of training and of generated notes that the ratio needs; below
        it the ratio is 0.

    Attributes
    ----------
    scores : list of (float, float)
        For each evaluation, the score of training notes minus those of held-out and of generated
        notes.
    """

    def __init__(self, advice: str, least: float = 0.0):
        self._advice, self._least = advice, least
        self.scores: list[tuple[float, float]] = []

    def add(self, known: float, held_out: float, generated: float) -> float:
        """Add the mean scores of an evaluation; return the ratio."""
        self.scores = [*self.scores, (known - held_out, known - generated)][-N_AVERAGED:]
        return self.ratio

    @property
    def ratio(self) -> float:
        """The ratio; 0 where the critic scores generated notes about as high as known ones."""
        gap, distance = np.mean(self.scores, axis=0)
        return float(gap / distance) if distance > self._least else 0.0

    @property
    def warning(self) -> str:
        """A warning above `WARNING_RATIO`; empty below, and while there are too few evaluations."""
        ratio = self.ratio if len(self.scores) == N_AVERAGED else 0.0
        if ratio <= WARNING_RATIO:
            return ""
        return (
            f"the critic overfits: it scores held-out notes {ratio:.0%} of the way to generated"
            f" ones ({WARNING_RATIO:.0%} is the limit); give more notes, or {self._advice}"
        )
