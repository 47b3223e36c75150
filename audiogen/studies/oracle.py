"""Study: what the oracle loses, and what other ways to play its frames would keep.

The oracle of `audiogen evaluate` is a real note through the presets' representation and the
engine's synthesis. Each way plays the same frames with other phases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiogen import ops
from audiogen.evaluation.note_comparison import (
    GROUPS,
    ORACLE,
    REAL,
    compare_notes,
    statistic_title,
)
from audiogen.evaluation.two_sample import PARTS, Area, two_sample_test
from audiogen.representation import resynthesis
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import LOBE_REACH, onset_centroids, pitch_to_hz
from audiogen.representation.spectrogram import (
    denormalise,
    normalise,
    spectrogram_to_waveform,
    waveform_to_spectrogram,
)
from audiogen.studies import StudyResult, Table
from audiogen.studies.parts import Part, run_parts
from audiogen.studies.sounds import drawn_notes, held_notes
from audiogen.training.gansynth.recipe import PRESET_SPECTROGRAM

NOTES, RUNS = "notes", "runs.jsonl"
SHOWN_S = 3.0
BATCH = 8
TONAL_BINS = 1.5  # a peak this close to a harmonic belongs to a partial
NOISE_GAIN = math.log(2.0)  # frames of random phases overlap to a quarter of their power
UNDECIDED = 0.55  # an area under the curve up to this is within the spread of 0.5
CLEAR = 0.02  # a difference of areas that two classifiers' spread doesn't explain


@dataclass(frozen=True)
class Size:
    """Sizes of a run.

    Parameters
    ----------
    n_notes : int
        Number of notes.
    n_classifiers : int
        Classifiers of each two-sample test; 0 for none.
    ways : tuple of str
        Names of `WAYS`, or `SHORT`.
    """

    n_notes: int
    n_classifiers: int
    ways: tuple[str, ...]


# Log magnitude, phase channel, representation and pitch to waveforms.
Way = Callable[[Tensor, Tensor, SpectrogramConfig, Tensor], Tensor]


def play(log_magnitude: Tensor, phase: Tensor, config: SpectrogramConfig) -> Tensor:
    """Overlap-add frames of given phases."""
    spectrum = F.pad(ops.polar_to_rectangular(log_magnitude, phase), (1, 0))
    return ops.istft(spectrum, config.n_fft, config.hop_length)[:, config.pad_front :]


def engine(level: Tensor, channel: Tensor, config: SpectrogramConfig, pitch: Tensor) -> Tensor:
    """As the engine plays: bins within 4 of a peak are locked to it."""
    phase = resynthesis.locked_phase(level, channel, config, pitch, (0, config.n_frames))
    return play(level, phase, config)


def analysed(level: Tensor, channel: Tensor, config: SpectrogramConfig, pitch: Tensor) -> Tensor:
    """With the real note's own phases: what the magnitudes and their clipping lose."""
    spectrogram = torch.stack((level, channel), dim=1)
    return spectrogram_to_waveform(spectrogram, config, pitch=pitch)


def narrow(level: Tensor, channel: Tensor, config: SpectrogramConfig, pitch: Tensor) -> Tensor:
    """Locked within 2 bins of a peak only, the main lobe of the window."""
    return play(level, _locked(level, channel, config, pitch, reach=2), config)


def tonal(level: Tensor, channel: Tensor, config: SpectrogramConfig, pitch: Tensor) -> Tensor:
    """Locked to peaks of partials only; bins of noise keep phases of their own."""
    phase = _locked(level, channel, config, pitch, tonal_only=True)
    return play(level, phase, config)


def random(level: Tensor, channel: Tensor, config: SpectrogramConfig, pitch: Tensor) -> Tensor:
    """Bins that no partial's peak locks have random phases in each frame, and 6 dB more."""
    phase = _locked(level, channel, config, pitch, tonal_only=True)
    free = ~_near_partial(level, config, pitch)
    drawn = 2 * math.pi * torch.rand(phase.shape, generator=torch.Generator().manual_seed(0))
    return play(level + NOISE_GAIN * free, torch.where(free, drawn, phase), config)


def drawn(level: Tensor, channel: Tensor, config: SpectrogramConfig, pitch: Tensor) -> Tensor:
    """Bins that no partial's peak locks become white noise, shaped by their mean power.

    So an engine would draw noise. The mean is over 3 frames and 9 bins of the real note, which is
    closer than a regression would be.
    """
    phase = _locked(level, channel, config, pitch, tonal_only=True)
    free = ~_near_partial(level, config, pitch)
    samples = torch.randn(
        len(level),
        (config.n_frames - 1) * config.hop_length + config.n_fft,
        generator=torch.Generator().manual_seed(0),
    )
    window = torch.hann_window(config.n_fft)
    noise = torch.stft(
        samples, config.n_fft, config.hop_length, window=window, center=False, return_complex=True
    )[:, 1:].transpose(1, 2)
    noise = noise / noise.abs().square().mean().sqrt()
    power, share = (
        F.avg_pool2d(values[:, None], (3, 9), stride=1, padding=(1, 4))[:, 0]
        for values in ((2.0 * level).exp() * free, free.float())
    )
    expected = 0.5 * torch.log(power / share.clamp_min(1e-6) + 1e-12)
    drawn_level = expected + torch.log(noise.abs() + 1e-9)
    return play(
        torch.where(free, drawn_level, level), torch.where(free, noise.angle(), phase), config
    )


def delayed(level: Tensor, channel: Tensor, config: SpectrogramConfig, pitch: Tensor) -> Tensor:
    """Locked with the group delay that follows from how fast each peak grows or decays."""
    return play(level, _locked(level, channel, config, pitch, delays=True), config)


def unlocked(level: Tensor, channel: Tensor, config: SpectrogramConfig, pitch: Tensor) -> Tensor:
    """No bin is locked: each integrates its own frequency from the phase of the pitch."""
    return play(level, _locked(level, channel, config, pitch, reach=-1), config)


def onset(level: Tensor, channel: Tensor, config: SpectrogramConfig, pitch: Tensor) -> Tensor:
    """Locked in the frames that begin before the note, as in the engine; unlocked afterwards."""
    return play(level, _locked(level, channel, config, pitch, reach=-1, onset_reach=4), config)


def wide(level: Tensor, channel: Tensor, config: SpectrogramConfig, pitch: Tensor) -> Tensor:
    """Locked to the nearest peak however far in the frames before the note; then within 2 bins."""
    n = config.n_bins
    return play(level, _locked(level, channel, config, pitch, reach=2, onset_reach=n), config)


def waning(level: Tensor, channel: Tensor, config: SpectrogramConfig, pitch: Tensor) -> Tensor:
    """Locked within 4 bins in the frames that begin before the note; then within 2 bins."""
    return play(level, _locked(level, channel, config, pitch, reach=2, onset_reach=4), config)


WAYS: dict[str, Way] = {
    way.__name__: way
    for way in (
        engine,
        analysed,
        unlocked,
        narrow,
        tonal,
        random,
        drawn,
        delayed,
        onset,
        waning,
        wide,
    )
}
SHORT = "short"  # the engine's way, with frames of half the length and half the hop

ANALYSED = analysed.__name__
SIZES = {
    "smoke": Size(24, 0, ("engine", "analysed")),
    "full": Size(240, 2, (*WAYS, SHORT)),
}


def run(
    size: str,
    folder: Path,
    *,
    seed: int,
    jobs: int,
    minutes: float | None,
    progress: Callable[[int, int], None],
) -> StudyResult:
    """Run the study; see `audiogen.studies.run_study`."""
    sizes = SIZES[size]
    held_notes(folder / NOTES, size, sizes.n_notes, seed)
    parts: list[Part] = [{"way": way} for way in sizes.ways]
    lines = run_parts(
        folder / RUNS,
        parts,
        partial(_numbers, sizes, folder / NOTES, seed),
        jobs=jobs,
        minutes=minutes,
        progress=progress,
    )
    left = len(parts) - len(lines)
    missing = f"{left} of {len(parts)} ways" if left else ""
    checks = _checks({line["way"]: line["areas"] for line in lines})
    return StudyResult(_tables(lines), {"ways": lines}, checks, missing)


def _numbers(sizes: Size, data: Path, seed: int, part: Mapping[str, Any]) -> dict[str, Any]:
    """Play the notes in one way, and measure them beside the real ones."""
    torch.set_num_threads(1)
    config = PRESET_SPECTROGRAM
    if part["way"] == SHORT:
        config = replace(
            config,
            n_fft=config.n_fft // 2,
            hop_length=config.hop_length // 2,
            n_frames=2 * config.n_frames,
        )
    notes, real, pitches = drawn_notes(data, sizes.n_notes, seed, SHOWN_S)
    rate, end = config.sample_rate, real.shape[1]
    with torch.no_grad():
        sounds = played(notes, pitches, config, WAYS.get(part["way"], engine))[:, :end]
    compared = compare_notes({REAL: real, ORACLE: sounds}, pitches, rate, n_classifiers=0)
    areas = {}
    if sizes.n_classifiers:
        areas = two_sample_test(real, sounds, pitches, rate, n_seeds=sizes.n_classifiers)
    medians: dict[str, dict[str, list[float]]] = {}
    for median in compared.medians:
        values = [median.values[REAL], median.values[ORACLE], median.errors[ORACLE]]
        medians.setdefault(median.name, {})[median.group] = values
    return {"areas": {name: area.values for name, area in areas.items()}, "medians": medians}


def _tables(lines: list[dict[str, Any]]) -> list[Table]:
    tables = []
    if any(line["areas"] for line in lines):
        rows: list[Any] = [("way", *(f"AUC, {name}" for name in PARTS))]
        for line in lines:
            areas = (str(Area(tuple(line["areas"][name]))) for name in PARTS)
            rows.append((line["way"], *areas))
        tables.append(Table("Two-sample test, linear magnitudes", rows))
    if lines:
        names = list(lines[0]["medians"])
        rows = [("way", *map(statistic_title, names))]
        for column, way in enumerate((REAL, *(line["way"] for line in lines))):
            line = lines[max(0, column - 1)]
            rows.append((way, *(_text(line["medians"][name], min(column, 1)) for name in names)))
        tables.append(Table(f"Medians, {' / '.join(GROUPS)}", rows))
    return tables


def _text(of: Mapping[str, list[float]], column: int) -> str:
    """Medians of both groups: 0 is the real notes', 1 the played ones'."""
    values = (of[group][column] for group in GROUPS)
    return " / ".join("-" if np.isnan(value) else f"{value:.2f}" for value in values)


def _checks(areas: Mapping[str, Mapping[str, list[float]]]) -> dict[str, bool]:
    """The claims of docs/studies/oracle.md, of the ways that were tested."""
    of = {
        way: {name: float(np.median(values)) for name, values in parts.items()}
        for way, parts in areas.items()
        if parts
    }
    checks = {}
    if analysed := of.get(ANALYSED):
        checks["with the phases of the real notes, played notes can't be told from them"] = (
            max(analysed.values()) <= UNDECIDED
        )
    if of.keys() >= {*WAYS, SHORT}:
        best = of[engine.__name__]
        better = [
            way
            for way in (*WAYS, SHORT)
            if way != ANALYSED and all(of[way][name] < best[name] - CLEAR for name in PARTS)
        ]
        checks[
            f"no way is clearly better than the engine's in both parts{_named(better)}"
        ] = not better
    return checks


def _named(ways: list[str]) -> str:
    return f": {', '.join(ways)}" if ways else ""


def _locked(
    level: Tensor,
    channel: Tensor,
    config: SpectrogramConfig,
    pitch: Tensor,
    *,
    reach: int = LOBE_REACH,
    onset_reach: int | None = None,
    tonal_only: bool = False,
    delays: bool = False,
) -> Tensor:
    """`resynthesis.locked_phase` with its choices open."""
    numbers = np.arange(config.n_frames)
    reference = resynthesis.reference_phase(pitch.double().numpy(), config, numbers)
    steps = torch.from_numpy(np.diff(reference, axis=1) % (2 * math.pi)).to(channel)
    nearest, distance = resynthesis.nearest_peak(level)
    near = distance.abs() <= reach
    if onset_reach is not None:
        n_before = len(onset_centroids(config)) - 1  # frames that begin before the note
        near[:, :n_before] = distance[:, :n_before].abs() <= onset_reach
    if tonal_only:
        near &= _near_partial(level, config, pitch)
    delay = _group_delay(level, config) if delays else _onset_delay(level, config)
    behind = distance * (2 * math.pi / config.n_fft) * delay.gather(2, nearest)
    phase = torch.from_numpy(reference[:, 0] % (2 * math.pi)).to(channel)
    phases = []
    for i in range(config.n_frames):
        if i:
            phase = phase + steps[:, i - 1] + math.pi * channel[:, i]
        phase = torch.where(near[:, i], phase.gather(1, nearest[:, i]) - behind[:, i], phase)
        phases.append(phase)
    return torch.stack(phases, dim=1)


def _near_partial(level: Tensor, config: SpectrogramConfig, pitch: Tensor) -> Tensor:
    """Whether each bin's nearest peak is that of a partial, within the engine's reach."""
    nearest, distance = resynthesis.nearest_peak(level)
    f0 = torch.from_numpy(pitch_to_hz(pitch.numpy())).float()[:, None, None]
    peak_hz = (nearest + 1) * config.bin_width_hz
    away = (peak_hz - (peak_hz / f0).round().clamp_min(1) * f0).abs()
    return (distance.abs() <= LOBE_REACH) & (away < TONAL_BINS * config.bin_width_hz)


def _onset_delay(level: Tensor, config: SpectrogramConfig) -> Tensor:
    """The engine's group delay: the window's centre of gravity after the onset."""
    centroids = onset_centroids(config)
    numbers = np.minimum(np.arange(config.n_frames), len(centroids) - 1)
    return torch.from_numpy(centroids[numbers]).float()[None, :, None].expand_as(level)


def _group_delay(level: Tensor, config: SpectrogramConfig) -> Tensor:
    """Centre of gravity of the window times an exponential with each bin's growth, in samples.

    The growth is half the difference of the log magnitudes of the next and the previous frame.
    """
    slope = torch.zeros_like(level)
    slope[:, 1:-1] = (level[:, 2:] - level[:, :-2]) / 2
    slope[:, 0] = level[:, 1] - level[:, 0]
    grid = np.linspace(-3.0, 3.0, 121)  # nats per hop
    n = np.arange(config.n_fft)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / config.n_fft)
    delay = torch.empty_like(level)
    n_partial = len(onset_centroids(config)) - 1  # frames that begin before the note
    for i in range(config.n_frames):
        if i <= n_partial:
            start = max(0, config.pad_front - i * config.hop_length)
            weights = window[start:] * np.exp(grid[:, None] * (n[start:] / config.hop_length))
            table = (weights * n[start:]).sum(1) / weights.sum(1)
        found = np.interp(slope[:, i].numpy(), grid, table)
        delay[:, i] = torch.from_numpy(found).float()
    return delay


def played(
    notes: list[np.ndarray], pitches: np.ndarray, config: SpectrogramConfig, way: Way
) -> np.ndarray:
    """Notes through the representation and one way of playing its frames."""
    sounds = []
    for first in range(0, len(notes), BATCH):
        part = notes[first : first + BATCH]
        batch = torch.zeros(len(part), config.n_samples)
        for row, note in zip(batch, part, strict=True):
            row[: len(note)] = torch.from_numpy(note[: config.n_samples])
        pitch = torch.from_numpy(pitches[first : first + BATCH])
        image = normalise(waveform_to_spectrogram(batch, config, pitch=pitch), config)
        level, channel = denormalise(image, config).unbind(1)
        sounds.append(way(level, channel, config, pitch).numpy())
    return np.concatenate(sounds)
