"""Study: six shapes of a small generator of spectrograms, by a clipped and by a penalised critic.

Gulrajani et al., "Improved Training of Wasserstein GANs", NIPS 2017, section 5: with the gradient
penalty network shapes train that fail otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiogen.data.notes.nsynth import NoteSet, read_notes
from audiogen.evaluation.metrics import frechet_distance, ndb
from audiogen.models.gansynth import Generator, GeneratorConfig, upsample
from audiogen.objectives.adversarial import OBJECTIVES
from audiogen.objectives.losses import loudness_weight
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.spectrogram import denormalise, normalise, waveform_to_spectrogram
from audiogen.studies import StudyResult, Table
from audiogen.studies.parts import Part, run_parts
from audiogen.studies.sounds import few_instruments
from audiogen.studies.wgan_gp import CLIPPED, PENALISED, Training, mlp, train

NOTES, RUNS = "notes", "runs.jsonl"
REAL, UNTRAINED = "real patches", "untrained"
CRITICS = (UNTRAINED, CLIPPED, PENALISED)


@dataclass(frozen=True)
class Size:
    """Sizes of a run.

    Parameters
    ----------
    steps : int
        Steps of each critic; the generator takes half as many.
    n_compared : int
        Patches of each kind that are compared.
    is_evidence : bool
        Whether the run is large enough for the claims.
    """

    steps: int
    n_compared: int
    is_evidence: bool


SIZES = {"smoke": Size(2, 200, False), "full": Size(1000, 2000, True)}

# The first second of a note up to 1 kHz; a patch is 0.13 s of it, 16 frames by 32 bins.
NOTE = SpectrogramConfig(sample_rate=2000, n_samples=2000, n_fft=64, hop_length=16)
PATCH = replace(NOTE, n_samples=256, n_frames=16)
LATENT = 32
N_FEATURES = 32  # principal components


class Patches:
    """Patches of notes at random times, and the distance of a set of patches from them."""

    def __init__(self, notes: NoteSet, n_compared: int):
        rate = notes.notes[0].sample_rate
        low = [soxr.resample(x, rate, NOTE.sample_rate) for x in notes.waveforms()]
        waveforms = torch.from_numpy(np.stack(low)[:, : NOTE.n_samples]).float()
        self.images = normalise(waveform_to_spectrogram(waveforms, NOTE), NOTE)
        self.reference = self.draw(n_compared)
        self.features = torch.pca_lowrank(self._weighted(self.reference), N_FEATURES)[2]

    def draw(self, n: int) -> Tensor:
        """Patches [n, 2, 16, 32] in the generator's units."""
        note = torch.randint(len(self.images), (n, 1))
        frames = torch.randint(NOTE.n_frames - PATCH.n_frames + 1, (n, 1))
        return self.images[note, :, frames + torch.arange(PATCH.n_frames)].transpose(1, 2)

    def distances(self, patches: Tensor) -> tuple[float, float]:
        """Frechet distance of principal components, and the share of different bins."""
        a, b = (
            (self._weighted(each) @ self.features).numpy() for each in (self.reference, patches)
        )
        return frechet_distance(a, b), ndb(a, b)

    def _weighted(self, patches: Tensor) -> Tensor:
        """Magnitudes, and frequencies weighted by their loudness, [n, 1024]."""
        magnitude = denormalise(patches, PATCH)[:, 0]
        frequency = loudness_weight(magnitude) * patches[:, 1]
        return torch.stack((patches[:, 0], frequency), dim=1).flatten(1)


class Ladder(nn.Module):
    """The project's generator, at one pitch, with another activation if given."""

    def __init__(self, activation: Callable[[Tensor], Tensor] | None = None):
        super().__init__()
        config = GeneratorConfig(
            latent_size=LATENT, channels=(24, 24, 16), start_shape=(4, 8), n_pitches=1
        )
        self.generator = Generator(config, PATCH)
        if activation:
            self.generator.activate = lambda x, terms, style: activation(x)

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z, torch.full((len(z),), float(self.generator.config.pitch_min)))


class Residual(nn.Module):
    """x plus half of the output of two convolutions of it."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.5 * self.layers(x)


class Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return upsample(x)


def conv(n_in: int, n_out: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, size, stride, padding=(size - 1) // 2)


def unfolded(width: int, n_frames: int, n_bins: int, *layers: nn.Module) -> nn.Sequential:
    """Return a linear map to ``width`` channels, layers, and a convolution to an image."""
    return nn.Sequential(
        nn.Linear(LATENT, width * n_frames * n_bins),
        nn.Unflatten(1, (width, n_frames, n_bins)),
        nn.ReLU(),
        *layers,
        conv(width, 2),
        nn.Tanh(),
    )


SHAPES: dict[str, Callable[[], nn.Module]] = {
    "the project's, small": Ladder,
    "without pixel norm": lambda: Ladder(lambda x: F.leaky_relu(x, 0.2)),
    "tanh everywhere": lambda: Ladder(torch.tanh),
    "MLP of 4 layers": lambda: nn.Sequential(
        mlp(LATENT, 256, 256, 256, 1024), nn.Tanh(), nn.Unflatten(1, (2, 16, 32))
    ),
    "12 filters, no ladder": lambda: unfolded(
        12, 16, 32, *[layer for _ in range(3) for layer in (conv(12, 12), nn.ReLU())]
    ),
    "42 layers, residual": lambda: unfolded(
        16, 4, 8, *[Residual(16) for _ in range(18)], Double(), Residual(16), Double(), Residual(16)
    ),
}


def critic() -> nn.Sequential:
    """Return three strided convolutions without norm, since the penalty is of single examples."""
    layers: list[nn.Module] = []
    for n_in, n_out in ((2, 16), (16, 32), (32, 48)):
        layers += [conv(n_in, n_out, 4, 2), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48 * 2 * 4, 1), nn.Flatten(0))


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
    few_instruments(folder / NOTES, size, seed)
    parts: list[Part] = [{"generator": REAL, "critic": UNTRAINED}]
    parts += [{"generator": title, "critic": critic} for title in SHAPES for critic in CRITICS]
    lines = run_parts(
        folder / RUNS,
        parts,
        partial(_numbers, sizes, folder),
        jobs=jobs,
        minutes=minutes,
        progress=progress,
    )
    left = len(parts) - len(lines)
    of = {(line["generator"], line["critic"]): line for line in lines}
    rows: list[Any] = [("generator", *CRITICS, "CPU seconds")]
    for title in (REAL, *SHAPES):
        found = [of.get((title, critic)) for critic in CRITICS]
        if any(found):
            cells = [f"{r['frechet']:.2f} ({r['ndb']:.0%})" if r else "-" for r in found]
            rows.append((title, *cells, ", ".join(f"{r['cpu_s']:.0f}" for r in found[1:] if r)))
    table = Table("Frechet distance, and share of statistically different bins", rows)
    missing = f"{left} of {len(parts)} generators" if left else ""
    checks = _checks(of) if sizes.is_evidence else {}
    return StudyResult([table], {"generators": lines}, checks, missing)


def _numbers(sizes: Size, folder: Path, part: Mapping[str, Any]) -> dict[str, Any]:
    """Train a generator, and measure its patches."""
    torch.set_num_threads(1)
    patches = _patches(folder, sizes.n_compared)
    if part["generator"] == REAL:
        torch.manual_seed(1)  # other patches than the reference
        distance, bins = patches.distances(patches.draw(sizes.n_compared))
        return {"frechet": distance, "ndb": bins, "cpu_s": 0.0}
    torch.manual_seed(0)
    generator, name, start = SHAPES[part["generator"]](), part["critic"], time.process_time()
    if name != UNTRAINED:
        training = Training(sizes.steps, batch=32, faster=10.0, critic_steps=2)
        train(name, OBJECTIVES[name], generator, critic(), patches.draw, LATENT, training)
    seconds = time.process_time() - start
    with torch.no_grad():
        distance, bins = patches.distances(generator(torch.randn(sizes.n_compared, LATENT)))
    return {"frechet": distance, "ndb": bins, "cpu_s": round(seconds, 1)}


@lru_cache(maxsize=1)
def _patches(folder: Path, n_compared: int) -> Patches:
    torch.manual_seed(0)
    return Patches(read_notes(folder / NOTES), n_compared)


def _checks(of: Mapping[tuple[str, str], dict[str, Any]]) -> dict[str, bool]:
    """The claim on the six shapes, if all of them are trained."""
    pairs = [[of.get((title, name)) for name in (PENALISED, CLIPPED)] for title in SHAPES]
    nearer = [a["frechet"] < b["frechet"] for a, b in pairs if a and b]
    claim = "the penalty is nearer to real spectra than clipping for"
    whole = len(nearer) == len(SHAPES)
    return {f"{claim} {sum(nearer)} of {len(SHAPES)} shapes": all(nearer)} if whole else {}
