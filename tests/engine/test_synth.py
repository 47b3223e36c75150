"""A synth plays what its notes say, however it is cut into blocks and at whatever rate."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
import soxr

pytest.importorskip("audiogen._native")

import audiogen
from audiogen.core.events import EVENT, NOTE_OFF, NOTE_ON
from audiogen.engine import Player, Synth, render_score
from audiogen.errors import ParameterError, PresetError
from audiogen.notes import Control, Note, Score

RATES = (16000, 22050, 44100, 48000, 96000)
NOTE_SEED = 0x9E3779B97F4A7C15  # seeds of successive notes are this far apart
# A quarter of a second of sound at the size of a test, and a note of the size that presets have.
SMALL = {"n_fft": 256, "hop_length": 64, "n_frames": 64}
FULL = {"n_fft": 2048, "hop_length": 512, "n_frames": 128}


@pytest.fixture
def make_preset(tmp_path: Path, write_tiny: Callable[..., Path]) -> Callable[..., Path]:
    """A function that writes a preset whose random notes sustain, each a tone and some noise."""

    def make(name: str = "small", sizes: dict[str, int] = SMALL, **changes: Any) -> Path:
        from safetensors.numpy import load_file, save_file

        from audiogen.presets import load_preset

        n_frames, n_blocks = sizes["n_frames"], 6 if sizes is SMALL else 7
        tiny = load_preset(write_tiny(tmp_path / "tiny"))
        generator = tiny.generator.table() | {
            "channels": [8, 8, 6, 6, 5, 4, 4][:n_blocks],
            "start_shape": [n_frames >> (n_blocks - 1), sizes["n_fft"] >> n_blocks],
            "note_off_frame": n_frames * 3 // 4,
        }
        sustain = {
            "loop_start_frame": n_frames // 4,
            "loop_end_frame": n_frames * 5 // 8,
            "release_frame": n_frames * 3 // 4,
        }
        fields = {
            "spectrogram": tiny.spectrogram.table() | sizes | {"magnitude_scale": 0.1},
            "generator": generator,
            "sustain": sustain,
        } | changes
        folder = write_tiny(tmp_path / name, **fields)
        weights = load_file(folder / "weights.safetensors")
        for key, value in weights.items():
            if "conv" in key and key.endswith("weight"):
                value *= np.sqrt(2.0 / np.prod(value.shape[1:]))
            elif "style" in key or "time" in key:
                value *= 0.1
        # The last block is told the frequency and little else, with opposite signs, ...
        last = f"blocks.{n_blocks - 1}"
        weights[f"{last}.conv1.weight"] *= 0.2
        for part in ("weight", "bias"):
            weights[f"{last}.conditioning.noise.{part}"] *= 0.2
        weights[f"{last}.conditioning.maps.weight"] *= 0.1
        weights[f"{last}.conditioning.maps.weight"][:2, 6] = (-3.0, 3.0)
        weights[f"{last}.conv1.bias"][:2] = (-1.5, 1.5)  # alike at 250 Hz
        weights[f"{last}.conditioning.time.weight"][:2, 4] = (-4.0, 4.0)  # soft once released
        weights[f"{last}.conv2.weight"] *= 0.1
        weights[f"{last}.conv2.weight"][[0, 1], [0, 1], 1, 1] = 1.0
        # ... so that the sound is dull, as notes are, its frequencies near the harmonic series.
        weights["to_rgb.weight"] *= np.array([[0.02], [0.01]], np.float32)
        weights["to_rgb.weight"][0, :2] = (0.25, -0.25)
        weights["to_rgb.bias"][:] = 0.0
        save_file(weights, folder / "weights.safetensors")
        return folder

    return make


@pytest.fixture
def synth(make_preset: Callable[..., Path]) -> Synth:
    return Synth(make_preset())


def test_controls_move_their_channel_as_they_would_live(synth: Synth) -> None:
    rate = synth.sample_rate
    messages = (0.1, "b06500"), (0.1, "b06400"), (0.1, "b00607"), (0.2, "e07f7f"), (0.3, "b00740")
    controls = [Control(time_s, 0, bytes.fromhex(message)) for time_s, message in messages]
    low, high = Note(0.0, 0.6, 45), Note(0.05, 0.5, 64, channel=1)
    moved = synth.render(Score([low], controls))
    with Player(synth, rate, rate) as player:
        player.note_on(45)
        live = [player.process(rate // 5)]
        player.bend = 7
        live.append(player.process(rate // 10))
        player.volume = 0.5
        live.append(player.process(3 * rate // 10))
        heard = np.concatenate(live)[player.latency :, 0]
    assert np.array_equal(moved[: len(heard)], heard)
    first = [Control(0.0, 0, bytes.fromhex(message)) for message in ("e07f7f", "b00740")]
    begun = synth.render(Score([low], first))  # no glide from where the wheel was, and no fade
    with Player(synth, rate, rate) as player:
        player.bend, player.volume = 2, 0.5
        player.process(rate)
        player.note_on(45)
        heard_begun = player.process(rate // 2)[player.latency :, 0]
    assert np.array_equal(begun[: len(heard_begun)], heard_begun)
    still = synth.render([high])
    assert not np.array_equal(synth.render([low])[: len(heard)], heard) and len(still) < len(moved)
    both = synth.render(Score([low, high], controls))
    moved[: len(still)] += still
    assert np.array_equal(both, moved)
    pieces = synth.stream_notes(Score([low, high], controls), 300)
    assert np.array_equal(np.concatenate(list(pieces)), both)
    score = Score([replace(low, program=7), high], controls)
    voices = {7: str(synth.preset.folder), None: str(synth.preset.folder)}
    assert np.array_equal(render_score(score, voices, sample_rate=rate), both)


def engine_of(synth: Synth, rate: int, voices: int = 8, seed: int = 0) -> Any:
    return synth._network.engine(rate, voices, seed)


def event(offset: int, kind: int, id: int, pitch: float = 60.0, timbre: int = 0) -> tuple:
    return offset, kind, id, timbre, pitch, 0.8


def some_events(rate: int) -> np.ndarray:
    """Three notes that overlap, one of them a sample long, by sample from the start."""
    at = [round(x * rate) for x in (0.0, 0.01, 0.0503, 0.0713, 0.15, 0.2)]
    return np.array(
        [
            event(at[0], NOTE_ON, 1, 50.0),
            event(at[1], NOTE_ON, 2, 57.3, timbre=1),
            event(at[1] + 1, NOTE_OFF, 2),
            event(at[3], NOTE_ON, 3, 69.0, timbre=2),
            event(at[4], NOTE_OFF, 1),
            event(at[5], NOTE_OFF, 3),
        ],
        EVENT,
    )


def play(engine: Any, n: int, sizes: Iterator[int], events: Sequence = ()) -> np.ndarray:
    """The first ``n`` samples, in blocks of these sizes."""
    events = np.array(list(events), EVENT)
    blocks, done = [np.zeros(0, np.float32)], 0
    while done < n:
        size = min(next(sizes), n - done)
        inside = (events["offset"] >= done) & (events["offset"] < done + size)
        now = events[inside]
        now["offset"] -= np.uint32(done)
        blocks.append(engine.process(size, now))
        done += size
    return np.concatenate(blocks)


def forever(*sizes: int) -> Iterator[int]:
    while True:
        yield from sizes


def whole(engine: Any, n: int, events: Sequence = ()) -> np.ndarray:
    return play(engine, n, forever(1024), events)


def snr_db(wanted: np.ndarray, got: np.ndarray) -> float:
    noise = np.sum((wanted.astype(np.float64) - got) ** 2)
    return float(10.0 * np.log10(np.sum(wanted.astype(np.float64) ** 2) / max(noise, 1e-300)))


@pytest.mark.parametrize("rate", RATES)
def test_any_blocks_give_the_same_bits(synth: Synth, rate: int) -> None:
    n, events = rate * 2 // 5, some_events(rate)
    wanted = whole(engine_of(synth, rate), n, events)
    assert np.abs(wanted).max() > 1e-3 and np.isfinite(wanted).all()
    random = np.random.default_rng(rate)
    for sizes in (
        forever(1),
        forever(7),
        forever(64),
        forever(1000),
        forever(1, 1000, 7, 333, 64, 2),
        iter(random.integers(1, 1025, n)),
    ):
        assert np.array_equal(play(engine_of(synth, rate), n, sizes, events), wanted)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_reset_is_as_new(synth: Synth, rate: int) -> None:
    n, events = rate // 3, some_events(rate)
    wanted = whole(engine_of(synth, rate, seed=5), n, events)
    engine = engine_of(synth, rate, voices=2, seed=9)
    before = whole(engine, n // 2, [event(0, NOTE_ON, 1, 20.0), *events.tolist()])
    assert engine.n_sounding and engine.n_transposed and engine.n_stolen and before.any()
    for seed in (5, 5):
        engine.reset(seed)
        assert (engine.n_sounding, engine.n_transposed, engine.n_stolen) == (0, 0, 0)
        # Two voices are one too few for the whole of it.
        fresh = whole(engine_of(synth, rate, voices=2, seed=5), n, events)
        assert np.array_equal(whole(engine, n, events), fresh)
    silent = engine_of(synth, rate)
    silent.reset()
    assert not whole(silent, n).any() and wanted.any()


def band_limited(samples: np.ndarray, rate: int, highest_hz: float) -> np.ndarray:
    spectrum = np.fft.rfft(samples.astype(np.float64))
    spectrum[np.fft.rfftfreq(len(samples), 1.0 / rate) > highest_hz] = 0.0
    return np.fft.irfft(spectrum, len(samples))


@pytest.mark.parametrize(
    ("model_rate", "rate"),
    [
        (16000, 48000),
        (16000, 44100),
        (16000, 22050),
        (16000, 96000),
        (16000, 32000),
        (16000, 11025),
        (16000, 8000),
        (48000, 44100),
        (44100, 16000),
    ],
)
def test_other_rates_are_the_same_sound(
    make_preset: Callable[..., Path], model_rate: int, rate: int
) -> None:
    """The engine's resampler against Fourier's and soxr's, and the latency that it reports."""
    synth = Synth(make_preset(sample_rate=model_rate))
    own, other = engine_of(synth, model_rate), engine_of(synth, rate)
    assert own.latency == 0

    def notes(rate: int) -> list[tuple]:
        on, off = rate * 3 // 25, rate * 2 // 5  # with silence before and after
        return [
            event(on, NOTE_ON, 1, 48.0),
            event(on, NOTE_ON, 2, 60.5),
            event(off, NOTE_OFF, 1),
            event(off, NOTE_OFF, 2),
        ]

    sound = whole(own, model_rate, notes(model_rate)).astype(np.float64)
    got = whole(other, rate + other.latency, notes(rate))[other.latency :]
    assert not sound[: model_rate // 10].any() and not sound[-model_rate // 10 :].any()
    highest = 0.44 * min(rate, model_rate)
    wanted = band_limited(scipy.signal.resample(sound, rate), rate, highest)
    got = band_limited(got, rate, highest)
    assert snr_db(wanted, got) > 105.0
    # soxr interpolates its filter where the ratio isn't a small one, and is then the lesser.
    by_soxr = soxr.resample(sound, model_rate, rate, quality="VHQ")
    by_soxr = band_limited(by_soxr, rate, highest)
    small = max(rate, model_rate) % min(rate, model_rate) == 0
    assert snr_db(by_soxr, got) > (105.0 if small else 75.0)
    # And nowhere else: the best shift is none.
    spectrum = np.conj(np.fft.rfft(by_soxr, 2 * rate)) * np.fft.rfft(got, 2 * rate)
    assert np.argmax(np.fft.irfft(spectrum)) == 0


def test_nothing_is_heard_above_the_models_band(synth: Synth) -> None:
    sound = whole(engine_of(synth, 48000), 12000, [event(0, NOTE_ON, 1, 48.0)])
    sound = sound * np.hanning(len(sound))
    power = np.abs(np.fft.rfft(sound)) ** 2
    hz = np.fft.rfftfreq(len(sound), 1.0 / 48000)
    assert power[hz > 8900].max() < 1e-9 * power.max()


def test_a_held_note_neither_ends_nor_clicks(make_preset: Callable[..., Path]) -> None:
    synth = Synth(make_preset("full", FULL))
    engine = engine_of(synth, 16000)
    sound = whole(engine, 30 * 16000, [event(0, NOTE_ON, 1, 57.0)])
    assert engine.n_sounding == 1 and np.isfinite(sound).all()
    level = np.sqrt(np.mean(sound[:480000].reshape(-1, 4000) ** 2, axis=1))
    steady = level[4:]
    assert steady.min() > 0.3 * np.median(steady) and steady.max() < 3.0 * np.median(steady)
    # A click is a bend of the wave far sharper than any of the sound's own.
    bend = np.abs(np.diff(sound, 2))[16000:]
    by_hop = bend[: len(bend) // 512 * 512].reshape(-1, 512).max(axis=1)
    assert by_hop.max() < 2.5 * np.median(by_hop)
    assert abs(sound.mean()) < 1e-2 * steady.mean()


@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_release_at_any_moment_ends_the_note(make_preset: Callable[..., Path], rate: int) -> None:
    synth = Synth(make_preset("full", FULL))
    for held_s in (0.0, 0.003, 0.1, 0.9, 2.2, 2.5, 2.6, 4.7):
        off = max(1, round(held_s * rate))
        engine = engine_of(synth, rate)
        notes = [event(0, NOTE_ON, 1, 57.0), event(off, NOTE_OFF, 1)]
        sound = whole(engine, off, notes)
        if held_s >= 0.1:
            assert engine.n_sounding == 1
        rest = play(engine, 2 * rate, forever(1024), [event(0, NOTE_OFF, 1)])
        assert engine.n_sounding == 0 and not rest[-rate // 10 :].any()
        together = np.concatenate((sound, rest))
        bend = np.abs(np.diff(together, 2))
        if held_s >= 0.9:
            own = bend[rate // 4 : off].max()
            assert bend[off - 8 :].max() < 2.0 * own


def test_seeds(synth: Synth) -> None:
    first = synth.render("C4:0.3 E4", seed=1)
    assert np.array_equal(first, synth.render("C4:0.3 E4", seed=1))
    other = synth.render("C4:0.3 E4", seed=2)
    assert first.shape == other.shape and not np.array_equal(first, other)
    assert np.array_equal(Synth(synth.preset, seed=2).render("C4:0.3 E4"), other)


def test_notes_outside_the_range_move_by_octaves(synth: Synth) -> None:
    with pytest.warns(UserWarning, match="2 notes lie outside the pitches 36 to 84") as caught:
        low = synth.render([(0.0, 0.2, 33.0, 0.8), (0.5, 0.2, 100.0, 0.8)])
    assert len(caught) == 1 and caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inside = synth.render([(0.0, 0.2, 45.0, 0.8), (0.5, 0.2, 76.0, 0.8)])
    assert np.array_equal(low, inside)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_chord_is_the_sum_of_its_notes(synth: Synth, rate: int) -> None:
    notes = [
        Note(0.0, 0.3, 48.0, 0.9),
        Note(0.0, 0.1, 52.0, 0.5),
        Note(0.11, 0.3, 55.3, 0.7),
        Note(0.11, 0.05, 60.0, 1.0),
    ]
    chord = synth.render(notes, sample_rate=rate, seed=3)
    total = np.zeros(len(chord), np.float64)
    for i, note in enumerate(notes):
        seed = (3 + NOTE_SEED * i) % 2**64
        alone = synth.render([note], sample_rate=rate, seed=seed)
        total[: len(alone)] += alone
    assert np.abs(chord).max() > 1e-3
    np.testing.assert_allclose(chord, total, rtol=0, atol=1e-5)


def test_a_stolen_voice_is_counted(synth: Synth) -> None:
    engine = engine_of(synth, 16000, voices=2)
    events = np.array([event(i, NOTE_ON, i, 50.0 + i) for i in range(3)], EVENT)
    engine.process(64, events[:2])
    assert (engine.n_sounding, engine.n_stolen) == (2, 0)
    engine.process(64, events[2:])
    assert (engine.n_sounding, engine.n_stolen) == (2, 1)
    # The oldest went, unless another was released.
    engine.process(64, np.array([event(0, NOTE_OFF, 2), event(1, NOTE_ON, 9, 70.0)], EVENT))
    assert engine.n_stolen == 2
    whole(engine, 32000)
    assert engine.n_sounding == 2  # held notes 1 and 9: had note 1 been stolen, 2 would have ended


def test_offline_no_voice_is_stolen(synth: Synth) -> None:
    many = [Note(0.001 * i, 0.3, 40.0 + i, 0.5) for i in range(40)]
    chord = synth.render(many)
    total = np.zeros(len(chord))
    for i, note in enumerate(many):
        alone = synth.render([note], seed=NOTE_SEED * i % 2**64)
        total[: len(alone)] += alone
    np.testing.assert_allclose(chord, total, rtol=0, atol=1e-5 * 4)


def test_an_empty_score_is_refused(synth: Synth) -> None:
    for nothing in (Score(()), [], ""):
        with pytest.raises(ParameterError, match="no notes"):
            synth.render(nothing)
    with pytest.raises(ParameterError, match="no notes"):
        render_score(Score(()), {None: "nowhere"})
    # An engine without events is silent.
    assert not whole(engine_of(synth, 44100), 5000).any()


def test_the_sound_starts_and_ends_with_the_notes(synth: Synth) -> None:
    sound = synth.render([Note(0.25, 0.2, 60.0, 0.9)])
    onset = np.flatnonzero(sound)[0]
    assert onset >= 4000 and np.abs(sound[4000:4128]).max() > 1e-4
    assert sound[-1] != 0.0 and 0.45 < len(sound) / 16000 < 1.0
    later = synth.render([Note(0.25, 0.2, 60.0, 0.9)], sample_rate=48000)
    assert abs(len(later) / 48000 - len(sound) / 16000) < 0.01
    # At the same time at every rate: the resampler's delay is taken off.
    wanted = soxr.resample(sound, 16000, 48000, quality="VHQ")
    n = min(len(wanted), len(later))
    assert snr_db(wanted[:n], later[:n]) > 20.0


def test_progress_goes_to_one(synth: Synth) -> None:
    parts: list[float] = []
    synth.render("C4:0.3 r:0.5 C4", progress=parts.append)
    assert parts == sorted(parts) and parts[-1] == 1.0 and 0.0 < parts[0] < 1.0


def test_gain_and_normalize(synth: Synth) -> None:
    plain = synth.render("C4:0.2")
    loud = synth.render("C4:0.2", gain_db=6.0)
    np.testing.assert_allclose(loud, plain * 10.0 ** (6.0 / 20.0), rtol=1e-6)
    full = synth.render("C4:0.2", normalize=True)
    assert np.abs(full).max() == pytest.approx(1.0) and full.dtype == np.float32
    np.testing.assert_allclose(full, plain / np.abs(plain).max(), rtol=1e-5)
    half = synth.render("C4:0.2", normalize=True, gain_db=-6.0206)
    assert np.abs(half).max() == pytest.approx(0.5, rel=1e-4)


def test_velocity_and_timbre_are_heard(synth: Synth) -> None:
    plain = synth.render([(0.0, 0.2, 60.0, 0.9)])
    assert not np.array_equal(plain, synth.render([(0.0, 0.2, 60.0, 0.3)]))
    guitar = synth.render([(0.0, 0.2, 60.0, 0.9)], timbre="guitar")
    assert not np.array_equal(plain, guitar[: len(plain)])
    vector = synth.preset.timbre("guitar").z
    assert np.array_equal(synth.render([(0.0, 0.2, 60.0, 0.9)], timbre=vector), guitar)
    assert np.array_equal(synth.render([(0.0, 0.2, 60.0, 0.9)], timbre=np.array(vector)), guitar)
    assert np.array_equal(synth.render([(0.0, 0.2, 60.0, 0.9)], timbre="harp"), plain)


def test_the_timbre_chosen_is_the_one_played(make_preset: Callable[..., Path]) -> None:
    note = [(0.0, 0.2, 60.0, 0.9)]
    asked, chosen, late = (audiogen.load(make_preset("strings")) for _ in range(3))
    guitar = asked.render(note, timbre="guitar")
    chosen.timbre = "guitar"
    assert chosen.timbre == "guitar"
    assert np.array_equal(chosen.render(note), guitar)
    assert late.timbre == "harp"
    asked.note_on(60, timbre="guitar")
    late.note_on(48)  # the player is there before the timbre is chosen
    late.timbre = "guitar"
    assert late.player.timbre == "guitar"
    chosen.note_on(60)
    blocks = [next(synth.stream(block=4096)) for synth in (asked, chosen)]
    assert np.array_equal(*blocks)
    with pytest.raises(PresetError, match="flut"):
        chosen.timbre = "flut"


def test_mix(synth: Synth, make_preset: Callable[..., Path]) -> None:
    note = [(0.0, 0.2, 60.0, 0.9)]
    for amount, end in ((0.0, "harp"), (1.0, "guitar")):
        mixed = synth.render(note, timbre=synth.mix("harp", "guitar", amount))
        wanted = synth.render(note, timbre=end)  # the generator looks at directions only
        n = min(len(mixed), len(wanted))
        assert abs(len(mixed) - len(wanted)) < 64
        np.testing.assert_allclose(mixed[:n], wanted[:n], atol=1e-4 * np.abs(wanted).max() * 10)
    middle = np.array(synth.mix("harp", "guitar", 0.5))
    ends = [np.array(synth.preset.timbre(name).z) for name in ("harp", "guitar")]
    assert np.linalg.norm(middle) == pytest.approx(np.sqrt(3.0))
    cosines = [middle @ z / np.linalg.norm(middle) / np.linalg.norm(z) for z in ends]
    assert cosines[0] == pytest.approx(cosines[1]) and cosines[0] > 0.5
    pure = [{"name": "pure", "z": [2.0, 0.0, 0.0], "family": "synth_lead"}]
    other = Synth(make_preset("other", timbres=pure, default_timbre="pure"))
    np.testing.assert_allclose(other.mix("pure", "pure", 0.7), [np.sqrt(3.0), 0.0, 0.0])


def test_render_score_maps_programs(
    make_preset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, other = make_preset("small"), make_preset("other", sample_rate=22050)
    monkeypatch.setenv("AUDIOGEN_PRESETS", str(small.parent))
    notes = (
        Note(0.0, 0.2, 60.0, 0.9, program=0),
        Note(0.1, 0.2, 64.0, 0.9, program=24),
        Note(0.2, 0.2, 67.0, 0.9, program=46),
        Note(0.3, 0.2, 72.0, 0.9, program=0),
    )
    parts: list[float] = []
    made = render_score(
        Score(notes),
        {None: "small", 24: "small:guitar", 46: str(other)},
        seed=7,
        progress=parts.append,
    )
    synths = {"small": Synth("small"), "other": Synth(other)}
    singles = [
        synths["small"].render([notes[0], notes[3]], sample_rate=22050, seed=7),
        synths["small"].render([notes[1]], sample_rate=22050, seed=7, timbre="guitar"),
        synths["other"].render([notes[2]], sample_rate=22050, seed=7),
    ]
    wanted = np.zeros(max(map(len, singles)))
    for single in singles:
        wanted[: len(single)] += single
    np.testing.assert_allclose(made, wanted, rtol=0, atol=1e-6)
    assert parts == sorted(parts) and parts[-1] == pytest.approx(1.0)
    quiet = render_score(Score(notes), {None: "small"}, seed=7, gain_db=-20.0, sample_rate=16000)
    plain = synths["small"].render(Score(notes), seed=7)
    np.testing.assert_allclose(quiet, 0.1 * plain, rtol=1e-5, atol=1e-9)
    with pytest.raises(ParameterError, match="voices has nothing for program 24"):
        render_score(Score(notes), {0: "small", 46: "small"})


def test_load_is_a_synth(make_preset: Callable[..., Path]) -> None:
    folder = make_preset()
    synth = audiogen.load(folder, sample_rate=22050, seed=4)
    assert synth.sample_rate == 22050 and synth.seed == 4
    assert synth.timbres == ["harp", "guitar", "dream"]
    made = synth.render("C4:0.2")
    assert np.array_equal(made, Synth(folder).render("C4:0.2", sample_rate=22050, seed=4))


def test_bad_arguments_are_named(synth: Synth) -> None:
    with pytest.raises(ParameterError, match="sample_rate=500 Hz; wanted 1000 to 384000"):
        synth.render("C4", sample_rate=500)
    for rate in (0, -1, 44100.5):
        with pytest.raises(ParameterError, match="give a whole number of Hz"):
            synth.render("C4", sample_rate=rate)
    for seed in (-1, 1.5, 1 << 64):
        with pytest.raises(ParameterError, match="give a whole number from 0"):
            synth.render("C4", seed=seed)
    with pytest.raises(ParameterError, match="too small a common divisor"):
        synth.render("C4", sample_rate=383987)
    with pytest.raises(PresetError, match="violin"):
        synth.render("C4", timbre="violin")
    with pytest.raises(ParameterError, match="isn't a latent of preset 'small': 2 numbers"):
        synth.render("C4", timbre=[1.0, 2.0])
    with pytest.raises(ParameterError, match="NaN or infinity"):
        synth.render("C4", timbre=[1.0, 2.0, float("nan")])
    engine = engine_of(synth, 16000)
    with pytest.raises(ParameterError, match="n=1025 is more than max_block=1024"):
        engine.process(1025, np.zeros(0, EVENT))


def test_drums_are_left_out_with_a_warning(synth: Synth) -> None:
    tune, drum = Note(0.0, 0.05, 60.0), Note(0.0, 0.3, 38.0, channel=9, is_drum=True)
    wanted = synth.render([tune])
    with pytest.warns(UserWarning, match="1 drum notes are left out"):
        assert np.array_equal(synth.render([tune, drum]), wanted)
    with pytest.warns(UserWarning, match="1 drum notes are left out"):
        assert np.array_equal(np.concatenate([*synth.stream_notes([tune, drum])]), wanted)
    with pytest.raises(ParameterError, match="drums alone"):
        synth.render([drum])


@pytest.mark.filterwarnings("ignore:audiogen was installed without:RuntimeWarning")
class TestSamplernn:
    """A SampleRNN preset that plays notes is a synth like any other."""

    @pytest.fixture(params=["native", "fallback"])
    def winds(
        self,
        request: pytest.FixtureRequest,
        tmp_path: Path,
        write_murmur: Callable[..., Path],
    ) -> Synth:
        if request.param == "fallback":
            request.getfixturevalue("no_native")
        return Synth(write_murmur(tmp_path / "winds", notes=True))

    def test_it_plays_its_timbres(self, winds: Synth) -> None:
        assert winds.timbres == ["flute", "oboe"]
        note = [(0.05, 0.2, 60.0, 0.8)]
        sound = winds.render(note, seed=1)
        assert not sound[:400].any() and np.abs(sound[400:2000]).max() > 0.01
        np.testing.assert_array_equal(sound, winds.render(note, seed=1))
        np.testing.assert_array_equal(sound, winds.render(note, seed=1, timbre="oboe"))
        flute = winds.render(note, seed=1, timbre="flute")
        assert not np.array_equal(sound[400:2000], flute[400:2000])
        assert not np.array_equal(sound[400:2000], winds.render(note, seed=2)[400:2000])
        # Random weights don't grow quiet: the note ends two seconds after its end.
        assert (0.25 + 1.9) * 8000 < len(sound) < (0.25 + 2.1) * 8000

    def test_the_sampling_is_the_presets(
        self, winds: Synth, tmp_path: Path, write_murmur: Callable[..., Path]
    ) -> None:
        cold = Synth(write_murmur(tmp_path / "cold", notes=True, sampling={"temperature": 0.3}))
        usual, colder = (synth.render([(0.0, 0.1, 60.0, 0.8)]) for synth in (winds, cold))
        assert not np.array_equal(usual[:800], colder[:800])

    def test_other_rates_are_the_same_sound(self, winds: Synth) -> None:
        note = [(0.0, 0.2, 60.0, 0.8)]
        own, other = winds.render(note), winds.render(note, sample_rate=16000)
        wanted = soxr.resample(own, 8000, 16000, quality="VHQ")
        n = min(len(wanted), len(other))
        assert abs(len(wanted) - len(other)) < 200
        assert (
            snr_db(band_limited(wanted[:n], 16000, 3500), band_limited(other[:n], 16000, 3500)) > 60
        )

    def test_notes_outside_the_range_are_told(self, winds: Synth) -> None:
        with pytest.warns(UserWarning, match="1 notes lie outside the pitches 36 to 84"):
            winds.render([(0.0, 0.1, 20.0, 0.8)])

    def test_it_has_no_latents(self, winds: Synth) -> None:
        with pytest.raises(ParameterError, match="preset 'winds' has no latents, so the list"):
            winds.render("C4", timbre=[1.0, 2.0])
        with pytest.raises(ParameterError, match="preset 'winds' has no latents to mix"):
            winds.mix("flute", "oboe", 0.5)

    def test_a_score_mixes_both_kinds(
        self, winds: Synth, make_preset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small = make_preset("small")
        monkeypatch.setenv("AUDIOGEN_PRESETS", str(small.parent))
        notes = (
            Note(0.0, 0.1, 60.0, 0.9, program=0),
            Note(0.0, 0.1, 64.0, 0.9, program=73),
        )
        made = render_score(Score(notes), {None: "small", 73: "winds:flute"}, seed=7)
        plucked = Synth("small").render([notes[0]], seed=7)
        blown = winds.render([notes[1]], sample_rate=16000, seed=7, timbre="flute")
        wanted = np.zeros(max(len(plucked), len(blown)))
        wanted[: len(plucked)] += plucked
        wanted[: len(blown)] += blown
        np.testing.assert_allclose(made, wanted, rtol=0, atol=1e-6)


def test_more_notes_at_once_than_there_can_be_are_counted() -> None:
    synth = Synth("plucked")
    with pytest.raises(ParameterError, match=r"4097 notes sound at once, .* up to 4096 can"):
        synth.render(Score([Note(0.0, 1.0, 60.0, 0.5)] * 4097))
