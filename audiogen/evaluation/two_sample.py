"""Classifier two-sample test: can a fresh small network tell generated notes from real ones?

Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017. A classifier is trained on
half of the keys and tested on the other half, so that it has to learn what generated notes have in
common. Its area under the ROC curve (AUC) is 0.5 if the two kinds are indistinguishable, and 1 if
it is always right. The budget is fixed, so results of one size of set are comparable.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from audiogen.core.packages import require_package
from audiogen.errors import ParameterError, ShapeError

if TYPE_CHECKING:
    import torch

MIN_NOTES, RECOMMENDED_NOTES = 60, 300
N_SEEDS = 3
FEATURES = ("log-mel", "linear")
PARTS = ("attack", "held")
CROP_S = 1.0
HELD_START_S = 1.28  # start of the tested crop of the held part
# Starts of training crops, which end before the release at 3 s. Classifiers of the attack receive
# crops of the whole note: with the attack alone they overfit to its few crops.
HELD_RANGE_S, ATTACK_RANGE_S = (0.5, 1.9), (0.0, 1.9)
ATTACK_SHARE = 0.4  # of the attack's training crops, which begin with the note
RANGE_DB = 65.0  # levels further below the loudest are hidden by a floor
WINDOW_S = 0.064
SUBSONIC_HZ = (15.0, 30.0)  # removed below, kept above; C1 has 32.7 Hz
N_MELS = 64
N_STEPS = {"attack": 200, "held": 150}
N_PAIRS, LEARNING_RATE, WEIGHT_DECAY = 16, 3e-3, 0.02
INPUT_NOISE = 0.1  # standard deviation, in units of 20 dB


class Area(NamedTuple):
    """Area under the ROC curve of several classifiers.

    Parameters
    ----------
    values : tuple of float
        Area of each seed.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median over the seeds, which one classifier that learned nothing does not change."""
        return float(np.median(self.values))

    def __str__(self) -> str:
        """The median and half the range over the seeds."""
        return f"{self.median:.2f} +-{(max(self.values) - min(self.values)) / 2:.2f}"


def two_sample_test(
    real: np.ndarray,
    generated: np.ndarray,
    pitches: np.ndarray,
    sample_rate: int,
    *,
    features: str = "linear",
    n_seeds: int = N_SEEDS,
    paired: bool = True,
    parts: Sequence[str] = PARTS,
    progress: Callable[[], None] | None = None,
) -> dict[str, Area]:
    """Train classifiers on half of the keys, and test them on the others.

    Each part of the notes has classifiers of its own: one for both would learn only the part that
    is easier to tell.

    Parameters
    ----------
    real, generated : array [n_notes, n_samples], float
        Notes of the same pitches, `MIN_NOTES` or more, each 2.9 s long or longer.
    pitches : array [n_notes], MIDI number
        Pitches of the notes; each seed draws the keys of the two halves.
    sample_rate : int, Hz
        Sample rate of the notes.
    features : "log-mel" or "linear"
        Input: log levels of 64 mel bands, or of all bins of windows of 64 ms.
    n_seeds : int
        Number of classifiers of each part.
    paired : bool
        Whether ``generated`` has a copy of each real note. Training on the same crop of both then
        shows the classifier their difference instead of that between notes.
    parts : sequence of str
        Parts of the notes to compare, of `PARTS`.
    progress : callable, optional
        Called after the classifiers of each seed.

    Returns
    -------
    dict of str to Area
        Areas of the parts: ``attack``, the first second, and ``held``, the second from 1.28 s on.

    Raises
    ------
    ParameterError
        If there are too few notes or keys, or ``features`` or a part is unknown.
    ShapeError
        If the arrays do not fit each other, or are too short.
    MissingPackageError
        If torch is not installed.

    References
    ----------
    Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017.
    """
    if features not in FEATURES:
        raise ParameterError(f"features={features!r} must be one of {', '.join(FEATURES)}")
    if unknown := set(parts) - set(PARTS):
        raise ParameterError(f"parts={sorted(unknown)} must be of {', '.join(PARTS)}")
    shortest = round((HELD_RANGE_S[1] + CROP_S) * sample_rate)
    if real.shape != generated.shape or real.shape[:1] != pitches.shape or real.ndim != 2:
        raise ShapeError(
            f"real, generated and pitches have shapes {real.shape}, {generated.shape} and "
            f"{pitches.shape}; they must be [n_notes, n_samples] twice and [n_notes]"
        )
    if real.shape[1] < shortest:
        raise ShapeError(f"notes have {real.shape[1]} samples; they must have {shortest} or more")
    check_size(len(real))
    if len(set(pitches.tolist())) < 4:
        raise ParameterError("pitches must have 4 keys or more, to train on half of them")
    torch = require_package("torch", "train", "the classifier two-sample test")
    require_package("scipy.stats", "train", "the classifier two-sample test")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of images this small, more threads are slower
    try:
        images = (
            _images(real, sample_rate, features),
            _images(generated, sample_rate, features),
        )
        results: list[dict[str, float]] = []
        for seed in range(n_seeds):
            trained = _half_of_keys(pitches, np.random.default_rng(seed))
            results.append(
                {
                    part: _train_and_test(images, trained, sample_rate, seed, paired, part)
                    for part in parts
                }
            )
            if progress:
                progress()
    finally:
        torch.set_num_threads(threads)
    return {part: Area(tuple(result[part] for result in results)) for part in parts}


def check_size(n_notes: int) -> None:
    """Check that there are enough notes for the test.

    Raises
    ------
    ParameterError
        If there are fewer than `MIN_NOTES`.
    """
    if n_notes < MIN_NOTES:
        raise ParameterError(
            f"{n_notes} notes are too few for the two-sample test, which needs {MIN_NOTES} or more"
            f" ({RECOMMENDED_NOTES} recommended); give a larger set"
        )


def area_under_curve(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the area under the ROC curve: the share of pairs that are in order.

    Parameters
    ----------
    positive, negative : array [n], array [m]
        Scores. Ties count half.

    Examples
    --------
    >>> area_under_curve([1.0, 3.0], [0.0, 2.0])
    0.75
    """
    stats = require_package("scipy.stats", "train", "the classifier two-sample test")
    n, m = len(positive), len(negative)
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def without_subsonics(sounds: np.ndarray, sample_rate: int) -> np.ndarray:
    """Remove DC and inaudible frequencies, which recordings have and spectrograms may not hold.

    A window of 64 ms spreads a constant over its lowest bins, and a classifier would find it.

    Parameters
    ----------
    sounds : array [n_notes, n_samples], float
        Notes.
    sample_rate : int, Hz
        Sample rate of the notes.

    Returns
    -------
    array [n_notes, n_samples], float32
        The notes without what is below 15 Hz, and faded in up to 30 Hz.
    """
    n = sounds.shape[1]
    frequency = np.fft.rfftfreq(n, 1 / sample_rate)
    low, high = SUBSONIC_HZ
    gain = 0.5 - 0.5 * np.cos(np.pi * np.clip((frequency - low) / (high - low), 0, 1))
    return np.fft.irfft(np.fft.rfft(sounds, axis=1) * gain, n, axis=1).astype(np.float32)


def _half_of_keys(pitches: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Whether each note's key is in a random half of the keys."""
    keys = np.unique(pitches)
    return np.isin(pitches, random.permutation(keys)[: len(keys) // 2])


def _images(sounds: np.ndarray, sample_rate: int, features: str) -> torch.Tensor:
    """Log levels [n_notes, n_bins, n_frames], in units of 20 dB, to `RANGE_DB` below the loudest.

    The longest crop's frames only.
    """
    import torch

    n = 2 * round(WINDOW_S * sample_rate / 2)
    n_samples = round((HELD_RANGE_S[1] + CROP_S) * sample_rate)
    window = torch.hann_window(n)
    bank = _unit_sum_mel_bank(n, sample_rate) if features == "log-mel" else None
    images = []
    for sound in np.array_split(sounds[:, :n_samples], max(1, len(sounds) // 32)):
        wave = torch.from_numpy(without_subsonics(np.nan_to_num(sound), sample_rate))
        spectrum = torch.stft(wave, n, n // 2, window=window, return_complex=True)
        power = spectrum.abs().square()[:, 1:]
        if bank is not None:
            power = torch.einsum("nft,fm->nmt", power, bank)
        power = power / power.amax(dim=(1, 2), keepdim=True).clamp_min(1e-20)
        level = 10 * torch.log10(power + 10 ** (-RANGE_DB / 10))
        images.append((level + RANGE_DB / 2) / 20)
    return torch.cat(images)


def _unit_sum_mel_bank(n_fft: int, sample_rate: int) -> torch.Tensor:
    """Weights [n_fft / 2, n_mels] of the bins without the constant one; each sums to 1 or 0."""
    import torch

    def mel(hz: np.ndarray) -> np.ndarray:
        return 2595 * np.log10(1 + hz / 700)

    frequency = mel(np.fft.rfftfreq(n_fft, 1 / sample_rate)[1:])
    edges = np.linspace(0, mel(np.array(sample_rate / 2)), N_MELS + 2)
    rise = (frequency[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    fall = (edges[2:] - frequency[:, None]) / np.diff(edges)[1:]
    weights = np.maximum(0, np.minimum(rise, fall))
    return torch.tensor(weights / np.maximum(weights.sum(axis=0), 1e-9), dtype=torch.float32)


def _classifier(features: str) -> torch.nn.Sequential:
    """A network of 4 convolutions, about 50k parameters, from crops to one score."""
    import torch
    from torch import nn

    class Pool(nn.Module):
        """Mean and maximum over frequency and time."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat((x.mean((2, 3)), x.amax((2, 3))), 1)

    first = ((9, 5), (4, 2)) if features == "linear" else ((5, 5), (2, 2))
    layers: list[nn.Module] = []
    channels = (1, 16, 32, 48, 48)
    for i, (before, after) in enumerate(itertools.pairwise(channels)):
        kernel, stride = first if i == 0 else ((5, 3), (2, 2)) if i == 1 else ((3, 3), (2, 2))
        padding = (kernel[0] // 2, kernel[1] // 2)
        layers += [
            nn.Conv2d(before, after, kernel, stride, padding),
            nn.GroupNorm(4, after),
            nn.LeakyReLU(0.2),
        ]
    return nn.Sequential(*layers, Pool(), nn.Linear(2 * channels[-1], 1), nn.Flatten(0))


def _train_and_test(
    images: tuple[torch.Tensor, torch.Tensor],
    trained: np.ndarray,
    sample_rate: int,
    seed: int,
    paired: bool,
    part: str,
) -> float:
    """Area of one classifier, trained and tested on one part of the notes."""
    import torch
    import torch.nn.functional as F

    frames_per_s = sample_rate / round(WINDOW_S * sample_rate / 2)
    width = round(CROP_S * frames_per_s)
    n_steps, range_s = N_STEPS[part], HELD_RANGE_S if part == "held" else ATTACK_RANGE_S
    earliest, latest = (round(time_s * frames_per_s) for time_s in range_s)
    tested = round((HELD_START_S if part == "held" else 0.0) * frames_per_s)
    seen, unseen = np.flatnonzero(trained), np.flatnonzero(~trained)
    real, generated = images
    random = np.random.default_rng(seed)
    labels = torch.cat((torch.ones(N_PAIRS), torch.zeros(N_PAIRS)))

    def crops(images: torch.Tensor, index: np.ndarray, starts: np.ndarray) -> torch.Tensor:
        pairs = zip(index.tolist(), starts.tolist(), strict=True)
        return torch.stack([images[i, :, start : start + width] for i, start in pairs])[:, None]

    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        net = _classifier("linear" if real.shape[1] > N_MELS else "log-mel")
        optimiser = torch.optim.AdamW(
            net.parameters(), LEARNING_RATE, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY
        )
        for step in range(n_steps):
            rise, fall = min(1.0, (step + 1) / 20), 0.5 + 0.5 * np.cos(np.pi * step / n_steps)
            optimiser.param_groups[0]["lr"] = LEARNING_RATE * rise * (0.02 + 0.98 * fall)
            index = random.choice(seen, N_PAIRS)
            other = index if paired else random.choice(seen, N_PAIRS)
            starts = random.integers(earliest, latest + 1, N_PAIRS)
            if part == "attack":
                starts[random.random(N_PAIRS) < ATTACK_SHARE] = 0
            x = torch.cat((crops(real, index, starts), crops(generated, other, starts)))
            x += INPUT_NOISE * torch.randn(x.shape)
            loss = F.binary_cross_entropy_with_logits(net(x), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        starts = np.full(len(unseen), tested)
        scores = [net(crops(x, unseen, starts)).numpy() for x in (real, generated)]
    return area_under_curve(*scores)
