"""The native generator equals the PyTorch one, however its frames are pulled."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
native = pytest.importorskip("audiogen._native")

from audiogen.errors import FormatError, ParameterError
from audiogen.models.gansynth import Generator, GeneratorConfig, export_weights
from audiogen.ops import philox_uniform
from audiogen.representation.config import SpectrogramConfig

SAMPLE_RATE = 16000
STREAMS_PER_NOTE = 32  # Philox streams of a note: one for each block
PAPER = GeneratorConfig()
PRESET = GeneratorConfig("harmonic", 32, (64, 64, 64, 64, 48, 32, 24))
CONFIGS = {
    "paper": PAPER,
    "preset": PRESET,
    "one_hot_odd": GeneratorConfig("one_hot", 3, (17, 7, 5), (2, 8)),
    "harmonic_odd": GeneratorConfig("harmonic", 5, (5, 7, 17), (2, 16), note_off_frame=5),
    "one_block": GeneratorConfig("harmonic", 2, (9,), (8, 32), note_off_frame=3),
    "start_3x16": GeneratorConfig(
        "harmonic", 2, (12, 26, 33), (3, 16), note_off_frame=7, n_maps=12
    ),
    "start_4x8": GeneratorConfig("one_hot", 4, (40, 24, 16, 8), (4, 8)),
    "five_frames": GeneratorConfig("harmonic", 1, (1, 2), (5, 8), note_off_frame=4),
}
NOTE = {"velocity": 0.7, "seed": 2**63 + 11}


def spectrogram_of(config: GeneratorConfig) -> SpectrogramConfig:
    n_frames, n_bins = config.shape(len(config.channels) - 1)
    return SpectrogramConfig(
        sample_rate=SAMPLE_RATE,
        n_samples=1,
        n_fft=2 * n_bins,
        hop_length=n_bins // 2,
        n_frames=n_frames,
    )


def make(config: GeneratorConfig, seed: int = 0) -> tuple[Generator, np.ndarray, float]:
    """A generator with nothing at its initial zero, a latent, and a pitch."""
    torch.manual_seed(seed)
    generator = Generator(config, spectrogram_of(config)).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    z = torch.randn(config.latent_size).numpy()
    return generator, z, 31.0 + seed if config.conditioning == "one_hot" else 57.3 + 3 * seed


def fields(config: GeneratorConfig) -> dict[str, Any]:
    return {**asdict(config), "sample_rate": SAMPLE_RATE}


def compiled(config: GeneratorConfig, generator: Generator, precision: str = "float32") -> Any:
    return native.Generator(fields(config), export_weights(generator), precision)


def expected(
    config: GeneratorConfig, generator: Generator, z: np.ndarray, pitch: float, stream: int = 0
) -> np.ndarray:
    """The PyTorch forward in float64, with the noise that the native generator draws."""
    noise = []
    for block in range(len(config.channels)):
        n_frames, n_bins = config.shape(block)
        uniform = [
            philox_uniform(NOTE["seed"], STREAMS_PER_NOTE * stream + block, row, n_bins)
            for row in range(n_frames)
        ]
        noise.append(torch.from_numpy(np.stack(uniform)[None] - 0.5).double() * np.sqrt(12.0))
    generator = generator.double()
    with torch.no_grad():
        image = generator(
            torch.from_numpy(z)[None].double(),
            torch.tensor([pitch], dtype=torch.float64),
            torch.tensor([NOTE["velocity"]], dtype=torch.float64),
            noise=noise,
        )
    generator.float()
    return image[0].numpy()


@pytest.mark.parametrize("name", CONFIGS)
def test_equals_pytorch(name: str) -> None:
    config = CONFIGS[name]
    for seed in range(1 if name in ("paper", "preset") else 3):
        generator, z, pitch = make(config, seed)
        want = expected(config, generator, z, pitch, stream=seed)
        got = compiled(config, generator).generate(z, pitch, **NOTE, noise_stream=seed)
        assert got.dtype == np.float32 and got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)  # both lie in [-1, 1]
        assert np.sqrt(np.mean((got - want) ** 2) / np.mean(want**2)) < 2e-5


@pytest.mark.parametrize(
    "name", ["paper", "one_hot_odd", "harmonic_odd", "start_3x16", "one_block"]
)
def test_any_order_of_frames_gives_the_same_bits(name: str) -> None:
    config = CONFIGS[name]
    generator, z, pitch = make(config)
    twin = compiled(config, generator)
    whole = twin.generate(z, pitch, **NOTE)
    n_frames = whole.shape[1]
    stream = twin.stream(z, pitch, **NOTE)
    for start in np.random.default_rng(0).integers(0, n_frames, 30):
        stream.seek(start)
        for frame in range(start, min(start + 3, n_frames)):
            assert stream.frame == frame
            assert np.array_equal(stream.next(), whole[:, frame])
    for frame in reversed(range(n_frames)):
        stream.seek(frame)
        assert np.array_equal(stream.next(), whole[:, frame])
    for first in range(0, n_frames, 5):
        part = twin.generate(z, pitch, **NOTE, frames=(first, min(first + 5, n_frames)))
        assert np.array_equal(part, whole[:, first : first + 5])


def test_the_last_frame_stays() -> None:
    config = CONFIGS["harmonic_odd"]
    generator, z, pitch = make(config)
    stream = compiled(config, generator).stream(z, pitch)
    n_frames = config.shape(len(config.channels) - 1)[0]
    stream.seek(n_frames + 100)
    assert stream.frame == n_frames - 1
    last = stream.next()
    assert stream.frame == n_frames - 1
    assert np.array_equal(stream.next(), last)


def test_notes_differ_by_what_they_are_given() -> None:
    config = CONFIGS["harmonic_odd"]
    generator, z, pitch = make(config)
    twin = compiled(config, generator)
    base = twin.generate(z, pitch, 0.5, 1, noise_stream=0)
    assert np.array_equal(base, twin.generate(z, pitch, 0.5, 1, noise_stream=0))
    for other in (
        twin.generate(-z, pitch, 0.5, 1),
        twin.generate(z, pitch + 0.1, 0.5, 1),
        twin.generate(z, pitch, 0.6, 1),
        twin.generate(z, pitch, 0.5, 2),
        twin.generate(z, pitch, 0.5, 1, noise_stream=1),
    ):
        assert not np.array_equal(base, other)


@pytest.mark.parametrize("isa", native.available_isas())
def test_every_instruction_set(isa: str, tmp_path: Any) -> None:
    for name in ("preset", "one_hot_odd", "harmonic_odd"):
        config = CONFIGS[name]
        generator, z, pitch = make(config)
        np.savez(tmp_path / f"{name}.npz", **export_weights(generator))
        program = (
            "import sys, numpy as np\n"
            "from audiogen import _native\n"
            f"assert _native.isa() == {isa!r}\n"
            f"weights = dict(np.load({str(tmp_path / name)!r} + '.npz'))\n"
            f"twin = _native.Generator({fields(config)!r}, weights)\n"
            f"note = twin.generate(np.array({z.tolist()!r}, np.float32), {pitch!r}, **{NOTE!r})\n"
            f"np.save({str(tmp_path / name)!r}, note)\n"
        )
        environment = {**os.environ, "AUDIOGEN_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True)
        want = expected(config, generator, z, pitch)
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), want, rtol=0, atol=1e-4)


@pytest.mark.skipif(
    native.bfloat16_rows() not in ("pairs", "tiles"),
    reason="bfloat16 is float32 on this CPU, or not supported by it",
)
@pytest.mark.parametrize("name", ["paper", "preset", "one_hot_odd"])
def test_bfloat16_is_near(name: str) -> None:
    config = CONFIGS[name]
    generator, z, pitch = make(config)
    exact = compiled(config, generator).generate(z, pitch, **NOTE)
    twin = compiled(config, generator, "bfloat16")
    rough = twin.generate(z, pitch, **NOTE)
    error = np.sqrt(np.mean((rough - exact) ** 2) / np.mean(exact**2))
    print(f"{name}: bfloat16 is off by {error:.2%} (root mean square)")
    assert 0 < error < 0.04  # 8 bits a factor, and as many layers as the config has
    assert np.array_equal(twin.generate(z, pitch, **NOTE, frames=(3, 5)), rough[:, 3:5])


NOTE_PROGRAM = """
import sys
import numpy as np
from audiogen import _native
weights = dict(np.load(sys.argv[1]))
z = np.linspace(-1.0, 1.0, {size}, dtype=np.float32)
for precision in sys.argv[2:]:
    note = _native.Generator({fields!r}, weights, precision).generate(z, 60.0, seed=3)
    print(_native.bfloat16_rows(), note.tobytes().hex())
"""


@pytest.mark.skipif("amx" not in native.available_isas(), reason="this CPU has no AMX")
def test_amx_changes_no_sample_of_float32(tmp_path: Any) -> None:
    config = CONFIGS["harmonic_odd"]
    np.savez(tmp_path / "weights.npz", **export_weights(make(config)[0]))
    program = NOTE_PROGRAM.format(size=config.latent_size, fields=fields(config))

    def notes(isa: str) -> list[list[str]]:
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "weights.npz"), "float32", "bfloat16"],
            env={**os.environ, "AUDIOGEN_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return [line.split() for line in done.stdout.splitlines()]

    (_, exact), (rows, rough) = notes("amx")
    assert rows == "tiles" and rough != exact
    (_, other_exact), (other_rows, other_rough) = notes("avx512_bf16")
    assert exact == other_exact
    # Without tiles, an Intel CPU is faster in float32, which is more exact than what was asked for.
    assert (other_rows == "float32") == (other_rough == exact)


def test_bfloat16_needs_the_cpu() -> None:
    program = (
        "from audiogen import _native\n"
        "from audiogen.errors import ParameterError\n"
        "try:\n    _native.Generator({}, {}, 'bfloat16')\n"
        "except ParameterError as error:\n    assert 'AVX-512 BF16' in str(error), error\n"
        "else:\n    raise SystemExit('no error')\n"
    )
    environment = {
        **os.environ,
        "AUDIOGEN_ISA": "baseline",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


SMALL = GeneratorConfig("harmonic", 2, (3, 4), (2, 4), note_off_frame=2)


def broken(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    weights = export_weights(make(SMALL)[0])
    for name, value in changes.items():
        name = name.replace("__", ".")
        if value is None:
            del weights[name]
        else:
            weights[name] = value
    return fields(SMALL), weights


def with_nan() -> np.ndarray:
    return np.array([0.0, np.nan, 0.0], np.float32)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"blocks__0__conv1__weight": None}, r"blocks.0.conv1.weight is missing; .*\[3, 3, 2, 4\]"),
        ({"to_rgb__bias": None}, "to_rgb.bias is missing"),
        ({"blocks__1__conv2__weight": np.zeros((4, 4, 3), np.float32)}, r"\[4, 4, 3\]; .*3, 3\]"),
        (
            {"blocks__0__conditioning__noise__bias": with_nan()},
            "noise.bias has 1 values",
        ),
        (
            {"to_rgb__bias": np.array([0.0, np.inf])},
            "to_rgb.bias has 1 values",
        ),
        ({"blocks__2__conv1__bias": np.zeros(3)}, "blocks.2.conv1.bias not found in the network"),
    ],
)
def test_bad_weights(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(FormatError, match=words):
        native.Generator(*broken(**changes))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conditioning": "pitchy"}, "conditioning='pitchy' not found"),
        ({"channels": []}, "channels must be a list of 1 to 12 widths; it has 0"),
        ({"channels": [4, 0]}, "channels\\[1\\]=0 must be"),
        ({"channels": [4] * 13}, "it has 13"),
        ({"channels": "many"}, r"config\['channels'\] is 'many'"),
        ({"latent_size": 0}, "latent_size=0"),
        ({"latent_size": -1}, r"config\['latent_size'\] is -1"),
        ({"start_shape": (0, 4)}, r"start_shape=\[0, 4\]"),
        ({"start_shape": (2, 2**40)}, "start_shape="),
        ({"sample_rate": 0}, "sample_rate=0"),
        ({"note_off_frames": 3}, "unknown field 'note_off_frames'"),
    ],
)
def test_bad_config(change: dict[str, Any], words: str) -> None:
    config, weights = broken()
    with pytest.raises(ParameterError, match=words):
        native.Generator({**config, **change}, weights)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"z": np.zeros(3)}, "z has 3 numbers in 1 dimensions; it must have 2"),
        ({"z": np.zeros((1, 2))}, "in 2 dimensions"),
        ({"z": np.array([0.0, np.nan])}, "z holds NaN or infinity"),
        ({"pitch": np.nan}, "pitch must be finite"),
        ({"velocity": 1.5}, "velocity=1.5"),
        ({"frames": (3, 2)}, r"frames=\(3, 2\)"),
        ({"frames": (0, 5)}, "within 0 to 4"),
    ],
)
def test_bad_notes(arguments: dict[str, Any], words: str) -> None:
    twin = native.Generator(*broken())
    with pytest.raises(ParameterError, match=words):
        twin.generate(**{"z": np.zeros(2), "pitch": 60.0, **arguments})


def test_one_hot_refuses_other_pitches() -> None:
    config = CONFIGS["one_hot_odd"]
    generator, z, _ = make(config)
    twin = compiled(config, generator)
    for pitch in (23.0, 85.0):
        with pytest.raises(ParameterError, match="must be 24 to 84"):
            twin.generate(z, pitch)


def test_precision_is_known() -> None:
    with pytest.raises(ParameterError, match="precision='float16' not found"):
        native.Generator(*broken(), "float16")


def test_safetensors_are_read_as_the_library_reads_them(tmp_path: Any) -> None:
    from safetensors.torch import save_file

    weights = {k: torch.from_numpy(v) for k, v in export_weights(make(SMALL)[0]).items()}
    halves = {
        "half": torch.tensor([0.0, -0.0, 1.5, -2.25, 6e-8, 65504.0, float("inf")]).half(),
        "brain": torch.tensor([[1.0, -3.140625], [1e30, 0.0]]).bfloat16(),
        'emp"ty\n\u00e9\U0001d11e': torch.zeros(0, 3),
        "scalar": torch.tensor(4.0),
    }
    for tensors in (weights, halves):
        save_file(tensors, tmp_path / "x.safetensors", metadata={"made": "here"})
        read = native.read_safetensors(tmp_path / "x.safetensors")
        assert read.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert read[name].shape == tuple(tensor.shape)
            assert np.array_equal(read[name], tensor.float().numpy())


def test_safetensors_errors_name_the_file(tmp_path: Any) -> None:
    path = tmp_path / "broken.safetensors"
    with pytest.raises(FormatError, match=r"broken.safetensors: cannot be read"):
        native.read_safetensors(path)
    with pytest.raises(FormatError, match="cannot be read"):
        native.read_safetensors(tmp_path)
    path.write_bytes(b'\x08\0\0\0\0\0\0\0{"a": 1}')
    with pytest.raises(FormatError, match=r"broken.safetensors: the header is broken at byte 14"):
        native.read_safetensors(path)
