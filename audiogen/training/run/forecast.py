"""How long a training takes: measured on a few steps before it starts."""

from __future__ import annotations

import time
from dataclasses import dataclass

from audiogen.training.run.trainer import Trainer

N_TIMED, TIMED_S = 12, 5.0  # steps of each phase; no more once they have taken this long
EVALUATIONS_SHARE = 0.5  # largest share of --minutes


@dataclass(frozen=True)
class Forecast:
    """Time that a step and an evaluation take.

    Parameters
    ----------
    phase_s : list of float, s
        Time of a step in each phase of the trainer.
    evaluation_s : float, s
        Time of an evaluation on held-out data.
    trainer : Trainer
        A trainer of the recipe, to count evaluations with.
    """

    phase_s: list[float]
    evaluation_s: float
    trainer: Trainer

    @property
    def step_s(self) -> float:
        """Time of a step, on average over the phases, s."""
        phases = zip(self.trainer.phases(), self.phase_s, strict=True)
        return sum(share * seconds for (share, _), seconds in phases)

    def seconds(self, n_steps: int) -> float:
        """Time of a training of ``n_steps``, s."""
        return n_steps * self.step_s + self.trainer.n_evaluations(n_steps) * self.evaluation_s

    def steps_in(self, seconds: float) -> int:
        """Number of steps that fit into a time; evaluations get half of it at most."""
        steps = int(seconds / self.step_s)
        evaluations_s = max(1, self.trainer.n_evaluations(steps)) * self.evaluation_s
        left = seconds - min(evaluations_s, EVALUATIONS_SHARE * seconds)
        return max(1, int(left / self.step_s))


def measure(trainer: Trainer, evaluations: bool = True) -> Forecast:
    """Time steps of each phase, and an evaluation.

    Parameters
    ----------
    trainer : Trainer
        A fresh trainer, which must not be used afterwards.
    evaluations : bool
        Whether to time an evaluation, too.

    Returns
    -------
    Forecast
    """
    phase_s = []
    for _, step in trainer.phases():
        trainer.step = step
        trainer.train_step()  # compiles kernels and fills caches
        times: list[float] = []
        # All processes must take the same number of steps.
        while len(times) < N_TIMED and not trainer.processes.any(sum(times) > TIMED_S)[0]:
            start = time.monotonic()
            # Consecutive steps, since not all are alike; far from an evaluation and the next phase.
            trainer.step = step + len(times) + 1
            trainer.train_step()
            times.append(time.monotonic() - start)
        phase_s.append(sum(times) / len(times))
    start = time.monotonic()
    if evaluations:
        trainer.evaluate_held_out()
    return Forecast(phase_s, time.monotonic() - start, trainer)


def duration(seconds: float) -> str:
    """Hours and minutes, minutes and seconds, or seconds.

    Examples
    --------
    >>> duration(59.6), duration(125), duration(7500)
    ('1 min 00 s', '2 min 05 s', '2 h 05 min')
    """
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours} h {m:02} min" if hours else f"{m} min {s:02} s" if m else f"{s} s"
