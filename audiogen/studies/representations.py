"""Study: instantaneous frequency, phase, a mel axis and waveforms as what a small GAN generates.

Engel et al., "GANSynth: Adversarial Neural Audio Synthesis", ICLR 2019, at the size of a CPU core:
four small generators of the first second of notes, each trained for the same CPU time.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiogen.audio.pitch import note_pitch
from audiogen.core.atomic_write import written_whole
from audiogen.core.packages import require_package
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
from audiogen.studies import StudyResult, Table
from audiogen.studies.parts import Part, run_parts
from audiogen.studies.sounds import few_instruments
from audiogen.training.gansynth.progressive import ProgressiveTrainer
from audiogen.training.recipes import ProgressiveRecipe, read_recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTES, LOW_NOTES, RUNS, PICTURE = "notes", "low-notes", "runs.jsonl", "representations.png"
LOWEST, N_PITCHES = 48, 25  # two octaves, MIDI numbers
MEASURED_RATE = 16000  # Hz, of the project's measures
SHOWN_PITCH = 60.0  # of the picture


@dataclass(frozen=True)
class Size:
    """Sizes of a run.

    Parameters
    ----------
    cpu_s : float, s
        CPU time of each training.
    least_steps : int
        Smallest number of steps of a training and of its two rehearsals.
    is_evidence : bool
        Whether the run is large enough for the claims.
    """

    cpu_s: float
    least_steps: int
    is_evidence: bool


SIZES = {"smoke": Size(0.1, 2, False), "full": Size(120.0, 20, True)}

# 32 frames of 64 ms, every 32 ms, by 64 bins of 15.6 Hz, up to 1 kHz. The floor is at -0.8 of the
# generator's units, a full-scale sine at 0.47.
SMALL = read_recipe("gansynth-small")
LINEAR = replace(
    SMALL.spectrogram, sample_rate=2000, n_samples=1984, n_fft=128, hop_length=64, n_frames=32
)
MEL = replace(LINEAR, frequency="mel", magnitude_floor=1e-8, magnitude_scale=0.05)  # of power
SPECTROGRAMS = {
    "IF": LINEAR,
    "phase": replace(LINEAR, phase="phase"),
    "IF, mel": MEL,
}

TITLES = (*SPECTROGRAMS, "waveform")
# Rows of the table; the last three are followed by a title.
STEADY, REAL, RANDOM_PHASE = "steady tones", "real", "real, of random phase"
CONVERTED, UNTRAINED, TRAINED = "real, by ", "untrained, ", "trained, "

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
        self.layers: Any = nn.ModuleList(  # a sample meets one of STRIDE taps
            EqualisedWeight(n_out, n_in, LENGTH, gain=math.sqrt(2.0 * STRIDE))
            for n_in, n_out in itertools.pairwise(WIDTHS)
        )

    def forward(self, z: Tensor, classes: Tensor) -> Tensor:
        one_hot = F.one_hot(classes, N_PITCHES).to(z)
        x = self.dense.linear(pixel_norm(torch.cat((z, one_hot), dim=1)))
        x = x.unflatten(1, (WIDTHS[0], START))
        for layer in self.layers:
            weight = layer.effective().transpose(0, 1)
            x = F.conv_transpose1d(F.relu(x), weight, layer.bias, STRIDE, PADDING, 1)
        return torch.tanh(x[:, 0])


class WaveCritic(nn.Module):
    """Waveform to a score [batch] and pitch logits [batch, N_PITCHES]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: Any = nn.ModuleList(
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


class SpectralTrainer(ProgressiveTrainer):
    """The trainer of `audiogen train` without evaluations: all is measured at the end."""

    def evaluate_held_out(self) -> dict[str, float]:
        return {}


class WaveTrainer(SpectralTrainer):
    """The same steps with waveforms in the place of spectrograms; WaveGAN doesn't grow."""

    def __init__(self, notes: NoteSet, recipe: ProgressiveRecipe, device: str):
        # One block of one channel stands in until its place is taken: one resolution.
        shape = (LINEAR.n_frames, LINEAR.n_bins)
        generator = replace(recipe.generator, channels=(1,), start_shape=shape)
        super().__init__(notes, replace(recipe, generator=generator), device)
        torch.manual_seed(recipe.seed)
        self.generator: Any = WaveGenerator(generator.latent_size)
        self.average: Any = WaveGenerator(generator.latent_size).requires_grad_(False)
        self.average.load_state_dict(self.generator.state_dict())
        self.critic: Any = WaveCritic()
        self._begin_stage(0)

    def _generate(
        self, generator: Any, growth: float, z: np.ndarray, pitches: np.ndarray
    ) -> Tensor:
        with self.autocast():
            return generator(torch.from_numpy(z), self.pitch_classes(pitches)).float()

    def real_spectrograms(self, notes: Any, growth: float) -> Tensor:
        return torch.from_numpy(self.notes.waveforms(notes))

    def _score(self, waveform: Tensor, growth: float) -> tuple[Tensor, Tensor]:
        with self.autocast():
            score, logits = self.critic(waveform)
        return score.float(), logits.float()

    @torch.no_grad()
    def generate_audio(self, z: np.ndarray, pitches: np.ndarray) -> Tensor:
        return self._generate(self.average, self.growth, z, pitches)[:, : LINEAR.n_samples]


def trainer_of(title: str, notes: NoteSet, n_steps: int) -> ProgressiveTrainer:
    """Return an untrained trainer of the recipe ``gansynth-small`` at this size."""
    generator = replace(SMALL.generator, channels=(48, 32, 24), start_shape=(8, 16))
    generator = replace(generator, pitch_min=LOWEST, n_pitches=N_PITCHES)
    spectrogram = SPECTROGRAMS.get(title, WAVE)
    recipe = replace(SMALL, generator=generator, spectrogram=spectrogram, steps=n_steps)
    make = SpectralTrainer if title in SPECTROGRAMS else WaveTrainer
    return make(notes, recipe, "cpu")


def trained(title: str, notes: NoteSet, sizes: Size) -> tuple[ProgressiveTrainer, float]:
    """Return a trainer after its whole schedule, and its CPU seconds, about ``sizes.cpu_s``.

    Two rehearsals of the schedule give the number of steps, since steps of grown networks take
    longer.
    """
    n_steps = sizes.least_steps
    for share in (0.05, 1.0, None):
        trainer = trainer_of(title, notes, n_steps)
        start = time.process_time()
        for _ in range(n_steps):
            trainer.train_step()
        seconds = time.process_time() - start
        if share:
            n_steps = max(sizes.least_steps, round(n_steps * share * sizes.cpu_s / seconds))
    return trainer, seconds


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
    if not (folder / LOW_NOTES).exists():
        low_notes(few_instruments(folder / NOTES, size, seed), folder / LOW_NOTES)
    parts: list[Part] = [{"row": row} for row in _rows()]
    lines = run_parts(
        folder / RUNS,
        parts,
        partial(_numbers, sizes, folder),
        jobs=jobs,
        minutes=minutes,
        progress=progress,
    )
    left = len(parts) - len(lines)
    if not left:
        _draw(folder).savefig(folder / PICTURE)
    rows: list[Any] = [
        ("notes", "pitch", "octave-free", "coherence", "Frechet distance", "steps, CPU seconds")
    ]
    for line in lines:
        training = f"{line['steps']}, {line['cpu_s']:.0f}" if "steps" in line else ""
        rows.append(
            (
                line["row"],
                f"{line['pitch']:.0%}",
                f"{line['octave_free']:.0%}",
                f"{line['coherence']:.2f}",
                f"{line['frechet']:.1f}",
                training,
            )
        )
    missing = f"{left} of {len(parts)} rows" if left else ""
    checks = _checks(lines) if sizes.is_evidence else {}
    return StudyResult([Table("Notes of each kind", rows)], {"rows": lines}, checks, missing)


def _rows() -> Iterator[str]:
    yield from (STEADY, REAL, RANDOM_PHASE)
    yield from (f"{CONVERTED}{title}" for title in SPECTROGRAMS)
    for title in TITLES:
        yield f"{UNTRAINED}{title}"
        yield f"{TRAINED}{title}"


def _numbers(sizes: Size, folder: Path, part: Mapping[str, Any]) -> dict[str, Any]:
    """Make the notes of a row, and measure them beside the real ones."""
    torch.set_num_threads(1)
    row, numbers = str(part["row"]), {}
    notes, waveforms, pitches = _low_notes(folder)
    real = resampled(waveforms)
    if row == STEADY:
        sounds = np.stack([tone(pitch) for pitch in pitches])
    elif row == REAL:
        sounds = real
    elif row == RANDOM_PHASE:
        random = np.random.default_rng(0)
        sounds = np.stack([with_random_phase(sound, random) for sound in real])
    elif row.startswith(CONVERTED):
        config = SPECTROGRAMS[row.removeprefix(CONVERTED)]
        sounds = resampled(there_and_back(waveforms, config))
    elif row.startswith(UNTRAINED):
        trainer = trainer_of(row.removeprefix(UNTRAINED), notes, 1)
        trainer.step = 1  # all blocks play, untrained
        sounds = generated(trainer, pitches)
    else:
        trainer, seconds = trained(row.removeprefix(TRAINED), notes, sizes)
        sounds = generated(trainer, pitches)
        numbers = {"steps": trainer.step, "cpu_s": round(seconds, 1)}
    if row == REAL or row.startswith(TRAINED):
        shown = int(np.flatnonzero(pitches == SHOWN_PITCH)[0])
        with written_whole(folder / f"{row}.npy") as draft, draft.open("wb") as file:
            np.save(file, sounds[shown].astype(np.float32))
    return {**measures(sounds, pitches, _real_features(folder)), **numbers}


@lru_cache(maxsize=1)
def _low_notes(folder: Path) -> tuple[NoteSet, np.ndarray, np.ndarray]:
    """Real notes, their waveforms of the representations' length, and their pitches."""
    notes = read_notes(folder / LOW_NOTES)
    pitches = np.array([note.pitch for note in notes], float)
    return notes, notes.waveforms()[:, : LINEAR.n_samples], pitches


@lru_cache(maxsize=1)
def _real_features(folder: Path) -> np.ndarray:
    return _features(resampled(_low_notes(folder)[1]))


def measures(sounds: np.ndarray, pitches: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """Pitch, coherence, and distance to features of real sounds, of sounds [n, n_samples]."""
    measured = np.array([note_pitch(sound, MEASURED_RATE) for sound in sounds])
    coherent = [coherence(*each) for each in zip(sounds, pitches, strict=True)]
    return {
        "pitch": pitch_accuracy(measured, pitches),
        "octave_free": pitch_accuracy(measured, pitches, octave_free=True),
        "coherence": float(np.mean(coherent)),
        "frechet": frechet_distance(_features(sounds), real),
    }


def _checks(lines: list[dict[str, Any]]) -> dict[str, bool]:
    """The paper's order of the four representations, if all of them are trained."""
    of = {line["row"]: line for line in lines}
    rows = [of.get(f"{TRAINED}{title}") for title in ("IF, mel", "IF", "phase", "waveform")]
    if None in rows:
        return {}
    order = "IF on a mel axis, IF, phase, waveform"
    coherent, distances = ([row[key] for row in rows if row] for key in ("coherence", "frechet"))
    return {
        f"the order by coherence is the paper's: {order}": coherent
        == sorted(coherent, reverse=True),
        f"the order by distance is the paper's: {order}": distances == sorted(distances),
    }


def generated(trainer: ProgressiveTrainer, pitches: np.ndarray) -> np.ndarray:
    """Generate notes of random latents, one for each pitch, 16 kHz."""
    shape = (len(pitches), trainer.recipe.generator.latent_size)
    z = np.random.default_rng(1).standard_normal(shape, np.float32)
    return resampled(trainer.generate_audio(z, pitches).numpy())


def coherence(sound: np.ndarray, pitch: float) -> float:
    """Return how steadily the phases of a note's harmonics advance: 1 for a steady tone.

    The value for noise is about 0. For harmonic k and frame t, S_kt is the sum of
    w[n] x[n] exp(-2 pi i k f0 n / 16000) over the frame's samples; n counts from the start of the
    clip, w is a Hann window of 64 ms, and frames don't overlap. d_kt = arg(S_k,t+1 / S_kt) is the
    phase advance minus the expected 2 pi k f0 hop, and a_kt = sqrt|S_k,t+1 S_kt|. The coherence of
    a harmonic is the weighted mean of cos(d_ks - d_kt) over all pairs of different frames, with
    weights a_ks a_kt:

        (|sum_t a exp(i d)|^2 - sum_t a^2) / ((sum_t a)^2 - sum_t a^2).

    Unlike |mean of exp(i d)|, it is unbiased for few frames. The coherence of a note is
    the mean over its harmonics, weighted by sum_t a. A steady pitch that is a little off is
    coherent. The first 0.1 s of the sound [n_samples], 16 kHz, is left out.
    """
    f0_hz = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    size = round(0.064 * MEASURED_RATE)
    held = np.asarray(sound, np.float64)[round(0.1 * MEASURED_RATE) :]
    frames = held[: len(held) // size * size].reshape(-1, size)
    time_s = np.arange(frames.size).reshape(frames.shape) / MEASURED_RATE
    total = weight = 0.0
    for k in range(1, int(0.45 * LINEAR.sample_rate / f0_hz) + 1):
        s = (frames * np.exp(-2j * np.pi * k * f0_hz * time_s)) @ np.hanning(size)
        product = s[1:] * s[:-1].conj()
        a = np.sqrt(np.abs(product)) + 1e-12
        together, own = np.abs(np.sum(product / a)) ** 2, np.sum(a**2)
        total += a.sum() * (together - own) / (a.sum() ** 2 - own)
        weight += a.sum()
    return float(total / weight)


def _features(sounds: np.ndarray) -> np.ndarray:
    return np.stack([note_features(sound, MEASURED_RATE) for sound in sounds])


def resampled(sounds: np.ndarray) -> np.ndarray:
    """Resample sounds [n, n_samples] from the representations' rate to 16 kHz."""
    return soxr.resample(sounds.T, LINEAR.sample_rate, MEASURED_RATE).T


def low_notes(notes: NoteSet, folder: Path) -> None:
    """Write the first second of the notes of the two octaves, at the representations' rate."""
    with SetWriter(folder, LINEAR.sample_rate) as writer:
        for note in notes.filter(pitches=(LOWEST, LOWEST + N_PITCHES - 1)):
            sound = soxr.resample(notes.waveform(note), note.sample_rate, LINEAR.sample_rate)
            fields = ("instrument", "family", "source", "pitch", "velocity")
            known = {name: getattr(note, name) for name in fields}
            writer.add(sound[: WAVE.n_samples], **known, qualities=[0] * 10)


def tone(pitch: float) -> np.ndarray:
    """Return a steady tone of six harmonics, 1 s at 16 kHz."""
    time_s = np.arange(MEASURED_RATE) / MEASURED_RATE
    phase = 2.0 * np.pi * 440.0 * 2.0 ** ((pitch - 69.0) / 12.0) * time_s
    return np.sum([0.1 / k * np.sin(k * phase) for k in range(1, 7)], axis=0)


def there_and_back(sounds: np.ndarray, config: SpectrogramConfig) -> np.ndarray:
    """Convert sounds to spectrograms and back."""
    image = normalise(waveform_to_spectrogram(torch.from_numpy(sounds), config), config)
    return spectrogram_to_waveform(denormalise(image, config), config).numpy()


def _draw(folder: Path) -> Figure:
    """Rainbowgrams of one note, real and of each generator."""
    from audiogen.audio.plots import BINS_PER_OCTAVE, rainbow_image

    figures = require_package("matplotlib.figure", "plot", "drawing notes")
    figure: Figure = figures.Figure(figsize=(9, 3), dpi=90, layout="constrained")
    rows = (REAL, *(f"{TRAINED}{title}" for title in TITLES))
    for axes, row in zip(figure.subplots(1, len(rows)), rows, strict=True):
        image, _ = rainbow_image(np.load(folder / f"{row}.npy"), MEASURED_RATE)
        axes.imshow(image[BINS_PER_OCTAVE : 5 * BINS_PER_OCTAVE], origin="lower", aspect="auto")
        axes.set(title=row.removeprefix(TRAINED), xticks=[], yticks=[])
    return figure
