"""Presets for an installation without the native module: their files, and the instrument they make.

The functions and `Preset` are called as those of `audiogen._native`, which is tested against them;
see csrc/presets/preset.h and programs.h.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiogen._fallback.instrument import Vibrato
from audiogen._fallback.parameter_table import ROWS
from audiogen._fallback.presets.description import (
    check_preset_fields,
    drum_of,
    is_kit,
    timbre_partials,
)
from audiogen._fallback.presets.fields import MOST_FAULTS, Table, cut, plain_table
from audiogen.core import backend
from audiogen.core.names import suggest
from audiogen.errors import MissingPackageError, ParameterError, PresetError
from audiogen.models.config import GeneratorConfig, SampleRNNConfig, WeightShapes, weight_shapes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOML_NAME, WEIGHTS_NAME = "preset.toml", "weights.safetensors"
LARGEST_TOML = 4 << 20  # bytes


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
        return plain_table(tomllib.loads(content.decode()), "", 0)
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
                    yield f"tensor {cut(name)} not found in the network" + suggest(name, known)
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
                [timbre_partials(timbre, fields["generator"]["pitch_min"]) for timbre in own],
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
        if is_kit(fields):
            pitch = fields["generator"]["pitch_min"]
            drums = [drum_of(timbre, pitch) for timbre in fields["timbres"]]
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
