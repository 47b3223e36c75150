"""A texture is the same sound through every door, fades, and goes on where a sound ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audiogen
from audiogen.engine import Synth, Texture
from audiogen.errors import ParameterError, PresetError, ShapeError

pytestmark = pytest.mark.filterwarnings("ignore:audiogen was installed without:RuntimeWarning")

RATE = 8000
FADE_IN, FADE_OUT = 40, 400  # samples


@pytest.fixture
def folder(tmp_path: Path, write_murmur: Callable[..., Path]) -> Path:
    return write_murmur(tmp_path / "murmur")


@pytest.fixture
def texture(folder: Path) -> Texture:
    return Texture(folder)


def first(blocks: Iterator[np.ndarray], n: int) -> np.ndarray:
    """The first n samples of blocks."""
    made, done = [], 0
    while done < n:
        made.append(next(blocks))
        done += len(made[-1])
    return np.concatenate(made)[:n]


def tone(n: int, offset: float = 0.0) -> np.ndarray:
    return (offset + 0.4 * np.sin(2 * np.pi * 313.0 * np.arange(n) / RATE)).astype(np.float32)


@pytest.mark.parametrize("stereo", [False, True])
@pytest.mark.parametrize("primed", [False, True])
def test_any_blocks_give_the_samples_of_generate(
    texture: Texture, stereo: bool, primed: bool
) -> None:
    options: dict[str, Any] = {
        "prime": tone(501, 0.1) if primed else None,
        "temperature": [(0.05, 0.5), (0.2, 1.3)],
        "top_p": 0.9,
        "seed": 5,
        "stereo": stereo,
    }
    whole = texture.generate(0.4, **options)
    assert whole.dtype == np.float32 and whole.shape == ((3200, 2) if stereo else (3200,))
    assert np.abs(whole).max() > 0.1
    begin = 0 if primed else FADE_IN
    for block in (1, 7, 1000, 3200):
        streamed = first(texture.stream(block, **options), 3200)
        np.testing.assert_array_equal(streamed[begin:-FADE_OUT], whole[begin:-FADE_OUT])


def test_without_the_compiled_module_it_is_the_same_sound(
    texture: Texture, folder: Path, no_native: None
) -> None:
    wanted = texture.generate(0.3, seed=2, variations=2)
    got = Texture(folder).generate(0.3, seed=2, variations=2)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6)


def test_it_fades(texture: Texture) -> None:
    sound = texture.generate(0.4, seed=1)
    plain = first(texture.stream(seed=1), 3200)
    rise, fall = sound[:FADE_IN] / plain[:FADE_IN], sound[-FADE_OUT:] / plain[-FADE_OUT:]
    assert (np.diff(rise) > 0).all() and rise[0] < 0.01 and rise[-1] > 0.99
    assert (np.diff(fall) < 0).all() and fall[0] > 0.99 and fall[-1] < 0.01
    for n in (1, 2, 3, 50):
        assert texture.generate(n / RATE).shape == (n,)


def test_seeds_channels_and_variations_differ(texture: Texture) -> None:
    sounds = [texture.generate(0.2, seed=seed) for seed in (0, 1)]
    many = texture.generate(0.2, variations=3)
    wide = texture.generate(0.2, variations=2, stereo=True)
    assert many.shape == (3, 1600) and wide.shape == (2, 1600, 2)
    np.testing.assert_array_equal(many[0], sounds[0])
    np.testing.assert_array_equal(wide[0], texture.generate(0.2, stereo=True))
    # Variation v and channel c are stream 2 v + c.
    np.testing.assert_array_equal(wide[0, :, 0], many[0])
    np.testing.assert_array_equal(wide[0, :, 1], many[1])
    np.testing.assert_array_equal(wide[1, :, 0], many[2])
    rows = [sounds[1], *many, wide[1, :, 1]]
    assert len({row.tobytes() for row in rows}) == 5
    np.testing.assert_array_equal(Texture(texture.preset, seed=1).generate(0.2), sounds[1])


def test_sampling_is_the_presets_by_default(texture: Texture) -> None:
    usual = texture.generate(0.2)
    np.testing.assert_array_equal(usual, texture.generate(0.2, temperature=0.9, top_p=1.0))
    assert not np.array_equal(usual, texture.generate(0.2, temperature=0.5))
    assert not np.array_equal(usual, texture.generate(0.2, top_p=0.5))
    level = np.array(0.9)  # a number, if not a float
    np.testing.assert_array_equal(usual, texture.generate(0.2, temperature=level))


def test_a_curve_moves_in_straight_lines(texture: Texture, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[np.ndarray] = []

    class Streams:
        def process(self, n: int, temperature: np.ndarray, top_p: float) -> np.ndarray:
            heard.append(temperature)
            return np.zeros((1, n), np.float32)

    monkeypatch.setattr(texture._network, "streams", lambda n, seed: Streams())
    texture.generate(1.0, temperature=[(0.25, 0.5), (0.75, 1.5)])
    curve = np.concatenate(heard)[:RATE]
    assert (curve[: RATE // 4] == 0.5).all() and (curve[RATE * 3 // 4 :] == 1.5).all()
    assert curve[RATE // 2] == pytest.approx(1.0) and curve.dtype == np.float32


@pytest.fixture
def echo(tmp_path: Path, samplernn_fields: dict[str, Any]) -> Texture:
    """A network that only ever repeats its last level."""
    from audiogen.presets import check_fields, weight_shapes, write_preset

    samplernn_fields["samplernn"] |= {"frame_sizes": [1], "dim": 256, "embedding_size": 256}
    shapes = weight_shapes(check_fields(samplernn_fields).network)
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    for name in ("embedding", "layer1.weight", "layer2.weight", "layer3.weight", "output.weight"):
        weights[f"sample.{name}"] = np.eye(256, dtype=np.float32)
    return Texture(write_preset(tmp_path / "echo", samplernn_fields, weights))


class TestContinuing:
    def test_the_prime_is_heard(self, texture: Texture) -> None:
        fresh = texture.generate(0.2)
        after = texture.generate(0.2, prime=tone(1000))
        assert not np.array_equal(fresh[FADE_IN:], after[FADE_IN:])
        assert not np.array_equal(texture.generate(0.2, prime=tone(999)), after)

    @pytest.mark.parametrize("offset", [0.0, 0.3])
    def test_it_begins_where_the_prime_ends(self, echo: Texture, offset: float) -> None:
        prime = tone(2013, offset)
        after = echo.generate(0.5, prime=prime, temperature=0.0)
        assert abs(after[0] - prime[-1]) < 0.01
        assert np.abs(np.diff(after)).max() < 0.01
        # And it has soon lost its direct current.
        assert abs(prime[-1]) > 0.05 and np.abs(after[RATE // 4 :]).max() < 0.01

    def test_channels_go_on_for_themselves(self, texture: Texture) -> None:
        left, right = tone(900), tone(900, 0.2)
        both = texture.generate(0.2, prime=np.stack([left, right], axis=1))
        np.testing.assert_array_equal(both[:, 0], texture.generate(0.2, prime=left))
        same = texture.generate(0.2, prime=left, stereo=True)
        np.testing.assert_array_equal(same[:, 0], both[:, 0])
        assert not np.array_equal(same[:, 0], same[:, 1])
        one = texture.generate(0.2, prime=left[:, None])
        np.testing.assert_array_equal(one[:, 0], both[:, 0])
        assert texture.generate(0.2, prime=left[:, None], stereo=True).shape == (1600, 2)
        assert texture.generate(0.2, prime=np.zeros((100, 3)), variations=2).shape == (2, 1600, 3)
        for turned in (np.zeros((2, RATE)), np.zeros((1, RATE)), np.zeros((RATE, 65))):
            with pytest.raises(ShapeError, match="transpose it"):
                texture.generate(0.2, prime=turned)

    def test_what_lies_far_back_is_not_heard(self, texture: Texture) -> None:
        prime = tone(31 * RATE)
        after = texture.generate(0.1, prime=prime)
        np.testing.assert_array_equal(after, texture.generate(0.1, prime=prime[RATE:]))

    def test_one_as_short_as_a_frame_will_do(self, texture: Texture) -> None:
        assert texture.generate(0.1, prime=np.zeros(8)).shape == (800,)


def test_timbres_are_classes(
    tmp_path: Path, write_murmur: Callable[..., Path], samplernn_fields: dict[str, Any]
) -> None:
    network = samplernn_fields["samplernn"] | {"conditioning": "class", "n_classes": 2}
    timbres = [{"name": "rain"}, {"name": "wind"}]
    folder = write_murmur(
        tmp_path / "weather", samplernn=network, timbres=timbres, default_timbre="wind"
    )
    texture = Texture(folder)
    assert texture.timbres == ["rain", "wind"]
    usual = texture.generate(0.1, variations=2)
    np.testing.assert_array_equal(usual, texture.generate(0.1, variations=2, timbre="wind"))
    rain = texture.generate(0.1, variations=2, timbre="rain")
    assert not np.array_equal(rain[0], usual[0]) and not np.array_equal(rain[1], usual[1])
    with pytest.raises(PresetError, match="timbre 'snow' not found in preset 'weather'"):
        texture.generate(0.1, timbre="snow")


def test_load_chooses(
    tmp_path: Path, folder: Path, write_murmur: Callable[..., Path], write_tiny: Callable[..., Path]
) -> None:
    texture = audiogen.load(folder, seed=4)
    assert isinstance(texture, audiogen.Texture) and texture.seed == 4
    assert audiogen.load(folder, sample_rate=RATE).sample_rate == RATE
    with pytest.raises(ParameterError, match="sample_rate=44100; preset 'murmur' makes sound at"):
        audiogen.load(folder, sample_rate=44100)
    winds = write_murmur(tmp_path / "winds", notes=True)
    assert isinstance(audiogen.load(winds), audiogen.Synth)
    assert isinstance(audiogen.load(write_tiny(tmp_path / "tiny")), audiogen.Synth)
    sampling = audiogen.load(folder, temperature=0.5).preset.sampling
    assert (sampling.temperature, sampling.top_p) == (0.5, texture.preset.sampling.top_p)
    assert audiogen.load(winds, top_p=0.8).preset.sampling.top_p == 0.8
    for temperature in ("hot", "0.5"):
        with pytest.raises(ParameterError, match=f"temperature='{temperature}' isn't a number"):
            audiogen.load(folder, temperature=temperature)
    with pytest.raises(ParameterError, match="top_p can't be used with preset 'tiny', a GANSynth"):
        audiogen.load(tmp_path / "tiny", top_p=0.8)
    with pytest.raises(PresetError, match="preset 'murmur' plays no notes"):
        Synth(folder)
    for other in (winds, tmp_path / "tiny"):
        with pytest.raises(PresetError, match="plays notes"):
            Texture(other)


def test_progress_goes_to_one(texture: Texture) -> None:
    parts: list[float] = []
    texture.generate(0.5, progress=parts.append)
    assert parts == sorted(parts) and parts[-1] == 1.0 and 0.0 < parts[0] < 1.0


def test_a_long_stream_goes_on(texture: Texture) -> None:
    blocks = list(islice(texture.stream(4000), 20))
    assert all(np.abs(block).max() > 0.01 and np.isfinite(block).all() for block in blocks)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"seconds": 0.0}, "seconds=0.0; give a number above 0"),
        ({"seconds": float("nan")}, "seconds=nan; give a number above 0"),
        ({"seconds": "5"}, "seconds='5'; give a number above 0"),
        ({"seconds": float("inf")}, "seconds=inf"),
        ({"variations": 0}, "variations=0; give a whole number, 1 or more"),
        ({"variations": 1.5}, "variations=1.5"),
        ({"seed": -1}, "seed=-1 can't be used"),
        ({"seed": 0.5}, "seed=0.5 can't be used"),
        ({"top_p": 0.0}, "top_p=0.0; give a number above 0"),
        ({"top_p": float("nan")}, "top_p=nan"),
        ({"temperature": -0.1}, "temperature=-0.1; give 0 or more"),
        ({"temperature": float("inf")}, "temperature=inf; give 0 or more"),
        ({"temperature": "hot"}, "temperature='hot'; give a number, or a list"),
        ({"temperature": []}, r"temperature=\[\]"),
        ({"temperature": [1.0, 2.0]}, "give a number, or a list of"),
        ({"temperature": [(0, 1, 2)]}, "give a number, or a list of"),
        ({"temperature": [(1.0, 1.0), (1.0, 2.0)]}, "its seconds must rise"),
        ({"temperature": [(0.0, 1.0), (1.0, -2.0)]}, "give 0 or more"),
    ],
)
def test_bad_arguments_are_named(texture: Texture, options: dict, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        texture.generate(**{"seconds": 0.1, **options})
    if not {"seconds", "variations"} & set(options):
        with pytest.raises(ParameterError, match=sentence):
            texture.stream(**options)  # at once, not at the first block


@pytest.mark.parametrize(
    ("prime", "sentence"),
    [
        (np.zeros(7), "prime has 7 samples; give 8 or more"),
        (np.zeros(0), "prime has 0 samples"),
        (np.zeros((2, 2, 2)), "prime has shape"),
        (np.zeros((9, 0)), "prime has shape"),
        (np.zeros(100, np.int16), "prime has shape .* int16; floats"),
        (np.full(100, np.nan), "prime holds NaN"),
        (["a"], "prime has shape"),
    ],
)
def test_bad_primes_are_named(texture: Texture, prime: Any, sentence: str) -> None:
    with pytest.raises(ShapeError, match=sentence):
        texture.generate(0.1, prime=prime)


def test_bad_blocks_are_named(texture: Texture) -> None:
    for block in (0, -1, 1.5):
        with pytest.raises(ParameterError, match=f"block={block}; give a whole number"):
            texture.stream(block)
