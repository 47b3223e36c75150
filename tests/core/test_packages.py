"""Optional packages: a missing one is reported with the command that installs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from audiogen.core.packages import require_package
from audiogen.errors import MissingPackageError


def test_an_installed_module_is_returned():
    assert require_package("json.decoder", "plot", "reading") is sys.modules["json.decoder"]


DEMO = Path(__file__).parents[2] / "presets" / "demo.mid"
OPTIONAL = ("librosa", "matplotlib", "numba", "scipy", "torch", "parselmouth", "midirenderer")


def test_scores_and_sound_files_need_no_optional_package(tmp_path):
    code = f"""
import sys
from pathlib import Path
sys.modules.update(dict.fromkeys({OPTIONAL}))
import numpy as np
import audiogen.bench, audiogen.data, audiogen.evaluation
from audiogen.audio.files import read_audio, write_audio
from audiogen.audio.plots import plot_rainbowgram
from audiogen.data.onsets import onsets
from audiogen.errors import MissingPackageError
from audiogen.evaluation.timbre_features import note_features
from audiogen.notes import as_score
path = {str(tmp_path / "a.wav")!r}
assert len(as_score({str(DEMO)!r})) > 10
write_audio(path, np.zeros(16000), 16000)
assert len(read_audio(path, 8000)) == 8000
for extra, call in (
    ("plot", lambda: plot_rainbowgram(np.zeros(9), 16000, path[:-3] + "png")),
    ("train", lambda: onsets(np.zeros(9999), 16000)),
    ("train", lambda: note_features(np.zeros(9999), 16000)),
):
    try:
        call()
    except MissingPackageError as error:
        assert f'pip install "audiogen-synth[{{extra}}]"' in str(error), error
    else:
        raise AssertionError(extra)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_a_missing_package_and_a_broken_one_are_distinguished(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("raise ImportError('libmissing.so')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        MissingPackageError, match=r"drawing needs absent, which isn't installed: .*\[plot\]"
    ):
        require_package("absent.part", "plot", "drawing")
    with pytest.raises(MissingPackageError, match=r"can.t be imported \(libmissing.so\)"):
        require_package("broken_package", "plot", "drawing")
