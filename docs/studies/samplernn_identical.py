"""Whether the native float32 stream of SampleRNN draws what PyTorch draws, sample by sample.

The levels that the native stream drew are given to the PyTorch model, chunk by chunk with the state
carried, and each is drawn again from the logits that come out, with the same uniform number. Where
all are equal, PyTorch would have made the same sound on its own. Where one differs, rounding moved
an edge of the cumulative probabilities past the uniform number; how near that lay is printed.

    python docs/studies/samplernn_identical.py                  # the paper's size, random weights
    python docs/studies/samplernn_identical.py speech-sketch --seeds 20    # a preset, 20 times 10 s

What came out (AMD EPYC, AVX-512; the presets as they were before they were trained anew): of 20
times 10 s, 9 of piano-sketch are the same to the last sample, 5 of speech-sketch and 3 of
percussion-sketch, and 1 of 4 at the paper's size. In the others 1 to 8 of 160,000 levels differ, 1
to 3 on average, at each of which the uniform number lay within 2e-6 of an edge, where float32
doesn't tell on which side. So the sound is PyTorch's but for draws that are ties within rounding,
and a sound that PyTorch makes on its own parts from ours at the first of them.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, fields

import numpy as np
import torch

from audiogen.core import backend as _native
from audiogen.models.samplernn import SampleRNN, SampleRNNConfig, export_weights, import_weights
from audiogen.ops import philox_uniform
from audiogen.representation.levels import silence

N_SAMPLES = 160_000  # 10 s at 16 kHz
CHUNK = 8_000  # samples


def main(preset: str | None, n_seeds: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = (SampleRNN(SampleRNNConfig()) if preset is None else model_of(preset)).eval()
    print(preset or "the paper's size, random weights")
    differing = [compared(model, seed) for seed in range(n_seeds)]
    whole = sum(n == 0 for n in differing)
    print(f"{whole} of {n_seeds} seeds: all {N_SAMPLES} samples the same; the others part at a tie")


def compared(model: SampleRNN, seed: int) -> int:
    """How many levels PyTorch draws otherwise than the native stream."""
    config = model.config
    told = asdict(config) | {"sample_rate": 16000.0}
    del told["weight_norm"], told["learn_h0"]
    native = _native.require()
    network = native.SampleRNN(told, export_weights(model), "float32")
    drawn = native.SampleStream(network, seed=seed).draw(N_SAMPLES)[0]
    uniforms = philox_uniform(seed, 0, 0, N_SAMPLES)

    top = config.frame_sizes[0]
    past = np.full(top, silence(config.q_levels, config.quantisation))
    state, bits, differ, widest = model.initial_state(1), 0.0, [], 0.0
    stream = native.SampleStream(network)
    for start in range(0, N_SAMPLES, CHUNK):
        levels = drawn[start : start + CHUNK]
        heard = np.concatenate((past, levels)).astype(np.int64)
        with torch.no_grad():
            logits, _, state = model(torch.from_numpy(heard)[None], state)
        rows = logits[0].numpy()
        if start == 0:
            widest = float(np.abs(stream.logits(levels[None])[0] - rows).max())
        p = np.exp(rows - rows.max(axis=1, keepdims=True)).astype(np.float64)
        edges = np.cumsum(p, axis=1) / p.sum(axis=1, keepdims=True)
        u = uniforms[start : start + CHUNK, None]
        again = np.argmax(edges > u, axis=1)
        distance = np.abs(edges - u).min(axis=1)
        for i in np.flatnonzero(again != levels):
            differ.append((start + int(i), int(levels[i]), int(again[i]), float(distance[i])))
        share = p[np.arange(len(p)), levels] / p.sum(axis=1)
        bits += float(-np.log2(share).sum())
        past = heard[-top:]
    print(
        f"seed {seed}: {len(differ)} of {N_SAMPLES} levels differ; {len(np.unique(drawn))} levels"
        f" drawn, {bits / N_SAMPLES:.2f} bits a sample, logits of the first {CHUNK} samples"
        f" {widest:.1e} apart at most"
    )
    for at, ours, theirs, distance in differ:
        print(f"  sample {at}: {ours}, PyTorch {theirs}; {distance:.1e} from an edge")
    return len(differ)


def model_of(name: str) -> SampleRNN:
    """The network of a preset, in PyTorch."""
    from safetensors.numpy import load_file

    from audiogen.presets import load_preset

    preset = load_preset(name)
    if preset.plays_notes:
        raise SystemExit(f"{name} is told notes, which this study doesn't tell; name another")
    table = preset.samplernn.table()
    names = {field.name for field in fields(SampleRNNConfig)}
    table = {key: value for key, value in table.items() if key in names}
    config = SampleRNNConfig(**table | {"frame_sizes": tuple(table["frame_sizes"])})
    model = SampleRNN(config)
    import_weights(model, load_file(preset.weights_path))
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("preset", nargs="?", help="left out: random weights")
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    main(asked.preset, asked.seeds)
