"""Weights on the grid: int8 holds them exactly, and the network stays what it was."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.core import backend as _native
from audiogen.models.samplernn import SampleRNN, SampleRNNConfig, export_weights
from audiogen.training.samplernn.quantise_weights import quantised, rounded_rows

CONFIGS = {
    "two tiers": SampleRNNConfig((2,), 32, embedding_size=8, q_levels=64),
    "three": SampleRNNConfig((4, 2), 32, n_rnn=2, embedding_size=8, q_levels=64),
    "lstm, 16 bits": SampleRNNConfig((2,), 32, rnn="lstm", embedding_size=8, q_levels=1 << 16),
}
ON_GRID = {
    "two tiers": {"tiers.0.hh.0", "sample.layer3", "sample.output"},
    "three": {
        *(f"tiers.{t}.hh.{layer}" for t in (0, 1) for layer in (0, 1)),
        "tiers.0.ih.1",
        "tiers.0.upsample",
        "tiers.1.ih.0",
        "tiers.1.ih.1",
        "sample.layer3",
        "sample.output",
    },
    "lstm, 16 bits": {
        "tiers.0.hh.0",
        *(f"sample.{name}" for name in ("layer3", "output", "layer3_low", "output_low")),
    },
}


def steps_of(rows: np.ndarray) -> np.ndarray:
    """Rows in multiples of the power of two that int8 would take for each."""
    unit = 2.0 ** np.ceil(np.log2(np.abs(rows).max(axis=1, keepdims=True) / 127.0))
    return rows / unit


def is_on_grid(rows: np.ndarray) -> bool:
    return bool((steps_of(rows) == np.round(steps_of(rows))).all())


def test_later_columns_compensate_earlier_ones() -> None:
    torch.manual_seed(0)
    weight = torch.randn(20, 48, dtype=torch.float64)
    inputs = torch.randn(4000, 6, dtype=torch.float64) @ torch.randn(6, 48, dtype=torch.float64)
    inputs += 0.05 * torch.randn(4000, 48, dtype=torch.float64)
    rounded = rounded_rows(weight, inputs.T @ inputs / len(inputs))
    assert is_on_grid(rounded.numpy()) and np.abs(steps_of(rounded.numpy())).max() <= 127
    unit = weight / torch.from_numpy(steps_of(weight.numpy()))
    nearest = torch.round(weight / unit) * unit
    wrong, simply = (float((inputs @ (w - weight).T).square().mean()) for w in (rounded, nearest))
    assert wrong < 0.2 * simply


def test_silence_and_rows_of_zeros_do_no_harm() -> None:
    weight = torch.randn(4, 5, dtype=torch.float64)
    weight[1] = 0.0
    rounded = rounded_rows(weight, torch.zeros(5, 5, dtype=torch.float64))
    assert torch.isfinite(rounded).all() and not rounded[1].any()
    assert (rounded - weight).abs().max() < 0.03


@pytest.mark.parametrize("name", CONFIGS)
def test_every_precision_is_the_same_network(name: str) -> None:
    native = _native.find()
    if native is None:
        pytest.skip("needs the compiled module")
    config = CONFIGS[name]
    torch.manual_seed(1)
    model = SampleRNN(config)
    levels = torch.randint(0, config.q_levels, (4, 2000 + config.frame_sizes[0]))

    def run_over(model: SampleRNN) -> None:
        with torch.no_grad():
            model(levels, model.initial_state(4))

    gridded = quantised(model, run_over)
    weights, before = export_weights(gridded), export_weights(model)
    changed = {key for key in weights if not np.array_equal(weights[key], before[key])}
    assert {f"{key}.weight" for key in ON_GRID[name]} <= changed
    for key in ON_GRID[name]:
        assert is_on_grid(weights[f"{key}.weight"]), key

    fields = {
        "frame_sizes": config.frame_sizes,
        "dim": config.dim,
        "n_rnn": config.n_rnn,
        "rnn": config.rnn,
        "embedding_size": config.embedding_size,
        "q_levels": config.q_levels,
        "quantisation": config.quantisation,
        "conditioning": "none",
        "n_classes": 0,
        "sample_rate": 16000.0,
    }
    levels_in = levels[:1, config.frame_sizes[0] :].numpy().astype(np.int32)

    def error(weights: dict[str, np.ndarray]) -> float:
        """By int8."""
        logits = [
            native.SampleStream(native.SampleRNN(fields, weights, precision)).logits(levels_in)
            for precision in ("float32", "int8")
        ]
        return float(np.square(logits[0] - logits[1]).mean())

    assert error(weights) < 0.5 * error(before)
