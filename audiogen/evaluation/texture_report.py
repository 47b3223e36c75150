"""Report on an unconditional preset: measurements of clips, continuations and a long stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.errors import MissingPackageError, ParameterError
from audiogen.evaluation.likelihood import Bits
from audiogen.evaluation.metrics import CLICK_RATIO, level_db, peak_db
from audiogen.evaluation.report_files import json_text, write_report
from audiogen.evaluation.texture_metrics import Life, alive, speech_share, tonality

CLIP_S = 8.0
PROMPT_S = 3.0  # beginning of a real clip that is continued
MIN_SPEECH = 0.5  # share of speech in a clip that counts as spoken
N_PAIRS = 4

# Function of seconds, seed, and a prompt or None; returns a waveform [n_samples].
Generate = Callable[[float, int, np.ndarray | None], np.ndarray]


@dataclass(frozen=True)
class ClipMeasures:
    """Measurements of one clip.

    Parameters
    ----------
    level_db, peak_db : float, dBFS
        Root mean square and peak.
    flatness, held_share : float
        See `texture_metrics.Tonality`.
    speech : float
        `texture_metrics.speech_share`; NaN if its package is not installed.
    """

    level_db: float
    peak_db: float
    flatness: float
    held_share: float
    speech: float


@dataclass(frozen=True)
class TextureReport:
    """Result of `evaluate_texture`.

    Parameters
    ----------
    generated, real : tuple of ClipMeasures
        Measurements; `real` is empty without recordings.
    life : Life
        Windows of the long stream.
    seams : tuple of float
        `seam_ratio` at the beginning of each continuation.
    stream_s : float, s
        Length of the long stream.
    pairs : tuple of (str, array, array)
        Title, real clip and generated clip.
    sample_rate : int, Hz
        Sample rate of the clips.
    seed : int
        Seed of the first clip.
    bits : dict of str to Bits
        Result of `likelihood.likelihood`; empty if not computed.
    """

    generated: tuple[ClipMeasures, ...]
    real: tuple[ClipMeasures, ...]
    life: Life
    seams: tuple[float, ...]
    stream_s: float
    pairs: tuple[tuple[str, np.ndarray, np.ndarray], ...]
    sample_rate: int
    seed: int
    bits: dict[str, Bits] = field(default_factory=dict)

    def header(self, name: str) -> tuple[str, ...]:
        """Return the titles of the table's columns, for a preset of this name."""
        return ("", name, "real")

    def remarks(self) -> list[str]:
        """Return the remarks below the table."""
        if np.isnan(summarise(self.generated)["median_speech"]):
            return ["Speech was not measured: pip install 'audiogen-synth[eval]'."]
        return []

    def table(self) -> list[tuple[str, ...]]:
        """Return rows of (quantity, generated, real) as text."""
        both = summarise(self.generated), summarise(self.real)
        rows: list[tuple[str, ...]] = [
            (title, *("-" if not of or np.isnan(of[key]) else form.format(of[key]) for of in both))
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
        for name, bits in self.bits.items():
            title = "" if name == "preset" else f", {name} model"
            rows.append((f"bits per sample of the recordings{title}", str(bits), "-"))
        return rows

    def measured(self) -> dict[str, float]:
        """Return the numbers for the preset's card, by name."""
        ours = summarise(self.generated)
        numbers = {
            "level_db": ours["median_level_db"],
            "flatness": ours["median_flatness"],
            "held_share": ours["median_held_share"],
            "speech": ours["median_speech"],
            "stream_s": self.stream_s,
            "stream_alive": float(self.life.alive),
        }
        if self.seams:
            numbers["clicking_seams"] = float(np.mean(np.array(self.seams) > CLICK_RATIO))
        for name, bits in self.bits.items():
            key = "bits" if name == "preset" else f"bits_{name}"
            numbers |= {key: bits.mean, f"{key}_error": bits.error}
        return {name: round(value, 4) for name, value in numbers.items() if np.isfinite(value)}

    def to_json(self) -> str:
        """Return everything but the waveforms as JSON; NaN becomes null."""
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
            "bits": {name: bits._asdict() for name, bits in self.bits.items()},
            "clips": [asdict(clip) for clip in self.generated],
            "real_clips": [asdict(clip) for clip in self.real],
        }
        return json_text(content)

    def write(self, folder: str | PathLike[str], name: str = "generated") -> list[Path]:
        """Write report.json, report.html and, if there are recordings, rainbowgrams.png.

        Parameters
        ----------
        folder : path
            Folder of the report.
        name : str
            Name of the preset.

        Returns
        -------
        list of Path
            Written files.
        """
        return write_report(
            folder,
            self.to_json(),
            self.pairs,
            self.sample_rate,
            title=f"Evaluation of {name}",
            table=[self.header(name), *self.table()],
        )


# Title and format of each key of a summary.
_ROWS = {
    "clips": (f"clips of {CLIP_S:g} s", "{:d}"),
    "median_level_db": ("median level (dBFS)", "{:.1f}"),
    "highest_peak_db": ("highest peak (dBFS)", "{:.1f}"),
    "median_flatness": ("median spectral flatness", "{:.3f}"),
    "median_held_share": ("median share of held tones", "{:.1%}"),
    "median_speech": ("median share of speech", "{:.1%}"),
    "spoken": (f"clips with {MIN_SPEECH:.0%} of speech or more", "{:.1%}"),
}


def summarise(clips: Sequence[ClipMeasures]) -> dict[str, Any]:
    """Return medians and rates of clips by the keys of the table; {} for no clips."""
    if not clips:
        return {}

    def over(name: str, statistic: Callable[[np.ndarray], Any] = np.median) -> float:
        """Statistic of the clips that have a value: silence has no tonality."""
        values = np.array([getattr(clip, name) for clip in clips])
        values = values[~np.isnan(values)]
        return float(statistic(values)) if len(values) else float("nan")

    return {
        "clips": len(clips),
        "median_level_db": over("level_db"),
        "highest_peak_db": max(clip.peak_db for clip in clips),
        "median_flatness": over("flatness"),
        "median_held_share": over("held_share"),
        "median_speech": over("speech"),
        "spoken": over("speech", lambda shares: np.mean(shares >= MIN_SPEECH)),
    }


def evaluate_texture(
    generate: Generate,
    *,
    sample_rate: int,
    real: np.ndarray | None = None,
    n_clips: int = 20,
    minutes: float = 10.0,
    seed: int = 0,
    bits: dict[str, Bits] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TextureReport:
    """Measure clips and one long stream, and as many real clips.

    Parameters
    ----------
    generate : callable
        Function of seconds, seed, and a prompt or None; returns a waveform [n_samples].
    sample_rate : int, Hz
        Sample rate of the waveforms.
    real : array [n_samples], optional
        Concatenated recordings. For each clip, `PROMPT_S` of them are continued.
    n_clips : int
        Number of generated clips.
    minutes : float
        Length of the long stream.
    seed : int
        Seed of the first clip; the others have the following numbers.
    bits : dict of str to Bits, optional
        `likelihood.likelihood` of the recordings, for the report.
    progress : callable, optional
        Function of (clips done, clips in all); the stream counts as one.

    Returns
    -------
    TextureReport

    Raises
    ------
    ParameterError
        If the recordings are shorter than a clip.
    """
    length, n_prompt = round(CLIP_S * sample_rate), round(PROMPT_S * sample_rate)
    if real is not None and len(real) < length:
        raise ParameterError(
            f"the recordings last {len(real) / sample_rate:.1f} s; they must last {CLIP_S:g} s or "
            "more"
        )
    random = np.random.default_rng(seed)
    generated, real_measures, seams, pairs = [], [], [], []
    for i in range(n_clips):
        clip = generate(CLIP_S, seed + i, None)
        generated.append(_measure(clip, sample_rate))
        if real is not None:
            start = int(random.integers(len(real) - length + 1))
            real_clip = real[start : start + length]
            real_measures.append(_measure(real_clip, sample_rate))
            prompt = real_clip[:n_prompt]
            continued = np.concatenate((prompt, generate(1.0, seed + i, prompt)))
            seams.append(seam_ratio(continued, n_prompt, sample_rate))
            if i < N_PAIRS:
                pairs.append((f"clip {i}", real_clip, clip))
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
        bits or {},
    )


def seam_ratio(waveform: np.ndarray, seam: int, sample_rate: int) -> float:
    """Return the ratio of `metrics.click_ratio` at one sample.

    Parameters
    ----------
    waveform : array [n_samples]
        Prompt and continuation.
    seam : int
        First sample of the continuation.
    sample_rate : int, Hz
        Sample rate of the samples.

    Returns
    -------
    float
        Above `metrics.CLICK_RATIO`, the seam is audible as a click.
    """
    bend = np.abs(np.diff(np.asarray(waveform, np.float64), 2))
    near, far = max(2, round(0.001 * sample_rate)), round(0.035 * sample_rate)
    at = seam - 2  # first second difference with a sample of either side
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
