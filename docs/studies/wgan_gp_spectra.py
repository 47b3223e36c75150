"""Six shapes of a small generator of spectrograms, each with a clipped and a penalised critic.

Gulrajani et al. (NIPS 2017, section 5): with the penalty shapes train that fail otherwise.

    python docs/studies/wgan_gp_spectra.py FOLDER

prints a table. FOLDER is a set of notes in NSynth's layout.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiogen.data.notes.nsynth import read_notes
from audiogen.evaluation.metrics import frechet_distance, ndb
from audiogen.models.gansynth import Generator, GeneratorConfig, upsample
from audiogen.objectives.losses import OBJECTIVES, loudness_weight
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.spectrogram import denormalise, normalise, waveform_to_spectrogram
from audiogen.studies.wgan_gp import Training, mlp, train

# The first second of a note up to 1 kHz; a patch is 0.13 s of it, 16 frames by 32 bins.
NOTE = SpectrogramConfig(sample_rate=2000, n_samples=2000, n_fft=64, hop_length=16)
PATCH = replace(NOTE, n_samples=256, n_frames=16)
LATENT = 32
TRAINING = Training(steps=1000, batch=32, faster=10.0, critic_steps=2)
N_COMPARED = 2000  # patches
N_FEATURES = 32  # principal components


class Patches:
    """Patches of notes at random times, and what measures a set of patches beside them."""

    def __init__(self, folder: Path):
        notes = read_notes(folder)
        rate = notes.notes[0].sample_rate
        low = [soxr.resample(x, rate, NOTE.sample_rate) for x in notes.waveforms()]
        waveforms = torch.from_numpy(np.stack(low)[:, : NOTE.n_samples])
        self.images = normalise(waveform_to_spectrogram(waveforms, NOTE), NOTE)
        self.reference = self.draw(N_COMPARED)
        self.features = torch.pca_lowrank(self._seen(self.reference), N_FEATURES)[2]

    def draw(self, n: int) -> Tensor:
        """Patches [n, 2, 16, 32] in the generator's units."""
        note = torch.randint(len(self.images), (n, 1))
        frames = torch.randint(NOTE.n_frames - PATCH.n_frames + 1, (n, 1))
        return self.images[note, :, frames + torch.arange(PATCH.n_frames)].transpose(1, 2)

    def distances(self, patches: Tensor) -> tuple[float, float]:
        """Frechet distance of principal components, and the share of different bins."""
        a, b = ((self._seen(each) @ self.features).numpy() for each in (self.reference, patches))
        return frechet_distance(a, b), ndb(a, b)

    def _seen(self, patches: Tensor) -> Tensor:
        """Magnitudes, and frequencies as far as they are heard, [n, 1024]."""
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
            self.generator.activate = lambda x, told, style: activation(x)

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z, torch.full((len(z),), float(self.generator.config.pitch_min)))


class Residual(nn.Module):
    """x + the half of two convolutions of it."""

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
    """A linear map to ``width`` channels of a shape, layers, and an image of them."""
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
TRAINED_BY = ("wasserstein", "wasserstein-gp")


def critic() -> nn.Sequential:
    """Three strided convolutions and no norm: a penalty looks at each example by itself."""
    layers: list[nn.Module] = []
    for n_in, n_out in ((2, 16), (16, 32), (32, 48)):
        layers += [conv(n_in, n_out, 4, 2), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48 * 2 * 4, 1), nn.Flatten(0))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    patches = Patches(folder)
    distance, bins = patches.distances(patches.draw(N_COMPARED))
    print(f"real and real: Frechet {distance:.2f}, different bins {100 * bins:.0f} %", flush=True)
    print(f"| generator | untrained | {' | '.join(TRAINED_BY)} | CPU seconds |")
    print("|" + "---|" * (len(TRAINED_BY) + 3))
    for title, make in SHAPES.items():
        cells, seconds = [], []
        for name in (None, *TRAINED_BY):
            torch.manual_seed(0)
            generator = make()
            if name:
                start = time.process_time()
                train(name, OBJECTIVES[name], generator, critic(), patches.draw, LATENT, TRAINING)
                seconds.append(f"{time.process_time() - start:.0f}")
            with torch.no_grad():
                distance, bins = patches.distances(generator(torch.randn(N_COMPARED, LATENT)))
            cells.append(f"{distance:.1f} ({100 * bins:.0f} %)")
        print(f"| {title} | {' | '.join(cells)} | {', '.join(seconds)} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
