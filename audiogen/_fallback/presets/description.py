"""The description of a preset: which fields ``preset.toml`` has, and the rules between them.

Python twin of csrc/presets/description.h: the same checks, the same messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from audiogen._fallback.instrument import Drum
from audiogen._fallback.parameter_table import N_MACROS
from audiogen._fallback.presets.fields import LARGEST_NUMBER, Fields, Table, plain_table, shown
from audiogen.core.names import suggest
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
)
from audiogen.representation.levels import QUANTISATIONS
from audiogen.representation.partials import LARGEST_INHARMONICITY, TimbrePartials, are_valid

MOST_TIMBRES = 4096
_PITCHES = "the lowest and the highest MIDI pitch, such as [24, 84]"
_VIBRATO = (
    "three or five numbers: depth, 0 to 200 cents; rate, 0.5 to 12 Hz; rise, 0 to 5 s; tremolo, 0"
    " to 24 dB; its phase, -180 to 180 degrees"
)
_PLACE = "two numbers from 0 to 1: x and y on the timbre map"
_PARTIALS = "1 to 64 ascending ratios to the pitch, above 0 and up to 2048"
_INHARMONICITY = "coefficients from 0 to 0.1, as many as generator.n_pitches"
_SECONDS = "a number of seconds, 0 or more"


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


def is_kit(table: Table) -> bool:
    return any("key" in timbre for timbre in table.get("timbres", []))


def timbre_partials(timbre: Table, lowest: int) -> TimbrePartials:
    return TimbrePartials(timbre.get("partials", ()), timbre.get("inharmonicity", ()), lowest)


def drum_of(timbre: Table, pitch: float) -> Drum:
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
    if config.conditioning == "one_hot" and not is_kit(table) and (low < lowest or high > highest):
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
    table = plain_table(fields, "", 0)
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
