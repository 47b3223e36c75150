"""Presets: folders of data that hold a trained sound; found, read, checked and written here."""

from audiogen.presets.folders import (
    DEFAULT_PRESET,
    add_measured,
    default_preset,
    find_preset,
    find_presets,
    load_preset,
    read_fields,
    read_toml,
    require_replaceable,
    search_folders,
    write_preset,
)
from audiogen.presets.latents import (
    Latent,
    check_latent,
    is_latent_file,
    read_latent,
    write_latent,
)
from audiogen.presets.layout import latent_map, place
from audiogen.presets.programs import assign_programs, presets_to_play, split_spec
from audiogen.presets.schema import (
    TOML_NAME,
    WEIGHTS_NAME,
    GansynthPreset,
    GeneratorTable,
    Preset,
    SamplernnPreset,
    SamplernnTable,
    TimbreTable,
    check_fields,
    find_faults,
)
from audiogen.presets.weights import check_weights, weight_faults, weight_shapes

__all__ = [
    "DEFAULT_PRESET",
    "TOML_NAME",
    "WEIGHTS_NAME",
    "GansynthPreset",
    "GeneratorTable",
    "Latent",
    "Preset",
    "SamplernnPreset",
    "SamplernnTable",
    "TimbreTable",
    "add_measured",
    "assign_programs",
    "check_fields",
    "check_latent",
    "check_weights",
    "default_preset",
    "find_faults",
    "find_preset",
    "find_presets",
    "is_latent_file",
    "latent_map",
    "load_preset",
    "place",
    "presets_to_play",
    "read_fields",
    "read_latent",
    "read_toml",
    "require_replaceable",
    "search_folders",
    "split_spec",
    "weight_faults",
    "weight_shapes",
    "write_latent",
    "write_preset",
]
