"""Both backends open presets alike: the same fields, the same messages, the same samples."""

from __future__ import annotations

import copy
import dataclasses
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from audiogen._fallback.presets import preset as fallback
from audiogen.errors import ParameterError, PresetError
from audiogen.presets import load_preset, read_weights
from audiogen.representation.config import SpectrogramConfig
from audiogen.representation.mel import band_map
from audiogen.representation.partials import TimbrePartials

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

native = pytest.importorskip("audiogen._native")
SHIPPED = sorted(path.parent for path in (Path(__file__).parents[2] / "presets").glob("*/*.toml"))
NOTE_ON = 1
N_MUTATIONS = 400  # of each preset
TOML_MUTATIONS = 150

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 24, 127, 128, 256, 257, 65536, 65537, 1 << 31, 1 << 62),
    *(0.0, -0.0, 0.5, 1.0, -1.5, 1e-5, 1e-40, 1e16, 1e15, 123456.789, 1e39, float("nan")),
    *(float("inf"), -float("inf"), "", "x", "harp", "harpp", "a b", "none", "note", "class", "mel"),
    *(
        "gansynth",
        "samplernn",
        "one_hot",
        "linear",
        "mu_law",
        "lstm",
        "x" * 90,
        "é" * 70,
        "\n\x7f'",
    ),
    *("𝄞" * 100, [], [1], [24, 84], [84, 24], [8, 2], [2, 8], [8, 3], [0, 0], ["a"], [[1]], [1.5]),
    *(
        [True],
        {},
        {"a": 1},
        {"name": "b"},
        [{}],
        [{"name": "b"}],
        [3, {"name": "b"}],
        {"é": [1, "x"]},
    ),
    *([64] * 13, [1] * 200, {str(i): i for i in range(60)}),
]
NAMES = [
    "level_db",
    "transpose",
    "semitones_per_key",
    "vibrato",
    "partials",
    "inharmonicity",
    "colour",
    "licens",
    "n_ftt",
    "z",
    "a b",
    "",
    "é",
    "X" * 70,
    "a.b",
    "timbre",
    "temprature",
]


def places(fields: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Every container of the fields with each of its keys."""
    found: list[tuple[Any, Any]] = []
    pending: list[Any] = [fields]
    while pending:
        container = pending.pop()
        entries = list(container.items() if isinstance(container, dict) else enumerate(container))
        for key, value in entries[:40]:
            found.append((container, key))
            if isinstance(value, (dict, list)):
                pending.append(value)
    return found


def mutated(rng: random.Random, fields: dict[str, Any]) -> dict[str, Any]:
    """A copy with one to three fields changed, removed, added, or exchanged with others."""
    fields = copy.deepcopy(fields)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        container, key = rng.choice(places(fields))
        what = rng.randrange(5)
        if what == 0 and isinstance(container, dict):
            container[rng.choice(NAMES)] = copy.deepcopy(rng.choice(VALUES))
        elif what == 1:
            del container[key]
        elif what == 2:
            other, its_key = rng.choice(places(fields))
            container[key] = copy.deepcopy(other[its_key])
        elif what == 3 and isinstance(container, list):
            container.append(copy.deepcopy(rng.choice([*VALUES, container[key]])))
        else:
            container[key] = copy.deepcopy(rng.choice(VALUES))
    return fields


def outcome(module: Any, fields: dict[str, Any]) -> Any:
    """What a backend makes of fields; NaN, which equals nothing, as a text."""
    try:
        checked, faults = module.check_preset_fields(fields)
    except PresetError as error:
        return str(error)
    return repr(checked), faults


@pytest.fixture(params=["tiny", "murmur", "winds"])
def fields(request, preset_fields, samplernn_fields, note_fields) -> dict[str, Any]:
    return {"tiny": preset_fields, "murmur": samplernn_fields, "winds": note_fields}[request.param]


def test_both_find_the_same_faults(fields):
    assert outcome(native, fields) == outcome(fallback, fields)
    n_refused, messages = 0, set()
    for seed in range(N_MUTATIONS):
        changed = mutated(random.Random(seed), fields)
        came, expected = outcome(native, changed), outcome(fallback, changed)
        assert came == expected, f"seed {seed}"
        if came[1]:
            n_refused += 1
            messages |= {fault.partition("=")[0] for fault in came[1]}
            assert all(len(fault) < 600 for fault in came[1])
    assert N_MUTATIONS // 2 < n_refused < N_MUTATIONS
    assert len(messages) > 40


@pytest.mark.slow
def test_both_find_the_same_faults_after_every_single_change(fields):
    """Each field of each table, removed and in turn replaced by each of the values."""
    n_refused = 0
    for at in range(len(places(fields))):
        for value in [..., *VALUES]:
            changed = copy.deepcopy(fields)
            container, key = places(changed)[at]
            if value is ...:
                del container[key]
            else:
                container[key] = copy.deepcopy(value)
            came = outcome(native, changed)
            assert came == outcome(fallback, changed), (key, value)
            n_refused += bool(came[1])
    assert n_refused > 1000


def test_both_read_the_same_toml(tmp_path, preset_fields):
    from audiogen.presets.folders import _to_toml

    path = tmp_path / "preset.toml"
    n_read = 0
    for seed in range(TOML_MUTATIONS):
        rng = random.Random(seed)
        text = bytearray(_to_toml(preset_fields).encode())
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(text))
            what = rng.randrange(3)
            if what == 0:
                text[at] = rng.choice(b"\"'[]{}=.,#\\\n 019aeE-+_")
            elif what == 1:
                del text[at : at + rng.randint(1, 5)]
            else:
                text[at:at] = text[at : at + rng.randint(1, 30)]
        path.write_bytes(text)
        results = []
        for module in (native, fallback):
            try:
                results.append(repr(module.read_preset_fields(path)))
            except PresetError as error:
                assert str(error).startswith(f"{path}: is not TOML: ")
                results.append("refused")
        assert results[0] == results[1], f"seed {seed}"
        n_read += results[0] != "refused"
    assert TOML_MUTATIONS // 10 < n_read < TOML_MUTATIONS


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_shipped_presets_are_read_as_they_stand(folder):
    path = folder / "preset.toml"
    fields = tomllib.loads(path.read_text(encoding="utf-8"))
    assert native.read_preset_fields(path) == fields
    opened, twin = native.open_preset(folder), fallback.open_preset(folder)
    assert opened.description == twin.description
    for timbre in fields.get("timbres", []):
        timbre.setdefault("family", "other")
    for name, value in fields.items():
        if name != "sampling":
            assert opened.description[name] == value
    weights = load_file(folder / "weights.safetensors")
    for read in (opened.weights(), twin.weights(), read_weights(load_preset(folder))):
        assert read.keys() == weights.keys()
        assert all(np.array_equal(read[name], weights[name]) for name in weights)
    assert native.preset_faults(folder) == fallback.preset_faults(folder) == []


class TestFolders:
    @pytest.fixture
    def folder(self, tmp_path, write_tiny) -> Path:
        return write_tiny(tmp_path / "tiny")

    def faults(self, folder: Path) -> list[str]:
        """The faults of a folder, the same by both backends and in the error of opening it."""
        came, expected = native.preset_faults(folder), fallback.preset_faults(folder)
        assert came == expected
        for module in (native, fallback):
            with pytest.raises(PresetError) as error:
                module.open_preset(folder)
            first = f"{folder}/{came[0]}"
            more = f" (and {len(came) - 1} more)" if len(came) > 1 else ""
            assert str(error.value) == first + more
        return came

    def test_files_that_are_not_there(self, folder):
        (folder / "weights.safetensors").unlink()
        assert self.faults(folder) == [
            "weights.safetensors: cannot be read (No such file or directory)"
        ]
        (folder / "weights.safetensors").mkdir()
        assert self.faults(folder) == ["weights.safetensors: cannot be read (it is a folder)"]
        (folder / "preset.toml").unlink()
        assert self.faults(folder) == ["preset.toml: cannot be read (No such file or directory)"]

    def test_several_faults(self, folder):
        path = folder / "preset.toml"
        path.write_text(path.read_text().replace("16000", "1").replace("licence", "licens"))
        assert len(self.faults(folder)) > 2

    def test_every_fault_of_tensors(self, folder):
        weights = load_file(folder / "weights.safetensors")
        del weights["blocks.0.conv1.bias"]
        weights["to_rgb.bia"] = np.zeros(2, np.float32)
        weights["to_rgb.bias"] = np.array([0.0, np.inf], np.float32)
        weights["to_rgb.weight"] = np.zeros((2, 5), np.float32)
        weights["blocks.1.conv1.bias"] = np.zeros(5, np.int64)
        save_file(weights, folder / "weights.safetensors")
        faults = self.faults(folder)
        assert [fault.split()[2] for fault in faults] == [
            "blocks.0.conv1.bias",
            "blocks.1.conv1.bias",
            "to_rgb.bia",
            "to_rgb.bias",
            "to_rgb.weight",
        ]
        assert "has dtype I64; it must be F32" in faults[1]
        assert faults[2].endswith(
            "not found in the network; did you mean blocks.0.conv1.bias?"
        ) or ("not found in the network; " in faults[2])


def rendered(instrument: Any, n_timbres: int) -> np.ndarray:
    """A second of a few notes with several timbres, one after the other."""
    engine = native.Engine(instrument, 48000, 1024, 8, 3)
    blocks = []
    for i in range(24):
        events = np.zeros(1 if i % 4 == 0 else 0, native.event_dtype)
        if len(events):
            events["kind"], events["id"], events["pitch"] = NOTE_ON, i + 1, 48 + i
            events["timbre"], events["value"] = (i // 4) % n_timbres, 0.8
        blocks.append(engine.process(1024, events))
    return np.concatenate(blocks)


def built_in_python(folder: Path) -> tuple[Any, int]:
    """The instrument from the parts that the fields describe, without the opener."""
    fields = tomllib.loads((folder / "preset.toml").read_text(encoding="utf-8"))
    weights, rate = load_file(folder / "weights.safetensors"), float(fields["sample_rate"])
    timbres = fields.get("timbres", [])
    if fields["kind"] == "samplernn":
        network = native.SampleRNN(fields["samplernn"] | {"sample_rate": rate}, weights)
        sampling = {"temperature": 1.0, "top_p": 1.0, **fields.get("sampling", {})}
        pitches = tuple(map(float, fields.get("pitch_range", (-128, 256))))
        n = max(1, len(timbres))
        return native.SampleInstrument(network, *sampling.values(), pitches, n), n
    spectrogram = fields["spectrogram"] | {"sample_rate": rate}
    if spectrogram["frequency"] != "linear":
        spectrogram["band_map"] = band_map(SpectrogramConfig(n_samples=1, **spectrogram))
    generator = native.Generator(fields["generator"] | {"sample_rate": rate}, weights)
    pitches = tuple(map(float, fields["pitch_range"]))
    zs = [timbre["z"] for timbre in timbres]
    sustain = fields.get("sustain", {})
    lowest = fields["generator"]["pitch_min"]
    names = ("partials", "inharmonicity")
    partials = [
        TimbrePartials(*(timbre.get(name, ()) for name in names), lowest) for timbre in timbres
    ]
    instrument = native.Instrument(generator, spectrogram, sustain, pitches, zs, (), partials)
    if "key" in timbres[0]:
        pitch = float(fields["generator"]["pitch_min"])
        fallback = {"pitch": pitch, "pan": 0.0, "group": 0}
        drums = [fallback | timbre for timbre in timbres]
        names = ("key", "pitch", "pan", "group")
        instrument.set_kit([tuple(drum[name] for name in names) for drum in drums], pitch)
    return instrument, len(zs)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_an_opened_preset_plays_as_one_put_together_from_its_parts(folder, tmp_path):
    folder = shutil.copytree(folder, tmp_path / folder.name)
    lines = (folder / "preset.toml").read_text().splitlines()
    of_engine = ("vibrato = ", "gain_db = ")  # no parts
    kept = [line for line in lines if not line.startswith(of_engine)]
    (folder / "preset.toml").write_text("\n".join(kept))
    instrument, n_timbres = built_in_python(folder)
    expected = rendered(instrument, n_timbres)
    assert np.abs(expected).max() > 1e-3
    assert np.array_equal(rendered(native.open_preset(folder).instrument(), n_timbres), expected)
    assert np.array_equal(rendered(load_preset(folder).instrument(), n_timbres), expected)


@pytest.mark.parametrize("frequency", ["mel", "mel_released"])
def test_a_mel_preset_plays_as_one_put_together_from_its_parts(
    tmp_path, write_tiny, preset_fields, frequency
):
    table = preset_fields["spectrogram"] | {
        "frequency": frequency,
        "phase": "instantaneous_frequency",
    }
    folder = write_tiny(tmp_path / "tiny", spectrogram=table)
    instrument, n_timbres = built_in_python(folder)
    expected = rendered(instrument, n_timbres)
    assert np.array_equal(rendered(load_preset(folder).instrument(), n_timbres), expected)


@pytest.mark.parametrize("n_fft", [16, 64, 1024, 2048])
@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
@pytest.mark.parametrize("frequency", ["mel", "mel_released", "mel_nearest"])
def test_band_maps_are_equal(n_fft, sample_rate, frequency):
    config = SpectrogramConfig(
        sample_rate, 1, n_fft, n_fft // 4, 16, frequency, "instantaneous_frequency"
    )
    came = native.band_map(n_fft // 2, sample_rate / 2, frequency != "mel")
    for array, expected in zip(came, band_map(config), strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_allclose(array, expected, rtol=2e-7, atol=0)


def test_a_changed_copy_plays_with_the_same_weights(tmp_path, write_tiny):
    preset = load_preset(write_tiny(tmp_path / "tiny"))
    fewer = dataclasses.replace(
        preset, timbres=preset.timbres[1:2], default_timbre=preset.timbres[1].name
    )
    assert fewer.instrument().n_timbres == 1
    z = preset.timbres[1].z
    expected = rendered(preset.instrument(latent=z), 1)
    assert np.array_equal(rendered(fewer.instrument(), 1), expected)
    other = dataclasses.replace(
        preset, generator=dataclasses.replace(preset.generator, pitch_min=30)
    )
    with pytest.raises(PresetError, match="another network"):
        other.instrument()


def test_what_an_instrument_does_not_support(tmp_path, write_tiny, write_murmur):
    tiny = load_preset(write_tiny(tmp_path / "tiny"))
    murmur = load_preset(write_murmur(tmp_path / "murmur"))
    with pytest.raises(ParameterError, match="precision='int8' is not supported by GANSynth"):
        tiny.instrument("int8")
    with pytest.raises(ParameterError, match="precision='half' not found"):
        tiny.instrument("half")
    with pytest.raises(ParameterError, match="a timbre has 1 numbers"):
        tiny.instrument(latent=[1.0])
    with pytest.raises(ParameterError, match="latent is not supported by preset 'murmur'"):
        murmur.instrument(latent=[1.0])
    assert murmur.instrument("int8").n_timbres == 1


def test_programs_of_an_instrument_are_those_of_the_preset(tmp_path, write_tiny, write_murmur):
    from audiogen.presets import timbre_of_program

    for folder in (write_tiny(tmp_path / "tiny"), write_murmur(tmp_path / "winds", notes=True)):
        preset = load_preset(folder)
        instrument = preset.instrument()
        twin = fallback.open_preset(folder).instrument()
        assert (twin.programs, twin.transposes, twin.semitones_per_key, twin.default_timbre) == (
            list(instrument.programs),
            list(instrument.transposes),
            list(instrument.semitones_per_key),
            instrument.default_timbre,
        )
        names = [preset.timbre_names[i] for i in instrument.programs]
        assert names == [timbre_of_program(i, [preset])[1] for i in range(128)]
        assert preset.timbre_names[instrument.default_timbre] == preset.default_timbre
        reader = native.MidiReader()
        reader.set_programs(instrument)
        events = reader.read(bytes([0x90, 60, 100, 0xC0, 72, 0x90, 61, 100]))
        assert [names[72], preset.default_timbre] == [
            preset.timbre_names[events["timbre"][1]],
            preset.timbre_names[events["timbre"][0]],
        ]
        assert reader.timbre == events["timbre"][1]
