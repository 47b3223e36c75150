"""Presets: found, read, refused with the field named, written whole."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from audiogen.errors import ParameterError, PresetError
from audiogen.presets import (
    assign_programs,
    check_fields,
    default_preset,
    find_presets,
    load_preset,
    presets_to_play,
    read_weights,
    split_spec,
    weight_shapes,
    write_preset,
)
from audiogen.presets import folders as preset_folders
from audiogen.presets.timbre_map import with_places

SHIPPED = Path(__file__).parents[2] / "presets"


def change(fields: dict[str, Any], path: str, value: Any) -> None:
    """Set a field named as messages name it, or delete it when the value is `...`."""
    *parents, last = path.replace("[", ".").replace("]", "").split(".")
    table: Any = fields
    for part in parents:
        table = table[int(part) if part.isdigit() else part]
    key = int(last) if last.isdigit() else last
    if value is ...:
        del table[key]
    else:
        table[key] = value


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the only place where presets are looked for."""
    place = tmp_path / "search"
    place.mkdir()
    monkeypatch.setattr(preset_folders, "search_folders", lambda: [place])
    return place


class TestFields:
    def test_good_ones_pass(self, preset_fields):
        preset = check_fields(preset_fields)
        assert preset.timbre().name == "harp"
        assert preset.timbre("guitar").program == 24

    def test_optional_tables_may_be_absent(self, preset_fields):
        for name in ("data", "training", "measured"):
            del preset_fields[name]
        assert check_fields(preset_fields).training is None

    def test_one_hot_passes(self, preset_fields):
        preset_fields["generator"]["conditioning"] = "one_hot"
        preset_fields["spectrogram"]["phase"] = "instantaneous_frequency"
        assert check_fields(preset_fields).generator.input_size == 3 + 61

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            ("format", 2, "format=2 must be 1"),
            ("name", "Tiny Preset", "name='Tiny Preset' must be a name of 1 to 64 small letters"),
            ("licence", ..., "licence is missing; it must be an SPDX licence"),
            ("licens", "MIT", "field licens not found; did you mean licence?"),
            ("sample_rate", 44100.5, "sample_rate=44100.5 must be a whole number from 8000"),
            ("sample_rate", True, "sample_rate=true must be a whole number"),
            (
                "default_timbre",
                "harpp",
                "default_timbre='harpp' not found in timbres; did you",
            ),
            ("spectrogram.frequency", "mel", "'mel' is not supported by phase='harmonic'; use"),
            ("generator.channels", [6, 5, -4], "generator.channels[2]=-4 must be a whole number"),
            ("generator.n_pitches", 120, "generator.n_pitches=120 must be 1 to 104"),
            ("generator.n_maps", 9, "generator.n_maps=9 must be 8 or 12"),
            ("timbres[1].z", [1.0], "timbres[1].z has 1 numbers; it must have generator.latent_si"),
        ],
    )
    def test_a_wrong_one_is_named(self, preset_fields, path, value, message):
        change(preset_fields, path, value)
        with pytest.raises(PresetError) as error:
            check_fields(preset_fields, "x/preset.toml")
        assert str(error.value).startswith("x/preset.toml: ")
        assert message in str(error.value)

    def test_of_an_unknown_kind_only_what_all_have_is_checked(self, samplernn_fields):
        samplernn_fields["kind"] = "wavenet"
        with pytest.raises(PresetError, match=r"must be 'gansynth' or 'samplernn'$"):
            check_fields(samplernn_fields)
        samplernn_fields["sample_rate"] = 1
        with pytest.raises(PresetError, match=r"\(and 1 more\)"):
            check_fields(samplernn_fields)

    def test_which_presets_play_notes(self, preset_fields, samplernn_fields, note_fields):
        assert check_fields(preset_fields).plays_notes
        assert check_fields(note_fields).plays_notes
        assert not check_fields(samplernn_fields).plays_notes
        del samplernn_fields["sampling"]
        assert check_fields(samplernn_fields).sampling.temperature == 1.0

    def test_one_hot_pitch_range_lies_within_its_pitches(self, preset_fields):
        preset_fields["generator"]["conditioning"] = "one_hot"
        preset_fields["pitch_range"] = [20, 84]
        with pytest.raises(PresetError, match=r"pitch_range=\[20, 84\] .* \[24, 84\]"):
            check_fields(preset_fields)

    def test_several_wrong_ones_are_counted(self, preset_fields):
        preset_fields["format"] = preset_fields["name"] = 3
        with pytest.raises(PresetError, match=r"format=3 .* \(and 1 more\)"):
            check_fields(preset_fields)

    def test_unknown_timbre_suggests(self, preset_fields):
        with pytest.raises(PresetError, match="'guitarr' not found in preset 'tiny'; did you mean"):
            check_fields(preset_fields).timbre("guitarr")

    def test_preset_that_was_not_read_has_no_folder(self, preset_fields):
        with pytest.raises(PresetError, match="'tiny' is not on disk"):
            check_fields(preset_fields).folder  # noqa: B018


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@pytest.mark.slow
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(playable=st.booleans(), key=st.sampled_from(range(60)), value=ANYTHING)
def test_any_value_in_any_field_passes_or_is_refused(
    preset_fields, note_fields, playable, key, value
):
    fields = copy.deepcopy(note_fields if playable else preset_fields)
    places = [(fields, name) for name in fields]
    for table in [*fields.values(), fields["timbres"][0]]:
        if isinstance(table, dict):
            places += [(table, inner) for inner in table]
    table, name = places[key % len(places)]
    table[name] = value
    try:
        check_fields(fields)
    except PresetError as error:
        assert len(str(error)) < 600


class TestFile:
    def test_written_and_read_back(self, tmp_path, write_tiny, preset_fields):
        preset = load_preset(write_tiny(tmp_path / "tiny"))
        assert preset.to_fields() == with_places(preset_fields)
        assert preset.folder == tmp_path / "tiny"
        assert preset.size_bytes > 1000
        assert load_preset(preset.folder / "preset.toml") == preset

    @pytest.mark.parametrize("notes", [False, True])
    def test_samplernn_written_and_read_back(
        self, tmp_path, write_murmur, samplernn_fields, note_fields, notes
    ):
        preset = load_preset(write_murmur(tmp_path / "murmur", notes))
        wanted = check_fields(with_places(note_fields if notes else samplernn_fields))
        assert preset == wanted
        again = write_preset(tmp_path / "again", preset, load_file(preset.weights_path))
        assert again == wanted

    def test_odd_texts_survive(self, tmp_path, write_tiny):
        description = 'Bells "à la\x7f\tcarte" \\ 🎵\nand more'
        folder = write_tiny(tmp_path / "tiny", description=description, measured={"a b": 1e-12})
        preset = load_preset(folder)
        assert preset.description == description
        assert preset.measured == {"a b": 1e-12}

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"name = ", "is not TOML: "),
            (b"\xff\xfe", "is not TOML: "),
            (b"a = " + b"[" * 5000, "is not TOML: "),
            (b"", r"format is missing; it must be 1.* \(and \d+ more\)"),
            (b"#" * ((4 << 20) + 1), r"cannot be read \(it is larger than 4194304 bytes\)"),
        ],
    )
    def test_unreadable_toml(self, tmp_path, content, message):
        (tmp_path / "preset.toml").write_bytes(content)
        with pytest.raises(PresetError, match=rf"preset\.toml: {message}"):
            load_preset(tmp_path)

    @settings(
        max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=5))
    def test_damaged_toml_is_read_or_refused(self, tmp_path, preset_fields, changes):
        content = bytearray(preset_folders._to_toml(preset_fields).encode())
        for place, value in changes:
            content[int(place * len(content))] = value
        path = tmp_path / "preset.toml"
        path.write_bytes(bytes(content))
        try:
            preset_folders.read_toml(path)
        except PresetError:
            pass


class TestWeights:
    @pytest.fixture
    def folder(self, tmp_path, write_tiny) -> Path:
        return write_tiny(tmp_path / "tiny")

    @pytest.fixture
    def refuse(self, folder):
        def refuse_weights(name: str, value: Any, message: str) -> None:
            weights = load_file(folder / "weights.safetensors")
            if value is ...:
                del weights[name]
            else:
                weights[name] = value
            save_file(weights, folder / "weights.safetensors")
            with pytest.raises(PresetError, match=rf"weights\.safetensors: {message}"):
                load_preset(folder)

        return refuse_weights

    def test_missing_tensor(self, refuse):
        refuse("to_rgb.bias", ..., "tensor to_rgb.bias is missing")

    def test_unknown_tensor(self, refuse):
        extra = np.zeros(2, np.float32)
        refuse("to_rgb.bia", extra, "tensor to_rgb.bia not found in .* did you mean to_rgb.bias")

    def test_shape(self, refuse):
        wrong = np.zeros((2, 5), np.float32)
        refuse("to_rgb.weight", wrong, r"tensor to_rgb.weight has shape \[2, 5\]; .* \[2, 4\]")

    def test_shape_of_a_samplernn(self, tmp_path, write_murmur):
        folder = write_murmur(tmp_path / "murmur")
        weights = load_file(folder / "weights.safetensors")
        weights["tiers.1.h0"] = np.zeros((2, 12), np.float32)
        save_file(weights, folder / "weights.safetensors")
        with pytest.raises(PresetError, match=r"\[2, 12\]; the network needs \[1, 12\]"):
            load_preset(folder)

    def test_dtype(self, refuse):
        refuse("to_rgb.bias", np.zeros(2), "tensor to_rgb.bias has dtype F64; it must be F32")

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_finite(self, refuse, value):
        wrong = np.array([0.0, value], np.float32)
        refuse("to_rgb.bias", wrong, "tensor to_rgb.bias has 1 values that are NaN or infinite")

    def test_missing_file(self, folder):
        (folder / "weights.safetensors").unlink()
        with pytest.raises(PresetError, match=r"weights\.safetensors: cannot be read .*No such"):
            load_preset(folder)

    def test_truncated_at_many_places(self, folder):
        path = folder / "weights.safetensors"
        content = path.read_bytes()
        for length in [0, 1, 7, 8, 9, *range(20, len(content), 97), len(content) - 1]:
            path.write_bytes(content[:length])
            with pytest.raises(PresetError, match="is not a safetensors file"):
                load_preset(folder)

    def test_header_that_lies(self, folder):
        path = folder / "weights.safetensors"
        for header in ({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}, {"a": 3}, []):
            text = json.dumps(header).encode()
            path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 4)
            with pytest.raises(PresetError, match="is not a safetensors file"):
                load_preset(folder)

    @pytest.mark.parametrize("conditioning", ["harmonic", "one_hot"])
    def test_shapes_are_the_models(self, preset_fields, conditioning):
        pytest.importorskip("torch")
        from audiogen.models.gansynth import Generator, GeneratorConfig, export_weights
        from audiogen.representation.config import SpectrogramConfig

        preset_fields["generator"]["conditioning"] = conditioning
        table = check_fields(preset_fields).generator
        config = GeneratorConfig(
            conditioning=conditioning,
            latent_size=table.latent_size,
            channels=tuple(table.channels),
            start_shape=(2, 16),
            pitch_min=table.pitch_min,
            n_pitches=table.n_pitches,
            note_off_frame=table.note_off_frame,
            n_maps=table.n_maps,
        )
        spectrogram = SpectrogramConfig(n_samples=256, n_fft=128, hop_length=32, n_frames=8)
        weights = export_weights(Generator(config, spectrogram))
        assert {name: w.shape for name, w in weights.items()} == weight_shapes(table)

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"frame_sizes": [6], "n_rnn": 2, "rnn": "lstm"},
            {"frame_sizes": [16, 8, 2], "q_levels": 1 << 16},
            {"q_levels": 77, "conditioning": "class", "n_classes": 3},
            {"conditioning": "note", "n_classes": 2},
            {"frame_sizes": [1], "conditioning": "note", "n_classes": 1},
        ],
    )
    def test_samplernn_shapes_are_the_models(self, samplernn_fields, changes):
        pytest.importorskip("torch")
        from audiogen.models.samplernn import SampleRNN, SampleRNNConfig, export_weights

        config = SampleRNNConfig(**{**samplernn_fields["samplernn"], **changes})
        weights = export_weights(SampleRNN(config))
        assert {name: w.shape for name, w in weights.items()} == weight_shapes(config)


class TestFinding:
    def test_by_name_the_first_place_first(self, tmp_path, monkeypatch, write_tiny):
        places = [tmp_path / "a", tmp_path / "b"]
        write_tiny(places[0] / "bells", description="first")
        write_tiny(places[1] / "bells", description="second")
        write_tiny(places[1] / "air")
        monkeypatch.setenv("AUDIOGEN_PRESETS", f"{places[0]}:{places[1]}")
        found = {folder.name: folder for folder in find_presets()}
        assert found["bells"] == places[0] / "bells"
        assert found["air"] == places[1] / "air"
        assert load_preset("bells").description == "first"

    def test_in_the_users_folder(self, tmp_path, monkeypatch, write_tiny):
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        monkeypatch.delenv("AUDIOGEN_PRESETS", raising=False)
        folder = write_tiny(tmp_path / "audiogen" / "presets" / "mine")
        assert folder in find_presets()

    def test_what_is_closed_is_passed_over(self, search, write_tiny, monkeypatch):
        for name in ("closed", "open"):
            write_tiny(search / name)
        look = os.stat

        def refuse(place, *args, **options):
            if "closed/" in os.fspath(place):
                raise PermissionError(13, "Permission denied", place)
            return look(place, *args, **options)

        monkeypatch.setattr(os, "stat", refuse)
        places = [search / "closed" / "mine", search]
        monkeypatch.setattr(preset_folders, "search_folders", lambda: places)
        names = [folder.name for folder in find_presets()]
        assert "open" in names and "closed" not in names

    def test_unknown_name_suggests_the_nearest(self, search, write_tiny):
        write_tiny(search / "plucked")
        with pytest.raises(PresetError, match="'pluckd' not found; did you mean plucked"):
            load_preset("pluckd")
        with pytest.raises(PresetError, match="'zzz' not found; there are: plucked"):
            load_preset("zzz")

    def test_a_home_of_nobody(self, search):
        with pytest.raises(PresetError, match="'~nobody-there/x' not found"):
            load_preset("~nobody-there/x")

    def test_none_at_all(self, search):
        with pytest.raises(PresetError, match="'x' not found; there are none"):
            load_preset("x")
        with pytest.raises(PresetError, match="no presets are installed; give --preset FOLDER or"):
            default_preset()

    def test_folder_without_a_preset(self, search, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(PresetError, match=r"is a folder without preset\.toml"):
            load_preset(tmp_path / "empty")

    def test_default_is_the_named_one_or_the_first(self, search, write_tiny):
        write_tiny(search / "air")
        assert default_preset() == "air"
        write_tiny(search / preset_folders.DEFAULT_PRESET)
        assert default_preset() == preset_folders.DEFAULT_PRESET

    def test_a_broken_one_is_left_out_with_a_warning(self, search, write_tiny):
        write_tiny(search / "air")
        write_tiny(search / "broken")
        (search / "broken" / "preset.toml").write_text("format = 9")
        with pytest.warns(UserWarning, match="preset 'broken' is left out: .*format=9"):
            assert [preset.name for preset in presets_to_play()] == ["air"]
        (search / "air" / "preset.toml").write_text("")
        with pytest.warns(UserWarning), pytest.raises(PresetError, match="all installed presets"):
            presets_to_play()

    def test_only_presets_that_play_notes_are_played(self, search, write_tiny, write_murmur):
        write_murmur(search / "murmur")
        with pytest.raises(PresetError, match="are broken or play no notes"):
            presets_to_play()
        with pytest.raises(PresetError, match="notes are not supported by preset 'murmur'"):
            presets_to_play("murmur")
        write_murmur(search / "winds", notes=True)
        write_tiny(search / "plucked")
        assert [preset.name for preset in presets_to_play()] == ["plucked", "winds"]


class TestPrograms:
    @pytest.fixture
    def loaded(self, search, write_tiny):
        struck = [
            {"name": "box", "z": [0.0, 0.0, 0.0], "family": "mallet", "program": 10},
            {"name": "vibes", "z": [1.0, 0.0, 0.0], "family": "mallet", "program": 11},
        ]
        write_tiny(search / "plucked")
        write_tiny(search / "struck", timbres=struck, default_timbre="vibes")
        return presets_to_play()

    def test_same_number_then_same_family_then_default(self, loaded):
        assert assign_programs([46, 25, 8, 12, 0], loaded) == {
            46: "plucked:harp",
            25: "plucked:guitar",
            8: "struck:box",
            12: "struck:vibes",
            0: "plucked:harp",
            None: "plucked:harp",
        }

    def test_samplernn_plays_its_programs(self, search, write_tiny, write_murmur):
        write_tiny(search / "plucked")
        write_murmur(search / "winds", notes=True)
        chosen = assign_programs([72, 46], presets_to_play())
        assert (chosen[72], chosen[46]) == ("winds:flute", "plucked:harp")
        [spec] = assign_programs([], presets_to_play("winds")).values()
        assert spec == "winds:oboe"

    def test_timbre_plays_everything_wherever_it_is(self, loaded):
        assert assign_programs([46], loaded, "vibes") == {46: "struck:vibes", None: "struck:vibes"}
        with pytest.raises(PresetError, match="timbre 'vibe' not found; did you mean vibes"):
            assign_programs([46], loaded, "vibe")

    def test_preset_outside_the_search_is_named_by_its_folder(self, loaded, tmp_path, write_tiny):
        folder = write_tiny(tmp_path / "plucked")
        [spec] = assign_programs([], [load_preset(folder)]).values()
        assert split_spec(spec) == (str(folder), "harp")
        assert split_spec(f"{folder}:take 12:30.json") == (str(folder), "take 12:30.json")
        assert split_spec("nobody:take 12:30.json") == ("nobody:take 12", "30.json")

    def test_no_presets(self):
        with pytest.raises(ParameterError, match="presets is empty"):
            assign_programs([0], [])


class TestWriting:
    def test_broken_preset_leaves_what_was_there(self, tmp_path, write_tiny, preset_fields):
        folder = write_tiny(tmp_path / "tiny", description="kept")
        with pytest.raises(PresetError, match=r"tensor .* is missing"):
            write_preset(folder, preset_fields, {"to_rgb.bias": np.zeros(2, np.float32)})
        assert load_preset(folder).description == "kept"
        assert [entry.name for entry in tmp_path.iterdir()] == ["tiny"]

    def test_replaces_a_preset_and_keeps_other_files(self, tmp_path, write_tiny):
        preset = load_preset(write_tiny(tmp_path / "tiny"))
        weights = load_file(preset.weights_path)
        (tmp_path / "sound").write_bytes(b"fLaC")
        files = {"preview.flac": tmp_path / "sound", "preview.png": b"\x89PNG"}
        again = write_preset(preset.folder, preset, weights, files)
        assert again == preset
        assert (again.folder / "preview.flac").read_bytes() == b"fLaC"
        assert (again.folder / "preview.png").read_bytes() == b"\x89PNG"

    def test_refuses_a_folder_that_holds_something_else(self, tmp_path, preset_fields):
        (tmp_path / "thesis.txt").write_text("years of work")
        with pytest.raises(PresetError, match="isn't empty and isn't a preset"):
            write_preset(tmp_path, preset_fields, {})

    @pytest.mark.parametrize("can_exchange", [True, False])
    def test_interrupted_at_any_step_leaves_a_whole_preset(
        self, search, write_tiny, monkeypatch, can_exchange
    ):
        """The process ends at each of the calls that change the disk: one preset or the other."""
        folder = write_tiny(search / "tiny", description="old")
        preset = load_preset(folder)
        new = dataclasses.replace(preset, description="new")
        weights = read_weights(preset)
        if not can_exchange:
            monkeypatch.setattr(preset_folders, "exchange", lambda first, second: False)
        seen = set()
        for last in range(100):
            write_preset(folder, preset, weights)
            calls = iter(range(100))
            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                for name in ("rename", "replace", "fsync"):
                    patch.setattr(os, name, interrupted(getattr(os, name), calls, last))
                patch.setattr(
                    preset_folders, "exchange", interrupted(preset_folders.exchange, calls, last)
                )
                patch.setattr(shutil, "rmtree", lambda *args, **options: None)
                write_preset(folder, new, weights)
                seen.add("whole")
                raise KeyboardInterrupt
            assert [place.name for place in find_presets()] == ["tiny"]
            seen.add(load_preset("tiny").description)
            for litter in search.glob(".*"):
                shutil.rmtree(litter)
            if "whole" in seen:
                break
        assert seen == {"old", "new", "whole"}

    def test_unwritable_place(self, tmp_path, preset_fields):
        (tmp_path / "file").write_text("")
        with pytest.raises(PresetError, match="can't be written"):
            write_preset(tmp_path / "file" / "tiny", preset_fields, {})

    def test_value_that_toml_has_not(self, tmp_path, preset_fields):
        preset_fields["measured"]["what"] = object()
        with pytest.raises(PresetError, match="of type object"):
            write_preset(tmp_path / "tiny", preset_fields, {})


def interrupted(function: Any, calls: Iterator[int], last: int) -> Any:
    """The function, which a call after the last ends as a killed process does."""

    def call(*args: Any, **options: Any) -> Any:
        if next(calls) >= last:
            raise KeyboardInterrupt
        return function(*args, **options)

    return call


shipped = sorted(path.parent for path in SHIPPED.glob("*/preset.toml"))


@pytest.mark.parametrize("folder", shipped, ids=[folder.name for folder in shipped])
def test_shipped_presets_are_whole(folder):
    preset = load_preset(folder)
    assert preset.name == folder.name
    assert preset.data and preset.training
    for name in ("preview.flac", "preview.png"):
        assert (folder / name).is_file()
