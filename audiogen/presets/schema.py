"""What a ``preset.toml`` may say, and the sentence that names a field when it's wrong."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from audiogen.errors import PresetError

FORMAT = 1
TOML_NAME, WEIGHTS_NAME = "preset.toml", "weights.safetensors"
PREVIEW_SOUND, PREVIEW_PICTURE = "preview.flac", "preview.png"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _whole(low: int, high: int) -> Any:
    return Field(ge=low, le=high, description=f"a whole number from {low} to {high}")


_POSITIVE = Field(gt=0, description="a number above 0")
_TEXT = Field(min_length=1, max_length=2000, description="a text, not empty")
_Text = Annotated[str, _TEXT]
_Name = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
        description="a name of small letters, digits, - and _",
    ),
]
_Program = Annotated[int, _whole(0, 127)]
_PITCHES = "the lowest and the highest MIDI pitch: [24, 84]"
_PitchRange = Annotated[list[_Program], Field(min_length=2, max_length=2, description=_PITCHES)]
_SECONDS = Field(ge=0, description="a number of seconds")


# --- Tables of a GANSynth preset ----------------------------------------------------------------


class SpectrogramTable(_Table):
    """``[spectrogram]``: what the generator's numbers mean (`representation.config`)."""

    n_fft: int = Field(ge=16, le=1 << 16, description="a power of two from 16 to 65536")
    hop_length: int = _whole(1, 1 << 15)
    n_frames: int = _whole(1, 1 << 14)
    magnitude_floor: float = _POSITIVE
    magnitude_scale: float = _POSITIVE
    magnitude_offset: float = Field(description="a number")
    frequency_scale: float = _POSITIVE
    frequency: Literal["linear", "mel", "mel_released"] = Field(
        description="'linear', 'mel' or 'mel_released'"
    )
    phase: Literal["harmonic", "instantaneous_frequency"] = Field(
        description="'harmonic' or 'instantaneous_frequency'"
    )

    @model_validator(mode="after")
    def _consistent(self) -> SpectrogramTable:
        if self.n_fft & (self.n_fft - 1):
            raise ValueError(f"n_fft = {self.n_fft} isn't a power of two; 2048 is usual")
        if self.phase == "harmonic" and self.frequency != "linear":
            raise ValueError(
                f"frequency = {self.frequency!r} doesn't go with phase = 'harmonic'; use 'linear'"
            )
        if self.n_fft % self.hop_length or self.hop_length > self.n_fft // 2:
            raise ValueError(
                f"hop_length = {self.hop_length} doesn't divide n_fft = {self.n_fft} into two "
                f"parts or more; use {self.n_fft // 4}"
            )
        return self


class GeneratorTable(_Table):
    """``[generator]``: the sizes of the network (`models.gansynth.GeneratorConfig`)."""

    conditioning: Literal["harmonic", "one_hot"] = Field(description="'harmonic' or 'one_hot'")
    latent_size: int = _whole(1, 4096)
    channels: list[Annotated[int, _whole(1, 4096)]] = Field(
        min_length=1, max_length=12, description="a list of 1 to 12 widths, each 1 to 4096"
    )
    start_shape: list[Annotated[int, _whole(1, 1024)]] = Field(
        min_length=2, max_length=2, description="two whole numbers, frames and bins: [2, 16]"
    )
    pitch_min: int = _whole(0, 127)
    n_pitches: int = _whole(1, 128)
    note_off_frame: int = _whole(0, 1 << 14)

    @model_validator(mode="after")
    def _consistent(self) -> GeneratorTable:
        if self.pitch_min + self.n_pitches > 128:
            raise ValueError(
                f"n_pitches = {self.n_pitches} from pitch_min = {self.pitch_min} on goes beyond "
                "MIDI's highest pitch, 127"
            )
        return self

    @property
    def input_size(self) -> int:
        """Length of the vector that the first layer and the styles see."""
        return self.latent_size + (self.n_pitches if self.conditioning == "one_hot" else 1)

    @property
    def full_shape(self) -> tuple[int, int]:
        """Frames and bins that the last block makes."""
        doublings = len(self.channels) - 1
        return self.start_shape[0] << doublings, self.start_shape[1] << doublings


class SustainTable(_Table):
    """``[sustain]``: which frames a held note repeats, and where its release begins."""

    loop_start_frame: int = _whole(0, 1 << 14)
    loop_end_frame: int = _whole(1, 1 << 14)
    release_frame: int = _whole(0, 1 << 14)

    @model_validator(mode="after")
    def _consistent(self) -> SustainTable:
        if not self.loop_start_frame < self.loop_end_frame <= self.release_frame:
            raise ValueError(
                f"loop_start_frame = {self.loop_start_frame}, loop_end_frame = "
                f"{self.loop_end_frame}, release_frame = {self.release_frame} aren't in order; "
                "the loop must begin before it ends and end no later than the release begins"
            )
        if self.loop_end_frame - self.loop_start_frame < 2:
            raise ValueError(
                f"loop_end_frame = {self.loop_end_frame} is less than 2 frames after "
                f"loop_start_frame = {self.loop_start_frame}; leave more room between them"
            )
        return self


# --- Tables of a SampleRNN preset ---------------------------------------------------------------


class SamplernnTable(_Table):
    """``[samplernn]``: the sizes of the network (`models.samplernn.SampleRNNConfig`)."""

    frame_sizes: list[Annotated[int, _whole(1, 4096)]] = Field(
        min_length=1, max_length=8, description="a list of 1 to 8 whole numbers: [8, 2]"
    )
    dim: int = _whole(1, 4096)
    n_rnn: int = _whole(1, 16)
    rnn: Literal["gru", "lstm"] = Field(description="'gru' or 'lstm'")
    embedding_size: int = _whole(1, 4096)
    q_levels: int = Field(ge=2, le=1 << 16, description="a whole number from 2 to 256, or 65536")
    quantisation: Literal["linear", "mu_law"] = Field(description="'linear' or 'mu_law'")
    conditioning: Literal["none", "class", "note"] = Field(description="'none', 'class' or 'note'")
    n_classes: int = _whole(0, 4096)

    @model_validator(mode="after")
    def _consistent(self) -> SamplernnTable:
        sizes = self.frame_sizes
        if any(a % b or a <= b for a, b in pairwise(sizes)):
            raise ValueError(
                f"frame_sizes = {sizes} don't fall, each a multiple of the next; [8, 2] is usual"
            )
        if 256 < self.q_levels < 1 << 16:
            raise ValueError(f"q_levels = {self.q_levels} isn't 2 to 256, or 65536; use 256")
        least = {"none": 0, "class": 2, "note": 1}[self.conditioning]
        if self.n_classes < least or (self.conditioning == "none" and self.n_classes):
            raise ValueError(
                f"n_classes = {self.n_classes} doesn't go with conditioning = "
                f"{self.conditioning!r}; give {'0' if least == 0 else f'{least} or more'}"
            )
        return self


class SamplingTable(_Table):
    """``[sampling]``: how samples are drawn when the player doesn't say."""

    temperature: float = Field(default=1.0, ge=0.05, le=2.0, description="a number from 0.05 to 2")
    top_p: float = Field(default=1.0, gt=0.0, le=1.0, description="a number above 0, up to 1")


# --- Tables of both -----------------------------------------------------------------------------


class TimbreTable(_Table):
    """One of ``[[timbres]]``: a sound with a name; a SampleRNN's class."""

    name: _Name
    family: _Text = Field(default="other", description="a text, not empty")
    program: _Program | None = Field(
        default=None, description="a General MIDI program from 0 to 127, or nothing"
    )


class LatentTable(TimbreTable):
    """One of ``[[timbres]]`` of a GANSynth: a named point of the latent space."""

    z: list[float] = Field(description="a list of numbers, as many as generator.latent_size")
    family: _Text


class DataTable(_Table):
    """``[data]``: what the preset was trained on."""

    source: _Text
    licence: _Text


class NotesTable(DataTable):
    """``[data]`` of a set of notes."""

    instruments: list[_Text] = Field(min_length=1, description="a list of names")
    held_out: list[_Text] | None = Field(
        default=None, description="a list of names, of instruments whose latents alone were learned"
    )
    notes: int = _whole(1, 1 << 31)


class RecordingsTable(DataTable):
    """``[data]`` of recordings."""

    files: int = _whole(1, 1 << 31)
    seconds: float = _SECONDS


class TrainingTable(_Table):
    """``[training]``: how the weights came to be."""

    command: _Text
    seed: int = _whole(0, (1 << 63) - 1)
    seconds: float = _SECONDS
    steps: int = _whole(0, 1 << 62)
    machine: _Text
    torch: _Text


# --- The whole ----------------------------------------------------------------------------------


class Preset(_Table):
    """What ``preset.toml`` says, checked: a `GansynthPreset` or a `SamplernnPreset`.

    `load_preset` makes one; `folder` is where it was read from.
    """

    format: Literal[1] = Field(description=f"{FORMAT}, the only format there is")
    name: _Name
    kind: Literal["gansynth", "samplernn"] = Field(description="'gansynth' or 'samplernn'")
    description: _Text
    authors: list[_Text] = Field(min_length=1, description="a list of one name or more")
    licence: _Text = Field(description="an SPDX licence, such as 'CC0-1.0'")
    default_timbre: _Name | None = Field(default=None, description="the name of a timbre")
    sample_rate: int = _whole(8000, 192000)
    pitch_range: _PitchRange | None = Field(default=None, description=_PITCHES)
    timbres: Sequence[TimbreTable] = Field(
        default=[], max_length=4096, description="one table [[timbres]] or more"
    )
    data: DataTable | None = Field(default=None, description="a table [data]")
    training: TrainingTable | None = Field(default=None, description="a table [training]")
    measured: dict[str, float] = Field(default={}, description="a table of numbers")

    _folder: Path | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _common(self) -> Preset:
        if self.pitch_range is not None and self.pitch_range[0] > self.pitch_range[1]:
            low, high = self.pitch_range
            raise ValueError(f"pitch_range = [{low}, {high}] is upside down; give [{high}, {low}]")
        names = self.timbre_names
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"timbres: the name {name!r} is there twice; give each its own")
        if self.default_timbre is not None and self.default_timbre not in names:
            raise ValueError(
                f"default_timbre = {self.default_timbre!r} isn't one of timbres"
                + suggest(self.default_timbre, names)
            )
        return self

    @property
    def network(self) -> GeneratorTable | SamplernnTable:
        """The table that says the sizes of the network."""
        raise NotImplementedError

    @property
    def plays_notes(self) -> bool:
        """Whether it plays notes; else it makes sound on its own."""
        return self.pitch_range is not None

    @property
    def folder(self) -> Path:
        """The folder that the preset was read from.

        Raises
        ------
        PresetError
            If it wasn't read from a folder.
        """
        if self._folder is None:
            raise PresetError(f"preset {self.name!r} isn't on disk; write_preset puts it there")
        return self._folder

    @property
    def weights_path(self) -> Path:
        return self.folder / WEIGHTS_NAME

    @property
    def size_bytes(self) -> int:
        """Size of all files of the preset."""
        return sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file())

    @property
    def timbre_names(self) -> list[str]:
        return [timbre.name for timbre in self.timbres]

    def timbre(self, name: str | None = None) -> TimbreTable:
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
            f"timbre {name!r} isn't in preset {self.name!r}" + suggest(str(name), self.timbre_names)
        )


class GansynthPreset(Preset):
    """A generator of whole notes, as spectrograms (`models.gansynth`)."""

    kind: Literal["gansynth"] = Field(description="'gansynth'")
    default_timbre: _Name
    pitch_range: _PitchRange
    spectrogram: SpectrogramTable = Field(description="a table [spectrogram]")
    generator: GeneratorTable = Field(description="a table [generator]")
    sustain: SustainTable = Field(description="a table [sustain]")
    timbres: list[LatentTable] = Field(
        min_length=1, max_length=4096, description="one table [[timbres]] or more"
    )
    data: NotesTable | None = Field(default=None, description="a table [data]")

    @model_validator(mode="after")
    def _consistent(self) -> GansynthPreset:
        spectrogram, generator = self.spectrogram, self.generator
        shape, wanted = generator.full_shape, (spectrogram.n_frames, spectrogram.n_fft // 2)
        if shape != wanted:
            raise ValueError(
                f"generator.start_shape = {generator.start_shape} doubled over the "
                f"{len(generator.channels)} generator.channels makes {shape[0]} frames x {shape[1]}"
                f" bins; spectrogram.n_frames and n_fft / 2 want {wanted[0]} x {wanted[1]}"
            )
        for field, frame in (
            ("generator.note_off_frame", generator.note_off_frame),
            ("sustain.release_frame", self.sustain.release_frame),
        ):
            if frame >= spectrogram.n_frames:
                raise ValueError(
                    f"{field} = {frame} is beyond the last frame; spectrogram.n_frames = "
                    f"{spectrogram.n_frames} allows 0 to {spectrogram.n_frames - 1}"
                )
        low, high = self.pitch_range
        top = generator.pitch_min + generator.n_pitches - 1
        if generator.conditioning == "one_hot" and (low < generator.pitch_min or high > top):
            raise ValueError(
                f"pitch_range = [{low}, {high}] isn't within the pitches that generator.pitch_min "
                f"and n_pitches name; give [{generator.pitch_min}, {top}] or less"
            )
        for i, timbre in enumerate(self.timbres):
            if len(timbre.z) != generator.latent_size:
                raise ValueError(
                    f"timbres[{i}].z ({timbre.name!r}) has {len(timbre.z)} numbers; "
                    f"generator.latent_size = {generator.latent_size} are wanted"
                )
        return self

    @property
    def network(self) -> GeneratorTable:
        return self.generator


class SamplernnPreset(Preset):
    """A network that draws sound sample by sample (`models.samplernn`)."""

    kind: Literal["samplernn"] = Field(description="'samplernn'")
    timbres: list[TimbreTable] = Field(
        default=[], max_length=4096, description="one table [[timbres]] for each class"
    )
    samplernn: SamplernnTable = Field(description="a table [samplernn]")
    sampling: SamplingTable = Field(default=SamplingTable(), description="a table [sampling]")
    data: RecordingsTable | None = Field(default=None, description="a table [data]")

    @model_validator(mode="after")
    def _consistent(self) -> SamplernnPreset:
        network = self.samplernn
        told = f"samplernn.conditioning = {network.conditioning!r}"
        if network.conditioning == "note" and self.pitch_range is None:
            raise ValueError(f"pitch_range is missing; {told} wants {_PITCHES}")
        if network.conditioning != "note" and self.pitch_range is not None:
            raise ValueError(f"pitch_range is for presets that play notes; {told} plays none")
        if len(self.timbres) != network.n_classes:
            raise ValueError(
                f"timbres are {len(self.timbres)}; samplernn.n_classes = {network.n_classes} are "
                "wanted, in the order of the classes"
            )
        if self.timbres and self.default_timbre is None:
            raise ValueError(
                f"default_timbre is missing; give one of {', '.join(self.timbre_names)}"
            )
        return self

    @property
    def network(self) -> SamplernnTable:
        return self.samplernn


KINDS: dict[str, type[Preset]] = {"gansynth": GansynthPreset, "samplernn": SamplernnPreset}


# --- Checking -----------------------------------------------------------------------------------


def check_fields(fields: Mapping[str, Any], path: str | os.PathLike[str] = TOML_NAME) -> Preset:
    """Check the fields of a ``preset.toml``.

    Parameters
    ----------
    fields : mapping
        As `tomllib` gives them.
    path : path
        Named in messages.

    Raises
    ------
    PresetError
        Naming the first wrong field, what came and what was wanted.
    """
    found = _validated(fields)
    if isinstance(found, Preset):
        return found
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    raise PresetError(f"{os.fspath(path)}: {found[0]}{more}")


def find_faults(fields: Mapping[str, Any]) -> list[str]:
    """A sentence on each field of a ``preset.toml`` that is wrong; none if all is well."""
    found = _validated(fields)
    return [] if isinstance(found, Preset) else found


def _validated(fields: Mapping[str, Any]) -> Preset | list[str]:
    """The preset, or a sentence on each field that is wrong."""
    kind = fields.get("kind")
    model = KINDS.get(kind, Preset) if isinstance(kind, str) else Preset
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        details = error.errors(include_url=False)
        if model is Preset:  # of an unknown kind, the fields that all have can be checked
            details = [detail for detail in details if detail["type"] != "extra_forbidden"]
        return [_sentence(detail, model) for detail in details]


def _sentence(detail: Any, model: type[Preset]) -> str:
    """One of pydantic's findings as field, what came, what was wanted."""
    location = detail["loc"]
    field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".")
    kind = detail["type"]
    if kind == "value_error":
        where = f"{field}: " if field and not str(detail["ctx"]["error"]).startswith(field) else ""
        return f"{where}{detail['ctx']['error']}"
    wanted, siblings = _wanted(location, model)
    if kind == "missing":
        return f"{field} is missing; give {wanted}"
    if kind == "extra_forbidden":
        return f"{field} isn't a field of a preset" + suggest(str(location[-1]), siblings)
    came = repr(detail["input"])
    came = came if len(came) <= 80 else came[:77] + "..."
    return f"{field} = {came} isn't right; give {wanted}"


def _wanted(location: Sequence[Any], model: type[_Table]) -> tuple[str, list[str]]:
    """Description of the field at a location, and the names beside it."""
    table: type[_Table] | None = model
    wanted, siblings = "another value", list(model.model_fields)
    for part in location:
        if isinstance(part, int) or table is None:
            continue
        siblings = list(table.model_fields)
        field = table.model_fields.get(part)
        if field is None:
            break
        wanted = field.description or wanted
        kinds = (field.annotation, *get_args(field.annotation))
        table = next((k for k in kinds if isinstance(k, type) and issubclass(k, _Table)), None)
    return wanted, siblings


def suggest(name: str, known: Sequence[str]) -> str:
    """The end of a sentence on an unknown name: the known ones nearest to it."""
    if not known:
        return "; there are none"
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; there are: {', '.join(known[:20])}" + (", ..." if len(known) > 20 else "")
