"""The tensors of a preset: the names and shapes that its network wants, and whether they are so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from audiogen.errors import PresetError
from audiogen.presets.schema import GeneratorTable, Preset, SamplernnTable, suggest

Shapes = dict[str, tuple[int, ...]]


def read_weights(preset: Preset) -> dict[str, np.ndarray]:
    """The tensors of a preset that was loaded, by name: arrays, float32."""
    from safetensors.numpy import load_file

    return load_file(preset.weights_path)


# Inputs of the two layers that tell a `harmonic` block about pitch and time.
_N_MAPS, _N_TIME_FEATURES = 8, 7
_N_NOTE_FEATURES = 33  # what a SampleRNN is told of a note (`representation.note_features`)
_N_BYTE = 256  # levels of one softmax, at most


def weight_shapes(network: GeneratorTable | SamplernnTable) -> Shapes:
    """Names and shapes of the tensors that a network has.

    As `export_weights` of `models.gansynth` or `models.samplernn` gives them.
    """
    if isinstance(network, GeneratorTable):
        return _generator_shapes(network)
    return _samplernn_shapes(network)


def _generator_shapes(generator: GeneratorTable) -> Shapes:
    shapes: Shapes = {}
    n_in, kernel = generator.input_size, tuple(generator.start_shape)
    for b, width in enumerate(generator.channels):
        block = f"blocks.{b}"
        shapes[f"{block}.conv1.weight"] = (width, n_in, *kernel)
        shapes[f"{block}.conv2.weight"] = (width, width, 3, 3)
        shapes[f"{block}.conv1.bias"] = shapes[f"{block}.conv2.bias"] = (width,)
        if generator.conditioning == "harmonic":
            told = f"{block}.conditioning"
            shapes[f"{told}.maps.weight"] = (width, _N_MAPS)
            shapes[f"{told}.time.weight"] = (width, _N_TIME_FEATURES)
            for name, n_out in (("noise", width), ("style1", 2 * width), ("style2", 2 * width)):
                shapes[f"{told}.{name}.weight"] = (n_out, generator.input_size)
                shapes[f"{told}.{name}.bias"] = (n_out,)
        n_in, kernel = width, (3, 3)
    shapes["to_rgb.weight"], shapes["to_rgb.bias"] = (2, n_in), (2,)
    return shapes


def _samplernn_shapes(network: SamplernnTable) -> Shapes:
    shapes: Shapes = {}
    dim, sizes, two_bytes = network.dim, network.frame_sizes, network.q_levels > _N_BYTE
    n_features = network.n_classes + (_N_NOTE_FEATURES if network.conditioning == "note" else 0)
    gates, states = (4, 2) if network.rnn == "lstm" else (3, 1)

    def linear(name: str, n_out: int, n_in: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (n_out, n_in), (n_out,)

    def features(part: str) -> None:
        if n_features:
            shapes[f"{part}.features.weight"] = (dim, n_features)

    for t, (size, below) in enumerate(zip(sizes, [*sizes[1:], 1], strict=True)):
        tier, n_in = f"tiers.{t}", dim
        if t == 0:
            n_in = size + n_features
        else:
            linear(f"{tier}.input", dim, size)
            features(tier)
        for i in range(network.n_rnn):
            linear(f"{tier}.ih.{i}", gates * dim, dim if i else n_in)
            linear(f"{tier}.hh.{i}", gates * dim, dim)
        shapes[f"{tier}.h0"] = (states * network.n_rnn, dim)
        linear(f"{tier}.upsample", size // below * dim, dim)
    n_levels = min(network.q_levels, _N_BYTE)
    shapes["sample.embedding"] = (n_levels, network.embedding_size)
    shapes["sample.layer1.weight"] = (dim, sizes[-1] * network.embedding_size)
    features("sample")
    for layer in ("layer2", "layer3", *(["layer3_low"] if two_bytes else [])):
        linear(f"sample.{layer}", dim, dim)
    linear("sample.output", n_levels, dim)
    if two_bytes:
        linear("sample.output_low", _N_BYTE, dim)
        shapes["sample.embedding_low"] = (_N_BYTE, network.embedding_size)
        shapes["sample.upper"] = (_N_BYTE, dim)
    return shapes


def check_weights(path: str | os.PathLike[str], network: GeneratorTable | SamplernnTable) -> None:
    """Check that a safetensors file holds a network's weights, all of them finite.

    Raises
    ------
    PresetError
        Naming the tensor that is missing, unknown, of another type or shape, or not finite.
    """
    fault = next(weight_faults(path, network), None)
    if fault is not None:
        raise PresetError(f"{os.fspath(path)}: {fault}")


def weight_faults(
    path: str | os.PathLike[str], network: GeneratorTable | SamplernnTable
) -> Iterator[str]:
    """A sentence on each tensor of a safetensors file that isn't what a network wants."""
    from safetensors import SafetensorError, safe_open

    wanted = weight_shapes(network)
    table = "[generator]" if isinstance(network, GeneratorTable) else "[samplernn]"
    try:
        open(path, "rb").close()  # its error says why, where there is one
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            for name in sorted(names | set(wanted)):
                if name not in names:
                    yield f"tensor {name} is missing; {table} wants it"
                elif name not in wanted:
                    yield f"tensor {name} isn't one that {table} has" + suggest(
                        name, sorted(set(wanted) - names) or sorted(wanted)
                    )
                elif fault := _tensor_fault(file, name, wanted[name], table):
                    yield fault
    except (OSError, SafetensorError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        yield f"can't be read as safetensors ({reason})"


def _tensor_fault(file: Any, name: str, shape: tuple[int, ...], table: str) -> str:
    """What is wrong with a tensor; empty if nothing is."""
    header = file.get_slice(name)
    if header.get_dtype() != "F32":
        return f"tensor {name} is {header.get_dtype()}; float32 (F32) is wanted"
    if tuple(header.get_shape()) != shape:
        came = list(header.get_shape())
        return f"tensor {name} has shape {came}; {table} wants {list(shape)}"
    broken = int(np.count_nonzero(~np.isfinite(file.get_tensor(name))))
    if broken:
        return (
            f"tensor {name} has {broken} values that are NaN or infinite; train or export the"
            " preset again"
        )
    return ""
