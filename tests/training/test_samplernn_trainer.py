"""Training a SampleRNN: state carried exactly, stop and go on to the bit, bad data named."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile

torch = pytest.importorskip("torch")

from audiogen.data.recordings import Recording
from audiogen.errors import AudiogenError, FormatError, ParameterError
from audiogen.evaluation.likelihood import bigram_bits, unigram_bits
from audiogen.models.samplernn import SampleRNNConfig
from audiogen.representation.levels import dequantise
from audiogen.training.run.checkpoints import Checkpoints
from audiogen.training.run.forecast import measure
from audiogen.training.run.loop import train
from audiogen.training.samplernn import input_noise
from audiogen.training.samplernn.excerpts import RecordedExcerpts
from audiogen.training.samplernn.recipe import SampleRNNRecipe
from audiogen.training.samplernn.trainer import SampleRNNTrainer
from audiogen.training.samplernn.training_data import read_training_data

RATE = 8000
TINY = SampleRNNRecipe(
    steps=24,
    batch=3,
    chunk=32,
    excerpt_s=0.02,
    learning_rate=0.01,
    bfloat16=False,
    sample_rate=RATE,
    model=SampleRNNConfig(frame_sizes=(8, 2), dim=12, embedding_size=4, quantisation="mu_law"),
)


def excerpts(
    recipe: SampleRNNRecipe = TINY,
    seed: int = 0,
    seconds: float = 1.0,
    augmentation: float = 0.0,
    input_noise: float = 0.0,
    onset_weight: float = 1.0,
) -> RecordedExcerpts:
    """Two files of tones, one class each."""
    t = np.arange(round(seconds * RATE)) / RATE
    random = np.random.default_rng(seed)
    files = [
        Recording(
            f"{i}.wav",
            "ab"[i],
            (0.5 * np.sin(2 * np.pi * hz * t) + 0.003 * random.standard_normal(len(t))).astype("f"),
        )
        for i, hz in enumerate((300.0, 500.0))
    ]
    return RecordedExcerpts(
        files,
        ["a", "b"],
        recipe.model,
        RATE,
        recipe.excerpt_s,
        recipe.chunk,
        seed,
        augmentation,
        input_noise,
        onset_weight,
    )


def make(recipe: SampleRNNRecipe = TINY) -> SampleRNNTrainer:
    changes = (recipe.augmentation, recipe.input_noise, recipe.onset_weight)
    training = excerpts(recipe, 0, 1.0, *changes)
    return SampleRNNTrainer(training, excerpts(recipe, 1), recipe)


def same(a: object, b: object) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a if key != "seconds")
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def ignore(*_: object) -> None:
    pass


def go(trainer: SampleRNNTrainer, folder: Path, report: Callable[..., None] = ignore) -> None:
    """Train from the newest checkpoint of a folder, if any, to the last step."""
    checkpoints = Checkpoints(folder, ignore)
    state = checkpoints.newest()
    if state is not None:
        trainer.restore(state)
    train(trainer, checkpoints, report)


@pytest.mark.slow
def test_it_learns_more_than_a_bigram():
    recipe = dataclasses.replace(TINY, steps=300, chunk=64, excerpt_s=0.1, batch=8)
    trainer = make(recipe)
    before = trainer.evaluate()
    train_levels, held = trainer.training.levels, trainer.held_out.levels
    while trainer.step < recipe.steps:
        seen = trainer.train_step()
    after = trainer.evaluate(model=trainer.best_model())
    assert before > 7.0
    assert after < bigram_bits(train_levels, held, 256) < unigram_bits(train_levels, held, 256)
    kept = trainer.quantised_model()
    assert seen["held_out_bits"] == pytest.approx(trainer.evaluate(model=kept))
    assert trainer.evaluate(model=kept) == pytest.approx(trainer.evaluate(), abs=0.01)
    assert trainer.best["bits"] == pytest.approx(after)


def test_states_are_carried_and_reset_where_an_excerpt_begins():
    trainer = make()
    n_chunks = trainer.training.n_samples // TINY.chunk
    assert n_chunks == 5
    assert trainer._chunk.tolist() == [0, 1, 3]  # rows begin apart
    for _ in range(12):
        chunk, which = trainer._chunk.copy(), trainer._which.copy()
        trainer.train_step()
        ended = chunk == n_chunks - 1
        assert (trainer._chunk == np.where(ended, 0, chunk + 1)).all()
        assert (trainer._which == which)[~ended].all()
        assert trainer._fresh.tolist() == ended.tolist()


def test_chunks_with_carried_states_equal_the_whole():
    # With nothing to learn, bits of chunks with the carried state are those of the whole.
    recipe = dataclasses.replace(TINY, batch=1, learning_rate=0.0, steps=100)
    trainer = make(recipe)
    source, which = trainer.training, int(trainer._which[0])
    chunks = [trainer.train_step()["bits"] for _ in range(5)]
    levels = source.chunk(which, 0, source.n_samples).levels
    levels = torch.from_numpy(levels.astype(np.int64))[None]
    bits, _ = trainer.model.bits(levels, trainer.model.initial_state(1))
    np.testing.assert_allclose(chunks, bits.view(5, 32).mean(1).detach(), rtol=1e-4)


@pytest.mark.parametrize(
    ("stop", "changes"),
    [
        (1, {}),
        (13, {}),
        (13, {"augmentation": 1.0, "input_noise": 1.0}),
        (13, {"input_noise": 1.0}),
        (13, {"state_shuffle": 0.5, "onset_weight": 10.0}),
        (23, {}),
    ],
)
def test_resuming_is_exact(tmp_path: Path, stop: int, changes: dict[str, float]) -> None:
    recipe = dataclasses.replace(TINY, **changes)
    whole = make(recipe)
    go(whole, tmp_path / "whole")
    part = make(recipe)
    for _ in range(stop):
        part.train_step()
    Checkpoints(tmp_path / "part", ignore).save(part)
    gone_on = make(recipe)
    go(gone_on, tmp_path / "part")
    assert same(gone_on.state(), whole.state())


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "c", ignore).save(make())
    with pytest.raises(ParameterError, match="another recipe"):
        go(make(dataclasses.replace(TINY, seed=1)), tmp_path / "c")


def test_a_loss_that_is_no_number_keeps_the_last_good_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make()
    for _ in range(3):
        trainer.train_step()
    good = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    bits, batch = trainer.model.bits, trainer._batch()[0].clone()

    def lost(levels: torch.Tensor, *rest: object) -> tuple:
        seen, state = bits(levels, *rest)
        return seen * float("nan") if torch.equal(levels, batch) else seen, state

    monkeypatch.setattr(trainer.model, "bits", lost)
    with pytest.raises(AudiogenError, match=r"step 3: .* --learning-rate 0\.005"):
        go(trainer, tmp_path / "c")
    newest = Checkpoints(tmp_path / "c", ignore).newest()
    assert trainer.step == 3 and newest["step"] == 3
    assert same(newest["model"], good)  # no update was made from it
    again = make(dataclasses.replace(TINY, learning_rate=0.005))
    bits = again.model.bits
    monkeypatch.setattr(again.model, "bits", lost)
    go(again, tmp_path / "c")  # past what made it
    assert again.step == TINY.steps


def test_the_size_of_a_checkpoint_is_estimated(tmp_path: Path) -> None:
    wide = dataclasses.replace(TINY.model, dim=64)
    trainer = make(dataclasses.replace(TINY, steps=1, model=wide))  # so that there is a best
    said = trainer.checkpoint_bytes()
    trainer.train_step()
    checkpoints = Checkpoints(tmp_path, ignore)
    checkpoints.save(trainer)
    beside = 100_000  # names and the state of chance; tiny networks are not much larger
    assert said < checkpoints.paths()[0].stat().st_size < 1.1 * said + beside


@pytest.mark.slow
def test_bfloat16_learns_as_well(monkeypatch):
    monkeypatch.setattr("audiogen.training.run.trainer.WARM_UP", 20)
    recipe = dataclasses.replace(TINY, steps=60, chunk=64, excerpt_s=0.1, batch=8)
    ends = []
    for low in (False, True):
        trainer = make(dataclasses.replace(recipe, bfloat16=low))
        while trainer.step < recipe.steps:
            trainer.train_step()
        ends.append(trainer.evaluate())
    assert ends[0] < 7.0  # of 8 bits
    assert ends[1] == pytest.approx(ends[0], rel=0.05)


def test_held_out_sound_is_taken_evenly():
    trainer = make()
    n = trainer.held_out.n_samples / RATE
    every = trainer.held_out.all()
    assert len(every) > 50
    ends = trainer.bits(trainer.average, trainer.held_out, [every[0], every[-1]], 160)
    assert trainer.evaluate(2.01 * n) == pytest.approx(ends)
    assert trainer.evaluate(1e9) == pytest.approx(trainer.evaluate(len(every) * n))


def test_evaluations_are_far_apart(monkeypatch):
    monkeypatch.setattr(
        "audiogen.training.samplernn.trainer.SAMPLES_BETWEEN", 50 * TINY.batch * TINY.chunk
    )
    looks = []
    trainer = make(dataclasses.replace(TINY, steps=120))
    while trainer.step < 120:
        if "held_out_bits" in trainer.train_step():
            looks.append(trainer.step)
    assert looks == [50, 120]
    assert trainer._steps_between(100_000) == 5_000


def test_minutes_become_steps_by_measurement(monkeypatch):
    clock = [0.0]

    def taking(seconds: float, method: Callable[..., object]) -> Callable[..., object]:
        def timed(*arguments: object, **options: object) -> object:
            clock[0] += seconds
            return method(*arguments, **options)

        return timed

    def steps_of_2_s(step_s: float, look_s: float) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", lambda: clock[0])
            step, evaluate = SampleRNNTrainer.train_step, SampleRNNTrainer.evaluate
            patch.setattr(SampleRNNTrainer, "train_step", taking(step_s, step))
            patch.setattr(SampleRNNTrainer, "evaluate", taking(look_s, evaluate))
            return measure(make(dataclasses.replace(TINY, steps=1_000_000))).steps_in(2.0)

    assert steps_of_2_s(0.01, 0.0) == pytest.approx(200, abs=1)
    assert steps_of_2_s(0.01, 0.4) == pytest.approx(160, abs=1)  # one look fits
    assert steps_of_2_s(0.01, 1.2) == pytest.approx(100, abs=1)  # looks may take half


AUGMENTED = dataclasses.replace(
    TINY,
    excerpt_s=0.6,
    model=dataclasses.replace(TINY.model, q_levels=65536, conditioning="class", n_classes=2),
)


def test_augmentation_plays_a_recording_at_other_speeds_and_levels():
    source = excerpts(AUGMENTED, augmentation=1.0)
    random, n, past = np.random.default_rng(0), source.n_samples, AUGMENTED.model.frame_sizes[0]
    assert n == 4800
    speeds, levels = [], []
    for _ in range(100):
        which = source.draw(random)
        whole = source.chunk(which, 0, n)
        assert np.array_equal(whole.levels, whole.inputs) and len(whole.levels) == past + n
        parts = [source.chunk(which, start, 160) for start in range(0, n, 160)]
        assert np.array_equal(whole.levels[past:], np.concatenate([p.levels[past:] for p in parts]))
        assert np.array_equal(whole.features, np.concatenate([p.features for p in parts]))
        sound = dequantise(whole.levels[past:], 65536, "mu_law")
        told = whole.features.argmax(axis=1)
        for label, hz in enumerate((300.0, 500.0)):
            tone = sound[told == label][:2000]
            if len(tone) < 2000 or np.abs(tone[-200:]).max() < 0.05:
                continue  # it ends within, or a silence does
            spectrum = np.abs(np.fft.rfft(tone * np.hanning(2000), 1 << 16))
            speeds.append(spectrum.argmax() * RATE / (1 << 16) / hz)
            levels.append(np.sqrt(2.0) * tone[500:-500].std() / 0.5)
    assert len(speeds) > 50
    assert 0.795 < min(speeds) < 0.83 and 1.2 < max(speeds) < 1.255
    assert 0.49 < min(levels) < 0.6 and 1.6 < max(levels) < 2.01


def test_augmented_sound_keeps_its_class_and_does_not_clip():
    length = 3000  # of each class: one is low, one high; both rise
    sound = [np.linspace(0.1, 0.4, length), np.linspace(0.6, 0.9, length)]
    files = [Recording(f"{i}.wav", "ab"[i], x.astype("f")) for i, x in enumerate(sound)]
    source = RecordedExcerpts(files, ["a", "b"], AUGMENTED.model, RATE, 0.5, 32, 0, 1.0)
    random, signs = np.random.default_rng(0), []
    for _ in range(200):
        levels, told, *_ = source.chunk(source.draw(random), 0, source.n_samples)
        heard = dequantise(levels[8:], 65536, "mu_law")
        signs.append(np.sign(heard[np.abs(heard).argmax()]))
        heard = signs[-1] * heard
        change = np.flatnonzero(np.diff(told.argmax(axis=1)))
        if len(change):  # the gap before it is 0.1 s of nothing, which belongs to the one before
            edge = int(change[0]) + 1
            assert np.abs(heard[edge - 200 : edge - 15]).max() < 0.05 * heard.max()
            assert heard[edge + 15] > 0.2 * heard.max()
        top = heard >= 0.999 * heard.max()
        assert heard.max() < 1.0 or top.sum() < 60  # not cut off
    assert 70 < signs.count(1.0) < 130


def test_without_augmentation_the_input_is_as_recorded():
    plain, varied = excerpts(AUGMENTED), excerpts(AUGMENTED, augmentation=1.0)
    assert np.array_equal(plain.levels, varied.levels)
    for which in varied.all():
        there = varied.levels[which : which + 32]
        assert np.array_equal(varied.chunk(which, 0, 32).levels[-32:], there)
    random = np.random.default_rng(0)
    drawn = {plain.draw(random) for _ in range(300)}
    assert max(drawn) < len(plain.levels)
    unit = excerpts(AUGMENTED, augmentation=0.05)  # no other speed is so near
    for _ in range(30):
        which = unit.draw(random)
        first = which % len(unit.levels)
        levels = plain.levels[first : first + 200]
        old, new = (dequantise(x, 65536, "mu_law") for x in (levels, unit.chunk(which, 0, 200)[0]))
        np.testing.assert_allclose(np.abs(new[-200:]), np.abs(old), rtol=0.04, atol=1e-4)


def test_the_target_continues_a_detuned_input_at_the_recorded_pitch(monkeypatch):
    monkeypatch.setattr(input_noise, "RECORDED_ERROR", 0.0)
    turn = 2.0 * np.pi * 500.0 / RATE  # of the tone in a sample
    tone = (0.5 * np.sin(turn * np.arange(4 * RATE))).astype("f")
    model = dataclasses.replace(TINY.model, q_levels=65536)
    source = RecordedExcerpts(
        [Recording("a", "", tone)], [], model, RATE, 1.0, 32, 0, input_noise=1.0
    )
    random, bends, straight = np.random.default_rng(0), [], 0
    for _ in range(60):
        which = source.draw(random)
        levels, _, heard, _ = source.chunk(which, 0, source.n_samples)
        parts = [
            source.chunk(which, start, 320).inputs[8:] for start in range(0, len(heard) - 8, 320)
        ]
        assert np.abs(np.concatenate(parts) - heard[8:].astype(int)).max() <= 16
        drawn, past = (dequantise(x, 65536, "mu_law") for x in (levels, heard))
        inside = slice(600, -600)  # of the transform's ends
        turned = scipy.signal.hilbert(past)
        told = np.real(np.exp(1j * turn) * turned[:-1])
        np.testing.assert_allclose(drawn[1:][inside], told[inside], atol=0.005)
        turns = np.diff(np.unwrap(np.angle(turned)))[inside] / turn
        bends.append(12.0 * np.abs(np.log2(turns)).max())
        straight += np.array_equal(levels, heard)
        assert bends[-1] < 0.06 or not np.array_equal(levels, heard)
    most = input_noise.LARGEST_BEND
    deepest = -12.0 * np.log2(2.0 - 2.0 ** (most / 12.0))  # as far below in Hz as above
    assert 15 < straight < 45 and 0.8 * most < max(bends) < 1.05 * deepest


@pytest.mark.parametrize("augmentation", [0.0, 1.0])
def test_noise_comes_and_goes_in_the_input(augmentation, monkeypatch):
    monkeypatch.setattr(input_noise, "LARGEST_BEND", 0.0)
    changed = excerpts(AUGMENTED, augmentation=augmentation, input_noise=1.0)
    plain = excerpts(AUGMENTED, augmentation=augmentation)
    random, errors, signs = np.random.default_rng(0), [], []
    for _ in range(60):
        which = changed.draw(random)
        first = which if augmentation else which % len(plain.levels)
        levels, told, heard, _ = changed.chunk(which, 0, changed.n_samples)
        straight = plain.chunk(first, 0, changed.n_samples)
        assert np.array_equal(told, straight.features)
        sound, there = (dequantise(x, 65536, "mu_law") for x in (levels, straight.levels))
        np.testing.assert_allclose(sound, there, atol=2e-3)
        error = (heard.astype(int) - levels) / 32768
        errors += [error[: error.size // 9 * 9].reshape(9, -1).std(axis=1)]
        signs.append(changed._speed_and_gain(which // len(changed.levels))[1] < 0.0)
        assert np.array_equal(changed.chunk(which, 0, changed.n_samples).inputs, heard)
    errors, signs = np.array(errors) / input_noise.RECORDED_ERROR, np.array(signs)
    if augmentation:  # augmentation and noise are independent
        assert errors[signs].max() > 0.43 and errors[~signs].max() > 0.43
    assert 0.43 < errors.max() < 1.1 and np.median(errors.max(axis=1)) < 0.34
    assert np.mean(errors.min(axis=1) < 0.3 * errors.max(axis=1)) > 0.5
    for which in changed.all():
        held = changed.chunk(which, 0, 32)
        assert np.array_equal(held.inputs, held.levels)


@pytest.mark.parametrize("changes", [{}, {"augmentation": 1.0}, {"input_noise": 1.0}])
def test_samples_near_onsets_have_a_higher_weight(changes, monkeypatch):
    monkeypatch.setattr(input_noise, "RECORDED_ERROR", 0.0)
    plain, source = excerpts(AUGMENTED, **changes), excerpts(AUGMENTED, **changes, onset_weight=7.0)
    random, n, begun = np.random.default_rng(0), source.n_samples, 0
    for which in [source.draw(random) for _ in range(40)]:
        chunk = source.chunk(which, 0, n)
        assert set(np.unique(chunk.weights)) <= {1.0, 7.0} and chunk.weights.dtype == np.float32
        parts = [source.chunk(which, start, 160).weights for start in range(0, n, 160)]
        assert np.array_equal(np.concatenate(parts), chunk.weights)
        assert np.array_equal(chunk.levels, plain.chunk(which, 0, n).levels)
        # The second of the two tones begins after the silence that parts them.
        loud = np.abs(dequantise(chunk.levels[8:], 65536, "mu_law")) > 0.02
        for rises in np.flatnonzero(np.diff(loud[100:].astype(int)) > 0) + 100:
            if not loud[rises - 99 : rises + 1].any():
                assert (chunk.weights[rises - 4 : rises + 1] == 7.0).any()
                begun += 1
        assert (chunk.weights == 7.0).mean() < 0.2
    assert begun > 3
    assert plain.chunk(plain.all()[0], 0, 32).weights is None


def test_a_step_follows_weighted_bits_and_reports_unweighted_ones() -> None:
    seen, gradients = [], []
    for high in (None, 1.0, 50.0):
        trainer = make()
        if high:  # every other sample
            trainer.training._is_onset = np.arange(len(trainer.training.levels)) % 2 == 0
            trainer.training._onset_weight = np.float32(high)
        seen.append(trainer.train_step()["bits"])
        gradients.append(trainer.model.sample.output.bias.grad)
    assert seen[0] == seen[1] == seen[2]
    assert torch.equal(gradients[0], gradients[1])
    assert not torch.allclose(gradients[0], gradients[2], rtol=0.1)


def test_some_rows_take_the_state_of_another() -> None:
    trainer = make(dataclasses.replace(TINY, state_shuffle=0.5))
    assert len(trainer._carried) == 2  # a state of each tier
    n = trainer.recipe.batch
    trainer._carried = [torch.arange(n, dtype=torch.float32).view(1, n, 1).expand(1, n, 12)] * 2
    lost = []
    for _ in range(50):
        upper, lower = (state[0, :, 0] for state in trainer._shuffled_states())
        assert torch.equal(upper, lower)
        lost.append((upper != torch.arange(n)).float().mean().item())
    assert 0.3 * (n - 1) / n < np.mean(lost) < 0.7 * (n - 1) / n
    never = make(TINY)
    assert never._shuffled_states() is never._carried


def test_a_step_uses_shuffled_states(monkeypatch: pytest.MonkeyPatch) -> None:
    bits = []
    for lost in (False, True):
        trainer = make()
        trainer._carried = [torch.arange(s.numel()).view_as(s).cos() for s in trainer._carried]
        trainer._fresh[:] = False
        others = [s.flip(1) for s in trainer._carried]
        if lost:
            monkeypatch.setattr(trainer, "_shuffled_states", lambda others=others: others)
        bits.append(trainer.train_step()["bits"])
    assert bits[0] != bits[1]


@pytest.mark.parametrize("name", ["augmentation", "input_noise", "state_shuffle"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_strengths_are_0_to_1(name, value):
    with pytest.raises(ParameterError, match=f"{name}=.* must be 0 to 1"):
        SampleRNNRecipe(**{name: value})


@pytest.mark.parametrize("value", [0.5, 101.0, float("nan")])
def test_onset_weights_are_1_to_100(value):
    with pytest.raises(ParameterError, match=r"onset_weight=.* must be 1 to 100"):
        SampleRNNRecipe(onset_weight=value)


def write_folder(folder: Path, n: int, seconds: float = 0.5) -> Path:
    t = np.arange(round(seconds * RATE)) / RATE
    for i in range(n):
        (folder / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        soundfile.write(
            folder / "ab"[i % 2] / f"{i}.wav", 0.5 * np.sin(2 * np.pi * (200 + 50 * i) * t), RATE
        )
    return folder


def read(folder: Path, by_subfolder: bool = False, **changes):
    recipe = dataclasses.replace(TINY, excerpt_s=0.1, held_out=0.2, **changes)
    return read_training_data(folder, recipe, by_subfolder=by_subfolder)


def test_a_folder_of_recordings(tmp_path):
    prepared = read(write_folder(tmp_path, 8))
    assert len(prepared.split["training"]) + len(prepared.split["held_out"]) == 8
    assert prepared.model.conditioning == "none" and prepared.classes == ()
    assert prepared.minutes == pytest.approx(len(prepared.split["training"]) * 0.5 / 60, rel=0.1)
    json.dumps(prepared.split)
    n = prepared.training.n_samples
    assert n == 800 // 32 * 32
    starts = prepared.training.all()
    assert np.diff(starts).tolist() == [n] * (len(starts) - 1)


def test_subfolders_as_classes(tmp_path):
    prepared = read(write_folder(tmp_path, 8), by_subfolder=True)
    assert prepared.classes == ("a", "b") and prepared.model.n_classes == 2
    source = prepared.training
    told = [source.chunk(8, start, 32).features for start in range(0, len(source.levels) - 64, 32)]
    classes = np.concatenate(told)
    assert (classes.sum(axis=1) == 1).all() and (classes.sum(axis=0) > 0).all()
    with pytest.raises(ParameterError, match="it has 0"):
        read(tmp_path / "a", by_subfolder=True)


def test_recordings_that_are_too_short_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="a chunk of 100000"):
        read(write_folder(tmp_path, 4), chunk=100_000)
    with pytest.raises(FormatError, match="isn't a folder"):
        read(tmp_path / "nowhere")
