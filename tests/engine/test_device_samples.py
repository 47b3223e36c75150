"""SampleRNN on a GPU: the CUDA library, run on the CPU thread by thread, behind the engine.

The library is that of tests/cpp; AUDIOGEN_CUDA_ON_CPU names its file, and .ci/run sets it.
"""

from __future__ import annotations

import os
import runpy
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("audiogen._native")

import audiogen
from audiogen.engine import cuda_samplernn, device_frames, device_samples
from audiogen.engine.cuda_samplernn import CudaSampleStream
from audiogen.errors import DeviceError, ParameterError
from audiogen.ops import _cuda
from audiogen.presets import load_preset

LIBRARY = os.environ.get("AUDIOGEN_CUDA_ON_CPU", "")
SECONDS = 0.06


@pytest.fixture
def on_cpu(monkeypatch):
    """CUDA devices are the CPU."""
    if not LIBRARY:
        pytest.skip("AUDIOGEN_CUDA_ON_CPU is not set; .ci/run builds that library and sets it")
    monkeypatch.setattr(_cuda, "library_path", lambda: Path(LIBRARY))
    monkeypatch.setattr(cuda_samplernn, "choose_device", lambda name: torch.device("cpu", 0))
    monkeypatch.setattr(cuda_samplernn, "_checked_device", lambda name: torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=0))
    _cuda._library.cache_clear()
    yield
    _cuda._library.cache_clear()


@pytest.fixture
def folder(write_murmur, samplernn_fields, tmp_path) -> Path:
    return small_preset(write_murmur, samplernn_fields, tmp_path / "hum")


def small_preset(write_murmur, fields, folder: Path, **changes) -> Path:
    network = fields["samplernn"] | {"q_levels": 8, "dim": 8} | changes
    return write_murmur(folder, samplernn=network)


def test_generate_is_the_cpus(on_cpu, folder):
    options = {"seed": 3, "stereo": True, "temperature": [(0.0, 0.7), (0.05, 1.1)], "top_p": 0.9}
    wanted = audiogen.load(folder).generate(SECONDS, variations=2, **options)
    got = audiogen.load(folder, device="cuda").generate(SECONDS, variations=2, **options)
    assert got.shape == wanted.shape == (2, round(SECONDS * 8000), 2)
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5)


def test_variations_are_one_launch(on_cpu, folder, monkeypatch):
    sizes = []
    process = CudaSampleStream.process

    def counted(self, n, temperature, top_p):
        sizes.append((self.n_streams, n))
        return process(self, n, temperature, top_p)

    monkeypatch.setattr(CudaSampleStream, "process", counted)
    synth = audiogen.load(folder, device="cuda")
    sounds = synth.generate(SECONDS, variations=2)
    assert len(sizes) == 1 and sizes[0][0] == 2
    assert not np.array_equal(sounds[0], sounds[1])
    blocks = np.concatenate(list(synth.generate_stream(SECONDS, block=64)))
    assert np.array_equal(blocks, sounds[0])
    monkeypatch.setattr(device_samples, "MOST_STREAMS", 1)
    assert np.array_equal(synth.generate(SECONDS, variations=2), sounds)
    assert [n for n, _ in sizes[2:]] == [1, 1]


def test_a_silent_launch_is_silence(on_cpu, folder, monkeypatch):
    def silent(self, n, temperature, top_p):
        return np.zeros((self.n_streams, n), np.float32)

    monkeypatch.setattr(CudaSampleStream, "process", silent)
    assert not audiogen.load(folder, device="cuda").generate(SECONDS).any()


def test_streams_of_a_preset(on_cpu, folder):
    preset = load_preset(folder)
    stream = CudaSampleStream.of_preset(preset, n_streams=3)
    native = pytest.importorskip("audiogen._native")
    theirs = native.SampleStream(preset.open_network(), 3, 0, 0)
    assert np.array_equal(stream.draw(60, 0.9), theirs.draw(60, 0.9))
    levels = np.arange(3 * 20).reshape(3, 20) % 8
    found = stream.logits(levels)
    np.testing.assert_allclose(found, theirs.logits(levels.astype(np.int32)), rtol=0, atol=1e-4)
    with pytest.raises(ParameterError, match="seeds has 2 numbers; it must have 3"):
        stream.seed_streams([1, 2])


def test_what_does_not_run_on_a_device(on_cpu, folder, write_murmur, note_fields, tmp_path):
    synth = audiogen.load(folder, device="cuda")
    with pytest.raises(ParameterError, match="prompt is not supported on a GPU"):
        synth.generate(SECONDS, prompt=np.zeros(100, np.float32))
    with pytest.raises(ParameterError, match="seconds=None is not supported on a GPU"):
        synth.generate_stream()
    notes = write_murmur(tmp_path / "notes", **note_fields)
    with pytest.raises(ParameterError, match="conditioned on notes; use 'cpu'"):
        audiogen.load(notes, device="cuda")


@pytest.fixture
def gpu_check(on_cpu, folder, monkeypatch):
    """examples/gpu_check.py with a small unconditional preset."""
    monkeypatch.setattr(device_frames, "choose_device", lambda name: torch.device("cpu"))
    names = runpy.run_path(str(Path(__file__).parents[2] / "examples/gpu_check.py"))
    names["check"].__globals__["STREAMS"] = folder
    monkeypatch.setattr("audiogen.bench.device.STREAMS", folder)
    return names["check"]


def test_gpu_check_compares_and_measures(gpu_check, capsys):
    assert gpu_check("cpu", small=True) == 0
    printed = capsys.readouterr().out
    assert printed.count(" ok") == 9 and "samples/s together" in printed
    assert printed.count("ms a note, ") == 2 and "the paper's: 20 ms a note" in printed


def test_gpu_check_finds_wrong_results(gpu_check, capsys, monkeypatch):
    process = CudaSampleStream.logits
    monkeypatch.setattr(CudaSampleStream, "logits", lambda self, x: process(self, x) + 0.01)
    assert gpu_check("cpu", small=True) == 1
    assert capsys.readouterr().out.count("WRONG") == 1


def test_without_a_gpu(folder):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError, match="sees no CUDA device; use device cpu"):
        audiogen.load(folder, device="cuda")
