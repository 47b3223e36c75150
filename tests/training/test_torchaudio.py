"""torchaudio's Python part is there, with or without the compiled one, or its absence is clear."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("torch")
needs_torchaudio = pytest.mark.skipif(
    importlib.util.find_spec("torchaudio") is None, reason="torchaudio isn't installed"
)

USE = """
import torch
from audiogen.representation import _torchaudio
torchaudio = _torchaudio.find()
mel = torchaudio.transforms.MelSpectrogram(16000, n_fft=256, n_mels=8)
assert mel(torch.zeros(1000)).shape[0] == 8
assert torchaudio.functional.gain(torch.ones(3), 20.0)[0] == 10.0
assert _torchaudio.find() is torchaudio
"""
# An import hook that behaves as a compiled part that belongs to another torch.
REFUSE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name == "torchaudio._extension":
            raise OSError("Could not load this library: _torchaudio.so")
sys.meta_path.insert(0, Refuse())
try:
    import torchaudio
except OSError:
    pass
else:
    raise SystemExit("the hook doesn't refuse")
"""
ABSENT = """
import sys
sys.modules["torchaudio"] = None
from audiogen.errors import MissingPackageError
from audiogen.representation import _torchaudio
try:
    _torchaudio.find()
except MissingPackageError as error:
    print(error)
"""


def run(*parts: str) -> str:
    """Run lines in a process of their own: what is imported can't be taken back."""
    lines = "".join(textwrap.dedent(part) for part in parts)
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_torchaudio
def test_as_installed() -> None:
    run(USE)


@needs_torchaudio
def test_beside_a_torch_that_its_compiled_part_refuses() -> None:
    run(REFUSE, USE)


def test_without_torchaudio() -> None:
    message = run(ABSENT)
    assert "torchaudio can't be imported" in message and "pip install torchaudio" in message


def test_losses_dont_import_it() -> None:
    run("import sys, audiogen.objectives.losses; assert 'torchaudio' not in sys.modules")
