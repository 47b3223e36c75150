"""The description of a preset: what its ``preset.toml`` says, checked by the backend."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.core import backend
from audiogen.core.names import suggest
from audiogen.errors import ParameterError, PresetError
from audiogen.models.config import GeneratorConfig, SampleRNNConfig
from audiogen.representation.partials import TimbrePartials

FORMAT = 1
TOML_NAME, WEIGHTS_NAME = "preset.toml", "weights.safetensors"
PREVIEW_SOUND, PREVIEW_PICTURE = "preview.flac", "preview.png"


# --- Tables -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SpectrogramTable:
    """``[spectrogram]``: what the generator's numbers mean (`representation.config`)."""

    n_fft: int
    hop_length: int
    n_frames: int
    magnitude_floor: float
    magnitude_scale: float
    magnitude_offset: float
    frequency_scale: float
    frequency: str
    phase: str

    def table(self) -> dict[str, Any]:
        """The table as a dict."""
        return _plain(self)


@dataclass(frozen=True)
class SustainTable:
    """``[sustain]``: the frames that a held note repeats, and where its release begins."""

    loop_start_frame: int
    loop_end_frame: int
    release_frame: int


@dataclass(frozen=True)
class SamplingTable:
    """``[sampling]``: how samples are drawn unless the player sets something else."""

    temperature: float = 1.0
    top_p: float = 1.0


@dataclass(frozen=True)
class Timbre:
    """One of ``[[timbres]]``: a named latent of a GANSynth, or a class of a SampleRNN."""

    name: str
    z: list[float] = field(default_factory=list)
    family: str = "other"
    program: int | None = None
    transpose: int | None = None  # sounding pitch minus key where the program selects it, semitones
    semitones_per_key: float | None = None  # there, from key 60 on; 1 without
    key: int | None = None  # MIDI key that plays it in a drum kit
    pitch: float | None = None  # of a drum, a MIDI number; the generator's lowest without
    pan: float | None = None  # of a drum, -1 (left) to 1
    group: int | None = None  # of drums that end each other, 1 to 127
    level_db: float | None = None  # of the recordings, before their set was brought to one peak
    gain_db: float | None = None  # that brings its notes to the level of the recordings
    # Depth (cents), rate (Hz), rise to it (s); tremolo (dB) and its phase ahead of it (degrees).
    vibrato: list[float] | None = None
    partials: list[float] | None = None  # ratios to the pitch; harmonic without
    inharmonicity: list[float] | None = None  # of strings, at each of the generator's pitches
    place: list[float] | None = None  # on the timbre map, x and y from 0 to 1


@dataclass(frozen=True)
class Macro:
    """One of ``[[macros]]``: a direction in the latent space, for a knob from -1 to 1.

    ``range`` holds the distances along ``direction`` at -1 and 1; ``effect`` is what was measured,
    and ``command`` what found the macro.
    """

    name: str
    help: str
    direction: list[float]
    range: list[float]
    effect: str | None = None
    command: str | None = None


@dataclass(frozen=True, kw_only=True)
class DataTable:
    """``[data]``: what the preset was trained on."""

    source: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class NotesTable(DataTable):
    """``[data]`` of a set of notes; only the latents of instruments held out were learned."""

    instruments: list[str]
    held_out: list[str] | None = None
    notes: int


@dataclass(frozen=True, kw_only=True)
class RecordingsTable(DataTable):
    """``[data]`` of recordings."""

    files: int
    seconds: float


@dataclass(frozen=True)
class TrainingTable:
    """``[training]``: how the weights came to be.

    ``version`` is audiogen's, with the commit of a working tree; ``data_sha256`` is that of the
    sounds (`training.run.card`). Presets of earlier builds lack both.
    """

    command: str
    seed: int
    seconds: float
    steps: int
    machine: str
    torch: str
    version: str | None = None
    data_sha256: str | None = None


# --- Presets ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Preset(ABC):
    """The checked content of a ``preset.toml``: a `GansynthPreset` or a `SamplernnPreset`.

    `load_preset` makes one; `folder` is where it was read from. `dataclasses.replace` changes a
    copy, which still has the weights.
    """

    format: int
    name: str
    kind: str
    description: str
    authors: list[str]
    licence: str
    default_timbre: str | None = None
    sample_rate: int
    pitch_range: list[int] | None = None
    timbres: list[Timbre]
    data: DataTable | None = None
    training: TrainingTable | None = None
    measured: dict[str, float]
    read_from: Path | None = field(default=None, compare=False, repr=False)
    opened: Any = field(default=None, compare=False, repr=False)  # by the backend

    @property
    @abstractmethod
    def network(self) -> GeneratorConfig | SampleRNNConfig:
        """The table that gives the sizes of the network."""

    @property
    def plays_notes(self) -> bool:
        """Whether it plays notes; else it generates audio freely."""
        return self.pitch_range is not None

    @property
    def is_kit(self) -> bool:
        """Whether it is a drum kit: each key plays a timbre of its own."""
        return any(timbre.key is not None for timbre in self.timbres)

    @property
    def folder(self) -> Path:
        """The folder that the preset was read from.

        Raises
        ------
        PresetError
            If it wasn't read from a folder.
        """
        if self.read_from is None:
            raise PresetError(f"preset {self.name!r} is not on disk; use write_preset first")
        return self.read_from

    @property
    def weights_path(self) -> Path:
        """The file of the tensors."""
        return self.folder / WEIGHTS_NAME

    @property
    def size_bytes(self) -> int:
        """Size of all files of the preset."""
        return sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file())

    @property
    def timbre_names(self) -> list[str]:
        """Names of the timbres."""
        return [timbre.name for timbre in self.timbres]

    def timbre(self, name: str | None = None) -> Timbre:
        """A timbre by name, the default one without.

        Raises
        ------
        PresetError
            If there is none of that name; the nearest are named.
        """
        name = self.default_timbre if name is None else name
        for timbre in self.timbres:
            if timbre.name == name:
                return timbre
        raise PresetError(
            f"timbre {name!r} not found in preset {self.name!r}"
            + suggest(str(name), self.timbre_names)
        )

    def to_fields(self) -> dict[str, Any]:
        """The fields of ``preset.toml``, without those that have no value."""
        return _plain(self, leave_out=("read_from", "opened"))

    def instrument(
        self,
        precision: str = "float32",
        latent: Sequence[float] | None = None,
        table: Any = None,
    ) -> Any:
        """An instrument of the backend, which any number of engines share.

        Parameters
        ----------
        precision : str
            Precision of the network's arithmetic: ``float32``, ``bfloat16``, or for a SampleRNN
            ``int8``.
        latent : sequence of float, optional
            Only timbre of the instrument, in place of the preset's; GANSynth only.
        table : FrameTable or SampleTable of the backend, optional
            Frames or samples that something else computes, for engines that render offline.

        Raises
        ------
        PresetError
            If the preset wasn't read from a folder.
        ParameterError
            If the precision or the latent is not supported.
        """
        z = None if latent is None else [float(number) for number in latent]
        if table is None:
            return self._described().instrument(precision, z)
        name = "frames" if self.kind == "gansynth" else "samples"
        return self._described().instrument(precision, z, **{name: table})

    def open_network(self, precision: str = "float32") -> Any:
        """The network alone: a ``Generator`` or ``SampleRNN`` of the backend."""
        return self._described().network(precision)

    def _described(self) -> Any:
        """The backend's opened preset, with this preset's description."""
        opened, described = self._require_opened(), self.to_fields()
        return opened if opened.description == described else opened.described_by(described)

    def _require_opened(self) -> Any:
        if self.opened is None:
            raise PresetError(f"preset {self.name!r} has no weights; load it with load_preset")
        return self.opened


@dataclass(frozen=True, kw_only=True)
class GansynthPreset(Preset):
    """A generator of whole notes, as spectrograms (`models.gansynth`)."""

    default_timbre: str
    pitch_range: list[int]
    spectrogram: SpectrogramTable
    generator: GeneratorConfig
    sustain: SustainTable | None = None  # None: notes play to their end, whatever the note-off
    macros: list[Macro] = field(default_factory=list)
    data: NotesTable | None = None

    @property
    def network(self) -> GeneratorConfig:
        """``[generator]``."""
        return self.generator

    @property
    def drums(self) -> dict[str, tuple[int, float]]:
        """Key and pitch of each timbre of a drum kit by its name; none of other presets."""
        lowest = float(self.generator.pitch_min)
        return {
            timbre.name: (timbre.key, lowest if timbre.pitch is None else timbre.pitch)
            for timbre in self.timbres
            if timbre.key is not None
        }

    def without_keys(self) -> GansynthPreset:
        """A drum kit's network as a preset that plays any pitch with any timbre."""
        lowest = self.generator.pitch_min
        bare = [
            replace(timbre, key=None, pitch=None, pan=None, group=None) for timbre in self.timbres
        ]
        highest = lowest + self.generator.n_pitches - 1
        return replace(self, pitch_range=[lowest, highest], timbres=bare)

    @property
    def partials(self) -> dict[str, TimbrePartials]:
        """Partials of each timbre by its name."""
        return {
            timbre.name: TimbrePartials(
                timbre.partials or (), timbre.inharmonicity or (), self.generator.pitch_min
            )
            for timbre in self.timbres
        }


@dataclass(frozen=True, kw_only=True)
class SamplernnPreset(Preset):
    """A network that draws sound sample by sample (`models.samplernn`)."""

    samplernn: SampleRNNConfig
    sampling: SamplingTable
    data: RecordingsTable | None = None

    @property
    def network(self) -> SampleRNNConfig:
        """``[samplernn]``."""
        return self.samplernn


def require_pitches(preset: Preset, what: str) -> None:
    """Raise `ParameterError` for a drum kit, whose keys are no pitches.

    Parameters
    ----------
    preset : Preset
        The preset.
    what : str
        Name of the feature that needs pitches, for the message.
    """
    if preset.is_kit:
        raise ParameterError(
            f"{what} is not supported by preset {preset.name!r}, a drum kit, whose keys are no"
            " pitches; name another preset (`audiogen presets`)"
        )


# The classes of the tables.
_TABLES: dict[str, Any] = {
    "training": TrainingTable,
    "spectrogram": SpectrogramTable,
    "generator": GeneratorConfig,
    "sustain": SustainTable,
    "samplernn": SampleRNNConfig,
    "sampling": SamplingTable,
}
_KINDS: dict[str, type[Preset]] = {"gansynth": GansynthPreset, "samplernn": SamplernnPreset}


def preset_of(checked: Mapping[str, Any], folder: Path | None = None, opened: Any = None) -> Preset:
    """The preset that fields describe which the backend has checked."""
    tables = {name: cls(**checked[name]) for name, cls in _TABLES.items() if name in checked}
    if "data" in checked:
        data = NotesTable if checked["kind"] == "gansynth" else RecordingsTable
        tables["data"] = data(**checked["data"])
    timbres = [Timbre(**timbre) for timbre in checked["timbres"]]
    if "macros" in checked:
        tables["macros"] = [Macro(**macro) for macro in checked["macros"]]
    every = {**checked, **tables, "timbres": timbres, "read_from": folder, "opened": opened}
    return _KINDS[checked["kind"]](**every)


def _plain(value: Any, leave_out: Sequence[str] = ()) -> Any:
    """A dataclass as a dict as TOML has it; what has no value is left out."""
    if isinstance(value, (GeneratorConfig, SampleRNNConfig)):
        return value.table()
    out: dict[str, Any] = {}
    for entry in fields(value):
        item = getattr(value, entry.name)
        if entry.name in leave_out or item is None:
            continue
        if isinstance(item, list):
            item = [_plain(each) if isinstance(each, (Timbre, Macro)) else each for each in item]
            if not item and entry.name in ("z", "macros"):  # z: a class of a SampleRNN
                continue
        elif hasattr(item, "__dataclass_fields__"):
            item = _plain(item)
        out[entry.name] = item
    return out


def read_weights(preset: Preset) -> dict[str, np.ndarray]:
    """The tensors of a preset by name: arrays, float32.

    Raises
    ------
    PresetError
        If the preset wasn't read from a folder.
    """
    weights: dict[str, np.ndarray] = preset._require_opened().weights()
    return weights


# --- Checking -----------------------------------------------------------------------------------


def check_fields(
    fields_of_toml: Mapping[str, Any], path: str | os.PathLike[str] = TOML_NAME
) -> Preset:
    """Check the fields of a ``preset.toml``.

    Parameters
    ----------
    fields_of_toml : mapping
        Fields of a ``preset.toml``.
    path : path
        Named in messages.

    Raises
    ------
    PresetError
        If a field is wrong; the message names the first one, its value and what it must be.
    """
    try:
        checked, faults = backend.load().check_preset_fields(fields_of_toml)
    except PresetError as error:
        raise PresetError(f"{os.fspath(path)}: {error}") from error
    if checked is None:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise PresetError(f"{os.fspath(path)}: {faults[0]}{more}")
    return preset_of(checked)


def find_faults(fields_of_toml: Mapping[str, Any]) -> list[str]:
    """A message on each field of a ``preset.toml`` that is wrong; none if all is well."""
    faults: list[str] = backend.load().check_preset_fields(fields_of_toml)[1]
    return faults
