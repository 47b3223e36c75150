"""Small SampleRNNs with random weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from audiogen.presets import SampleRNNConfig, weight_shapes

RATE = 8000
NOTE = {"conditioning": "note", "n_classes": 2}
CLASS = {"conditioning": "class", "n_classes": 3, "quantisation": "mu_law", "q_levels": 60}


def table_of(**changes: Any) -> SampleRNNConfig:
    """A small network's table with changes."""
    fields: dict[str, Any] = {
        "frame_sizes": [8, 2],
        "dim": 12,
        "n_rnn": 1,
        "rnn": "gru",
        "embedding_size": 5,
        "q_levels": 256,
        "quantisation": "linear",
        "conditioning": "none",
        "n_classes": 0,
    }
    return SampleRNNConfig(**(fields | changes))


def weights_for(table: SampleRNNConfig) -> dict[str, np.ndarray]:
    """Random weights."""
    random = np.random.default_rng(1)
    return {
        name: (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
        for name, shape in weight_shapes(table).items()
    }
