"""The ONNX graph in onnxruntime, against the frames of the native generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason='torch isn\'t installed; pip install "audiogen-synth[export]"')
pytest.importorskip("onnx", reason='onnx isn\'t installed; pip install "audiogen-synth[export]"')
onnxruntime = pytest.importorskip(
    "onnxruntime", reason="onnxruntime isn't installed; pip install onnxruntime"
)

from audiogen.core import backend
from audiogen.errors import ParameterError
from audiogen.export.frame_network import spectrogram_of
from audiogen.export.onnx_graph import export_onnx
from audiogen.ops.random import philox_uniform
from audiogen.presets import GansynthPreset, load_preset
from audiogen.representation.harmonic import reference_turns

pytestmark = pytest.mark.skipif(backend.find() is None, reason="audiogen._native is not built")

LEVEL_TOLERANCE = 1e-3  # nats, 0.01 dB
FREQUENCY_TOLERANCE = 1e-4  # half turns per hop


def noise_of(preset: GansynthPreset, seed: int, stream: int = 0) -> list[np.ndarray]:
    """The noise of each block that the native generator draws for a note."""
    noise = []
    for block in range(len(preset.generator.channels)):
        n_frames, n_bins = preset.generator.shape(block)
        rows = [philox_uniform(seed, 32 * stream + block, row, n_bins) for row in range(n_frames)]
        noise.append(((np.stack(rows)[None] - 0.5) * np.sqrt(12.0)).astype(np.float32))
    return noise


def feed(preset: GansynthPreset, z: np.ndarray, pitch: list[float], velocity: list[float]) -> Any:
    n = len(pitch)
    feeds = {
        "z": z.astype(np.float32),
        "pitch": np.array(pitch, np.float32),
        "velocity": np.array(velocity, np.float32),
    }
    for block, noise in enumerate(noise_of(preset, seed=5)):
        feeds[f"noise_{block}"] = np.repeat(noise, n, axis=0)
    return feeds


@pytest.mark.parametrize(
    "name", ["tiny", "twelve", pytest.param("plucked", marks=pytest.mark.slow)]
)
def test_equals_the_native_generator(
    tmp_path: Path, write_tiny: Any, preset_fields: dict[str, Any], name: str
):
    folder = tmp_path / name if name in ("tiny", "twelve") else name
    if name == "tiny":
        write_tiny(folder)
    elif name == "twelve":  # maps of the pitch
        write_tiny(folder, generator=preset_fields["generator"] | {"n_maps": 12})
    preset = load_preset(folder)
    assert isinstance(preset, GansynthPreset)
    inputs = export_onnx(preset, tmp_path / "out.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "out.onnx"))
    assert [value.name for value in session.get_inputs()] == inputs
    z = np.array([preset.timbres[0].z, preset.timbres[-1].z])
    pitch, velocity = [57.3, 71.0], [0.7, 0.3]
    feeds = feed(preset, z, pitch, velocity)
    if "partials" in inputs:  # both timbres are harmonic
        feeds["partials"] = np.tile(np.arange(1.0, 65.0, dtype=np.float32), (2, 1))
    levels, frequencies = session.run(None, feeds)

    spectrogram = preset.spectrogram
    for i in range(2):
        frames = preset.open_network().generate(z[i], pitch[i], velocity[i], 5, None, 0)
        level = (frames[0] - spectrogram.magnitude_offset) / spectrogram.magnitude_scale
        assert np.abs(levels[i] - level).max() < LEVEL_TOLERANCE
        config = spectrogram_of(preset)
        # From frame 20 on the window's centre of gravity rests, so the tone's phase advances by
        # its frequency alone.
        turns = np.diff(reference_turns(float(np.float32(pitch[i])), config, [40, 41]), axis=0)
        want = frames[1] / spectrogram.frequency_scale + 2.0 * turns[0]
        error = frequencies[i] - want
        assert np.abs(error - 2.0 * np.round(error / 2.0)).max() < FREQUENCY_TOLERANCE
        assert np.abs(frequencies[i]).max() <= 1.0


def test_partials_are_an_input_where_a_timbre_has_its_own(
    tmp_path: Path, write_tiny: Any, preset_fields: dict[str, Any]
):
    first, *others = preset_fields["timbres"]
    bell = [0.62, 1.2, 2.43, 3.55]
    timbres = [first | {"partials": bell, "gain_db": -2.5}, *others]
    preset = load_preset(write_tiny(tmp_path / "tiny", timbres=timbres))
    assert isinstance(preset, GansynthPreset)
    assert export_onnx(preset, tmp_path / "out.onnx")[-1] == "partials"
    session = onnxruntime.InferenceSession(str(tmp_path / "out.onnx"))
    metadata_map = session.get_modelmeta().custom_metadata_map
    gains_db = json.loads(metadata_map["gains_db"])
    assert gains_db == {timbre.name: timbre.gain_db or 0.0 for timbre in preset.timbres}
    assert gains_db[first["name"]] == -2.5
    metadata = json.loads(metadata_map["partials"])
    assert list(metadata) == [first["name"]]
    ratios = metadata[first["name"]]["ratios"][0]
    assert ratios[:6] == pytest.approx([*bell, 4.67, 5.79]) and len(ratios) == 64
    feeds = feed(preset, np.array([first["z"]]), [57.3], [0.7])
    feeds["partials"] = np.array([ratios], np.float32)
    levels, frequencies = session.run(None, feeds)
    frames = preset.open_network().generate(first["z"], 57.3, 0.7, 5, None, 0, bell)
    spectrogram = preset.spectrogram
    level = (frames[0] - spectrogram.magnitude_offset) / spectrogram.magnitude_scale
    assert np.abs(levels[0] - level).max() < LEVEL_TOLERANCE
    config = spectrogram_of(preset)
    turns = np.diff(
        reference_turns(float(np.float32(57.3)), config, [40, 41], np.array(bell)), axis=0
    )
    error = frequencies[0] - (frames[1] / spectrogram.frequency_scale + 2.0 * turns[0])
    assert np.abs(error - 2.0 * np.round(error / 2.0)).max() < FREQUENCY_TOLERANCE


def test_a_one_hot_generator_has_neither_velocity_nor_noise(tmp_path: Path, write_tiny: Any):
    base = load_preset(write_tiny(tmp_path / "tiny")).to_fields()
    generator = {**base["generator"], "conditioning": "one_hot"}
    spectrogram = {**base["spectrogram"], "phase": "instantaneous_frequency"}
    folder = write_tiny(tmp_path / "paper", generator=generator, spectrogram=spectrogram)
    preset = load_preset(folder)
    assert isinstance(preset, GansynthPreset)
    assert export_onnx(preset, tmp_path / "out.onnx") == ["z", "pitch"]
    session = onnxruntime.InferenceSession(str(tmp_path / "out.onnx"))
    z = np.array([preset.timbres[0].z], np.float32)
    level, frequency = session.run(None, {"z": z, "pitch": np.array([60.0], np.float32)})
    frames = preset.open_network().generate(z[0], 60.0)
    want = (frames[0] - preset.spectrogram.magnitude_offset) / preset.spectrogram.magnitude_scale
    assert np.abs(level[0] - want).max() < LEVEL_TOLERANCE
    want = frames[1] / preset.spectrogram.frequency_scale
    assert np.abs(frequency[0] - want).max() < FREQUENCY_TOLERANCE


def test_metadata_names_the_preset(tmp_path: Path, write_tiny: Any):
    preset = load_preset(write_tiny(tmp_path / "tiny"))
    export_onnx(preset, tmp_path / "out.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "out.onnx"))
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["preset"] == preset.name and metadata["licence"] == preset.licence
    assert json.loads(metadata["timbres"])["guitar"] == [0.0, 1.0, -0.5]
    assert json.loads(metadata["spectrogram"])["n_fft"] == 128


def test_a_samplernn_is_refused(tmp_path: Path, write_murmur: Any):
    preset = load_preset(write_murmur(tmp_path / "murmur"))
    with pytest.raises(ParameterError, match=r"onnx is not supported by preset .* samplernn"):
        export_onnx(preset, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
