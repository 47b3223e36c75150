"""Presets for an installation without the native module: the same checks, the same messages.

The functions and `Preset` are called as those of `audiogen._native`, which is tested against them.
csrc/presets/fields.h and description.cpp say what is checked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiogen._fallback.instrument import Drum, Vibrato
from audiogen._fallback.parameter_table import N_MACROS, ROWS
from audiogen.core import backend
from audiogen.core.names import suggest
from audiogen.errors import MissingPackageError, ParameterError, PresetError
from audiogen.models.config import (
    GENERATOR_CONDITIONINGS,
    LARGEST,
    MOST_BLOCKS,
    MOST_LAYERS,
    MOST_PITCHES,
    MOST_TIERS,
    N_GATES,
    SAMPLERNN_CONDITIONINGS,
    GeneratorConfig,
    SampleRNNConfig,
    WeightShapes,
    weight_shapes,
)
from audiogen.representation.levels import QUANTISATIONS
from audiogen.representation.partials import LARGEST_INHARMONICITY, TimbrePartials, are_valid

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOML_NAME, WEIGHTS_NAME = "preset.toml", "weights.safetensors"
LARGEST_TOML = 4 << 20  # bytes
MOST_DEPTH = 64
MOST_TIMBRES = 4096
MOST_FAULTS = 100  # faults reported per preset
LARGEST_NUMBER = float(np.finfo(np.float32).max)
SMALLEST_POSITIVE = float(np.finfo(np.float32).tiny)
_LONGEST_TEXT, _LONGEST_IDENTIFIER, _MOST_SHOWN = 2000, 64, 80  # characters

_TEXT = "a text of 1 to 2000 characters"
_IDENTIFIER = (
    "a name of 1 to 64 small letters, digits, - and _, which begins with a letter or digit"
)
_PITCHES = "the lowest and the highest MIDI pitch, such as [24, 84]"
_VIBRATO = (
    "three or five numbers: depth, 0 to 200 cents; rate, 0.5 to 12 Hz; rise, 0 to 5 s; tremolo, 0"
    " to 24 dB; its phase, -180 to 180 degrees"
)
_PLACE = "two numbers from 0 to 1: x and y on the timbre map"
_PARTIALS = "1 to 64 ascending ratios to the pitch, above 0 and up to 2048"
_INHARMONICITY = "coefficients from 0 to 0.1, as many as generator.n_pitches"
_NAMES = "a list of one name or more"
_ABOVE_ZERO = "a number above 0"
_SECONDS = "a number of seconds, 0 or more"

Table = dict[str, Any]


# --- Values -------------------------------------------------------------------------------------


def shown(value: Any) -> str:
    """A value as error messages show it, in one line of at most 80 characters."""
    return _cut(_shown(value))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def _shown(value: Any) -> str:
    if isinstance(value, str):
        some = value[: _MOST_SHOWN + 1]
        return (
            "'" + "".join(c if c >= " " and c != "\x7f" else f"\\x{ord(c):02x}" for c in some) + "'"
        )
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value[:_MOST_SHOWN])) + "]"
    if isinstance(value, dict):
        some_items = list(value.items())[:_MOST_SHOWN]
        return "{" + ", ".join(f"{_shown(k)} = {_shown(v)}" for k, v in some_items) + "}"
    return repr(value)


def _plain(value: Any, path: str, depth: int = 0) -> Any:
    """A value as TOML can hold it, fields without a value left out."""
    if depth > MOST_DEPTH:
        raise PresetError(f"{path[:80]} is nested deeper than {MOST_DEPTH} levels")
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            raise PresetError(f"{path} is beyond the range of 64 bits")
        return int(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), path, depth + 1)
    if isinstance(value, Mapping):
        return _plain_table(value, path, depth + 1)
    raise PresetError(
        f"{path} is of type {type(value).__name__}, which TOML cannot hold; give a text, number,"
        " list or table"
    )


def _plain_table(table: Mapping[Any, Any], path: str, depth: int) -> Table:
    out = {}
    for key, value in table.items():
        if not isinstance(key, str):
            where = f"a key of {path}" if path else "a key"
            raise PresetError(
                f"{where} is of type {type(key).__name__}, which TOML cannot hold; give a text,"
                " number, list or table"
            )
        if value is not None:
            out[key] = _plain(value, f"{path}.{key}" if path else key, depth)
    return out


# --- Fields -------------------------------------------------------------------------------------


class Fields:
    """Reads the fields of one table and collects faults; see csrc/presets/fields.h."""

    def __init__(self, table: Table, path: str, faults: list[str]):
        self.table, self.path, self._faults = table, path, faults
        self.faultless = True
        self._known: set[str] = set()

    def path_of(self, name: str) -> str:
        bare = (
            name.isascii()
            and 0 < len(name) <= _LONGEST_IDENTIFIER
            and all(c.isalnum() or c in "-_" for c in name)
        )
        text = name if bare else shown(name)
        return f"{self.path}.{text}" if self.path else text

    def add_fault(self, fault: str) -> None:
        self.faultless = False
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(fault)

    def has(self, name: str) -> bool:
        self._known.add(name)
        return name in self.table

    def finish(self) -> None:
        known = sorted(self._known)
        for name in self.table:
            if len(self._faults) >= MOST_FAULTS:
                break
            if name not in self._known:
                self.add_fault(f"field {self.path_of(name)} not found" + suggest(name, known))

    def read(self, name: str, wanted: str, fits: Callable[[Any], bool]) -> Any:
        """The value of a field, or None after a fault."""
        self._known.add(name)
        if name not in self.table:
            self.add_fault(f"{self.path_of(name)} is missing; it must be {wanted}")
            return None
        value = self.table[name]
        if fits(value):
            return value
        self._refuse(self.path_of(name), value, wanted)
        return None

    def read_list(
        self,
        name: str,
        wanted: str,
        sizes: tuple[int, int],
        wanted_item: str,
        fits: Callable[[Any], bool],
    ) -> Any:
        """The items of a list, or None after a fault."""
        items = self.read(
            name, wanted, lambda v: isinstance(v, list) and sizes[0] <= len(v) <= sizes[1]
        )
        for i, item in enumerate(items or []):
            if not fits(item):
                self._refuse(f"{self.path_of(name)}[{i}]", item, wanted_item)
                return None
        return items

    def whole(self, name: str, lowest: int, highest: int, wanted: str = "") -> Any:
        wanted = wanted or f"a whole number from {lowest} to {highest}"
        return self.read(name, wanted, lambda v: _is_whole(v, lowest, highest))

    def number(self, name: str, lowest: float, highest: float, wanted: str) -> Any:
        return self.read(name, wanted, lambda v: _is_number(v, lowest, highest))

    def positive(self, name: str) -> Any:
        return self.number(name, SMALLEST_POSITIVE, LARGEST_NUMBER, _ABOVE_ZERO)

    def text(self, name: str, wanted: str = _TEXT) -> Any:
        return self.read(name, wanted, _is_text)

    def identifier(self, name: str, wanted: str = _IDENTIFIER) -> Any:
        return self.read(name, wanted, _is_identifier)

    def choice(self, name: str, choices: Sequence[str]) -> Any:
        wanted = ", ".join(map(repr, choices[:-1])) + f" or {choices[-1]!r}"
        return self.read(name, wanted, lambda v: isinstance(v, str) and v in choices)

    def texts(self, name: str, wanted: str = _NAMES) -> Any:
        return self.read_list(name, wanted, (1, sys.maxsize), _TEXT, _is_text)

    def wholes(
        self, name: str, sizes: tuple[int, int], lowest: int, highest: int, wanted: str
    ) -> Any:
        item = f"a whole number from {lowest} to {highest}"
        return self.read_list(name, wanted, sizes, item, lambda v: _is_whole(v, lowest, highest))

    def numbers(self, name: str, wanted: str) -> Any:
        def fits(value: Any) -> bool:
            return _is_number(value, -LARGEST_NUMBER, LARGEST_NUMBER)

        return self.read_list(name, wanted, (0, sys.maxsize), "a number", fits)

    def inner(self, name: str, wanted: str = "") -> Any:
        return self.read(name, wanted or f"a table [{name}]", lambda v: isinstance(v, dict))

    def tables(self, name: str, least: int, most: int, wanted: str) -> Any:
        item = f"a table [[{name}]]"
        return self.read_list(name, wanted, (least, most), item, lambda v: isinstance(v, dict))

    def _refuse(self, path: str, value: Any, wanted: str) -> None:
        self.add_fault(f"{path}={shown(value)} must be {wanted}")


def _is_whole(value: Any, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


def _is_number(value: Any, lowest: float, highest: float) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and lowest <= float(value) <= highest
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT


def _is_identifier(value: Any) -> bool:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_IDENTIFIER
        and value[0] in letters
        and all(c in letters + "-_" for c in value)
    )


# --- Tables of a GANSynth -----------------------------------------------------------------------


def _check_spectrogram(table: Table, faults: list[str]) -> None:
    fields = Fields(table, "spectrogram", faults)
    n_fft = fields.whole("n_fft", 16, 1 << 16, "a power of two from 16 to 65536")
    hop_length = fields.whole("hop_length", 1, 1 << 15)
    fields.whole("n_frames", 1, 1 << 14)
    fields.positive("magnitude_floor")
    fields.positive("magnitude_scale")
    fields.number("magnitude_offset", -LARGEST_NUMBER, LARGEST_NUMBER, "a number")
    fields.positive("frequency_scale")
    frequency = fields.choice("frequency", ("linear", "mel", "mel_released"))
    phase = fields.choice("phase", ("harmonic", "instantaneous_frequency"))
    fields.finish()
    if not fields.faultless:
        return
    if n_fft & (n_fft - 1):
        fields.add_fault(f"spectrogram.n_fft={n_fft} must be a power of two, such as 2048")
    elif n_fft % hop_length or hop_length > n_fft // 2:
        fields.add_fault(
            f"spectrogram.hop_length={hop_length} must divide n_fft={n_fft} into two parts or more;"
            f" use {n_fft // 4}"
        )
    if phase == "harmonic" and frequency != "linear":
        fields.add_fault(
            f"spectrogram.frequency={frequency!r} is not supported by phase='harmonic'; use"
            " 'linear'"
        )


def _check_generator(table: Table, faults: list[str]) -> None:
    fields = Fields(table, "generator", faults)
    fields.choice("conditioning", GENERATOR_CONDITIONINGS)
    fields.whole("latent_size", 1, LARGEST)
    wanted = "a list of 1 to 12 widths, such as [64, 32, 16]"
    fields.wholes("channels", (1, MOST_BLOCKS), 1, LARGEST, wanted)
    wanted = "a list of two sizes, frames and bins, such as [2, 16]"
    fields.wholes("start_shape", (2, 2), 1, LARGEST, wanted)
    fields.whole("pitch_min", 0, MOST_PITCHES - 1)
    fields.whole("n_pitches", 1, MOST_PITCHES)
    fields.whole("note_off_frame", 0, LARGEST)
    if fields.has("n_maps"):
        fields.whole("n_maps", 1, LARGEST)
    fields.finish()
    if fields.faultless:
        _check_config(fields, GeneratorConfig)


def _check_sustain(table: Table, faults: list[str]) -> None:
    fields = Fields(table, "sustain", faults)
    start = fields.whole("loop_start_frame", 0, 1 << 14)
    end = fields.whole("loop_end_frame", 1, 1 << 14)
    release = fields.whole("release_frame", 0, 1 << 14)
    fields.finish()
    if not fields.faultless:
        return
    if end < start + 2:
        fields.add_fault(
            f"sustain.loop_end_frame={end} must be 2 frames or more after loop_start_frame={start}"
        )
    if release < end:
        fields.add_fault(f"sustain.release_frame={release} must not be before loop_end_frame={end}")


def _check_macro(table: Table, index: int, faults: list[str]) -> None:
    fields = Fields(table, f"macros[{index}]", faults)
    fields.identifier("name")
    fields.text("help")
    fields.numbers("direction", "a list of numbers, as many as generator.latent_size")
    wanted = "a distance of 0 or less and one of 0 or more, such as [-2.0, 2.5]"
    ends = fields.numbers("range", wanted)
    for name in ("effect", "command"):
        if fields.has(name):
            fields.text(name)
    fields.finish()
    if ends is not None and (len(ends) != 2 or ends[0] > 0 or ends[1] < 0):
        fields.add_fault(f"{fields.path_of('range')}={shown(ends)} must be {wanted}")


# --- Tables of a SampleRNN ----------------------------------------------------------------------


def _check_samplernn(table: Table, faults: list[str]) -> None:
    fields = Fields(table, "samplernn", faults)
    wanted = "a list of 1 to 16 sizes, such as [8, 2]"
    fields.wholes("frame_sizes", (1, MOST_TIERS), 1, LARGEST, wanted)
    fields.whole("dim", 1, LARGEST)
    fields.whole("n_rnn", 1, MOST_LAYERS)
    fields.choice("rnn", tuple(N_GATES))
    fields.whole("embedding_size", 1, LARGEST)
    fields.whole("q_levels", 2, 1 << 16, "2 to 256, or 65536")
    fields.choice("quantisation", QUANTISATIONS)
    fields.choice("conditioning", SAMPLERNN_CONDITIONINGS)
    fields.whole("n_classes", 0, LARGEST)
    fields.finish()
    if fields.faultless:
        _check_config(fields, SampleRNNConfig)


def _check_sampling(table: Table, faults: list[str]) -> None:
    fields = Fields(table, "sampling", faults)
    if fields.has("temperature"):
        fields.number("temperature", 0.05, 2.0, "a number from 0.05 to 2")
    if fields.has("top_p"):
        fields.number("top_p", 0.01, 1.0, "a number from 0.01 to 1")
    fields.finish()


def _check_config(fields: Fields, config: type[GeneratorConfig] | type[SampleRNNConfig]) -> None:
    """Add the faults of a config, which it finds before it has been made."""
    draft: Any = object.__new__(config)
    for name, value in {**_defaults(config), **fields.table}.items():
        object.__setattr__(draft, name, value)
    for fault in draft.faults():
        fields.add_fault(f"{fields.path}.{fault}")


def _defaults(config: type[Any]) -> Table:
    return {name: field.default for name, field in config.__dataclass_fields__.items()}


# --- Tables of both -----------------------------------------------------------------------------


def _check_timbre(table: Table, index: int, gansynth: bool, faults: list[str]) -> None:
    fields = Fields(table, f"timbres[{index}]", faults)
    fields.identifier("name")
    if gansynth:
        fields.numbers("z", "a list of numbers, as many as generator.latent_size")
    if fields.has("family") or gansynth:
        fields.text("family")
    if fields.has("program"):
        fields.whole("program", 0, 127, "a General MIDI program from 0 to 127, or left out")
    if gansynth and fields.has("key"):
        fields.whole("key", 0, 127, "the MIDI key of a drum, 0 to 127, or left out")
        if fields.has("pitch"):
            fields.number("pitch", 0, 127, "a MIDI number from 0 to 127")
        if fields.has("pan"):
            fields.number("pan", -1, 1, "a number from -1 (left) to 1 (right)")
        if fields.has("group"):
            fields.whole("group", 1, 127, "a number from 1 to 127, or left out")
    if fields.has("transpose"):
        fields.whole("transpose", -48, 48, "semitones from -48 to 48")
    if fields.has("semitones_per_key"):
        fields.number("semitones_per_key", 0.01, 12, "semitones from 0.01 to 12")
    if fields.has("level_db"):
        fields.number("level_db", -60, 60, "a level from -60 to 60 dB")
    if fields.has("gain_db"):
        fields.number("gain_db", -24, 24, "a gain from -24 to 24 dB")
    if fields.has("vibrato"):
        values = fields.numbers("vibrato", _VIBRATO)
        ranges = ((0, 200), (0.5, 12), (0, 5), (0, 24), (-180, 180))
        if values is not None and not (
            len(values) in (3, 5)
            and all(low <= x <= high for x, (low, high) in zip(values, ranges, strict=False))
        ):
            fields.add_fault(f"{fields.path_of('vibrato')} must be {_VIBRATO}")
    if gansynth and fields.has("partials"):
        ratios = fields.numbers("partials", _PARTIALS)
        if ratios is not None and not are_valid(ratios):
            fields.add_fault(f"{fields.path_of('partials')} must be {_PARTIALS}")
    if gansynth and fields.has("inharmonicity"):
        values = fields.numbers("inharmonicity", _INHARMONICITY)
        if values is not None and not (
            values and all(0 <= x <= LARGEST_INHARMONICITY for x in values)
        ):
            fields.add_fault(f"{fields.path_of('inharmonicity')} must be {_INHARMONICITY}")
        if fields.has("partials"):
            fields.add_fault(
                f"{fields.path_of('inharmonicity')} is not supported by a timbre with partials;"
                " remove one of them"
            )
    if fields.has("place"):
        place = fields.numbers("place", _PLACE)
        if place is not None and not (len(place) == 2 and all(0 <= x <= 1 for x in place)):
            fields.add_fault(f"{fields.path_of('place')} must be {_PLACE}")
    fields.finish()


def _check_data(table: Table, gansynth: bool, faults: list[str]) -> None:
    fields = Fields(table, "data", faults)
    fields.text("source")
    fields.text("licence")
    if gansynth:
        fields.texts("instruments")
        if fields.has("held_out"):
            fields.texts("held_out")
        fields.whole("notes", 1, 1 << 31)
    else:
        fields.whole("files", 1, 1 << 31)
        fields.number("seconds", 0.0, LARGEST_NUMBER, _SECONDS)
    fields.finish()


def _check_training(table: Table, faults: list[str]) -> None:
    fields = Fields(table, "training", faults)
    fields.text("command")
    fields.whole("seed", 0, (1 << 63) - 1)
    fields.number("seconds", 0.0, LARGEST_NUMBER, _SECONDS)
    fields.whole("steps", 0, 1 << 62)
    fields.text("machine")
    fields.text("torch")
    for name in ("version", "data_sha256"):
        if fields.has(name):
            fields.text(name)
    fields.finish()


def _check_measured(table: Table, faults: list[str]) -> None:
    fields = Fields(table, "measured", faults)
    for name in table:
        fields.number(name, -LARGEST_NUMBER, LARGEST_NUMBER, "a number")


# --- Rules between fields -----------------------------------------------------------------------


def _check_timbre_names(fields: Fields) -> None:
    names = [timbre["name"] for timbre in fields.table.get("timbres", [])]
    for i, name in enumerate(names):
        if name in names[:i]:
            fields.add_fault(
                f"timbres[{i}].name={shown(name)} must differ from the names of the other timbres"
            )
            break
    default = fields.table.get("default_timbre")
    if default is not None and default not in names:
        fields.add_fault(
            f"default_timbre={shown(default)} not found in timbres" + suggest(default, names)
        )


def _check_places(fields: Fields) -> None:
    have = ["place" in timbre for timbre in fields.table.get("timbres", [])]
    if True in have and False in have:
        fields.add_fault(
            f"timbres[{have.index(False)}].place is missing; all timbres must have one, or none"
        )


def _check_keys(fields: Fields) -> None:
    keys = [timbre.get("key") for timbre in fields.table.get("timbres", [])]
    if all(key is None for key in keys):
        return
    for i, key in enumerate(keys):
        if key is None:
            fields.add_fault(
                f"timbres[{i}].key is missing; all timbres of a drum kit must have one"
            )
            return
        if key in keys[:i]:
            fields.add_fault(
                f"timbres[{i}].key={key} must differ from the keys of the other timbres"
            )
            return


def _is_kit(table: Table) -> bool:
    return any("key" in timbre for timbre in table.get("timbres", []))


def _partials(timbre: Table, lowest: int) -> TimbrePartials:
    return TimbrePartials(timbre.get("partials", ()), timbre.get("inharmonicity", ()), lowest)


def _drum(timbre: Table, pitch: float) -> Drum:
    return Drum(
        timbre["key"],
        np.float32(timbre.get("pitch", pitch)),
        np.float32(timbre.get("pan", 0.0)),
        timbre.get("group", 0),
    )


def _check_gansynth(fields: Fields) -> None:
    table = fields.table
    spectrogram, generator = table["spectrogram"], table["generator"]
    config = GeneratorConfig(**generator)
    n_frames, n_bins = spectrogram["n_frames"], spectrogram["n_fft"] // 2
    if config.full_shape != (n_frames, n_bins):
        fields.add_fault(
            f"generator.start_shape={generator['start_shape']} doubled by each of the channels"
            f" after the first makes {config.full_shape[0]} frames x {config.full_shape[1]} bins;"
            f" it must make spectrogram.n_frames={n_frames} x n_fft/2={n_bins}"
        )
    for name, frame in (
        ("generator.note_off_frame", config.note_off_frame),
        ("sustain.release_frame", table.get("sustain", {}).get("release_frame", 0)),
    ):
        if frame >= n_frames:
            fields.add_fault(f"{name}={frame} must be less than spectrogram.n_frames={n_frames}")
    lowest, highest = config.pitch_min, config.pitch_min + config.n_pitches - 1
    low, high = table["pitch_range"]
    if config.conditioning == "one_hot" and not _is_kit(table) and (low < lowest or high > highest):
        fields.add_fault(
            f"pitch_range=[{low}, {high}] must be within the generator's pitches, [{lowest},"
            f" {highest}]"
        )
    for i, timbre in enumerate(table["timbres"]):
        if len(timbre["z"]) != config.latent_size:
            fields.add_fault(
                f"timbres[{i}].z has {len(timbre['z'])} numbers; it must have"
                f" generator.latent_size={config.latent_size}"
            )
    for i, timbre in enumerate(table["timbres"]):
        n = len(timbre.get("inharmonicity", ()))
        if n not in (0, config.n_pitches):
            fields.add_fault(
                f"timbres[{i}].inharmonicity has {n} numbers; it must have"
                f" generator.n_pitches={config.n_pitches}"
            )
    places_partials = config.conditioning == table["spectrogram"]["phase"] == "harmonic"
    for i, timbre in enumerate(table["timbres"]):
        own = [name for name in ("partials", "inharmonicity") if name in timbre]
        if own and not places_partials:
            fields.add_fault(
                f"timbres[{i}].{own[0]} needs generator.conditioning='harmonic' and"
                " spectrogram.phase='harmonic'"
            )
    _check_macros(fields, config.latent_size)


def _check_macros(fields: Fields, latent_size: int) -> None:
    macros = fields.table.get("macros", [])
    names = [macro["name"] for macro in macros]
    for i, macro in enumerate(macros):
        if macro["name"] in names[:i]:
            fields.add_fault(
                f"macros[{i}].name={shown(macro['name'])} must differ from the names of the other"
                " macros"
            )
        if len(macro["direction"]) != latent_size:
            fields.add_fault(
                f"macros[{i}].direction has {len(macro['direction'])} numbers; it must have"
                f" generator.latent_size={latent_size}"
            )


def _check_samplernn_preset(fields: Fields) -> None:
    table = fields.table
    network, timbres = table["samplernn"], table.get("timbres", [])
    by_note = network["conditioning"] == "note"
    if by_note and "pitch_range" not in table:
        fields.add_fault(f"pitch_range is missing; samplernn.conditioning='note' needs {_PITCHES}")
    if not by_note and "pitch_range" in table:
        low, high = table["pitch_range"]
        fields.add_fault(
            f"pitch_range=[{low}, {high}] is not supported by"
            f" samplernn.conditioning={network['conditioning']!r}; leave it out"
        )
    if len(timbres) != network["n_classes"]:
        fields.add_fault(
            f"timbres has {len(timbres)} tables; it must have"
            f" samplernn.n_classes={network['n_classes']}, in the order of the classes"
        )
    elif timbres and "default_timbre" not in table:
        names = ""
        for timbre in timbres:
            if len(names) > 200:
                break
            names += (", " if names else "") + timbre["name"]
        fields.add_fault(f"default_timbre is missing; it must be the name of a timbre: {names}")


def check_preset_fields(fields: Mapping[str, Any]) -> tuple[Table | None, list[str]]:
    """Check the fields of a ``preset.toml``.

    Returns
    -------
    fields : dict or None
        The fields, those that were left out with their defaults; None after a fault.
    faults : list of str
        A message on each field that is wrong.
    """
    table = _plain_table(fields, "", 0)
    faults: list[str] = []
    _check_preset(table, faults)
    return (None if faults else _completed(table)), faults


def _check_preset(table: Table, faults: list[str]) -> None:
    fields = Fields(table, "", faults)
    fields.whole("format", 1, 1, "1, the only format")
    fields.identifier("name")
    kind = fields.choice("kind", ("gansynth", "samplernn"))
    fields.text("description")
    fields.texts("authors")
    fields.text("licence", "an SPDX licence, such as 'CC0-1.0'")
    fields.whole("sample_rate", 8000, 192000)
    if fields.has("training") and (inner := fields.inner("training")) is not None:
        _check_training(inner, faults)
    if fields.has("measured"):
        inner = fields.inner("measured", "a table of numbers")
        if inner is not None:
            _check_measured(inner, faults)
    if kind is None:  # which other fields there are depends on it
        return
    gansynth = kind == "gansynth"
    if fields.has("default_timbre") or gansynth:
        fields.identifier("default_timbre", "the name of a timbre")
    if fields.has("pitch_range") or gansynth:
        pitch_range = fields.wholes("pitch_range", (2, 2), 0, 127, _PITCHES)
        if pitch_range and pitch_range[0] > pitch_range[1]:
            low, high = pitch_range
            fields.add_fault(f"pitch_range=[{low}, {high}] must begin with the lower pitch")
    if fields.has("timbres") or gansynth:
        wanted = (
            "one table [[timbres]] or more" if gansynth else "a table [[timbres]] for each class"
        )
        timbres = fields.tables("timbres", int(gansynth), MOST_TIMBRES, wanted)
        for i, timbre in enumerate(timbres or []):
            _check_timbre(timbre, i, gansynth, faults)
    if fields.has("data") and (inner := fields.inner("data")) is not None:
        _check_data(inner, gansynth, faults)
    checks: dict[str, Callable[[Table, list[str]], None]] = {
        "spectrogram": _check_spectrogram,
        "generator": _check_generator,
    }
    if gansynth and fields.has("sustain"):
        checks["sustain"] = _check_sustain
    if not gansynth:
        checks = {"samplernn": _check_samplernn}
        if fields.has("sampling"):
            checks["sampling"] = _check_sampling
    for name, check in checks.items():
        if (inner := fields.inner(name)) is not None:
            check(inner, faults)
    if gansynth and fields.has("macros"):
        macros = fields.tables("macros", 0, N_MACROS, "up to 8 tables [[macros]]")
        for i, macro in enumerate(macros or []):
            _check_macro(macro, i, faults)
    fields.finish()
    if faults:
        return
    _check_timbre_names(fields)
    _check_places(fields)
    _check_keys(fields)
    (_check_gansynth if gansynth else _check_samplernn_preset)(fields)


def _completed(table: Table) -> Table:
    """The fields with the defaults of those that were left out."""
    table.setdefault("measured", {})
    if table["kind"] == "gansynth":
        return table
    sampling = table.get("sampling", {})
    table["sampling"] = {name: float(sampling.get(name, 1.0)) for name in ("temperature", "top_p")}
    for timbre in table.setdefault("timbres", []):
        timbre.setdefault("family", "other")
    return table


# --- Files --------------------------------------------------------------------------------------


def read_preset_fields(path: str | os.PathLike[str]) -> Table:
    """The fields of a ``preset.toml``, unchecked."""
    return _with_path(path, lambda: _parse(Path(path)))


def _parse(path: Path) -> Table:
    try:
        with _opened(path) as file:
            content = file.read(LARGEST_TOML + 1)
    except OSError as error:
        raise PresetError(f"cannot be read ({_reason(error)})") from error
    if len(content) > LARGEST_TOML:
        raise PresetError(f"cannot be read (it is larger than {LARGEST_TOML} bytes)")
    try:
        return _plain_table(tomllib.loads(content.decode()), "", 0)
    except (ValueError, RecursionError, PresetError) as error:  # TOMLDecodeError is a ValueError
        raise PresetError(f"is not TOML: {error}") from error


def _opened(path: Path) -> Any:
    if path.is_dir():
        raise IsADirectoryError(0, "it is a folder")
    return path.open("rb")


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _with_path(path: str | os.PathLike[str], read: Callable[[], Any]) -> Any:
    try:
        return read()
    except PresetError as error:
        raise PresetError(f"{os.fspath(path)}: {error}") from error


def _fault_message(path: str | os.PathLike[str], faults: Sequence[str]) -> str:
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{os.fspath(path)}: {faults[0]}{more}"


def _network(fields: Table) -> GeneratorConfig | SampleRNNConfig:
    if fields["kind"] == "gansynth":
        return GeneratorConfig(**fields["generator"])
    return SampleRNNConfig(**fields["samplernn"])


def _weight_faults(path: Path, shapes: WeightShapes) -> Iterator[str]:
    """A message on each tensor of a file that does not fit; see csrc/models/weights.h."""
    from safetensors import SafetensorError, safe_open

    try:
        _opened(path).close()
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            for name in sorted(names | set(shapes)):
                if name not in names:
                    wanted = list(shapes[name])
                    yield f"tensor {name} is missing; the network needs it, of shape {wanted}"
                elif name not in shapes:
                    known = sorted(set(shapes) - names) or sorted(shapes)
                    yield f"tensor {_cut(name)} not found in the network" + suggest(name, known)
                elif fault := _tensor_fault(file, name, shapes[name]):
                    yield f"tensor {name} {fault}"
    except OSError as error:
        raise PresetError(f"cannot be read ({_reason(error)})") from error
    except (SafetensorError, ValueError) as error:
        raise PresetError(f"is not a safetensors file: {error}") from error


def _tensor_fault(file: Any, name: str, shape: tuple[int, ...]) -> str:
    header = file.get_slice(name)
    if header.get_dtype() != "F32":
        return f"has dtype {header.get_dtype()}; it must be F32"
    if tuple(header.get_shape()) != shape:
        return f"has shape {list(header.get_shape())}; the network needs {list(shape)}"
    broken = int(np.count_nonzero(~np.isfinite(file.get_tensor(name))))
    if broken:
        return f"has {broken} values that are NaN or infinite; train or export the preset again"
    return ""


def _collected(path: Path, fields: Table) -> list[str]:
    faults = []
    for fault in _weight_faults(path, weight_shapes(_network(fields))):
        faults.append(fault)
        if len(faults) == MOST_FAULTS:
            break
    return faults


def preset_faults(folder: str | os.PathLike[str]) -> list[str]:
    """A message on each fault of the folder of a preset; none if it opens."""
    folder = Path(folder)
    fields = None
    try:
        fields, faults = check_preset_fields(_parse(folder / TOML_NAME))
    except PresetError as error:
        faults = [str(error)]
    if fields is None:
        return [f"{TOML_NAME}: {fault}" for fault in faults]
    try:
        faults = _collected(folder / WEIGHTS_NAME, fields)
    except PresetError as error:
        faults = [str(error)]
    return [f"{WEIGHTS_NAME}: {fault}" for fault in faults]


def open_preset(folder: str | os.PathLike[str]) -> Preset:
    """Open the folder of a preset.

    Raises
    ------
    PresetError
        Naming the file and the first fault.
    """
    from safetensors.numpy import load_file

    folder = Path(folder)
    path = folder / TOML_NAME
    fields, faults = check_preset_fields(read_preset_fields(path))
    if fields is None:
        raise PresetError(_fault_message(path, faults))
    path = folder / WEIGHTS_NAME
    if faults := _with_path(path, lambda: _collected(path, fields)):
        raise PresetError(_fault_message(path, faults))
    return Preset(fields, load_file(path))


def program_table(
    timbres: Sequence[Table], default: str | None
) -> tuple[list[int], list[int], list[float], int]:
    """Timbres, transpositions and steps by General MIDI program, and the default timbre.

    csrc/presets/programs.h describes them.
    """
    names = [timbre["name"] for timbre in timbres]
    default_index = names.index(default) if default in names else 0
    table, transposes, steps = [], [], []
    for program in range(128):
        near = [
            (abs(timbre["program"] - program), i)
            for i, timbre in enumerate(timbres)
            if "program" in timbre and timbre["program"] // 8 == program // 8
        ]
        table.append(min(near)[1] if near else default_index)
        chosen = timbres[table[-1]] if near else {}
        transposes.append(chosen.get("transpose", 0))
        steps.append(float(np.float32(chosen.get("semitones_per_key", 1.0))))
    return table, transposes, steps, default_index


def _vibrato(timbre: Table, pitch_delay_s: float) -> Vibrato | None:
    """Vibrato of a timbre as the engine sets it; csrc/engine/open_instrument.cpp says why."""
    if "vibrato" not in timbre:
        return None
    vibrato = Vibrato(*map(np.float32, timbre["vibrato"]))
    lag = np.float32(360 * pitch_delay_s) * vibrato.rate_hz
    return vibrato._replace(tremolo_phase=vibrato.tremolo_phase - lag)


class Preset:
    """A preset that was opened: its description and weights."""

    def __init__(self, description: Table, weights: Mapping[str, np.ndarray]):
        self.description = description
        self._weights = dict(weights)
        self._networks: dict[str, Any] = {}

    def weights(self) -> dict[str, np.ndarray]:
        """The tensors by name: float32 arrays, copied."""
        return {name: array.copy() for name, array in self._weights.items()}

    def described_by(self, fields: Mapping[str, Any]) -> Preset:
        """The same weights under other fields, which describe the same network."""
        checked, faults = check_preset_fields(fields)
        if checked is None:
            raise PresetError(_fault_message(TOML_NAME, faults))
        if (
            checked["kind"] != self.description["kind"]
            or _network(checked) != _network(self.description)
            or checked["sample_rate"] != self.description["sample_rate"]
        ):
            raise PresetError(
                "the description is of another network than the weights of preset"
                f" '{self.description['name']}'; open the preset that it describes"
            )
        other = Preset(checked, {})
        other._weights, other._networks = self._weights, self._networks
        return other

    def network(self, precision: str = "float32") -> Any:
        """The network alone, which instruments share."""
        from audiogen._fallback.gansynth import Generator
        from audiogen._fallback.samplernn import SampleRNN

        if precision not in self._networks:
            kind = Generator if self.description["kind"] == "gansynth" else SampleRNN
            config = _network(self.description).table()
            config["sample_rate"] = float(self.description["sample_rate"])
            self._networks[precision] = kind(config, self._weights, precision)
        return self._networks[precision]

    def instrument(
        self,
        precision: str = "float32",
        latent: Sequence[float] | None = None,
        frames: Any = None,
        samples: Any = None,
    ) -> Any:
        """An instrument with the preset's timbres, or with a latent as its only one."""
        if frames is not None or samples is not None:  # which a GPU computes
            raise MissingPackageError(backend.MISSING)
        from audiogen._fallback.frame_instrument import Instrument
        from audiogen._fallback.sample_instrument import SampleInstrument

        fields = self.description
        made: Any = None
        if fields["kind"] == "gansynth":
            own = fields["timbres"]
            if latent is not None:
                wanted = np.array(latent, np.float32)
                same = (
                    one for one in own if np.array_equal(np.array(one["z"], np.float32), wanted)
                )
                own = [next(same, {"z": list(latent)})]
            made = Instrument(
                self.network(precision),
                self._spectrogram(),
                fields.get("sustain", {}),
                self._pitch_range(),
                [timbre["z"] for timbre in own],
                self._macros(),
                [_partials(timbre, fields["generator"]["pitch_min"]) for timbre in own],
            )
        elif latent is None:
            made = SampleInstrument(
                self.network(precision),
                fields["sampling"]["temperature"],
                fields["sampling"]["top_p"],
                self._pitch_range(),
                max(1, len(fields["timbres"])),
            )
        else:
            raise ParameterError(
                f"latent is not supported by preset '{fields['name']}', a SampleRNN; choose one of"
                " its timbres"
            )
        timbres = fields["timbres"] if latent is None else []
        made.programs, made.transposes, made.semitones_per_key, made.default_timbre = program_table(
            timbres, fields.get("default_timbre")
        )
        if _is_kit(fields):
            pitch = fields["generator"]["pitch_min"]
            drums = [_drum(timbre, pitch) for timbre in fields["timbres"]]
            made.set_kit(drums, pitch, have_timbres=latent is None)
        if self.description["kind"] == "gansynth":
            spectrogram = self.description["spectrogram"]
            made.pitch_delay_s = spectrogram["n_fft"] / 2 / self.description["sample_rate"]
        made.vibratos = [_vibrato(timbre, made.pitch_delay_s) for timbre in timbres]
        made.gains = [
            np.float32(10) ** (np.float32(timbre.get("gain_db", 0)) / np.float32(20))
            for timbre in timbres
        ]
        made.set_places([timbre["place"] for timbre in timbres if timbre.get("place")])
        return made

    def _macros(self) -> list[Table]:
        macros: list[Table] = self.description.get("macros", [])
        for macro in macros:
            if macro["name"] in ROWS:
                raise ParameterError(
                    f"macro '{macro['name']}' of preset '{self.description['name']}' has the name"
                    " of a parameter; give it another name"
                )
        return macros

    def _pitch_range(self) -> tuple[float, float]:
        low, high = self.description.get("pitch_range", (-128, 256))
        return float(low), float(high)

    def _spectrogram(self) -> Table:
        from audiogen.representation.config import SpectrogramConfig
        from audiogen.representation.mel import band_map

        fields = dict(self.description["spectrogram"])
        fields["sample_rate"] = float(self.description["sample_rate"])
        if fields["frequency"] != "linear":
            fields["band_map"] = band_map(SpectrogramConfig(n_samples=1, **fields))
        return fields
