"""Checks of a network's config and weights, as they come from a preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from audiogen._fallback.instrument import Array, require
from audiogen.errors import FormatError, ParameterError

Table = TypeVar("Table")


def checked_config(table: type[Table], config: Mapping[str, Any]) -> tuple[Table, float]:
    """Fields of a network and its sample rate (Hz) as the config of the network."""
    fields = dict(config)
    sample_rate = float(fields.pop("sample_rate", 16000.0))
    try:
        return table(**fields), sample_rate
    except TypeError as error:  # a field that is unknown, or of the wrong type
        raise ParameterError(f"config: {error}") from error


def check_precision(precision: str) -> None:
    """Raise `ParameterError` unless the precision is the one that there is."""
    require(
        precision == "float32",
        f"precision={precision!r} needs the compiled module (and 'bfloat16' a CPU that has it);"
        " use 'float32'",
    )


def checked_weights(
    weights: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """The weights as contiguous float32 arrays, if they are those of a network."""
    for name in sorted(shapes.keys() ^ weights.keys()):
        fault = "is missing" if name in shapes else "belongs to no layer of the config"
        raise FormatError(f"weight {name!r} {fault}; were the weights exported for another config?")
    arrays = {}
    for name, shape in shapes.items():
        try:
            array = np.ascontiguousarray(weights[name], np.float32)
        except (TypeError, ValueError):
            raise ParameterError(f"weight {name!r} is not an array of numbers") from None
        if array.shape != shape:
            raise FormatError(f"weight {name!r} has shape {array.shape}; it must be {shape}")
        if not np.isfinite(array).all():
            raise FormatError(f"weight {name!r} holds NaN or infinity; was the training stable?")
        arrays[name] = array
    return arrays
