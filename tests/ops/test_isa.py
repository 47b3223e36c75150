"""Each instruction set that this machine has passes the oracle tests; a wrong name is an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_native = pytest.importorskip("audiogen._native", reason="the native module was not built")
ORACLE = Path(__file__).with_name("test_oracle.py")


@pytest.mark.parametrize("isa", _native.available_isas())
def test_oracle(isa):
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-k", "native or asked", str(ORACLE)],
        env={**os.environ, "AUDIOGEN_ISA": isa},
        cwd=ORACLE.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert "skipped" not in run.stdout.splitlines()[-1]


def test_results_of_all_sets_agree():
    # The seam of the polynomials, not their last bit: contraction differs between the sets.
    code = (
        "import numpy as np; from audiogen import ops;"
        "x = np.linspace(-60, 60, 4001, dtype=np.float32);"
        "z = ops.polar_to_rectangular(x / 8, x); print(z.view(np.float32).tobytes().hex())"
    )
    values = []
    for isa in _native.available_isas():
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "AUDIOGEN_ISA": isa},
            capture_output=True,
            text=True,
            check=True,
        )
        values.append(np_from_hex(run.stdout.strip()))
    for value in values[1:]:
        assert abs(value - values[0]).max() < 1e-6 * abs(values[0]).max()


def np_from_hex(text):
    import numpy as np

    return np.frombuffer(bytes.fromhex(text), np.float32)


@pytest.mark.parametrize("name", ["sse9", "AVX2 "])
def test_unknown_instruction_set_is_an_error(name):
    run = subprocess.run(
        [sys.executable, "-c", "from audiogen import _native; _native.isa()"],
        env={**os.environ, "AUDIOGEN_ISA": name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("audiogen.errors.ParameterError")
    assert name in last and "baseline" in last
