"""`Synth.generate`: audio from an unconditional preset, free or from a prompt, offline and live."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

pytest.importorskip("audiogen._native")

import audiogen
from audiogen.core.events import PARAMETER
from audiogen.core.parameters import INDEX
from audiogen.engine import Synth
from audiogen.errors import ParameterError, PresetError, ShapeError

from .sounds import (
    NOTE_SEED_STEP,
    band_limited,
    first_samples,
    played,
    second_difference,
    snr_db,
)

RATE = 8000
FADE_IN, FADE_OUT = 40, 400  # samples


@pytest.fixture
def folder(tmp_path: Path, write_murmur: Callable[..., Path]) -> Path:
    return write_murmur(tmp_path / "murmur")


@pytest.fixture
def synth(folder: Path) -> Synth:
    return Synth(folder)


def tone(n: int, offset: float = 0.0, rate: int = RATE) -> np.ndarray:
    return (offset + 0.4 * np.sin(2 * np.pi * 313.0 * np.arange(n) / rate)).astype(np.float32)


# --- Blocks, seeds, fades -----------------------------------------------------------------------


@pytest.mark.parametrize("rate", [RATE, 22050])
@pytest.mark.parametrize("stereo", [False, True])
@pytest.mark.parametrize("prompted", [False, True])
def test_the_stream_is_the_result_of_generate(
    synth: Synth, rate: int, stereo: bool, prompted: bool
) -> None:
    options: dict[str, Any] = {
        "prompt": tone(1501, 0.1, rate) if prompted else None,
        "temperature": [(0.05, 0.5), (0.2, 1.3)],
        "top_p": 0.9,
        "seed": 5,
        "stereo": stereo,
        "sample_rate": rate,
    }
    n = round(0.4 * rate)
    whole = synth.generate(0.4, **options)
    assert whole.dtype == np.float32 and whole.shape == ((n, 2) if stereo else (n,))
    assert np.abs(whole).max() > 0.1
    for block in (1, 7, 333, 1024) if rate == RATE else (77,):
        pieces = list(synth.generate_stream(0.4, block=block, **options))
        assert max(map(len, pieces)) <= block
        np.testing.assert_array_equal(np.concatenate(pieces), whole)
        # Without an end it is the same up to the fade-out.
        endless = first_samples(synth.generate_stream(block=block, **options), n)
        end = n - round(FADE_OUT * rate / RATE) - 100
        np.testing.assert_array_equal(endless[:end], whole[:end])


def test_it_fades(synth: Synth) -> None:
    sound = synth.generate(0.4, seed=1)
    fade_in, fade_out = (
        0.5 - 0.5 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1)) for n in (FADE_IN, FADE_OUT)
    )
    endless = first_samples(synth.generate_stream(seed=1), 3200)
    np.testing.assert_allclose(sound[-FADE_OUT:], endless[-FADE_OUT:] * fade_out[::-1], atol=1e-6)
    assert (np.abs(sound[:FADE_IN]) <= fade_in).all() and sound[:FADE_IN].any()
    # After a prompt there is no fade-in.
    assert np.abs(synth.generate(0.4, prompt=np.zeros(800))[:4]).max() > fade_in[3]
    assert synth.generate(0.051).shape == (408,)


def test_the_release_lengthens_and_shortens_the_fade(synth: Synth) -> None:
    endless = first_samples(synth.generate_stream(seed=1), 6000)
    for release, n in ((1.0, 8 * FADE_OUT), (-1.0, FADE_OUT // 8)):
        synth.release = release
        sound = synth.generate(0.75, seed=1)
        # It begins and ends there: not cut off, and no silence after it.
        assert np.array_equal(sound[: -n - 2], endless[: -n - 2])
        assert not np.array_equal(sound[-n:], endless[-n:])
        assert 0 < np.abs(sound[-2:]).max() < 0.01
    synth.release = 1.0
    with pytest.raises(ParameterError, match=r"0\.4002 or more, the length of the fade-out"):
        synth.generate(0.3)
    # A continuation keeps the level, the place and the fade of its prompt.
    assert len(synth.generate(0.3, prompt=np.zeros(800, np.float32))) == 2400


def test_seeds_channels_and_variations_differ(synth: Synth) -> None:
    sounds = [synth.generate(0.2, seed=seed) for seed in (0, 1)]
    many = synth.generate(0.2, variations=3)
    wide = synth.generate(0.2, variations=2, stereo=True)
    assert many.shape == (3, 1600) and wide.shape == (2, 1600, 2)
    np.testing.assert_array_equal(many[0], sounds[0])
    np.testing.assert_array_equal(wide[0], synth.generate(0.2, stereo=True))
    # Channel c of variation v is note c + 2 v.
    np.testing.assert_array_equal(wide[0, :, 0], many[0])
    np.testing.assert_array_equal(wide[0, :, 1], many[1])
    np.testing.assert_array_equal(wide[1, :, 0], many[2])
    np.testing.assert_array_equal(many[1], synth.generate(0.2, seed=NOTE_SEED_STEP))
    rows = [sounds[1], *many, wide[1, :, 1]]
    assert len({row.tobytes() for row in rows}) == 5
    np.testing.assert_array_equal(Synth(synth.preset, seed=1).generate(0.2), sounds[1])
    largest = (1 << 64) - 1  # seeds wrap round
    np.testing.assert_array_equal(
        synth.generate(0.2, seed=largest, stereo=True)[:, 1],
        synth.generate(0.2, seed=NOTE_SEED_STEP - 1),
    )


def test_other_rates_are_the_same_sound(synth: Synth) -> None:
    own, other = synth.generate(0.5), synth.generate(0.5, sample_rate=48000)
    assert other.shape == (24000,)
    np.testing.assert_array_equal(Synth(synth.preset, 48000).generate(0.5), other)
    wanted = soxr.resample(own, RATE, 48000, quality="VHQ")
    wanted, got = (band_limited(x, 48000, 3500) for x in (wanted, other))
    assert snr_db(wanted[480:-480], got[480:-480]) > 50.0


def test_progress_goes_to_one(synth: Synth) -> None:
    parts: list[float] = []
    synth.generate(0.5, progress=parts.append)
    assert parts == sorted(parts) and parts[-1] == 1.0 and 0.0 < parts[0] < 1.0
    parts.clear()
    synth.generate(0.5, variations=2, stereo=True, progress=parts.append)
    assert parts == sorted(parts) and parts[-1] == 1.0 and 0.0 < parts[0] < 0.5


def test_a_long_stream_goes_on(synth: Synth) -> None:
    blocks = list(islice(synth.generate_stream(block=1000), 100))
    assert all(len(block) == 1000 and np.isfinite(block).all() for block in blocks)
    assert min(np.abs(block).max() for block in blocks) > 0.01


# --- Sampling -----------------------------------------------------------------------------------


def test_sampling_is_the_presets_by_default(synth: Synth) -> None:
    usual = synth.generate(0.2)
    np.testing.assert_array_equal(usual, synth.generate(0.2, temperature=0.9, top_p=1.0))
    np.testing.assert_array_equal(usual, synth.generate(0.2, temperature=np.array(0.9)))
    cold, narrow = synth.generate(0.2, temperature=0.5), synth.generate(0.2, top_p=0.5)
    assert len({x.tobytes() for x in (usual, cold, narrow)}) == 3
    for other in (audiogen.load(synth.preset, temperature=0.5), Synth(synth.preset)):
        other.temperature = 0.5
        np.testing.assert_array_equal(other.generate(0.2), cold)
    synth.volume = 0.5
    np.testing.assert_array_equal(synth.generate(0.2), 0.25 * usual)


class _Recorder:
    """An engine whose parameter events are kept, with their samples from the start."""

    def __init__(self, engine: Any, kept: list[tuple[int, str, float]]):
        self._engine, self._kept, self._done = engine, kept, 0

    def process(self, n: int, events: np.ndarray, given: Any) -> np.ndarray:
        for event in events:
            if event["kind"] == PARAMETER:
                name = list(INDEX)[event["id"]]
                self._kept.append((self._done + int(event["offset"]), name, float(event["value"])))
        self._done += n
        return self._engine.process(n, events, given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def test_a_temperature_curve_is_interpolated(synth: Synth, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[int, str, float]] = []
    open_engine = synth._opened.engine
    monkeypatch.setattr(
        synth._opened, "engine", lambda *a, **o: _Recorder(open_engine(*a, **o), kept)
    )
    synth.generate(1.0, temperature=[(0.25, 0.5), (0.75, 1.5)])
    moves = [(sample / RATE, value) for sample, name, value in kept if name == "temperature"]
    seconds, values = np.array(moves).T
    assert (seconds[0], values[0], values[-1]) == (0.0, 0.5, 1.5)
    assert seconds[1] > 0.25 and seconds[-1] == 0.75 and np.diff(seconds[1:]).max() < 0.0101
    np.testing.assert_allclose(values, np.interp(seconds, [0.25, 0.75], [0.5, 1.5]), atol=2e-4)


def test_a_curve_has_an_effect_where_it_differs(synth: Synth) -> None:
    cold = synth.generate(0.4, temperature=0.5)
    for flat in ([(0.0, 0.5)], [(0.1, 0.5)], [(0.0, 0.5), (0.3, 0.5)]):
        np.testing.assert_array_equal(synth.generate(0.4, temperature=flat), cold)
    rising = synth.generate(0.4, temperature=[(0.2, 0.5), (0.4, 1.5)])
    np.testing.assert_array_equal(rising[:1600], cold[:1600])
    assert not np.array_equal(rising[1600:2800], cold[1600:2800])


# --- Prompts ------------------------------------------------------------------------------------


@pytest.fixture
def echo(tmp_path: Path, samplernn_fields: dict[str, Any]) -> Synth:
    """A network that only ever repeats its last level, at 16 kHz."""
    from audiogen.presets import check_fields, weight_shapes, write_preset

    samplernn_fields["sample_rate"] = 16000
    samplernn_fields["samplernn"] |= {"frame_sizes": [1], "dim": 256, "embedding_size": 256}
    shapes = weight_shapes(check_fields(samplernn_fields).network)
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    for name in ("embedding", "layer1.weight", "layer2.weight", "layer3.weight", "output.weight"):
        weights[f"sample.{name}"] = np.eye(256, dtype=np.float32)
    return Synth(write_preset(tmp_path / "echo", samplernn_fields, weights))


class TestPrompt:
    def test_it_has_an_effect(self, synth: Synth) -> None:
        fresh = synth.generate(0.2)
        after = synth.generate(0.2, prompt=tone(1000))
        assert not np.array_equal(fresh[FADE_IN:], after[FADE_IN:])
        assert not np.array_equal(synth.generate(0.2, prompt=tone(999)), after)
        np.testing.assert_array_equal(synth.generate(0.2, prompt=tone(1000).tolist()), after)

    @pytest.mark.parametrize("rate", [16000, 44100, 48000, 8000])
    @pytest.mark.parametrize("offset", [0.0, 0.3])
    def test_there_is_no_click_at_the_seam(self, echo: Synth, rate: int, offset: float) -> None:
        """The prompt ends on a crest, where a network that repeats its last level has no kink."""
        n = rate
        at = np.arange(1 - n, 1) / rate
        prompt = (offset + 0.4 * np.cos(2 * np.pi * 313.0 * at)).astype(np.float32)
        after = echo.generate(0.5, prompt=prompt, temperature=0.0, sample_rate=rate)
        bend = second_difference(np.concatenate([prompt, after]))
        seam = slice(n - rate // 100, n + rate // 100)
        assert bend[seam].max() <= 1.001 * bend[rate // 10 : n - rate // 100].max()
        assert abs(after[0] - prompt[-1]) < 0.01
        # And the direct current has soon decayed.
        assert abs(prompt[-1]) > 0.05 and np.abs(after[rate // 4 :]).max() < 0.01

    @pytest.mark.parametrize("rate", [16000, 44100])
    def test_a_shipped_preset_continues_without_a_click(self, rate: int) -> None:
        synth = Synth("speech-sketch", rate)
        whole = synth.generate(1.5, seed=2)
        for n in (rate, rate + rate // 7, rate + rate // 5):
            prompt = whole[:n]
            sound = np.concatenate([prompt, synth.generate(0.5, prompt=prompt, seed=3)])
            bend = second_difference(sound)
            elsewhere = np.concatenate([bend[: n - 40], bend[n + 40 :]])
            assert bend[n - 8 : n + 8].max() <= elsewhere.max()

    def test_each_channel_is_continued_for_itself(self, synth: Synth) -> None:
        left, right = tone(900), tone(900, 0.2)
        both = synth.generate(0.2, prompt=np.stack([left, right], axis=1))
        np.testing.assert_array_equal(both[:, 0], synth.generate(0.2, prompt=left))
        np.testing.assert_array_equal(
            both[:, 1], synth.generate(0.2, prompt=right, seed=NOTE_SEED_STEP)
        )
        same = synth.generate(0.2, prompt=left, stereo=True)
        np.testing.assert_array_equal(same[:, 0], both[:, 0])
        assert not np.array_equal(same[:, 0], same[:, 1])
        column = synth.generate(0.2, prompt=left[:, None])
        assert column.shape == (1600, 1)
        np.testing.assert_array_equal(column[:, 0], both[:, 0])
        assert synth.generate(0.2, prompt=left[:, None], stereo=True).shape == (1600, 2)

    @pytest.mark.parametrize("n_channels", [3, 4, 7])
    @pytest.mark.parametrize("rate", [RATE, 22050])
    def test_more_than_two_channels(self, synth: Synth, n_channels: int, rate: int) -> None:
        prompt = np.stack([tone(900, 0.05 * c, rate) for c in range(n_channels)], axis=1)
        many = synth.generate(0.1, prompt=prompt, sample_rate=rate, seed=9)
        assert many.shape == (rate // 10, n_channels)
        for c in range(n_channels):
            alone = synth.generate(
                0.1,
                prompt=prompt[:, c],
                sample_rate=rate,
                seed=9 + NOTE_SEED_STEP * c & (1 << 64) - 1,
            )
            np.testing.assert_array_equal(many[:, c], alone)
        two = synth.generate(0.1, prompt=prompt, sample_rate=rate, seed=9, variations=2)
        assert two.shape == (2, rate // 10, n_channels)
        np.testing.assert_array_equal(two[0], many)

    def test_its_last_30_seconds_count(self, synth: Synth) -> None:
        prompt = tone(31 * RATE)
        after = synth.generate(0.1, prompt=prompt)
        np.testing.assert_array_equal(after, synth.generate(0.1, prompt=prompt[RATE:]))
        assert not np.array_equal(after, synth.generate(0.1, prompt=prompt[2 * RATE :]))

    def test_one_as_short_as_a_frame_will_do(self, synth: Synth) -> None:
        assert synth.generate(0.1, prompt=np.zeros(8)).shape == (800,)
        assert synth.generate(0.1, prompt=np.zeros(45), sample_rate=44100).shape == (4410,)

    @pytest.mark.parametrize(
        ("prompt", "message"),
        [
            (np.zeros(7), "prompt has 7 samples; it must have 8 or more"),
            (np.zeros(0), "prompt has 0 samples"),
            (np.zeros((2, 2, 2)), "prompt has shape"),
            (np.zeros((9, 0)), "prompt has shape"),
            (np.zeros(100, np.int16), "prompt has shape .* int16; it must be floats"),
            (np.full(100, np.nan), "prompt holds NaN"),
            (["a"], "prompt has shape"),
            (np.zeros((2, RATE)), "transpose it"),
            (np.zeros((1, RATE)), "transpose it"),
            (np.zeros((RATE, 65)), "up to 64 channels"),
        ],
    )
    def test_bad_prompts_are_named(self, synth: Synth, prompt: Any, message: str) -> None:
        with pytest.raises(ShapeError, match=message):
            synth.generate(0.1, prompt=prompt)
        with pytest.raises(ShapeError, match=message):
            synth.generate_stream(prompt=prompt)  # at once, not at the first block


# --- Live ---------------------------------------------------------------------------------------


class TestLive:
    """A note of an unconditional preset is a gate."""

    def test_it_sounds_while_a_key_is_down(self, synth: Synth) -> None:
        with Synth(synth.preset, 16000) as live:
            assert (live.timbres, live.timbre, live.morph_timbre) == ([], None, None)
            live.program(3)
            assert not played(live, 1000).any()
            live.note_on(10)
            assert played(live, 4000)[1000:].any() and live.n_sounding == 1
            live.note_off(10)
            played(live, 4000)
            assert live.n_sounding == 0 and not played(live, 1000).any()

    def test_it_is_what_generate_makes(self, synth: Synth) -> None:
        wanted = synth.generate(0.4, seed=3)
        live = Synth(synth.preset, seed=3)
        live.note_on(velocity=1.0)
        got = [played(live, 2800, 1, 77, 500)]
        live.note_off()
        got.append(played(live, 400, 64))
        assert np.array_equal(np.concatenate(got), np.stack([wanted, wanted], axis=1))

    def test_velocity_is_its_level(self, synth: Synth) -> None:
        sounds = []
        for velocity in (1.0, 0.5):
            live = Synth(synth.preset)
            live.note_on(100, velocity)
            sounds.append(played(live, 2000))
        assert np.array_equal(0.5 * sounds[0], sounds[1]) and sounds[0].any()

    def test_it_continues_the_input(self, synth: Synth) -> None:
        prompt = np.stack([tone(1501), tone(1501, 0.2)], axis=1)
        wanted = synth.generate(0.4, prompt=prompt, seed=3)
        live = Synth(synth.preset, seed=3)
        live.listen = 1
        for start in range(0, 1501, 300):
            block = prompt[start : start + 300]
            assert not live.process(len(block), block).any()
        live.note_on(velocity=1.0, pan=-1.0)
        live.note_on(61, 1.0, pan=1.0)
        assert np.array_equal(played(live, 2800, 100), wanted[:2800])
        # Without listening the input has no effect.
        deaf = Synth(synth.preset, seed=3)
        deaf.process(1501, prompt)
        deaf.note_on(velocity=1.0)
        assert np.array_equal(played(deaf, 2800)[:, 0], synth.generate(0.4, seed=3)[:2800])

    def test_temperature_moves_while_it_sounds(self, synth: Synth) -> None:
        def sound(**knobs: float) -> np.ndarray:
            live = Synth(synth.preset)
            live.note_on()
            head = played(live, 1000)
            for name, value in knobs.items():
                live.set(name, value)
            return np.concatenate([head, played(live, 1000)])

        plain, cold, narrow = sound(), sound(temperature=0.3), sound(top_p=0.2)
        assert np.array_equal(plain[:1000], cold[:1000])
        for other in (cold, narrow):
            assert not np.array_equal(plain[1000:], other[1000:])

    @pytest.mark.parametrize("rate", [RATE, 44100])
    def test_the_input_is_monitored(self, synth: Synth, rate: int) -> None:
        live = Synth(synth.preset, rate)
        prompt = np.stack([tone(rate, rate=rate), -tone(rate, rate=rate)], axis=1)
        assert not live.process(500, prompt[:500]).any()
        live.monitor = 1.0
        blocks = [live.process(500, prompt[i : i + 500]) for i in range(0, rate // 2, 500)]
        heard = np.concatenate(blocks)
        if rate == RATE:
            assert np.array_equal(heard, prompt[: len(heard)])
        else:  # later by both resamplers
            delays = range(live.latency, 6 * live.latency)
            n = len(heard) - rate // 10
            best = max(
                snr_db(prompt[rate // 20 :][:n], heard[rate // 20 + d :][:n]) for d in delays
            )
            assert best > 40.0
        live.monitor = 0.5
        live.process(rate // 20, prompt[: rate // 20])
        quiet = live.process(500, prompt[:500])
        assert 0.15 < np.abs(quiet).max() < 0.21 and (quiet[:, 0] == -quiet[:, 1]).all()

    def test_its_parameters(self, synth: Synth, write_murmur: Callable[..., Path]) -> None:
        names = {row.name for row in synth.parameters}
        assert {"temperature", "top_p", "listen", "monitor", "volume"} <= names
        assert not {"morph", "morph_timbre"} & names
        winds = Synth(write_murmur(synth.preset.folder.parent / "winds", notes=True))
        assert not {"listen", "monitor"} & {row.name for row in winds.parameters}
        assert {"temperature", "top_p"} <= {row.name for row in winds.parameters}


# --- Timbres and arguments ----------------------------------------------------------------------


def test_timbres_are_classes(
    tmp_path: Path, write_murmur: Callable[..., Path], samplernn_fields: dict[str, Any]
) -> None:
    network = samplernn_fields["samplernn"] | {"conditioning": "class", "n_classes": 2}
    timbres = [{"name": "rain"}, {"name": "wind"}]
    folder = write_murmur(
        tmp_path / "weather", samplernn=network, timbres=timbres, default_timbre="wind"
    )
    synth = Synth(folder)
    assert synth.timbres == ["rain", "wind"] and synth.timbre == "wind"
    usual = synth.generate(0.1, variations=2)
    np.testing.assert_array_equal(usual, synth.generate(0.1, variations=2, timbre="wind"))
    rain = synth.generate(0.1, variations=2, timbre="rain")
    assert not np.array_equal(rain[0], usual[0]) and not np.array_equal(rain[1], usual[1])
    prompt = tone(500)
    assert not np.array_equal(
        synth.generate(0.1, prompt=prompt), synth.generate(0.1, prompt=prompt, timbre="rain")
    )
    synth.timbre = "rain"
    np.testing.assert_array_equal(synth.generate(0.1, variations=2), rain)
    with pytest.raises(PresetError, match="timbre 'snow'"):
        synth.generate(0.1, timbre="snow")


def test_what_a_preset_does_not_support_is_named(
    tmp_path: Path, synth: Synth, write_murmur: Callable[..., Path]
) -> None:
    with pytest.raises(ParameterError, match="a score is not supported by preset 'murmur'"):
        synth.render("C4")
    with pytest.raises(ParameterError, match="a score is not supported by preset 'murmur'"):
        synth.stream(256, "C4")
    winds = Synth(write_murmur(tmp_path / "winds", notes=True))
    for call in (winds.generate, winds.generate_stream):
        with pytest.raises(ParameterError, match="generate is not supported by preset 'winds'"):
            call(1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seconds": 0.0}, "seconds=0.0 must be 0.0503 or more"),
        ({"seconds": float("nan")}, "seconds=nan must be 0.0503 or more"),
        ({"seconds": "5"}, "seconds='5' must be 0.0503 or more"),
        ({"seconds": float("inf")}, "seconds=inf"),
        ({"variations": 0}, "variations=0 must be a whole number from 1"),
        ({"variations": 1.5}, "variations=1.5 must be a whole number from 1"),
        ({"seed": -1}, "seed=-1 must be a whole number from 0"),
        ({"seed": 0.5}, "seed=0.5 must be a whole number from 0"),
        ({"top_p": 0.0}, "top_p=0.0 must be from 0.01 to 1"),
        ({"top_p": float("nan")}, "top_p=nan must be from 0.01 to 1"),
        ({"temperature": -0.1}, "temperature=-0.1 must be from 0 to 2"),
        ({"temperature": 2.5}, "temperature=2.5 must be from 0 to 2"),
        ({"temperature": float("inf")}, "temperature=inf must be from 0 to 2"),
        ({"temperature": "hot"}, "temperature='hot' must be a number, or a list"),
        ({"temperature": "0.5"}, "temperature='0.5' must be a number, or a list"),
        ({"temperature": []}, r"temperature=\[\]"),
        ({"temperature": [1.0, 2.0]}, "must be a number, or a list of"),
        ({"temperature": [(0, 1, 2)]}, "must be a number, or a list of"),
        ({"temperature": [(1.0, 1.0), (1.0, 2.0)]}, "the seconds must rise"),
        ({"temperature": [(float("nan"), 1.0)]}, "the seconds must rise"),
        ({"temperature": [(float("inf"), 1.0)]}, "the seconds must rise"),
        ({"temperature": [(0.0, 1.0), (1.0, -2.0)]}, "temperature=-2.0 must be from 0 to 2"),
        ({"sample_rate": 500}, "sample_rate=500 must be a whole number from 1000"),
    ],
)
def test_bad_arguments_are_named(synth: Synth, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        synth.generate(**{"seconds": 0.1, **options})
    if "variations" not in options:
        with pytest.raises(ParameterError, match=message):
            synth.generate_stream(**options)  # at once, not at the first block
    if options.keys() & {"temperature", "top_p"} and "list" not in message:
        for name, value in options.items():
            if isinstance(value, float):
                with pytest.raises(ParameterError, match=message):
                    synth.set(name, value)
                with pytest.raises(ParameterError, match=message):
                    audiogen.load(synth.preset, **options)


def test_bad_blocks_are_named(synth: Synth) -> None:
    for block in (0, -1, 1.5, 1025):
        with pytest.raises(ParameterError, match=f"block={block} must be a whole number from 1"):
            synth.generate_stream(block=block)
