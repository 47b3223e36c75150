"""The built-in trainer learns, resumes exactly, and reports what is wrong."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.data.notes.splits import Split
from audiogen.errors import AudiogenError, ParameterError
from audiogen.models.gansynth import GeneratorConfig
from audiogen.objectives import losses
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.partials import HARMONIC, TimbrePartials
from audiogen.training.gansynth import trainer as gansynth
from audiogen.training.gansynth.energy import EnergyLoss
from audiogen.training.gansynth.note_batches import Batch, Notes
from audiogen.training.gansynth.recipe import BuiltInRecipe, builtin_recipe
from audiogen.training.gansynth.trainer import FEW_INSTRUMENTS, BuiltInTrainer
from audiogen.training.run import trainer as steps
from audiogen.training.run.checkpoints import Checkpoints
from audiogen.training.run.loop import train
from tests.training.test_loop import in_child

TINY = BuiltInRecipe(
    steps=15,
    adversarial_share=1 / 3,
    batch=4,
    adversarial_batch=2,
    crop_frames=16,
    learning_rate=0.02,
    held_out=0.1,
    resynthesis_weight=0.0,
    level_weight=0.0,
    drift_weight=0.0,
    sideband_weight=0.0,
    random_weight=0.0,
    generator=GeneratorConfig("harmonic", 3, (8, 8, 6, 6, 4), (2, 4), note_off_frame=20),
    spectrogram=SpectrogramConfig(
        n_samples=1000,
        n_fft=128,
        hop_length=32,
        n_frames=32,
        phase="harmonic",
        magnitude_floor=1e-4,
        magnitude_scale=0.1,
        magnitude_offset=0.121034,
    ),
)
FIRST = 10  # steps before the critic
TERMS = {"magnitude", "loud", "peak", "frequency"}
pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filterbank:UserWarning")


def make_notes() -> Notes:
    """Twelve decaying notes of two instruments, one of them without even partials."""
    t = np.arange(1000) / 16000
    waveforms, pitches = [], []
    for i in range(12):
        pitch = 69.0 + 2 * (i // 2)
        harmonics = np.arange(1, 8, 1 + i % 2)
        hz = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0) * harmonics
        partials = np.sin(2.0 * np.pi * np.outer(hz, t)) / harmonics[:, None]
        waveforms.append(0.2 * partials.sum(axis=0) * np.exp(-t / 0.03))
        pitches.append(pitch)
    return Notes(
        waveforms=np.array(waveforms, np.float32),
        pitches=np.array(pitches),
        velocities=np.linspace(0.5, 1.0, 12),
        instruments=np.arange(12) % 2,
        names=["full", "odd"],
    )


def make_trainer(recipe: BuiltInRecipe = TINY) -> BuiltInTrainer:
    return BuiltInTrainer(make_notes(), recipe, compiled=False)


def evaluate_little(patch: pytest.MonkeyPatch) -> None:
    """Evaluations take longer than tiny steps: two in each phase, of few notes."""
    patch.setattr(gansynth, "N_EVALUATIONS", 2)
    patch.setattr(gansynth, "N_EVALUATED", 2)


@pytest.fixture
def few_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate_little(monkeypatch)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few evaluations, and learning rates that are soon at their highest."""
    evaluate_little(monkeypatch)
    monkeypatch.setattr(steps, "WARM_UP", 20)


def same(a: object, b: object) -> bool:
    """Whether two states are equal to the bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def state_of(trainer: BuiltInTrainer) -> dict:
    return {name: value for name, value in trainer.state().items() if name != "seconds"}


def ignore(*_: object) -> None:
    pass


def go(trainer: BuiltInTrainer, folder: Path, report: Callable[..., None] = ignore) -> None:
    """Train from the newest checkpoint of a folder, if any, to the last step."""
    checkpoints = Checkpoints(folder, ignore)
    state = checkpoints.newest()
    if state is not None:
        trainer.restore(state)
    train(trainer, checkpoints, report)


@pytest.mark.usefixtures("soon")
def test_the_loss_falls_and_both_stages_run() -> None:
    recipe = dataclasses.replace(TINY, steps=60, adversarial_share=0.2, average=0.9, seed=2)
    trainer = make_trainer(recipe)
    before = trainer.evaluate()
    seen = [trainer.train_step() for _ in range(60)]
    after = trainer.evaluate()
    assert set(seen[0]) == TERMS | {"variety"}
    assert all(set(seen[0]) <= set(losses) for losses in seen)
    assert ["critic" in losses for losses in seen] == [False] * 48 + [True] * 12
    # The critic learns alone first.
    for name in ("fooled", "features"):
        assert [name in losses for losses in seen] == [False] * 50 + [True] * 10
    assert all(np.isfinite(list(losses.values())).all() for losses in seen)
    early = np.mean([losses["loud"] for losses in seen[:10]])
    late = np.mean([losses["loud"] for losses in seen[38:48]])
    assert late < 0.6 * early
    assert set(before) == {"magnitude", "loud", "peak", "frequency", "log_mel_db", "energy_db"}
    assert after["energy_db"] < 0.8 * before["energy_db"]
    assert after["log_mel_db"] < 0.8 * before["log_mel_db"]


@pytest.mark.slow
@pytest.mark.usefixtures("soon")
def test_resynthesised_audio_and_levels_beside_partials_come_near() -> None:
    weights = {"resynthesis_weight": 1.0, "sideband_weight": 1.0, "variety": 1.0}
    recipe = dataclasses.replace(TINY, steps=70, adversarial_share=0.0, seed=2, **weights)
    trainer = make_trainer(recipe)
    far = [trainer.train_step() for _ in range(70)]
    assert set(far[0]) == TERMS | {"resynthesis", "level", "drift", "sideband", "variety"}
    for name, most in (("resynthesis", 0.75), ("sideband", 0.7)):
        values = [each[name] for each in far]
        assert np.mean(values[-15:]) < most * np.mean(values[:8])


def test_random_latents_take_part_in_every_second_step() -> None:
    recipe = dataclasses.replace(TINY, adversarial_share=0.0, random_weight=1.0)
    trainer = make_trainer(recipe)
    seen = [trainer.train_step() for _ in range(4)]
    assert ["random" in losses for losses in seen] == [True, False, True, False]


@pytest.mark.parametrize("n_trained", [1, 2])
def test_random_latents_are_spread_as_the_instruments(n_trained: int) -> None:
    """Those of a single instrument are anywhere."""
    trainer = make_trainer()
    trainer.trained_instruments = np.arange(n_trained)
    with torch.no_grad():
        trainer.latents.copy_(torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.3, 0.0]]))
    batch = trainer.batch(np.arange(4))
    z = torch.cat([trainer._latents_anywhere(batch) for _ in range(200)])
    assert not z.requires_grad
    third = z[:, 2].abs()
    if n_trained == 2:
        assert third.max() < 1e-6
        assert z[:, :2].mean(dim=0).tolist() == pytest.approx([0.87, 0.87], abs=0.12)
    else:  # half of them are between the instrument and itself
        assert 0.4 < (third > 1e-6).float().mean() < 0.6


def test_random_latents_are_best_as_loud_as_real_notes() -> None:
    """Images of other notes of the set stand for random latents."""
    trainer = make_trainer()
    batch = trainer.batch(np.arange(12), (0, 16))
    pair = batch.image.roll(2, 0), batch.image.roll(4, 0)

    def far(decibels: float) -> float:
        louder = TINY.spectrogram.magnitude_scale * decibels * np.log(10.0) / 20.0
        change = torch.tensor([louder, 0.0])[:, None, None]
        return float(trainer.loss.random_latents((pair[0] + change, pair[1] + change), batch))

    assert far(0.0) < min(far(-6.0), far(6.0)) < max(far(-6.0), far(6.0)) < far(20.0)


def test_levels_are_those_of_the_strongest_partials_whole_and_by_octaves() -> None:
    recipe = dataclasses.replace(TINY, level_weight=1.0)
    trainer = make_trainer(recipe)
    batch = trainer.batch(np.arange(12), (0, 16))
    nats = np.log(10.0) / 20.0  # per decibel
    strongest = batch.weight == batch.weight.amax(dim=-1, keepdim=True)

    def far(decibels: float, bins: torch.Tensor) -> float:
        image = batch.image.clone()
        image[:, 0] += TINY.spectrogram.magnitude_scale * decibels * nats * bins
        sounds = (trainer.loss.resynthesise(image, batch),) * 2
        return float(trainer.loss((image, image), sounds, batch)[1]["level"])

    everywhere = torch.ones_like(batch.weight)
    resolution = far(0.0, everywhere)  # what frames that are rotated and overlap-added differ by
    assert resolution < nats
    # The whole frame, and octaves on average.
    assert far(-6.0, everywhere) == pytest.approx(2 * 6.0 * nats, abs=resolution)
    weak, upper = batch.weight < 0.1, torch.zeros_like(everywhere)
    upper[..., upper.shape[-1] // 2 :] = 1.0
    assert weak.float().mean() > 0.5 > 20 * strongest.float().mean()
    assert far(-6.0, weak.float()) < resolution + 0.02
    assert far(-6.0, strongest.float()) > resolution + 2 * nats
    assert far(-6.0, upper) > resolution + 0.5 * nats


def test_drift_is_that_of_levels_without_their_constant_error() -> None:
    n, bands = 24, 5
    real = torch.randn(2, bands, n)
    assert losses.drift_distance(real + 0.5, real) < 1e-6
    slope = 0.01 * torch.arange(n)
    # 8 and 16 frames, of the whole and of bands
    assert float(losses.drift_distance(real + slope, real)) == pytest.approx(2 * 0.12, rel=1e-4)
    upper = torch.zeros(bands, 1)
    upper[-1] = 1.0
    assert float(losses.drift_distance(real + upper * slope, real)) == pytest.approx(0.03, rel=1e-3)
    assert losses.drift_distance(real[..., :8], 2.0 * real[..., :8]) == 0.0


def test_the_training_corrects_drifts_but_not_gains_by_their_loss() -> None:
    recipe = dataclasses.replace(TINY, crop_frames=32, drift_weight=1.0)
    trainer = make_trainer(recipe)
    batch = trainer.batch(np.arange(12), (0, 32))
    nepers = TINY.spectrogram.magnitude_scale * np.log(10.0) / 20.0  # per decibel

    def far(decibels: torch.Tensor) -> tuple[float, float]:
        image = batch.image.clone()
        image[:, 0] += nepers * decibels[:, None]
        sounds = (trainer.loss.resynthesise(image, batch),) * 2
        loss, means = trainer.loss((image, image), sounds, batch)
        others = dataclasses.replace(recipe, drift_weight=0.0)
        without = EnergyLoss(others)((image, image), sounds, batch)[0]
        return float(means["drift"]), float(loss - without)

    steady, gain = far(torch.zeros(32)), far(torch.full((32,), -6.0))
    drift = far(torch.linspace(-6.0, 0.0, 32))
    assert gain[0] == pytest.approx(steady[0], abs=0.05) and drift[0] > steady[0] + 0.2
    assert drift[1] == pytest.approx(drift[0], rel=1e-3)  # of two equal images: the distance


def test_tables_without_the_weight_of_drifts_have_none_of_it() -> None:
    table = dataclasses.asdict(dataclasses.replace(TINY, drift_weight=1.0))
    assert builtin_recipe(table).drift_weight == 1.0
    del table["drift_weight"]
    assert builtin_recipe(table).drift_weight == 0.0


def test_no_noise_is_slow() -> None:
    """Of 32 frames: the first block's grains are of 16, the second's of 8."""
    trainer = make_trainer()
    trainer.train_step()
    for generator in (trainer.generator, trainer.average):
        shares = [block.conditioning.noise.bias for block in generator.blocks]
        assert not shares[0].any()
        assert all(share.any() for share in shares[1:])


def test_latents_and_the_noises_dependence_on_them_have_a_rate_of_their_own() -> None:
    trainer = make_trainer(dataclasses.replace(TINY, latent_rate=1.0, learning_rate=1e-4))
    gain = trainer.generator.blocks[1].conditioning.noise
    before = trainer.latents.detach().clone(), gain.bias.detach().clone()
    trainer.train_step()
    moved = [
        float((now - then).abs().max())
        for now, then in zip((trainer.latents.detach(), gain.bias.detach()), before, strict=True)
    ]
    assert float(gain.by_input.detach().abs().max()) == pytest.approx(moved[0], rel=0.1)
    assert moved[0] == pytest.approx(1e4 * moved[1], rel=0.1)
    assert sum(len(group["params"]) for group in trainer.optimiser.param_groups) == len(
        trainer.parameters()
    )


def test_latents_of_many_instruments_are_slower() -> None:
    trainer = make_trainer(dataclasses.replace(TINY, latent_rate=0.02, learning_rate=1e-3))
    trainer.latents = torch.nn.Parameter(torch.zeros(10 * FEW_INSTRUMENTS, 4))
    trainer._set_rates()
    latents, gains, others = (group["lr"] for group in trainer.optimiser.param_groups)
    assert latents == pytest.approx(0.1 * gains) and gains == pytest.approx(20.0 * others)


def test_runs_of_earlier_versions_are_refused() -> None:
    trainer = make_trainer()
    state = trainer.state()
    state["optimiser"] = torch.optim.Adam(trainer.parameters()).state_dict()
    with pytest.raises(ParameterError, match="earlier version of audiogen"):
        trainer.restore(state)


@pytest.mark.usefixtures("few_evaluations")
def test_the_critic_steps_only_in_its_stage() -> None:
    trainer = make_trainer()
    critic = trainer.adversary.critic
    start = {name: value.clone() for name, value in critic.state_dict().items()}
    for _ in range(FIRST):
        assert not trainer.adversarial
        trainer.train_step()
    assert same(start, critic.state_dict())
    assert trainer.adversarial
    trainer.train_step()
    assert not same(start, critic.state_dict())
    first, held_out = trainer.training, trainer.held_out
    assert len(held_out) == 1 and sorted([*first, *held_out]) == list(range(12))


def test_notes_are_trained_with_the_partials_of_their_instruments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes = make_notes()
    notes.timbre_partials = [HARMONIC, TimbrePartials((1.0, 2.4, 3.5))]
    trainer = BuiltInTrainer(
        notes, dataclasses.replace(TINY, resynthesis_weight=1.0, random_weight=1.0), compiled=False
    )
    batch = trainer.batch(np.array([0, 1, 3]), (0, 16))
    assert batch.partials is not None
    assert batch.partials[:, 1].tolist() == [2.0, 2.4, 2.4]
    twice = batch.twice().partials
    assert twice is not None and twice[:, 1].tolist() == [2.0, 2.0, 2.4, 2.4, 2.4, 2.4]
    notes.timbre_partials = []
    notes.__post_init__()
    harmonic = trainer.batch(np.array([0, 1, 3]), (0, 16))
    assert harmonic.partials is None
    assert torch.equal(harmonic.image[0], batch.image[0])
    assert not torch.equal(harmonic.image[1:, 1], batch.image[1:, 1])  # other phase reference
    heard = [
        trainer.loss.resynthesise(image, each)
        for image, each in ((batch.image, batch), (batch.image, harmonic))
    ]
    assert torch.equal(heard[0][0], heard[1][0]) and not torch.equal(heard[0][1], heard[1][1])

    given: list[bool] = []  # of the generator: notes, then random latents, which are harmonic
    forward = trainer.generator.forward

    def watched(*words: Any, **options: Any) -> Any:
        given.append(options["partials"] is not None)
        return forward(*words, **options)

    notes.timbre_partials = [TimbrePartials((1.0, 2.4, 3.5))] * 2
    monkeypatch.setattr(trainer.generator, "forward", watched)
    trainer.train_step()
    assert given == [True, False, False]


def test_a_checkpoint_of_other_partials_is_refused() -> None:
    notes = make_notes()
    state = BuiltInTrainer(notes, TINY, compiled=False).state()
    notes.timbre_partials = [HARMONIC, TimbrePartials((1.0, 2.4, 3.5))]
    (difference,) = BuiltInTrainer(notes, TINY, compiled=False).differences(state)
    assert "partials" in difference


def without(instrument: int) -> Notes:
    """The notes, of which one instrument's are held out."""
    notes = make_notes()
    notes.note_names = [f"note-{i:02d}" for i in range(12)]
    parts: dict[str, tuple[str, ...]] = {"train": (), "valid": (), "test": ()}
    for name, own in zip(notes.note_names, notes.instruments, strict=True):
        parts["valid" if own == instrument else "train"] += (name,)
    parts["test"], parts["valid"] = parts["valid"][:2], parts["valid"][2:]
    notes.split = Split("instrument", 0, parts)
    return notes


@pytest.mark.usefixtures("few_evaluations")
def test_only_the_latent_of_a_held_out_instrument_is_learned() -> None:
    def trained(notes: Notes) -> BuiltInTrainer:
        trainer = BuiltInTrainer(notes, TINY, compiled=False)
        for _ in range(TINY.steps):
            trainer.train_step()
        return trainer

    notes = without(1)
    begun = BuiltInTrainer(notes, TINY, compiled=False).latents.detach()
    learned = trained(notes)
    otherwise = without(1)
    otherwise.waveforms[notes.instruments == 1] *= np.linspace(1.0, 0.0, 1000) ** 2
    otherwise = trained(otherwise)
    assert sorted(learned.held_out) == [5, 7, 9, 11]
    assert learned.training.tolist() == [0, 2, 4, 6, 8, 10]
    assert learned.unseen_notes.tolist() == [1, 3, 5, 7, 9, 11]
    assert same(learned.generator.state_dict(), otherwise.generator.state_dict())
    assert same(learned.adversary.state()["critic"], otherwise.adversary.state()["critic"])
    full, odd = learned.latents.detach()
    assert torch.equal(full, otherwise.latents[0]) and not torch.equal(odd, otherwise.latents[1])
    assert (odd - begun[1]).norm() > 0.05


@pytest.mark.slow
@pytest.mark.usefixtures("soon")
def test_a_held_out_instrument_comes_near_by_its_latent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sounds like a trained one, and its latent begins elsewhere."""
    notes = without(1)
    odd = notes.instruments == 1
    notes.waveforms[odd] = notes.waveforms[~odd]
    monkeypatch.setattr(gansynth, "FIT_EVERY", 2)
    monkeypatch.setattr(gansynth, "FIT_RATE", 0.1)
    recipe = dataclasses.replace(TINY, steps=120, adversarial_share=0.1, average=0.9, seed=2)
    trainer = BuiltInTrainer(notes, recipe, compiled=False)
    begun = trainer.evaluate()["loud"]

    def likeness() -> torch.Tensor:
        return torch.nn.functional.cosine_similarity(*trainer.average_latents, dim=0)

    assert likeness() < 0.3
    for _ in range(120):
        trainer.train_step()
    assert trainer.evaluate()["loud"] < 0.3 * begun
    assert likeness() > 0.5


Maker = Callable[[], BuiltInTrainer]


@pytest.fixture(scope="module", params=["notes", "instrument"])
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Maker, dict]:
    """Makes a trainer of notes, or with one of two instruments held out; its last state."""

    def make() -> BuiltInTrainer:
        notes = make_notes() if request.param == "notes" else without(0)
        return BuiltInTrainer(notes, TINY, compiled=False)

    trainer = make()
    with pytest.MonkeyPatch.context() as patch:
        evaluate_little(patch)
        go(trainer, tmp_path_factory.mktemp("whole"))
    assert trainer.step == TINY.steps
    return make, state_of(trainer)


@pytest.mark.parametrize("stop", [pytest.param(5, marks=pytest.mark.slow), FIRST, 13])
@pytest.mark.usefixtures("few_evaluations")
def test_resuming_is_exact(tmp_path: Path, stop: int, whole: tuple[Maker, dict]) -> None:
    make, last = whole
    stopped = make()
    for _ in range(stop):
        stopped.train_step()
    Checkpoints(tmp_path, ignore).save(stopped)
    torch.manual_seed(99)
    continued = make()
    reports = []
    go(continued, tmp_path, reports.append)
    assert continued.step == TINY.steps and same(last, state_of(continued))
    assert set(reports[-1]) >= {"magnitude", "frequency"}
    # A finished one has nothing to do.
    finished = make()
    go(finished, tmp_path)
    assert same(last, state_of(finished))


def test_a_seed_is_a_result() -> None:
    def after_two_steps(seed: int) -> dict:
        trainer = make_trainer(dataclasses.replace(TINY, seed=seed))
        trainer.train_step()
        trainer.train_step()
        return trainer.generator.state_dict()

    assert same(after_two_steps(1), after_two_steps(1))
    assert not same(after_two_steps(1), after_two_steps(2))


def test_another_recipe_is_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "checkpoint", ignore).save(make_trainer())
    for recipe in (
        dataclasses.replace(TINY, seed=1),
        dataclasses.replace(TINY, generator=dataclasses.replace(TINY.generator, latent_size=4)),
    ):
        with pytest.raises(ParameterError, match=r"with another recipe \((seed|latent_size)\)"):
            go(make_trainer(recipe), tmp_path / "checkpoint")
    other = make_notes()
    other.names = ["full", "even"]
    with pytest.raises(ParameterError, match="other instruments"):
        go(BuiltInTrainer(other, TINY, compiled=False), tmp_path / "checkpoint")
    louder = make_notes()
    louder.waveforms *= np.float32(0.9)
    with pytest.raises(ParameterError, match="other sounds"):
        go(BuiltInTrainer(louder, TINY, compiled=False), tmp_path / "checkpoint")


@pytest.mark.parametrize("step", [3, FIRST])
@pytest.mark.usefixtures("few_evaluations")
def test_a_loss_that_is_not_a_number_stops(tmp_path: Path, step: int) -> None:
    """With the message, and with weights that are still numbers in the checkpoint."""
    trainer = make_trainer()
    for _ in range(step):
        trainer.train_step()
    trainer.notes.waveforms[:] = np.nan
    with pytest.raises(AudiogenError, match=f"step {step}: the loss is nan"):
        go(trainer, tmp_path / "unborn")
    saved = Checkpoints(tmp_path / "unborn", ignore).newest()
    assert saved["step"] == step
    for part in ("generator", "critic", "average"):
        assert all(torch.isfinite(value).all() for value in saved[part].values())


def test_crops_cover_the_note() -> None:
    trainer = make_trainer()
    crops = [trainer._crop(trainer.random) for _ in range(600)]
    starts = np.array([start for start, _ in crops])
    assert all(stop - start == 16 for start, stop in crops)
    assert set(starts) == set(range(17))
    assert 0.3 < np.mean(starts == 0) < 0.5  # a third and more have the attack
    whole = make_trainer(dataclasses.replace(TINY, crop_frames=32))
    assert {whole._crop(whole.random) for _ in range(60)} == {(0, 32)}


def test_the_average_follows_the_weights() -> None:
    trainer = make_trainer()
    for _ in range(8):
        trainer.train_step()
    now = trainer.generator.blocks[2].conv2.weight
    mean = trainer.average.blocks[2].conv2.weight
    start = make_trainer().generator.blocks[2].conv2.weight
    assert 0.0 < (now - mean).norm().item() < 0.9 * (now - start).norm().item()
    assert not mean.requires_grad


def test_held_out_notes_are_evaluated_in_both_phases() -> None:
    trainer = make_trainer(dataclasses.replace(TINY, steps=200, adversarial_share=0.2))
    evaluated = []
    for trainer.step in range(1, 201):
        if trainer._evaluates():
            evaluated.append(trainer.step)
    assert evaluated == [*range(8, 161, 8), *range(162, 201, 2)]


def test_an_evaluation_measures_held_out_notes_and_keeps_the_best() -> None:
    trainer = make_trainer()
    seen = [trainer.train_step() for _ in range(TINY.steps)]
    measured = {
        "held_out_magnitude",
        "held_out_loud",
        "held_out_peak",
        "held_out_frequency",
        "held_out_log_mel_db",
        "held_out_energy_db",
    }
    assert set(seen[3]) == TERMS | {"variety"} | measured
    assert set(seen[-1]) == set(seen[3]) | {"critic", "fooled", "features", "overfit"}
    energies = [each["held_out_energy_db"] for each in seen]
    assert trainer.best == {"energy_db": min(energies), "step": 1 + int(np.argmin(energies))}
    torch.manual_seed(TINY.seed)  # of the generator's noise
    for name, value in trainer.evaluate(4).items():
        assert seen[-1][f"held_out_{name}"] == pytest.approx(value)


@pytest.mark.parametrize(("held_out_gap", "warned"), [(1.0, True), (2.0, False)])
@pytest.mark.usefixtures("few_evaluations")
def test_a_critic_that_overfits_is_reported(
    monkeypatch: pytest.MonkeyPatch, held_out_gap: float, warned: bool
) -> None:
    trainer = make_trainer(dataclasses.replace(TINY, held_out=0.4))
    notes = trainer.notes
    known = {(notes.pitches[i], notes.instruments[i]) for i in trainer.training}

    def gap(levels: torch.Tensor, batch: Batch) -> float:
        assert levels.shape[:2] == (3, TINY.adversarial_batch)
        told = zip(batch.pitch.tolist(), batch.instruments.tolist(), strict=True)
        (is_known,) = {note in known for note in told}
        return 3.0 if is_known else held_out_gap

    monkeypatch.setattr(trainer.adversary, "gap", gap)
    trainer.step = FIRST
    for n in range(1, 5):
        assert trainer.warning == ""
        seen = trainer._evaluate(True)
        assert seen["overfit"] == pytest.approx((3.0 - held_out_gap) / 3.0)
        assert len(trainer.adversary.overfit.scores) == n
    assert ("overfits" in trainer.warning and "67%" in trainer.warning) == warned
    # A resumed training has the warning; it goes when the critic does better.
    again = make_trainer(dataclasses.replace(TINY, held_out=0.4))
    again.restore(trainer.state())
    assert again.warning == trainer.warning
    monkeypatch.setattr(trainer.adversary, "gap", lambda levels, batch: 0.0)
    for _ in range(4):
        assert trainer._evaluate(True)["overfit"] < 1.0
    assert trainer.warning == ""


def test_an_evaluation_of_the_critic_changes_nothing() -> None:
    ends = []
    for evaluates in (False, True):
        trainer = make_trainer()
        trainer.step = FIRST
        if evaluates:
            trainer._evaluate(True)
            trainer.best = {"energy_db": np.inf, "step": 0}
            trainer.adversary.overfit.scores = []
        trainer.train_step()
        ends.append(state_of(trainer))
    assert same(*ends)


@pytest.mark.usefixtures("few_evaluations")
def test_the_size_of_a_checkpoint_is_estimated(tmp_path: Path) -> None:
    trainer = make_trainer()
    estimate = trainer.checkpoint_bytes()
    for _ in range(FIRST + 1):  # the optimisers of both networks have their moments
        trainer.train_step()
    checkpoints = Checkpoints(tmp_path, ignore)
    checkpoints.save(trainer)
    rest = 100_000  # names and random states; tiny networks are not much larger
    assert estimate < checkpoints.paths()[0].stat().st_size < 1.1 * estimate + rest


def test_bad_recipes_are_named() -> None:
    for crop_frames in (8, 20, 48):
        with pytest.raises(
            ParameterError, match=rf"crop_frames={crop_frames} must be (a mult|16 or)"
        ):
            dataclasses.replace(TINY, crop_frames=crop_frames)


def ctrl_c_in_a_step(run: str) -> None:
    folder = Path(run)
    trainer = make_trainer()
    original = trainer.train_step

    def step_with_ctrl_c() -> dict[str, float]:
        if trainer.step == 1:
            signal.raise_signal(signal.SIGINT)
        return original()

    trainer.train_step = step_with_ctrl_c  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        go(trainer, folder)
    saved = Checkpoints(folder, ignore).newest()
    assert saved["step"] == 2
    whole = make_trainer()  # the seed is set here
    for _ in range(2):
        whole.train_step()
    assert torch.equal(saved["latents"], whole.latents.detach())


@pytest.mark.slow
def test_ctrl_c_takes_effect_between_steps(tmp_path: Path) -> None:
    """A whole step is saved, equal to that of an uninterrupted training."""
    in_child(ctrl_c_in_a_step, tmp_path)


def test_a_gradient_that_is_not_a_number_leaves_the_weights(tmp_path: Path) -> None:
    trainer = make_trainer()
    trainer.generator.to_rgb[-1].weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(AudiogenError, match=r"step 0: the loss is .* gradient nan"):
        go(trainer, tmp_path / "kept")
    saved = Checkpoints(tmp_path / "kept", ignore).newest()
    assert all(torch.isfinite(value).all() for value in saved["generator"].values())


def test_one_note_is_too_few() -> None:
    notes = make_trainer().notes
    one = dataclasses.replace(
        notes, **{name: getattr(notes, name)[:1] for name in ("waveforms", "pitches", "velocities")}
    )
    with pytest.raises(ParameterError, match="has 1 notes; training needs 2"):
        BuiltInTrainer(one, TINY, compiled=False)
