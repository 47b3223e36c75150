"""What the oracle loses, and what other ways to play its frames would keep.

    python docs/studies/oracle.py PRESET FOLDER [N_NOTES] [N_CLASSIFIERS] [WAY ...]

analyses real notes of FOLDER (a set in NSynth's layout) with the preset's representation, plays
the frames in several ways (`WAYS`; all by default), and prints each way's statistics and two-sample
test beside the real notes.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiogen import ops
from audiogen.data.notes.nsynth import read_notes
from audiogen.evaluation.note_comparison import GROUPS, ORACLE, REAL, Median, compare_notes
from audiogen.evaluation.two_sample import two_sample_test
from audiogen.presets import load_preset
from audiogen.representation import resynthesis
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.harmonic import LOBE_REACH, onset_centroids, pitch_to_hz
from audiogen.representation.spectrogram import (
    denormalise,
    normalise,
    spectrogram_to_waveform,
    waveform_to_spectrogram,
)

BATCH = 8
TONAL_BINS = 1.5  # a peak this close to a harmonic belongs to a partial
NOISE_GAIN = math.log(2.0)  # frames of random phases overlap to a quarter of their power

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
        delayed,
        onset,
        waning,
        wide,
    )
}
SHORT = "short"  # the engine's way, with frames of half the length and half the hop


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


def main() -> None:
    name, folder, *rest = sys.argv[1:]
    n_notes, n_classifiers = (int(rest.pop(0)) if rest else n for n in (300, 3))
    preset = load_preset(name)
    table = preset.spectrogram.table()
    n_samples = table["n_frames"] * table["hop_length"]
    config = SpectrogramConfig(sample_rate=preset.sample_rate, n_samples=n_samples, **table)
    chosen = read_notes(folder, sample_rate=config.sample_rate)
    order = np.random.default_rng(0).permutation(len(chosen))[:n_notes]
    infos = [chosen.notes[index] for index in order]
    notes = [chosen.waveform(info) for info in infos]
    pitches = np.array([info.pitch for info in infos], float)
    end = round(3.0 * config.sample_rate)
    real = np.stack([np.pad(note, (0, end))[:end] for note in notes])
    print(f"{len(notes)} notes of {folder}; steady / varying; AUC of {n_classifiers} classifiers")
    with torch.no_grad():
        for way in rest or [*WAYS, SHORT]:
            start = time.process_time()
            sizes = config
            if way == SHORT:
                sizes = replace(
                    config,
                    n_fft=config.n_fft // 2,
                    hop_length=config.hop_length // 2,
                    n_frames=2 * config.n_frames,
                )
            sounds = played(notes, pitches, sizes, WAYS.get(way, engine))[:, :end]
            compared = compare_notes(
                {REAL: real, ORACLE: sounds}, pitches, config.sample_rate, n_classifiers=0
            )
            areas = {}
            if n_classifiers:
                areas = two_sample_test(
                    real, sounds, pitches, config.sample_rate, n_seeds=n_classifiers
                )
            report(way, compared.medians, areas, time.process_time() - start)


def report(way: str, medians: tuple[Median, ...], areas: dict, seconds: float) -> None:
    """Print a way's numbers: median, and mean difference to the same real note."""
    print(f"\n{way}: " + ", ".join(f"AUC {part} {area}" for part, area in areas.items()), end="")
    print(f" ({seconds:.0f} s)")
    for name in dict.fromkeys(median.name for median in medians):
        of = {median.group: median for median in medians if median.name == name}
        texts = []
        for median in (of[group] for group in GROUPS):
            values = median.values[ORACLE], median.values[REAL], median.errors[ORACLE]
            texts.append("{:8.2f} (real {:.2f}, {:.2f})".format(*values))
        print(f"  {name:28}" + " ".join(texts))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
