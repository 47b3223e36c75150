"""Whether a result is good, fair or poor: against which baseline, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Bits per sample over the bigram's. The shipped presets are at 0.37 to 0.75 (presets/*/preset.toml,
# [measured]); at 1 a network knows no more than which level follows which.
GOOD_BITS, FAIR_BITS = 0.8, 1.0
# Log-mel distance of generated from held-out notes, over that of random other notes of the set. The
# shipped presets are at 0.15 to 0.34; for a single timbre, whose notes are alike, at 0.4 to 0.7.
GOOD_MEL, FAIR_MEL = 0.4, 0.75
# Energy distance of generated from held-out notes, over that of silence. A rule of thumb.
GOOD_ENERGY, FAIR_ENERGY = 0.05, 0.2
OVERFIT_SHARE = 0.6  # of the steps: a best evaluation before that means that more steps don't help


@dataclass(frozen=True)
class Judgement:
    """A grade with its reason.

    Parameters
    ----------
    grade : str
        ``good``, ``fair`` or ``poor``.
    reason : str
        The measurement and the baseline.
    advice : str
        The next thing to do.
    """

    grade: str
    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.grade}: {self.reason}. {self.advice}"


def judge(kind: str, measured: Mapping[str, float], steps: int) -> Judgement | None:
    """Grade what was measured on held-out data at the end of a training.

    Parameters
    ----------
    kind : str
        Kind of the training.
    measured : mapping of str to float
        ``[measured]`` of the preset.
    steps : int
        Number of steps that were taken.

    Returns
    -------
    Judgement or None
        None where the baseline is missing, as in presets of older versions.

    Examples
    --------
    >>> judge("samplernn", {"held_out_bits": 4.58, "held_out_bits_bigram": 3.63}, 100).grade
    'poor'
    """
    return {
        "samplernn": _bits,
        "gansynth-builtin": _log_mel,
        "gansynth-progressive": _energy,
    }[kind](measured, steps)


def _grade(ratio: float, good: float, fair: float) -> str:
    return "good" if ratio <= good else "fair" if ratio < fair else "poor"


def _bits(measured: Mapping[str, float], steps: int) -> Judgement | None:
    if "held_out_bits_bigram" not in measured:
        return None
    bits, bigram = measured["held_out_bits"], measured["held_out_bits_bigram"]
    grade = _grade(bits / bigram, GOOD_BITS, FAIR_BITS)
    reason = (
        f"{bits:.2f} bits per sample on held-out sound; a bigram (the level before) has"
        f" {bigram:.2f}"
    )
    if measured.get("best_step", steps) < OVERFIT_SHARE * steps:
        advice = (
            f"Held-out sound was best after step {measured['best_step']:.0f} of {steps}: more steps"
            " won't help; add sound, or try --augmentation 1."
        )
    else:
        advice = {
            "good": "Listen to the preview; a longer training (--init-from) may still refine it.",
            "fair": f"Train longer: below {GOOD_BITS * bigram:.2f} is good.",
            "poor": "Train longer (--minutes): the network knows less than which level follows"
            " which.",
        }[grade]
    return Judgement(grade, reason, advice)


def _log_mel(measured: Mapping[str, float], steps: int) -> Judgement | None:
    if "held_out_log_mel_db_random" not in measured:
        return None
    far, random = measured["held_out_log_mel_db"], measured["held_out_log_mel_db_random"]
    grade = _grade(far / max(random, 1e-9), GOOD_MEL, FAIR_MEL)
    reason = (
        f"generated notes are {far:.1f} dB from held-out ones (log-mel); random other notes of the"
        f" set are {random:.1f} dB from them"
    )
    longer = f"Train longer (--init-from this preset, or --steps above {steps})"
    advice = {
        "good": "Listen to the preview, and play it.",
        "fair": f"{longer}: below {GOOD_MEL * random:.1f} dB is good.",
        "poor": f"{longer}; if that doesn't help, check the pitches in report.html and add notes.",
    }[grade]
    return Judgement(grade, reason, advice)


def _energy(measured: Mapping[str, float], steps: int) -> Judgement | None:
    if "held_out_energy_db_silence" not in measured:
        return None
    far, silence = measured["held_out_energy_db"], measured["held_out_energy_db_silence"]
    grade = _grade(far / max(silence, 1e-9), GOOD_ENERGY, FAIR_ENERGY)
    reason = (
        f"energy distance of generated from held-out notes {far:.1f} dB; silence has"
        f" {silence:.1f} dB, a perfect generator 0"
    )
    advice = {
        "good": "Listen to the preview, and play it.",
        "fair": "Train on more images (--steps), or on more notes.",
        "poor": "Train on more images (--steps) and thousands of notes; --recipe built-in needs"
        " fewer of both.",
    }[grade]
    return Judgement(grade, reason, advice)
