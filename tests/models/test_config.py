"""The tables of sizes: importable without torch, and true of the networks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from audiogen.models import gansynth, samplernn
from audiogen.models.config import GeneratorConfig, SampleRNNConfig, weight_shapes
from audiogen.representation.config import SpectrogramConfig

NOTES = SpectrogramConfig(n_samples=400, n_fft=64, hop_length=16, n_frames=32)
SIZES = {"latent_size": 5, "channels": (6, 4, 3), "start_shape": (8, 8)}


def test_importable_without_torch():
    code = "import sys, audiogen.models.config; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("conditioning", "n_maps"), [("one_hot", 8), ("harmonic", 8), ("harmonic", 12)]
)
def test_shapes_of_a_generator(conditioning, n_maps):
    config = GeneratorConfig(conditioning, note_off_frame=20, n_maps=n_maps, **SIZES)
    weights = gansynth.export_weights(gansynth.Generator(config, NOTES))
    assert {name: w.shape for name, w in weights.items()} == weight_shapes(config)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"rnn": "lstm", "n_rnn": 2, "frame_sizes": (16, 4, 2)},
        {"q_levels": 65536},
        {"conditioning": "note", "n_classes": 3, "frame_sizes": (1,)},
        {"embedding_size": 0, "frame_sizes": (1,)},
        {"conditioning": "class", "n_classes": 2, "weight_norm": False, "learn_h0": False},
    ],
)
def test_shapes_of_a_samplernn(fields):
    config = SampleRNNConfig(**{"dim": 6, "embedding_size": 4, **fields})
    weights = samplernn.export_weights(samplernn.SampleRNN(config))
    assert {name: w.shape for name, w in weights.items()} == weight_shapes(config)
