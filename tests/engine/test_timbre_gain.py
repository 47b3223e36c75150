"""The gain of a timbre: played by both backends, and measured from recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiogen.cli.main import main
from audiogen.data.notes.nsynth import SetWriter, read_notes
from audiogen.engine import Synth
from audiogen.errors import ParameterError, PresetError
from audiogen.evaluation.latents.timbre_gains import timbre_gains
from audiogen.presets import load_preset

RATE = 16000
NOTE = [(0.0, 0.2, 60.0, 0.8)]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code)


def gained(timbres: list[dict[str, Any]], **gains: float) -> list[dict[str, Any]]:
    return [t | ({"gain_db": gains[t["name"]]} if t["name"] in gains else {}) for t in timbres]


@pytest.fixture
def timbres(preset_fields: dict[str, Any]) -> list[dict[str, Any]]:
    return list(preset_fields["timbres"])


def test_a_timbre_is_as_much_louder(tmp_path: Path, write_tiny: Any, timbres: Any) -> None:
    plain = Synth(load_preset(write_tiny(tmp_path / "plain")))
    louder = write_tiny(tmp_path / "louder", timbres=gained(timbres, harp=6.0, guitar=-12.0))
    synth = Synth(load_preset(louder))
    for timbre, gain_db in (("harp", 6.0), ("guitar", -12.0), ("dream", 0.0), ("harp+guitar", 0.0)):
        want = 10 ** (gain_db / 20) * plain.render(NOTE, timbre=timbre, seed=1)
        got = synth.render(NOTE, timbre=timbre, seed=1)
        np.testing.assert_allclose(got, want, atol=1e-6 * np.abs(want).max())


def test_both_backends_have_it(tmp_path: Path, write_tiny: Any, timbres: Any) -> None:
    native = pytest.importorskip("audiogen._native", reason="the compiled module isn't built")
    from audiogen import _fallback as fallback
    from audiogen.core import backend
    from audiogen.core.events import note_on

    folder = write_tiny(tmp_path / "louder", timbres=gained(timbres, guitar=9.0))
    event = np.array([note_on(0, 60.0, 0.8, 1)], backend.load().event_dtype)
    instruments = fallback.open_preset(folder).instrument(), load_preset(folder).instrument()
    got, want = (
        module.Engine(instrument, RATE, 256, 4, 5).process(256, event)
        for module, instrument in zip((fallback, native), instruments, strict=True)
    )
    assert np.abs(want).max() > 0
    np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


def test_a_gain_out_of_range(tmp_path: Path, write_tiny: Any, timbres: Any) -> None:
    with pytest.raises(PresetError, match=r"timbres\[0\].gain_db=30.* must be a gain from -24 to"):
        write_tiny(tmp_path / "loud", timbres=gained(timbres, harp=30.0))


def test_levels_of_recordings_are_reached(
    tmp_path: Path,
    write_tiny: Any,
    preset_fields: dict[str, Any],
    timbres: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Recordings that are the preset's own notes, 2 and 5 dB quieter."""
    quiet = preset_fields["spectrogram"] | {"magnitude_scale": 0.4}  # peaks below 1
    fields = {"spectrogram": quiet, "timbres": gained(timbres, guitar=1.0)}
    folder = write_tiny(tmp_path / "tiny", **fields)
    preset = load_preset(folder)
    synth = Synth(preset)
    with SetWriter(tmp_path / "set", RATE) as writer:
        for name, gain_db in (("harp", -2.0), ("guitar", -5.0)):
            for pitch in (50, 60, 70):
                sound = synth.render([(0.0, 3.0, pitch, 90 / 127)], timbre=name, stereo=False)
                assert np.abs(sound).max() < 1.0
                writer.add(
                    10 ** (gain_db / 20) * sound,
                    instrument=name,
                    family="string",
                    source="acoustic",
                    pitch=pitch,
                    velocity=90,
                    qualities=[0] * 10,
                )
    words = ["preset", "levels", folder, "--data", tmp_path / "set"]
    assert run(*words, "--dry-run") == 0
    assert "left as it is" in capsys.readouterr().out
    wanted = timbre_gains(preset, read_notes(tmp_path / "set", sample_rate=RATE))
    assert wanted == pytest.approx({"harp": -2.0, "guitar": 1.0 - 5.0}, abs=0.1)
    assert run(*words) == 0
    assert "2 gains stored" in capsys.readouterr().out
    stored = {timbre.name: timbre.gain_db for timbre in load_preset(folder).timbres}
    assert stored == wanted | {"dream": None}
    other = read_notes(tmp_path / "set", sample_rate=RATE).take([])
    with pytest.raises(ParameterError, match="has no recordings of a timbre of 'tiny'"):
        timbre_gains(preset, other)
