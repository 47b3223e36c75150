"""Presets: folders of data that hold a trained sound; found, read, checked and written here."""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from audiogen.errors import ParameterError, PresetError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FORMAT = 1
DEFAULT_PRESET = "plucked"
TOML_NAME, WEIGHTS_NAME = "preset.toml", "weights.safetensors"
LARGEST_TOML = 4 << 20  # bytes; a preset of hundreds of timbres has a tenth of it

# Inputs of the two layers that tell a `harmonic` block about pitch and time.
_N_MAPS, _N_TIME_FEATURES = 8, 7


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


class SpectrogramTable(_Table):
    """``[spectrogram]``: what the generator's numbers mean (`representation.config`)."""

    n_fft: int = Field(ge=16, le=1 << 16, description="a power of two from 16 to 65536")
    hop_length: int = _whole(1, 1 << 15)
    n_frames: int = _whole(1, 1 << 14)
    magnitude_floor: float = _POSITIVE
    magnitude_scale: float = _POSITIVE
    magnitude_offset: float = Field(description="a number")
    frequency_scale: float = _POSITIVE
    frequency: Literal["linear"] = Field(description="'linear'")
    phase: Literal["harmonic", "instantaneous_frequency"] = Field(
        description="'harmonic' or 'instantaneous_frequency'"
    )

    @model_validator(mode="after")
    def _consistent(self) -> SpectrogramTable:
        if self.n_fft & (self.n_fft - 1):
            raise ValueError(f"n_fft = {self.n_fft} isn't a power of two; 2048 is usual")
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


class TimbreTable(_Table):
    """One of ``[[timbres]]``: a named point of the latent space."""

    name: _Name
    z: list[float] = Field(description="a list of numbers, as many as generator.latent_size")
    family: _Text
    program: _Program | None = Field(
        default=None, description="a General MIDI program from 0 to 127, or nothing"
    )


class DataTable(_Table):
    """``[data]``: what the preset was trained on."""

    source: _Text
    licence: _Text
    instruments: list[_Text] = Field(min_length=1, description="a list of names")
    notes: int = _whole(1, 1 << 31)


class TrainingTable(_Table):
    """``[training]``: how the weights came to be."""

    command: _Text
    seed: int = _whole(0, (1 << 63) - 1)
    seconds: float = Field(ge=0, description="a number of seconds")
    steps: int = _whole(0, 1 << 62)
    machine: _Text
    torch: _Text


class Preset(_Table):
    """What ``preset.toml`` says, checked.

    `load_preset` makes one; `folder` is where it was read from.
    """

    format: Literal[1] = Field(description=f"{FORMAT}, the only format there is")
    name: _Name
    kind: Literal["gansynth"] = Field(description="'gansynth'")
    description: _Text
    authors: list[_Text] = Field(min_length=1, description="a list of one name or more")
    licence: _Text = Field(description="an SPDX licence, such as 'CC0-1.0'")
    default_timbre: _Name
    sample_rate: int = _whole(8000, 192000)
    pitch_range: list[_Program] = Field(
        min_length=2, max_length=2, description="the lowest and the highest MIDI pitch: [24, 84]"
    )
    spectrogram: SpectrogramTable = Field(description="a table [spectrogram]")
    generator: GeneratorTable = Field(description="a table [generator]")
    sustain: SustainTable = Field(description="a table [sustain]")
    timbres: list[TimbreTable] = Field(
        min_length=1, max_length=4096, description="one table [[timbres]] or more"
    )
    data: DataTable | None = None
    training: TrainingTable | None = None
    measured: dict[str, float] = Field(default={}, description="a table of numbers")

    _folder: Path | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _consistent(self) -> Preset:
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
        if low > high:
            raise ValueError(f"pitch_range = [{low}, {high}] is upside down; give [{high}, {low}]")
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
        names = self.timbre_names
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"timbres: the name {name!r} is there twice; give each its own")
        if self.default_timbre not in names:
            raise ValueError(
                f"default_timbre = {self.default_timbre!r} isn't one of timbres"
                + _suggest(self.default_timbre, names)
            )
        return self

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
            f"timbre {name!r} isn't in preset {self.name!r}" + _suggest(name, self.timbre_names)
        )


# --- Finding ------------------------------------------------------------------------------------


def search_folders() -> list[Path]:
    """Folders that are searched for presets, first one first.

    Those of ``$AUDIOGEN_PRESETS``, the user's (``$XDG_DATA_HOME/audiogen/presets``, usually
    ``~/.local/share/audiogen/presets``), the installed package's and the checkout's.
    """
    variable = os.environ.get("AUDIOGEN_PRESETS", "")
    folders = [Path(entry).expanduser() for entry in variable.split(os.pathsep) if entry]
    data_home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    folders.append(Path(data_home).expanduser() / "audiogen" / "presets")
    package = Path(__file__).resolve().parent
    folders.append(package / "_presets")
    if (package.parent / "pyproject.toml").is_file():
        folders.append(package.parent / "presets")
    return folders


def find_presets() -> list[Path]:
    """Folders of all presets that can be loaded by name, sorted by name.

    Where two have one name, the one that is found first counts (`search_folders`).
    """
    found: dict[str, Path] = {}
    for folder in search_folders():
        if folder.is_dir():
            for file in folder.glob(f"*/{TOML_NAME}"):
                found.setdefault(file.parent.name, file.parent)
    return [found[name] for name in sorted(found)]


def default_preset() -> str:
    """Name of the preset that plays when none is asked for.

    Raises
    ------
    PresetError
        If no preset can be found.
    """
    names = [folder.name for folder in find_presets()]
    if not names:
        raise PresetError(
            "no presets are installed; give --preset FOLDER or set AUDIOGEN_PRESETS to a folder of "
            "presets"
        )
    return DEFAULT_PRESET if DEFAULT_PRESET in names else names[0]


def _resolve(name_or_path: str | os.PathLike[str]) -> Path:
    path = Path(name_or_path).expanduser()
    if path.name == TOML_NAME and path.is_file():
        return path.parent
    if (path / TOML_NAME).is_file():
        return path
    presets = {folder.name: folder for folder in find_presets()}
    name = os.fspath(name_or_path)
    if name in presets:
        return presets[name]
    if path.is_dir():
        raise PresetError(f"preset {name!r} is a folder without {TOML_NAME}; name another")
    raise PresetError(f"preset {name!r} isn't known" + _suggest(name, list(presets)))


def _suggest(name: str, known: Sequence[str]) -> str:
    if not known:
        return "; there are none"
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; there are: {', '.join(known[:20])}" + (", ..." if len(known) > 20 else "")


# --- Reading ------------------------------------------------------------------------------------


def load_preset(name_or_path: str | os.PathLike[str]) -> Preset:
    """Find, read and check a preset, its weights included.

    Parameters
    ----------
    name_or_path : str or path
        A name (`find_presets`), a preset's folder, or its ``preset.toml``.

    Returns
    -------
    Preset

    Raises
    ------
    PresetError
        If it isn't found (the nearest names are suggested), or if anything in it is wrong: the
        file and the field or tensor are named.
    """
    folder = _resolve(name_or_path)
    preset = read_toml(folder / TOML_NAME)
    preset._folder = folder
    check_weights(folder / WEIGHTS_NAME, preset.generator)
    return preset


def read_toml(path: str | os.PathLike[str]) -> Preset:
    """Read and check a ``preset.toml`` alone, without the weights beside it.

    Raises
    ------
    PresetError
        If it can't be read or a field is wrong.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_TOML + 1)
    except OSError as error:
        raise PresetError(f"{path}: can't be read ({error.strerror or error})") from error
    if len(content) > LARGEST_TOML:
        raise PresetError(f"{path}: is larger than {LARGEST_TOML >> 20} MiB; that is no preset")
    try:
        fields = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, UnicodeDecodeError
        raise PresetError(f"{path}: isn't a TOML file ({error})") from error
    return check_fields(fields, path)


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
    try:
        return Preset.model_validate(fields)
    except ValidationError as error:
        sentences = [_sentence(detail) for detail in error.errors(include_url=False)]
        more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
        raise PresetError(f"{os.fspath(path)}: {sentences[0]}{more}") from error


def _sentence(detail: Any) -> str:
    """One of pydantic's findings as field, what came, what was wanted."""
    location = detail["loc"]
    field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".")
    kind = detail["type"]
    if kind == "value_error":
        where = f"{field}: " if field and not str(detail["ctx"]["error"]).startswith(field) else ""
        return f"{where}{detail['ctx']['error']}"
    wanted, siblings = _wanted(location)
    if kind == "missing":
        return f"{field} is missing; give {wanted}"
    if kind == "extra_forbidden":
        return f"{field} isn't a field of a preset" + _suggest(str(location[-1]), siblings)
    came = repr(detail["input"])
    came = came if len(came) <= 80 else came[:77] + "..."
    return f"{field} = {came} isn't right; give {wanted}"


def _wanted(location: Sequence[Any]) -> tuple[str, list[str]]:
    """Description of the field at a location, and the names beside it."""
    model: Any = Preset
    wanted, siblings = "another value", list(Preset.model_fields)
    for part in location:
        if isinstance(part, int) or model is None:
            continue
        siblings = list(model.model_fields)
        field = model.model_fields.get(part)
        if field is None:
            break
        wanted = field.description or wanted
        model = _TABLES.get(part)
    return wanted, siblings


_TABLES = {
    "spectrogram": SpectrogramTable,
    "generator": GeneratorTable,
    "sustain": SustainTable,
    "timbres": TimbreTable,
    "data": DataTable,
    "training": TrainingTable,
}


def weight_shapes(generator: GeneratorTable) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that a generator has (`models.gansynth.export_weights`)."""
    shapes: dict[str, tuple[int, ...]] = {}
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
            shapes[f"{told}.noise"] = (width,)
            for style in ("style1", "style2"):
                shapes[f"{told}.{style}.weight"] = (2 * width, generator.input_size)
                shapes[f"{told}.{style}.bias"] = (2 * width,)
        n_in, kernel = width, (3, 3)
    shapes["to_rgb.weight"], shapes["to_rgb.bias"] = (2, n_in), (2,)
    return shapes


def check_weights(path: str | os.PathLike[str], generator: GeneratorTable) -> None:
    """Check that a safetensors file holds a generator's weights, all of them finite.

    Raises
    ------
    PresetError
        Naming the tensor that is missing, unknown, of another type or shape, or not finite.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    wanted = weight_shapes(generator)
    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            for name in sorted(names | set(wanted)):
                if name not in names:
                    raise PresetError(f"{path}: tensor {name} is missing; [generator] wants it")
                if name not in wanted:
                    raise PresetError(
                        f"{path}: tensor {name} isn't one that [generator] has"
                        + _suggest(name, sorted(set(wanted) - names) or sorted(wanted))
                    )
                header = file.get_slice(name)
                if header.get_dtype() != "F32":
                    raise PresetError(
                        f"{path}: tensor {name} is {header.get_dtype()}; float32 (F32) is wanted"
                    )
                if tuple(header.get_shape()) != wanted[name]:
                    raise PresetError(
                        f"{path}: tensor {name} has shape {list(header.get_shape())}; [generator] "
                        f"wants {list(wanted[name])}"
                    )
                broken = int(np.count_nonzero(~np.isfinite(file.get_tensor(name))))
                if broken:
                    raise PresetError(
                        f"{path}: tensor {name} has {broken} values that are NaN or infinite; "
                        "train or export the preset again"
                    )
    except (OSError, SafetensorError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PresetError(f"{path}: can't be read as safetensors ({reason})") from error


# --- Which timbre plays which program -----------------------------------------------------------


def split_spec(spec: str) -> tuple[str, str | None]:
    """Split ``PRESET[:TIMBRE]``.

    Examples
    --------
    >>> split_spec("plucked:harp"), split_spec("plucked")
    (('plucked', 'harp'), ('plucked', None))
    """
    name, colon, timbre = spec.rpartition(":")
    if not colon or (Path(spec) / TOML_NAME).is_file():
        return spec, None
    return name, timbre


def presets_to_play(preset: str | os.PathLike[str] | None = None) -> list[Preset]:
    """Load one preset, or all that can be found with the default one first.

    Parameters
    ----------
    preset : str or path, optional
        As `load_preset` takes it; all presets without. One of all that is broken is left out, with
        a warning that says why.

    Raises
    ------
    PresetError
        If the preset is unknown or broken, or there are none.
    """
    if preset is not None:
        return [load_preset(preset)]
    default = default_preset()
    loaded = []
    for folder in sorted(find_presets(), key=lambda folder: folder.name != default):
        try:
            loaded.append(load_preset(folder))
        except PresetError as error:
            warnings.warn(f"preset {folder.name!r} is left out: {error}", stacklevel=2)
    if not loaded:
        raise PresetError("every preset that is installed is broken; `audiogen presets` says why")
    return loaded


def assign_programs(
    programs: Iterable[int], presets: Sequence[Preset], timbre: str | None = None
) -> dict[int | None, str]:
    """Choose a timbre for each General MIDI program of a score.

    A timbre of the same program; or else the one of the same family of eight programs whose number
    is nearest; or else the default timbre of the first preset.

    Parameters
    ----------
    programs : iterable of int
        As `Score.programs` gives them.
    presets : sequence of Preset
        To choose from; the first one is the default.
    timbre : str, optional
        Plays everything, from the first preset that has it.

    Returns
    -------
    dict of int or None to str
        ``PRESET:TIMBRE`` for each program, and for any other under None.

    Raises
    ------
    ParameterError
        If there are no presets.
    PresetError
        If no preset has the timbre; the nearest are named.
    """
    if not presets:
        raise ParameterError("presets is empty; give one preset or more to choose from")
    if timbre is not None:
        owners = [preset for preset in presets if timbre in preset.timbre_names]
        if not owners:
            names = [name for preset in presets for name in preset.timbre_names]
            raise PresetError(f"timbre {timbre!r} isn't known" + _suggest(timbre, names))
        spec = f"{_spec_name(owners[0])}:{timbre}"
        return {**dict.fromkeys(programs, spec), None: spec}
    choices = [
        (choice.program, f"{_spec_name(preset)}:{choice.name}")
        for preset in presets
        for choice in preset.timbres
        if choice.program is not None
    ]
    default = f"{_spec_name(presets[0])}:{presets[0].default_timbre}"
    chosen: dict[int | None, str] = {}
    for program in programs:
        family = [choice for choice in choices if choice[0] // 8 == program // 8]
        nearest = min(family, key=lambda choice: abs(choice[0] - program), default=(-1, default))
        chosen[program] = nearest[1]
    return {**chosen, None: default}


def _spec_name(preset: Preset) -> str:
    """The shortest text that `load_preset` finds a preset by."""
    folder = preset.folder
    return folder.name if folder in find_presets() else os.fspath(folder)


# --- Writing ------------------------------------------------------------------------------------


def write_preset(
    folder: str | os.PathLike[str],
    preset: Preset | Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    files: Mapping[str, bytes | os.PathLike[str]] | None = None,
) -> Preset:
    """Check a preset and write it as a folder: the whole of it or nothing.

    Parameters
    ----------
    folder : path
        Where it goes; a preset that is there already is replaced.
    preset : Preset or mapping
        The fields of ``preset.toml``.
    weights : mapping of str to array, float32
        As `models.gansynth.export_weights` gives them.
    files : mapping of str to bytes or path, optional
        Other files by name, such as ``preview.flac``: their content, or where to copy them from.

    Returns
    -------
    Preset
        As `load_preset` reads it from the folder.

    Raises
    ------
    PresetError
        If the preset is wrong, or the folder can't be written or holds something else.
    """
    from safetensors.numpy import save_file

    folder = Path(folder)
    if folder.exists() and not (folder / TOML_NAME).is_file() and any(folder.iterdir()):
        raise PresetError(f"{folder}: isn't empty and isn't a preset; choose another folder")
    fields = preset.model_dump(exclude_none=True) if isinstance(preset, Preset) else preset
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            new, old = temporary / "new", temporary / "old"
            new.mkdir()
            (new / TOML_NAME).write_text(_to_toml(fields), encoding="utf-8")
            save_file({k: np.ascontiguousarray(v) for k, v in weights.items()}, new / WEIGHTS_NAME)
            (new / WEIGHTS_NAME).chmod(0o644)  # safetensors makes it private
            for name, content in (files or {}).items():
                if isinstance(content, bytes):
                    (new / name).write_bytes(content)
                else:
                    shutil.copyfile(content, new / name)
            load_preset(new)
            if folder.exists():
                os.replace(folder, old)
            os.replace(new, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise PresetError(f"{folder}: can't be written ({error.strerror or error})") from error
    return load_preset(folder)


def _to_toml(fields: Mapping[str, Any]) -> str:
    """Write fields as TOML: plain values first, then tables, then lists of tables."""
    lines = ["# A preset of audiogen: data only. `audiogen info` shows it."]
    tables = {k: v for k, v in fields.items() if isinstance(v, Mapping)}
    lists = {k: v for k, v in fields.items() if _is_list_of_tables(v)}
    for key, value in fields.items():
        if key not in tables and key not in lists and value is not None:
            lines.append(f"{_toml_key(key)} = {_toml_value(value)}")
    for key, table in tables.items():
        lines += ["", f"[{_toml_key(key)}]", *_toml_lines(table)]
    for key, entries in lists.items():
        for table in entries:
            lines += ["", f"[[{_toml_key(key)}]]", *_toml_lines(table)]
    return "\n".join(lines) + "\n"


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], Mapping)


def _toml_lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{_toml_key(k)} = {_toml_value(v)}" for k, v in table.items() if v is not None]


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml_value(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    if isinstance(value, (list, tuple, np.ndarray)):
        items = [_toml_value(item) for item in value]
        if sum(len(item) + 2 for item in items) <= 80:
            return f"[{', '.join(items)}]"
        rows = [items[i : i + 8] for i in range(0, len(items), 8)]
        return "[\n" + "".join(f"  {', '.join(row)},\n" for row in rows) + "]"
    raise PresetError(f"{value!r} of type {type(value).__name__} can't be written to {TOML_NAME}")
