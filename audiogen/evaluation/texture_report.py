"""A report on a preset that makes sound on its own: clips measured, and one long stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.errors import MissingPackageError, ParameterError
from audiogen.evaluation.metrics import CLICK_RATIO, level_db, peak_db
from audiogen.evaluation.note_report import json_of, write_report
from audiogen.evaluation.texture_metrics import Life, alive, speech_share, tonality

CLIP_S = 8.0
PRIME_S = 3.0  # of a real clip that is continued
SPOKEN = 0.5  # share of a clip, from which on it counts as speech
N_PAIRS = 4

# Seconds and seed, and sound to be continued or None, become a waveform [n_samples].
Generate = Callable[[float, int, np.ndarray | None], np.ndarray]


@dataclass(frozen=True)
class ClipMeasures:
    """One clip, measured.

    Parameters
    ----------
    level_db, peak_db : float, dBFS
    flatness, held_share : float
        See `texture.Tonality`.
    speech : float
        `texture.speech_share`; NaN where its package isn't installed.
    """

    level_db: float
    peak_db: float
    flatness: float
    held_share: float
    speech: float


@dataclass(frozen=True)
class TextureReport:
    """What came out of an evaluation.

    Parameters
    ----------
    generated, real : tuple of ClipMeasures
        ``real`` is empty without recordings.
    life : Life
        Of one long stream.
    seams : tuple of float
        `seam_ratio` where continuations of real clips begin.
    stream_s : float, s
        Length of the long stream.
    pairs : tuple of (str, ndarray, ndarray)
        Title, a real clip and a generated one.
    sample_rate : int, Hz
    seed : int
    """

    generated: tuple[ClipMeasures, ...]
    real: tuple[ClipMeasures, ...]
    life: Life
    seams: tuple[float, ...]
    stream_s: float
    pairs: tuple[tuple[str, np.ndarray, np.ndarray], ...]
    sample_rate: int
    seed: int

    def table(self) -> list[tuple[str, str, str]]:
        """Return rows of (what, generated, real), ready to print."""
        ours, real = summarise(self.generated), summarise(self.real)
        rows = [
            (title, form.format(ours[key]), form.format(real[key]) if real else "-")
            for key, (title, form) in _ROWS.items()
        ]
        windows = self.life.windows
        levels = [window.level_db for window in windows]
        fluxes = [window.flux for window in windows]
        rows.append((f"a stream of {self.stream_s:.0f} s", self.life.verdict, "-"))
        rows.append(("its level by 10 s (dBFS)", f"{min(levels):.1f} to {max(levels):.1f}", "-"))
        rows.append(("its spectral flux by 10 s", f"{min(fluxes):.2f} to {max(fluxes):.2f}", "-"))
        if self.seams:
            clicking = np.mean(np.array(self.seams) > CLICK_RATIO)
            rows.append(("continuations that click at the seam", f"{clicking:.1%}", "-"))
        return rows

    def to_json(self) -> str:
        """Return everything but the sound as JSON; NaN becomes null."""
        content = {
            "format": 1,
            "seed": self.seed,
            "sample_rate": self.sample_rate,
            "generated": summarise(self.generated),
            "real": summarise(self.real) or None,
            "stream": {
                "verdict": self.life.verdict,
                "windows": [asdict(window) for window in self.life.windows],
            },
            "seams": list(self.seams),
            "clips": [asdict(clip) for clip in self.generated],
            "real_clips": [asdict(clip) for clip in self.real],
        }
        return json_of(content)

    def write(self, folder: str | PathLike[str]) -> list[Path]:
        """Write report.json and, where recordings were given, spectrograms.png."""
        return write_report(folder, self.to_json(), self.pairs, self.sample_rate)


# Key of a summary: its title in the table, and how it's printed.
_ROWS = {
    "clips": (f"clips of {CLIP_S:g} s", "{:d}"),
    "median_level_db": ("median level (dBFS)", "{:.1f}"),
    "highest_peak_db": ("highest peak (dBFS)", "{:.1f}"),
    "median_flatness": ("median spectral flatness", "{:.3f}"),
    "median_held_share": ("median share of held tones", "{:.1%}"),
    "median_speech": ("median share of speech", "{:.1%}"),
    "spoken": (f"clips with {SPOKEN:.0%} of speech or more", "{:.1%}"),
}


def summarise(clips: Sequence[ClipMeasures]) -> dict[str, Any]:
    """Return medians and rates of measured clips, by the keys of the table; {} for none."""
    if not clips:
        return {}

    def median(name: str) -> float:
        return float(np.median([getattr(clip, name) for clip in clips]))

    return {
        "clips": len(clips),
        "median_level_db": median("level_db"),
        "highest_peak_db": max(clip.peak_db for clip in clips),
        "median_flatness": median("flatness"),
        "median_held_share": median("held_share"),
        "median_speech": median("speech"),
        "spoken": float(np.mean([clip.speech >= SPOKEN for clip in clips])),
    }


def evaluate_texture(
    generate: Generate,
    *,
    sample_rate: int,
    real: np.ndarray | None = None,
    n_clips: int = 20,
    minutes: float = 10.0,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> TextureReport:
    """Measure clips and one long stream, and as many real clips.

    Parameters
    ----------
    generate : callable
        Of seconds, seed, and a waveform to be continued or None; gives a waveform [n_samples].
    sample_rate : int, Hz
    real : ndarray [n_samples], optional
        Recordings, one after the other. `PRIME_S` of a place in them are continued for each clip.
    n_clips : int
    minutes : float
        Of the long stream.
    seed : int
        Of the first clip; the others have the numbers that follow.
    progress : callable, optional
        Called with (clips done, clips in all); the stream counts as one.

    Returns
    -------
    TextureReport

    Raises
    ------
    ParameterError
        If the recordings are shorter than a clip.
    """
    length, prime = round(CLIP_S * sample_rate), round(PRIME_S * sample_rate)
    if real is not None and len(real) < length:
        raise ParameterError(
            f"the recordings last {len(real) / sample_rate:.1f} s; {CLIP_S:g} s or more are wanted"
        )
    random = np.random.default_rng(seed)
    generated, real_measures, seams, pairs = [], [], [], []
    for i in range(n_clips):
        clip = generate(CLIP_S, seed + i, None)
        generated.append(_measure(clip, sample_rate))
        if real is not None:
            start = int(random.integers(len(real) - length + 1))
            wanted = real[start : start + length]
            real_measures.append(_measure(wanted, sample_rate))
            continued = generate(1.0, seed + i, wanted[:prime])
            whole = np.concatenate((wanted[:prime], continued))
            seams.append(seam_ratio(whole, prime, sample_rate))
            if i < N_PAIRS:
                pairs.append((f"clip {i}", wanted, clip))
        if progress:
            progress(i + 1, n_clips + 1)
    stream = generate(60.0 * minutes, seed, None)
    life = alive(stream, sample_rate)
    if progress:
        progress(n_clips + 1, n_clips + 1)
    return TextureReport(
        tuple(generated),
        tuple(real_measures),
        life,
        tuple(seams),
        len(stream) / sample_rate,
        tuple(pairs),
        sample_rate,
        seed,
    )


def seam_ratio(waveform: np.ndarray, seam: int, sample_rate: int) -> float:
    """How far the bend at a sample stands out of those around it; as `metrics.click_ratio`.

    Parameters
    ----------
    waveform : ndarray [n_samples]
    seam : int
        The first sample after it.
    sample_rate : int, Hz

    Returns
    -------
    float
        Above `metrics.CLICK_RATIO` it's heard as a click.
    """
    bend = np.abs(np.diff(np.asarray(waveform, np.float64), 2))
    near, far = max(2, round(0.001 * sample_rate)), round(0.035 * sample_rate)
    at = seam - 2  # of the first bend that has a sample of the other side
    around = np.concatenate((bend[max(0, at - far) : at - near], bend[at + near : at + far]))
    floor = 1e-5 * float(bend.max(initial=0.0)) + 1e-12
    return float(bend[at : at + 2].max() / (np.sqrt(np.mean(np.square(around))) + floor))


def _measure(clip: np.ndarray, sample_rate: int) -> ClipMeasures:
    tone = tonality(clip, sample_rate)
    try:
        speech = speech_share(clip, sample_rate)
    except MissingPackageError:
        speech = float("nan")
    return ClipMeasures(level_db(clip), peak_db(clip), tone.flatness, tone.held_share, speech)
