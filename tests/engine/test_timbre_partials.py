"""Notes of a timbre have its partials, in both backends, and under bends, glides and morphs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

native = pytest.importorskip("audiogen._native", reason="the compiled module isn't built")

from audiogen import _fallback as fallback
from audiogen.core import backend
from audiogen.core.events import note_on, set_parameter
from audiogen.core.parameters import INDEX
from audiogen.engine import Synth
from audiogen.errors import PresetError
from audiogen.presets import find_preset, load_preset
from audiogen.representation.harmonic import pitch_to_hz
from audiogen.representation.partials import (
    TimbrePartials,
    interpolate,
    ratio_of,
    string_partials,
)

RATE = 32000
BELL = [0.62, 1.2, 2.43, 3.55]
STRING = 2e-3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`brass`, whose trumpet has a bell's partials, its trombone a string's; others harmonic."""
    folder = tmp_path_factory.mktemp("presets") / "cracked"
    shutil.copytree(find_preset("brass"), folder)
    text = (folder / "preset.toml").read_text().replace('name = "brass"', 'name = "cracked"')
    trumpet, trombone = (f'[[timbres]]\nname = "{name}"\n' for name in ("trumpet", "trombone"))
    assert trumpet in text and trombone in text
    own = r"^((partials|inharmonicity|vibrato) = \[[^]]*\]|gain_db = .*)\n"
    text = re.sub(own, "", text, flags=re.MULTILINE)
    text = text.replace(trumpet, f"{trumpet}partials = {BELL}\n")
    text = text.replace(trombone, f"{trombone}inharmonicity = {[STRING] * 61}\n")
    (folder / "preset.toml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def preset(folder: Path) -> Any:
    return load_preset(folder)


def far_from(sound: np.ndarray, pitch: float, ratios: list[float], n: int = 6) -> float:
    """Largest distance of a note's loudest peaks from the partials of its timbre."""
    every = ratio_of(np.arange(1.0, 100.0), np.array(ratios))
    return float(np.abs(peaks(sound, n, pitch)[:, None] - every).min(axis=1).max())


def peaks(sound: np.ndarray, n: int, pitch: float) -> np.ndarray:
    """Ratios of the loudest peaks of a note's held part to its pitch, ascending."""
    held = sound[RATE // 2 : 5 * RATE // 2]
    level = np.abs(np.fft.rfft(held * np.hanning(len(held))))
    per_f0 = float(pitch_to_hz(pitch)) * len(held) / RATE  # bins
    found = []
    for _ in range(n):
        top = int(level.argmax())
        found.append(top / per_f0)
        level[max(0, top - int(0.2 * per_f0)) : top + int(0.2 * per_f0)] = 0.0
    return np.sort(found)


@pytest.mark.parametrize(("note", "pitch"), [("D4:3", 62.0), ("A#4:3", 70.0)])
def test_a_note_has_the_partials_of_its_timbre(preset: Any, note: str, pitch: float) -> None:
    sound = Synth(preset, RATE).render(note, timbre="trumpet")
    assert far_from(sound, pitch, BELL) < 0.02
    assert far_from(sound, pitch, [1.0]) > 0.1


def test_partials_of_a_string(preset: Any) -> None:
    sound = Synth(preset, RATE).render("C4:3", timbre="trombone")
    assert far_from(sound, 60.0, string_partials(STRING).tolist()) < 0.03
    assert far_from(sound, 60.0, [1.0]) > 0.1


def test_a_latent_has_the_partials_of_the_timbre_that_it_is(preset: Any) -> None:
    synth = Synth(preset, RATE)
    named = synth.render("D4:1", timbre="trumpet")
    latent = synth.latent("trumpet")
    np.testing.assert_array_equal(synth.render("D4:1", timbre=latent), named)
    other = synth.render("D4:3", timbre=synth.mix("trumpet", "tuba", 0.02))
    assert far_from(other, 62.0, [1.0]) < 0.02


def engines(folder: Path, preset: Any) -> list[Any]:
    instruments = fallback.open_preset(folder).instrument(), preset.instrument()
    return [
        module.Engine(instrument, RATE, 1024, 4, 5)
        for module, instrument in zip((fallback, native), instruments, strict=True)
    ]


@pytest.mark.parametrize("morph", [0.0, 0.5])
@pytest.mark.parametrize("timbre", ["trumpet", "trombone", "tuba"])
def test_both_backends_play_them_alike(
    folder: Path, preset: Any, timbre: str, morph: float
) -> None:
    names, dtype = preset.timbre_names, backend.load().event_dtype
    first = np.array(
        [
            set_parameter(INDEX["morph_timbre"], names.index("trumpet")),
            set_parameter(INDEX["morph"], morph),
            note_on(0, 58.3, 0.8, names.index(timbre)),
        ],
        dtype,
    )
    bend = np.array([set_parameter(INDEX["bend"], 0.7)], dtype)
    got, want = (
        np.concatenate(
            [engine.process(1024, {0: first, 6: bend}.get(i, first[:0])) for i in range(12)]
        )
        for engine in engines(folder, preset)
    )
    assert np.abs(want).max() > 0.02
    np.testing.assert_allclose(got, want, atol=1e-4)


def test_a_bend_moves_all_partials(preset: Any) -> None:
    synth = Synth(preset, RATE)
    synth.timbre = "trumpet"
    synth.set("bend", 2.0)
    synth.note_on(64)
    sound = np.concatenate([synth.process(4096)[:, 0] for _ in range(24)])
    assert far_from(sound, 66.0, BELL) < 0.03


def test_a_glide_ends_at_the_strings_of_its_key(folder: Path, tmp_path: Path) -> None:
    keys = np.geomspace(1e-5, 1e-2, 61).tolist()
    text = (folder / "preset.toml").read_text().replace(str([STRING] * 61), str(keys))
    gliding = shutil.copytree(folder, tmp_path / "cracked")
    (gliding / "preset.toml").write_text(text)
    synth = Synth(load_preset(gliding), RATE)
    synth.timbre = "trombone"
    synth.set("glide", 0.1)
    synth.note_on(36)
    synth.process(4096)
    synth.note_off(36)
    synth.note_on(64)
    sound = np.concatenate([synth.process(4096)[:, 0] for _ in range(24)])
    assert far_from(sound, 64.0, string_partials(keys[64 - 24]).tolist()) < 0.03


@pytest.mark.parametrize("semitones", [-7.0, 12.0])
def test_a_bend_beyond_the_reach_of_transposing(preset: Any, semitones: float) -> None:
    synth = Synth(preset, RATE)
    synth.timbre = "trumpet"
    synth.note_on(62)
    synth.process(4096)
    synth.set("bend", semitones)
    sound = np.concatenate([synth.process(4096)[:, 0] for _ in range(28)])[4 * 4096 :]
    assert far_from(sound, 62.0 + semitones, BELL, 3) < 0.03


def test_a_note_begins_between_the_partials_of_two_timbres(preset: Any) -> None:
    synth = Synth(preset, RATE)
    synth.timbre = "trumpet"
    synth.set("morph_timbre", preset.timbre_names.index("tuba"))
    synth.set("morph", 0.5)
    synth.note_on(60)
    sound = np.concatenate([synth.process(4096)[:, 0] for _ in range(24)])
    middle = interpolate(np.array(BELL), None, 0.5)
    assert middle is not None and far_from(sound, 60.0, middle.tolist()) < 0.03


@pytest.mark.parametrize("ratios", [[2.0, 1.0], [3000.0], list(range(1, 66))])
def test_networks_refuse_wrong_partials(preset: Any, folder: Path, ratios: list[float]) -> None:
    for network in (preset.open_network(), fallback.open_preset(folder).network()):
        with pytest.raises(ValueError, match="ascending ratios"):
            network.generate(np.zeros(16, np.float32), 60.0, partials=ratios)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("partials = [2.0, 1.0]", r"\[0\].partials must be 1 to 64 ascending ratios"),
        ("partials = []", r"partials"),
        ("inharmonicity = [0.2]", r"\[0\].inharmonicity must be coefficients from 0 to 0.1"),
        ("inharmonicity = []", r"\[0\].inharmonicity must be coefficients from 0 to 0.1"),
        ("inharmonicity = [0.001]", r"has 1 numbers; it must have generator.n_pitches=61"),
        (
            f"partials = [1.0]\ninharmonicity = {[0.001] * 61}",
            r"inharmonicity is not supported by a timbre with partials",
        ),
    ],
)
def test_wrong_partials_of_a_preset(tmp_path: Path, line: str, message: str) -> None:
    broken = shutil.copytree(find_preset("brass"), tmp_path / "brass")
    text = (broken / "preset.toml").read_text()
    assert text.count("[[timbres]]\n")
    (broken / "preset.toml").write_text(text.replace("[[timbres]]\n", f"[[timbres]]\n{line}\n", 1))
    for module in (native, fallback):
        with pytest.raises(PresetError, match=message):
            module.open_preset(broken)
    with pytest.raises(PresetError, match=message):
        load_preset(broken)


def test_partials_need_a_network_that_is_conditioned_on_them(
    tmp_path: Path, write_tiny: Any, preset_fields: dict[str, Any]
) -> None:
    first, *others = preset_fields["timbres"]
    fields = {
        "timbres": [first | {"partials": [1.0, 2.4]}, *others],
        "generator": preset_fields["generator"] | {"conditioning": "one_hot"},
        "spectrogram": preset_fields["spectrogram"] | {"phase": "instantaneous_frequency"},
    }
    with pytest.raises(PresetError, match=r"\[0\].partials needs generator.conditioning"):
        write_tiny(tmp_path / "tiny", **fields)
    faults = [
        module.check_preset_fields({**preset_fields, **fields})[1] for module in (native, fallback)
    ]
    assert faults[0] == faults[1]


def test_instruments_refuse_partials_of_no_timbre(preset: Any) -> None:
    fields = preset.to_fields()
    table = fields["spectrogram"] | {"sample_rate": float(RATE)}
    for module, network in (
        (native, preset.open_network()),
        (fallback, fallback.open_preset(preset.folder).network()),
    ):
        parts = network, table, fields["sustain"], (24.0, 84.0), [preset.timbres[0].z], ()
        for wrong in (
            [TimbrePartials((1.0,))] * 2,
            [TimbrePartials((), (-2.0,))],
            [TimbrePartials((1.0,), (0.001,))],
        ):
            with pytest.raises(ValueError, match="timbre"):
                module.Instrument(*parts, wrong)
