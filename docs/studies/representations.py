"""What Engel et al. ("GANSynth", ICLR 2019) say of representations, at the size of a CPU core.

    python docs/studies/representations.py FOLDER [MINUTES]

trains four small generators of the first second of notes, each for MINUTES of CPU time (4 by
default), and prints how their notes sound beside real ones. FOLDER is a set of notes in NSynth's
layout; the picture goes into docs/images/.
"""

from __future__ import annotations

import itertools
import math
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from pictures import save
from torch import Tensor, nn

from audiogen.audio.pitch import note_pitch
from audiogen.audio.plots import BINS_PER_OCTAVE, rainbow_image
from audiogen.data.notes.nsynth import NoteSet, SetWriter, read_notes
from audiogen.evaluation import frechet_distance, pitch_accuracy
from audiogen.evaluation.timbre_features import note_features, with_random_phase
from audiogen.models.gansynth import SLOPE, EqualisedWeight, pixel_norm
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.spectrogram import (
    denormalise,
    normalise,
    spectrogram_to_waveform,
    waveform_to_spectrogram,
)
from audiogen.training.gansynth import progressive as growing
from audiogen.training.gansynth.progressive import ProgressiveTrainer
from audiogen.training.recipes import ProgressiveRecipe, read_recipe

growing.N_LOOKS = 0  # at held-out notes: all is measured at the end
LOWEST, N_PITCHES = 48, 25  # two octaves, MIDI numbers
HEARD_AT = 16000  # Hz; windows of the project's measures are meant for it

# 32 frames of 64 ms, every 32 ms, by 64 bins of 15.6 Hz, up to 1 kHz. The floor is at -0.8 of the
# generator's units, a full-scale sine at 0.47.
SMALL = read_recipe("gansynth-small")
SIZES = {"sample_rate": 2000, "n_samples": 1984, "n_fft": 128, "hop_length": 64, "n_frames": 32}
LINEAR = replace(SMALL.spectrogram, **SIZES)
MEL = replace(LINEAR, frequency="mel", magnitude_floor=1e-8, magnitude_scale=0.05)  # of power
SPECTROGRAMS = {
    "IF": LINEAR,
    "phase": replace(LINEAR, phase="phase"),
    "IF, mel": MEL,
}

# WaveGAN: Donahue et al., "Adversarial Audio Synthesis", ICLR 2019; a quarter of its widths.
LENGTH, STRIDE, PADDING = 25, 4, 11
WIDTHS = (256, 128, 64, 32, 1)
START = 8  # samples of the first layer; each further one has four times as many
WAVE = replace(LINEAR, n_samples=START * STRIDE ** (len(WIDTHS) - 1))
MOST_SHUFFLED = 2  # samples


class WaveGenerator(nn.Module):
    """Latent and pitch, as the spectral generators' input, to a waveform [batch, n_samples]."""

    def __init__(self, latent_size: int):
        super().__init__()
        self.dense = EqualisedWeight(WIDTHS[0] * START, latent_size + N_PITCHES)
        self.layers = nn.ModuleList(  # a sample meets one of STRIDE taps
            EqualisedWeight(n_out, n_in, LENGTH, gain=math.sqrt(2.0 * STRIDE))
            for n_in, n_out in itertools.pairwise(WIDTHS)
        )

    def forward(self, z: Tensor, classes: Tensor) -> Tensor:
        told = F.one_hot(classes, N_PITCHES).to(z)
        x = self.dense.linear(pixel_norm(torch.cat((z, told), dim=1)))
        x = x.unflatten(1, (WIDTHS[0], START))
        for layer in self.layers:
            weight = layer.effective().transpose(0, 1)
            x = F.conv_transpose1d(F.relu(x), weight, layer.bias, STRIDE, PADDING, 1)
        return torch.tanh(x[:, 0])


class WaveCritic(nn.Module):
    """Waveform to a score [batch] and pitch logits [batch, N_PITCHES]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EqualisedWeight(n_out, n_in, LENGTH) for n_in, n_out in itertools.pairwise(WIDTHS[::-1])
        )
        self.score = EqualisedWeight(1, WIDTHS[0] * START, gain=1.0)
        self.pitch = EqualisedWeight(N_PITCHES, WIDTHS[0] * START, gain=1.0)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        x = waveform[:, None]
        for i, layer in enumerate(self.layers):
            x = phase_shuffle(x) if i else x
            x = F.leaky_relu(F.conv1d(x, layer.effective(), layer.bias, STRIDE, PADDING), SLOPE)
        x = x.flatten(1)
        return self.score.linear(x)[:, 0], self.pitch.linear(x)


def phase_shuffle(x: Tensor) -> Tensor:
    """Move each example [channels, n] in time by a few samples, reflected at the ends."""
    last = x.shape[-1] - 1
    shift = torch.randint(-MOST_SHUFFLED, MOST_SHUFFLED + 1, (len(x), 1, 1))
    place = (torch.arange(last + 1) + shift).abs()
    return x.gather(-1, (last - (last - place).abs()).expand_as(x))


class WaveTrainer(ProgressiveTrainer):
    """The same steps with waveforms in the place of spectrograms; WaveGAN doesn't grow."""

    def __init__(self, notes: NoteSet, recipe: ProgressiveRecipe, device: str):
        # One block of one channel stands in until its place is taken: one resolution.
        shape = (LINEAR.n_frames, LINEAR.n_bins)
        generator = replace(recipe.generator, channels=(1,), start_shape=shape)
        super().__init__(notes, replace(recipe, generator=generator), device)
        torch.manual_seed(recipe.seed)
        self.generator = WaveGenerator(generator.latent_size)
        self.average = WaveGenerator(generator.latent_size).requires_grad_(False)
        self.average.load_state_dict(self.generator.state_dict())
        self.critic = WaveCritic()
        self._begin_stage(0)

    def _generate(self, generator, growth, z, pitches):
        with self.autocast():
            return generator(torch.from_numpy(z), self.pitch_classes(pitches)).float()

    def real_spectrograms(self, notes, growth):
        return torch.from_numpy(self.notes.waveforms(notes))

    def _score(self, waveform, growth):
        with self.autocast():
            score, logits = self.critic(waveform)
        return score.float(), logits.float()

    @torch.no_grad()
    def generate_audio(self, z, pitches):
        return self._generate(self.average, self.growth, z, pitches)[:, : LINEAR.n_samples]


def trainer_of(title: str, notes: NoteSet, n_steps: int) -> ProgressiveTrainer:
    """By the recipe ``gansynth-small`` at this size."""
    generator = replace(SMALL.generator, channels=(48, 32, 24), start_shape=(8, 16))
    generator = replace(generator, pitch_min=LOWEST, n_pitches=N_PITCHES)
    spectrogram = SPECTROGRAMS.get(title, WAVE)
    recipe = replace(SMALL, generator=generator, spectrogram=spectrogram, steps=n_steps)
    make = ProgressiveTrainer if title in SPECTROGRAMS else WaveTrainer
    return make(notes, recipe, "cpu")


def trained(title: str, notes: NoteSet, minutes: float) -> tuple[ProgressiveTrainer, float]:
    """A trainer after its whole schedule, and its seconds of CPU, about 60 times ``minutes``.

    Two rehearsals of the schedule tell how many steps fit, since those of grown networks cost more.
    """
    n_steps = 20
    for share in (0.05, 1.0, None):
        trainer = trainer_of(title, notes, n_steps)
        start = time.process_time()
        for _ in range(n_steps):
            trainer.train_step()
        seconds = time.process_time() - start
        if share:
            n_steps = max(20, round(n_steps * share * 60.0 * minutes / seconds))
    return trainer, seconds


def made_by(trainer: ProgressiveTrainer, pitches: np.ndarray) -> np.ndarray:
    """Notes of random latents, one for each pitch, 16 kHz."""
    shape = (len(pitches), trainer.recipe.generator.latent_size)
    z = np.random.default_rng(1).standard_normal(shape, np.float32)
    return heard(trainer.generate_audio(z, pitches).numpy())


def coherence(sound: np.ndarray, pitch: float) -> float:
    """How steadily the phases of a note's harmonics turn: 1 for a steady tone, about 0 for noise.

    Of harmonic k in frame t, S_kt is the sum of w[n] x[n] exp(-2 pi i k f0 n / 16000) over a
    frame's samples n, with time counted from the clip's start; w is a Hann window of 64 ms and
    frames don't overlap. d_kt = arg(S_k,t+1 / S_kt) is the phase's advance less the expected
    2 pi k f0 hop, and a_kt = sqrt|S_k,t+1 S_kt|. A harmonic has the mean of cos(d_ks - d_kt) over
    pairs of frames s and t, weighted by a_ks a_kt,

        (|sum_t a exp(i d)|^2 - sum_t a^2) / ((sum_t a)^2 - sum_t a^2),

    which has no bias for few frames as |mean of exp(i d)| has; a note that of its harmonics,
    weighted by sum_t a. A pitch that is a little off, but steady, is coherent. The first
    0.1 s of the sound [n_samples], 16 kHz, is left out.
    """
    f0_hz = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    size = round(0.064 * HEARD_AT)
    held = np.asarray(sound, np.float64)[round(0.1 * HEARD_AT) :]
    frames = held[: len(held) // size * size].reshape(-1, size)
    time_s = np.arange(frames.size).reshape(frames.shape) / HEARD_AT
    total = weight = 0.0
    for k in range(1, int(0.45 * LINEAR.sample_rate / f0_hz) + 1):
        s = (frames * np.exp(-2j * np.pi * k * f0_hz * time_s)) @ np.hanning(size)
        product = s[1:] * s[:-1].conj()
        a = np.sqrt(np.abs(product)) + 1e-12
        together, own = np.abs(np.sum(product / a)) ** 2, np.sum(a**2)
        total += a.sum() * (together - own) / (a.sum() ** 2 - own)
        weight += a.sum()
    return float(total / weight)


def features_of(sounds: np.ndarray) -> np.ndarray:
    return np.stack([note_features(sound, HEARD_AT) for sound in sounds])


def row(
    title: str, sounds: np.ndarray, pitches: np.ndarray, real: np.ndarray, training: str = ""
) -> None:
    """Print what is measured of sounds [n, n_samples], 16 kHz, beside features of the real ones."""
    measured = np.array([note_pitch(sound, HEARD_AT) for sound in sounds])
    shares = [pitch_accuracy(measured, pitches, octave_free=free) for free in (False, True)]
    coherent = np.mean([coherence(*each) for each in zip(sounds, pitches, strict=True)])
    cells = [title, *[f"{100 * share:.0f} %" for share in shares], f"{coherent:.2f}"]
    cells += [f"{frechet_distance(features_of(sounds), real):.1f}", training]
    print(f"| {' | '.join(cells)} |", flush=True)


def heard(sounds: np.ndarray) -> np.ndarray:
    """Sounds [n, n_samples] of the representations' rate at 16 kHz."""
    return soxr.resample(sounds.T, LINEAR.sample_rate, HEARD_AT).T


def lowered(notes: NoteSet, folder: Path) -> NoteSet:
    """The first second of the notes of the two octaves, at the representations' rate."""
    with SetWriter(folder, LINEAR.sample_rate) as writer:
        for note in notes.filter(pitches=(LOWEST, LOWEST + N_PITCHES - 1)):
            sound = soxr.resample(notes.waveform(note), note.sample_rate, LINEAR.sample_rate)
            fields = ("instrument", "family", "source", "pitch", "velocity")
            known = {name: getattr(note, name) for name in fields}
            writer.add(sound[: WAVE.n_samples], **known, qualities=[0] * 10)
    return read_notes(folder)


def tone(pitch: float) -> np.ndarray:
    """A steady sound of six harmonics, 16 kHz."""
    turn = 2.0 * np.pi * 440.0 * 2.0 ** ((pitch - 69.0) / 12.0) * np.arange(HEARD_AT) / HEARD_AT
    return sum(0.1 / k * np.sin(k * turn) for k in range(1, 7))


def there_and_back(sounds: np.ndarray, config: SpectrogramConfig) -> np.ndarray:
    """Sounds as a generator without fault would make them."""
    image = normalise(waveform_to_spectrogram(torch.from_numpy(sounds), config), config)
    return spectrogram_to_waveform(denormalise(image, config), config).numpy()


def draw(sounds: dict[str, np.ndarray]) -> None:
    """Rainbowgrams of one note of each kind."""
    figure = Figure(figsize=(9, 3), dpi=90, layout="constrained")
    for axes, (title, sound) in zip(figure.subplots(1, len(sounds)), sounds.items(), strict=True):
        image, _ = rainbow_image(sound, HEARD_AT)
        axes.imshow(image[BINS_PER_OCTAVE : 5 * BINS_PER_OCTAVE], origin="lower", aspect="auto")
        axes.set(title=title, xticks=[], yticks=[])
    save(figure, "representations.png")


def main(folder: Path, minutes: float) -> None:
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        notes = lowered(read_notes(folder), Path(temporary) / "notes")
        waveforms = notes.waveforms()[:, : LINEAR.n_samples]
        pitches = np.array([note.pitch for note in notes], float)
        real = heard(waveforms)
        features = features_of(real)
        print("| notes | pitch | octave-free | coherence | Frechet distance | steps, CPU seconds |")
        print("|---|---|---|---|---|---|")
        row("steady tones", np.stack([tone(pitch) for pitch in pitches]), pitches, features)
        row("real", real, pitches, features)
        shaken = np.stack([with_random_phase(sound, random) for sound in real])
        row("real, of random phase", shaken, pitches, features)
        for title, config in SPECTROGRAMS.items():
            row(f"real, by {title}", heard(there_and_back(waveforms, config)), pitches, features)
        shown = int(np.flatnonzero(pitches == 60.0)[0])
        drawn = {"real": real[shown]}
        for title in (*SPECTROGRAMS, "waveform"):
            trainer = trainer_of(title, notes, 1)
            trainer.step = 1  # all blocks are heard, untrained
            row(f"untrained, {title}", made_by(trainer, pitches), pitches, features)
            trainer, seconds = trained(title, notes, minutes)
            made = made_by(trainer, pitches)
            row(f"trained, {title}", made, pitches, features, f"{trainer.step}, {seconds:.0f}")
            drawn[title] = made[shown]
    draw(drawn)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 4.0)
