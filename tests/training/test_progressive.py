"""A generator grows as published, stops and goes on as if it hadn't, and becomes a preset."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import audiogen
from audiogen.cli.main import main
from audiogen.data.notes.nsynth import NoteSet, SetWriter, read_notes
from audiogen.data.notes.splits import SPLIT, Split
from audiogen.errors import AudiogenError, FormatError, ParameterError, PresetError
from audiogen.models.gansynth import GeneratorConfig, upsample
from audiogen.objectives.losses import energy_distance_of_sets
from audiogen.presets import load_preset
from audiogen.representation.config import SpectrogramConfig
from audiogen.training.gansynth import progressive as growing
from audiogen.training.gansynth.export import preset_fields, sketch_notes
from audiogen.training.gansynth.note_batches import NotesOnDisk
from audiogen.training.gansynth.progressive import (
    ProgressiveTrainer,
    coarsened,
)
from audiogen.training.pack import pack_run
from audiogen.training.recipes import ProgressiveRecipe, read_recipe
from audiogen.training.run.card import write_card

RATE = 16000
# Stages begin at steps 0, 2, 4, 6 and 8, and it ends at 12.
TINY: ProgressiveRecipe = dataclasses.replace(
    read_recipe("gansynth-paper"),
    batch=4,
    stable_images=8,
    fade_images=8,
    images=48,
    average=0.9,
    generator=GeneratorConfig("one_hot", 5, (8, 6, 4), (8, 16), 60, 20, note_off_frame=20),
    spectrogram=SpectrogramConfig(n_samples=1000, n_fft=128, hop_length=32, n_frames=32),
)


def write_notes(folder: Path, n_instruments: int = 2) -> NoteSet:
    """Decaying notes, four of each instrument, and one beyond what `TINY` can play."""
    t = np.arange(1000) / RATE
    with SetWriter(folder, RATE) as writer:
        for i in range(4 * n_instruments + 1):
            pitch = 100 if i == 4 * n_instruments else 64 + 3 * (i % 4)
            hz = 440.0 * 2.0 ** ((pitch - 69) / 12)
            writer.add(
                0.3 * np.sin(2 * np.pi * hz * t) * np.exp(-t / (0.02 + 0.01 * (i // 4))),
                instrument=f"mallet_acoustic_{i // 4:03d}",
                family="mallet",
                source="acoustic",
                pitch=pitch,
                velocity=100,
                qualities=[0] * 10,
            )
    return read_notes(folder)


@pytest.fixture
def notes(tmp_path: Path) -> NoteSet:
    return write_notes(tmp_path / "notes")


def make_trainer(notes: NoteSet, **changes: object) -> ProgressiveTrainer:
    return ProgressiveTrainer(notes, dataclasses.replace(TINY, **changes), "cpu")


def same(a: object, b: object) -> bool:
    """Whether two states are equal to the bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def test_real_images_are_blended_as_generated_ones() -> None:
    image = torch.randn(2, 2, 32, 64)
    assert torch.equal(coarsened(image, 3.0, 3), image)
    half, quarter = coarsened(image, 2.0, 3), coarsened(image, 1.0, 3)
    assert quarter.shape == (2, 2, 8, 16)
    torch.testing.assert_close(half[0, 1, 3, 5], image[0, 1, 6:8, 10:12].mean())
    torch.testing.assert_close(quarter[0, 1, 3, 5], image[0, 1, 12:16, 20:24].mean())
    # A generator repeats its coarse image and lets it go as the fine one comes.
    torch.testing.assert_close(coarsened(image, 1.25, 3), 0.75 * upsample(quarter) + 0.25 * half)
    torch.testing.assert_close(coarsened(image, 2.75, 3), 0.25 * upsample(half) + 0.75 * image)


def test_both_networks_see_images_of_one_size(notes: NoteSet) -> None:
    trainer = make_trainer(notes)
    for growth in (1.0, 1.5, 2.0, 2.25, 3.0):
        real = trainer.real_spectrograms(trainer.training[:3], growth)
        made = trainer._generate(trainer.generator, growth, np.ones((3, 5), "f"), np.full(3, 64.0))
        assert (
            real.shape
            == made.shape
            == (3, 2, 8 << math.ceil(growth - 1), 16 << math.ceil(growth - 1))
        )
        score, logits = trainer._score(real, growth)
        assert score.shape == (3,) and logits.shape == (3, 20)


class Sum(torch.nn.Module):
    """A critic whose slope is 1 for each number it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, image: torch.Tensor, growth: float) -> tuple[torch.Tensor, torch.Tensor]:
        score = self.weight * image.float().flatten(1).sum(dim=1)
        return score, self.weight * torch.zeros(len(image), 20)


def test_the_penalty_is_in_the_spectrograms_units(notes: NoteSet) -> None:
    trainer = make_trainer(notes)
    trainer.critic = Sum()
    trainer.critic_optimiser = torch.optim.Adam(trainer.critic.parameters())
    spectrogram = trainer.real_spectrograms(trainer.training[:4], 1.0).requires_grad_()
    (slope,) = torch.autograd.grad(trainer._score(spectrogram, 1.0)[0].sum(), spectrogram)
    magnitude, frequency = slope[:, 0].unique(), slope[:, 1].unique()
    assert (len(magnitude), len(frequency)) == (1, 1)
    assert float(frequency / magnitude) == pytest.approx(0.8 / 0.0661371661726)  # 12.1
    n = 8 * 16
    norm = math.sqrt(n * (0.0661371661726**2 + 0.8**2))
    seen = trainer.train_step()
    assert seen["penalty"] == pytest.approx((norm - 1.0) ** 2, rel=1e-4)


def test_the_losses_are_as_published(notes: NoteSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the critic never learns pitches from generated notes."""
    trainer, taken = make_trainer(notes), []
    monkeypatch.setattr(trainer, "descend", lambda *given: taken.append(given[:2]))
    judged = []
    judge = trainer._score

    def listen(spectrogram: torch.Tensor, growth: float) -> tuple[torch.Tensor, torch.Tensor]:
        judged.append(judge(spectrogram, growth))
        return judged[-1]

    monkeypatch.setattr(trainer, "_score", listen)
    chance = trainer.draw_step()
    penalty = trainer.train_step()["penalty"]
    (made, told_made), (real, told_real), (fake, _) = judged[:3]
    (by_generator, first), (by_critic, second) = taken
    assert (first, second) == (trainer.optimiser, trainer.critic_optimiser)
    cross_entropy = torch.nn.functional.cross_entropy
    asked, played = chance.pitches[0], trainer.notes.pitches[chance.notes[0]]
    wanted, there = (torch.from_numpy(each.astype(int) - 60) for each in (asked, played))
    expected = -made.mean() + 10.0 * cross_entropy(told_made, wanted)
    torch.testing.assert_close(by_generator, expected)
    expected = fake.mean() - real.mean() + 1e-3 * real.square().mean()
    expected = expected + 10.0 * penalty + 10.0 * cross_entropy(told_real, there)
    torch.testing.assert_close(by_critic, expected)


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_resuming_is_exact(notes: NoteSet, stop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a stage begins, and in the middle of a fade."""
    monkeypatch.setattr(growing, "N_EVALUATIONS", 3)
    whole, stopped, continued = (make_trainer(notes) for _ in range(3))
    for _ in range(stop):
        stopped.train_step()
    torch.manual_seed(99)
    continued.restore(stopped.state())
    for trainer in (whole, continued):
        while trainer.step < trainer.n_steps:
            trainer.train_step()
    assert whole.step == 12 and whole.grown
    assert same(whole.state(), continued.state())
    with pytest.raises(ParameterError, match="another recipe"):
        make_trainer(notes, seed=1).restore(whole.state())
    with pytest.raises(ParameterError, match="other notes, or another split"):
        make_trainer(notes).restore(whole.state() | {"training": ["one"]})


def test_time_left_counts_the_cost_of_each_resolution(notes: NoteSet) -> None:
    trainer = make_trainer(notes)
    shares = [share for share, _ in trainer.phases()]
    trainer.seconds = 6.0
    assert trainer.seconds_left() == 0.0  # unknown before the first step
    trainer.step = trainer.n_steps // 2
    before = trainer.step / trainer.n_steps
    assert trainer.seconds_left() == pytest.approx(6.0 / before * (1 - before))
    trainer.phase_s = [1.0] * (len(shares) - 1) + [10.0]
    total = sum(shares[:-1]) + 10.0 * shares[-1]
    done = min(before, sum(shares[:-1])) + 10.0 * max(0.0, before - sum(shares[:-1]))
    assert trainer.seconds_left() == pytest.approx(6.0 / done * (total - done))
    resumed = make_trainer(notes)
    resumed.restore(trainer.state())
    assert resumed.seconds_left() == pytest.approx(trainer.seconds_left())


def test_a_stage_begins_with_new_optimisers_and_old_weights(notes: NoteSet) -> None:
    trainer = make_trainer(notes)
    for _ in range(2):
        trainer.train_step()
    first, fresh = trainer.generator.blocks[0].conv2.weight, trainer.generator.blocks[1]
    before, untrained = first.detach().clone(), fresh.conv2.weight.detach().clone()
    mean = trainer.average.blocks[0].conv2.weight.clone()
    assert int(trainer.optimiser.state[first]["step"]) == 2
    trainer.train_step()  # of the fade, not begun: the second block isn't heard yet
    trainer.train_step()
    assert trainer.growth == 2.0 and trainer._stage == 1
    assert int(trainer.optimiser.state[first]["step"]) == 2
    # Adam without momentum moves a weight by the rate at most in its first step, less than 10
    # times that in its second: the weights are the old ones.
    moved = (first - before).abs().max().item()
    assert 0.0 < moved < 11 * TINY.learning_rate
    assert not torch.equal(fresh.conv2.weight, untrained)
    torch.testing.assert_close(trainer.average.blocks[0].conv2.weight, mean, atol=0.01, rtol=0)


def test_every_real_note_comes_once_before_any_comes_twice(notes: NoteSet) -> None:
    trainer = make_trainer(notes, held_out=0.25, images=480)
    seen = []
    for trainer.step in range(6):
        chance = trainer.draw_step()
        seen += chance.notes.flatten().tolist()
        assert set(chance.pitches.flatten()) <= set(trainer.notes.pitches[trainer.training])
    n = len(trainer.training)
    epochs = [seen[i : i + n] for i in range(0, len(seen) - n + 1, n)]
    assert all(sorted(epoch) == trainer.training.tolist() for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_what_is_held_out(tmp_path: Path) -> None:
    few = write_notes(tmp_path / "few")
    on_disk = NotesOnDisk(few, TINY.generator, 1000)
    assert (len(few), len(on_disk.pitches), len(on_disk.note_names)) == (9, 8, 8)
    training, held_out = on_disk.split(0.1, 0)
    assert len(held_out) == 1 and sorted([*training, *held_out]) == list(range(8))
    # Of many instruments whole ones.
    many = NotesOnDisk(write_notes(tmp_path / "many", 10), TINY.generator, 1000)
    training, held_out = many.split(0.1, 0)
    assert len(held_out) == 4 and len({i // 4 for i in held_out}) == 1 and len(training) == 36
    # A file says otherwise.
    names = [note.name for note in few]
    path = few.folder / SPLIT
    Split("note", 0, {"train": tuple(names[:3]), "valid": tuple(names[3:5])}).write(path)
    training, held_out = on_disk.split(0.1, 0)
    assert (training.tolist(), held_out.tolist()) == ([0, 1, 2], [3, 4])
    Split("note", 0, {"train": tuple(names)}).write(path)
    with pytest.raises(FormatError, match="no note of this set in 'valid'"):
        on_disk.split(0.1, 0)


def test_sounds_are_cut_and_padded(notes: NoteSet) -> None:
    whole = NotesOnDisk(notes, TINY.generator, 1000).waveforms(np.array([2, 0]))
    cut = NotesOnDisk(notes, TINY.generator, 600).waveforms(np.array([2, 0]))
    padded = NotesOnDisk(notes, TINY.generator, 1200).waveforms(np.array([2, 0]))
    assert np.array_equal(whole[:, :600], cut) and np.array_equal(whole, padded[:, :1000])
    assert np.array_equal(whole[1], notes.waveform(notes.notes[0])) and not padded[:, 1000:].any()


def test_energy_distance_grows_with_other_sounds_and_little_variety() -> None:
    random = np.random.default_rng(0)

    def sounds(n: int, loudness: np.ndarray) -> torch.Tensor:
        noise = random.standard_normal((n, 2048)) * np.exp(loudness)[:, None]
        return torch.from_numpy(noise.astype(np.float32))

    varied = sounds(48, random.standard_normal(48))
    alike = energy_distance_of_sets(varied, sounds(48, random.standard_normal(48)), RATE)
    louder = energy_distance_of_sets(varied, sounds(48, 2.0 + random.standard_normal(48)), RATE)
    one = energy_distance_of_sets(varied, sounds(48, np.zeros(48)), RATE)
    assert abs(alike) < 0.5
    assert louder > 5.0 and one > 1.0


def test_a_loss_that_is_not_a_number_stops(notes: NoteSet, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(notes)
    trainer.train_step()
    before = {name: value.clone() for name, value in trainer.critic.state_dict().items()}
    broken = np.full((4, 1000), np.nan, np.float32)
    monkeypatch.setattr(trainer.notes, "waveforms", lambda indices: broken)
    with pytest.raises(AudiogenError, match="step 1: the loss is nan and the norm of its"):
        trainer.train_step()
    assert same(before, trainer.critic.state_dict())


def test_an_evaluation_measures_held_out_notes(notes: NoteSet) -> None:
    trainer = make_trainer(notes)
    told = [trainer.train_step() for _ in range(12)]
    names = {"growth", "fooled", "generated_pitch", "wasserstein", "penalty", "real_pitch"}
    looks = {"held_out_wasserstein", "held_out_pitch", "held_out_energy_db", "overfit"}
    assert all(set(each) == names | looks for each in told)
    assert [each["growth"] for each in told] == [1, 1, 1, 1.5, 2, 2, 2, 2.5, 3, 3, 3, 3]
    # Only what is full-grown can be best; a look is of the weights after the step.
    heard = [each["held_out_energy_db"] for each in told[7:]]
    assert trainer.best == {"energy_db": min(heard), "step": 8 + int(np.argmin(heard))}
    measured = trainer.evaluate()
    assert measured == {
        name: told[-1][f"held_out_{name}"] for name in ("wasserstein", "pitch", "energy_db")
    }


@pytest.mark.parametrize(("held_out", "overfit"), [(0.25, 0.25), (0.12, 0.9)])
def test_a_critic_that_overfits_is_reported(
    notes: NoteSet, held_out: float, overfit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores follow the level: 0.3 for notes trained on, 0.1 for generated ones."""
    trainer = make_trainer(notes)
    trainer.critic = Sum()

    def image(level: float) -> torch.Tensor:
        return torch.full((1, 2, 8, 16), level)

    def real(indices: np.ndarray, growth: float) -> torch.Tensor:
        return image(0.3 if set(indices) <= set(trainer.training) else held_out)

    monkeypatch.setattr(trainer, "real_spectrograms", real)
    monkeypatch.setattr(trainer, "_generate", lambda *told: image(0.1))
    monkeypatch.setattr(trainer, "_energy", lambda **options: 0.0)
    for _ in range(3):
        told = trainer.evaluate_held_out()
        assert told["overfit"] == pytest.approx(overfit, abs=1e-3) and not trainer.warning
    trainer.evaluate_held_out()
    assert bool(trainer.warning) == (overfit > 0.5)


FILE = """
objective = "wasserstein-gp"
batch = 4
learning_rate = 8e-4
betas = [0.0, 0.99]
critic_steps = 2
penalty_weight = 10.0
drift = 1e-3
real_pitch_weight = 10.0
fake_pitch_weight = 10.0
average = 0.9
stable_images = 8
fade_images = 8
images = 48
held_out = 0.1

[generator]
latent_size = 5
channels = [8, 6, 4]
start_shape = [8, 16]
note_off_frame = 20

[spectrogram]
n_samples = 1000
n_fft = 128
hop_length = 32
n_frames = 32
frequency = "mel_released"
"""


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(stopped.value.code or 0)


@pytest.mark.slow
@pytest.mark.usefixtures("plain_reports")
def test_notes_become_a_preset_that_plays(
    notes: NoteSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(growing, "N_TIMBRES", 2)
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(FILE)
    words = ("train", "gansynth", "notes", "-o", "out", "--device", "cpu", "--preview-minutes", 0)
    grow = ("--recipe", "mine.toml", "--steps", 6)
    assert run(*words, *grow, "--from", "struck") == 2
    assert "--init-from not supported by recipe mine.toml" in capsys.readouterr().err
    assert run(*words, *grow) == 0
    assert "1 note left out: outside of pitches 24 to 84" in capsys.readouterr().err
    last = json.loads(Path("out.run/log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 6 and {"growth", "held_out_energy_db"} < set(last)
    preset = load_preset("out")
    assert preset.timbre_names == ["latent-1", "latent-2"]
    assert preset.pitch_range == [64, 73] and preset.training.steps == 6
    assert preset.spectrogram.frequency == "mel_released"
    names = ("wasserstein", "pitch", "energy_db", "energy_db_silence")
    assert set(preset.measured) == {f"held_out_{name}" for name in names}
    played = audiogen.load(preset.folder).render("A4:0.1", timbre="latent-2")
    assert len(played) > 1600 and np.isfinite(played).all() and played.any()
    # A checkpoint becomes the same one, and knows its recipe.
    run("preset", "pack", "out.run", "-o", "packed")
    assert load_preset("packed").timbres == preset.timbres
    weights = (Path(name, "weights.safetensors").read_bytes() for name in ("out", "packed"))
    assert next(weights) == next(weights)
    assert run(*words, "--resume") == 0
    assert run(*words, "--resume", "--recipe", "mine.toml") == 0
    capsys.readouterr()
    assert run(*words, "--resume", "--recipe", "built-in") == 2
    assert "has another recipe; leave --recipe out" in capsys.readouterr().err
    assert run(*words, "--resume", "--recipe", "gansynth-small") == 2
    assert "another recipe" in capsys.readouterr().err


def test_previews_while_it_grows_and_after(notes: NoteSet) -> None:
    trainer = make_trainer(notes)
    card = {"description": "A test.", "authors": ["me"]}
    for step in (0, 5, 9):
        trainer.step = step
        state = torch.get_rng_state()
        samples, sample_rate = sketch_notes(trainer, notes, **card)
        assert sample_rate == RATE and samples.dtype == np.float32
        assert len(samples) >= 3000 and np.isfinite(samples).all() and samples.any()
        assert torch.equal(state, torch.get_rng_state())


def test_a_growing_generator_makes_no_preset(
    notes: NoteSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(notes)
    write_card(tmp_path, preset_fields(trainer, notes, "out", "A test.", ["me"]), "train", {})
    for _ in range(7):
        trainer.train_step()
    with pytest.raises(PresetError, match="growing at step 7; a preset can be made from step 8"):
        pack_run(tmp_path, tmp_path / "out", trainer.state())
