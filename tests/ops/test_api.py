"""Types, dtypes and devices of arguments and results, and the error messages."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from audiogen import ops
from audiogen.core import backend as _native
from audiogen.errors import AudiogenError, MissingPackageError, ParameterError, ShapeError
from audiogen.ops import reference

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32, np.int64])
def test_small_types_become_float32(dtype):
    y = ops.unwrap(np.array([[0], [3], [-3]], dtype))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y[:, 0], [0, 3, 2 * np.pi - 3], atol=1e-6)


@pytest.mark.parametrize(
    ("op", "arguments"),
    [
        ("wrap", (np.ones((3, 4)) * 4,)),
        ("unwrap", (np.ones((3, 4)) * 4,)),
        ("instantaneous_frequency", (np.ones((3, 4)),)),
        ("integrate", (np.ones((3, 4)),)),
        ("polar_to_rectangular", (np.ones(3), np.ones(3))),
        ("istft", (np.ones((3, 9), complex), 16, 4)),
    ],
)
def test_double_precision_stays_and_is_the_reference(op, arguments):
    y = getattr(ops, op)(*arguments)
    assert y.dtype in (np.float64, np.complex128)
    np.testing.assert_array_equal(y, getattr(reference, op)(*arguments))
    t = getattr(ops, op)(*(torch.tensor(a) if isinstance(a, np.ndarray) else a for a in arguments))
    assert isinstance(t, torch.Tensor) and t.dtype in (torch.float64, torch.complex128)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tensors_give_tensors(dtype):
    x = torch.linspace(-3, 3, 24).reshape(6, 4).T.to(dtype)  # not contiguous
    y = ops.unwrap(x)
    assert isinstance(y, torch.Tensor) and y.dtype == torch.float32
    np.testing.assert_array_equal(y.numpy(), ops.unwrap(x.float().numpy()))


def test_conjugate_tensors():
    z = torch.randn(3, 9, dtype=torch.complex64).conj()
    np.testing.assert_array_equal(ops.istft(z, 16, 4), ops.istft(z.resolve_conj().numpy(), 16, 4))


def test_lists_are_arrays():
    np.testing.assert_allclose(ops.wrap([0, 7]), [0, 7 - 2 * np.pi], atol=1e-6)


def test_zero_dimensions():
    assert ops.wrap(np.float32(7.0)).shape == ()


@pytest.mark.parametrize(
    ("error", "says", "call"),
    [
        (ShapeError, "no axis=-2", lambda: ops.unwrap(np.zeros(3))),
        (ShapeError, "no axis=5", lambda: ops.integrate(np.zeros((2, 2)), axis=5)),
        (ShapeError, "must be an array", lambda: ops.wrap([[1.0], [1.0, 2.0]])),
        (ShapeError, r"\(3,\) and phase \(4,\)", lambda: _polar(3, 4)),
        (ShapeError, r"shape \(9,\)", lambda: ops.istft(np.zeros(9), 16, 4)),
        (ShapeError, r"n_fft=16 it must be .*, 9\]", lambda: ops.istft(np.zeros((2, 8)), 16, 4)),
        (ParameterError, "dtype complex", lambda: ops.wrap(np.zeros(3, complex))),
        (ParameterError, "dtype <U1", lambda: ops.wrap(["a"])),
        (ParameterError, "dtype bool", lambda: ops.wrap(np.zeros(2, bool))),
        (ParameterError, "dtype torch.bool", lambda: ops.wrap(torch.zeros(2) > 0)),
        (ParameterError, "dtype torch.complex", lambda: ops.wrap(torch.zeros(2) * 1j)),
        (ParameterError, "device meta", lambda: ops.wrap(torch.zeros(2, device="meta"))),
        (ParameterError, "hop_length=0", lambda: ops.istft(np.zeros((2, 9)), 16, 0)),
        (ParameterError, "hop_length=1.5", lambda: ops.istft(np.zeros((2, 9)), 16, 1.5)),
        (ParameterError, "hop_length='x'", lambda: ops.istft(np.zeros((2, 9)), 16, "x")),
        (ParameterError, "n_fft=12", lambda: ops.istft(np.zeros((2, 7)), 12, 4)),
        (ParameterError, "n_fft=8", lambda: ops.istft(np.zeros((2, 5)), 8, 1)),
        (ParameterError, "hop_length=17", lambda: ops.istft(np.zeros((2, 9)), 16, 17)),
        (ParameterError, "seed=-1", lambda: ops.philox_uniform(-1, 0, 0, 1)),
        (ParameterError, "row=4294967296", lambda: ops.philox_uniform(0, 0, 2**32, 1)),
        (ParameterError, "seed=", lambda: reference.philox_uniform(2**64, 0, 0, 1)),
    ],
)
def test_errors(error, says, call):
    with pytest.raises(error, match=says) as caught:
        call()
    assert isinstance(caught.value, AudiogenError)


def _polar(n, m):
    return ops.polar_to_rectangular(np.zeros(n, np.float32), np.zeros(m, np.float32))


def test_without_the_native_module(monkeypatch):
    monkeypatch.setitem(sys.modules, "audiogen._native", None)
    _native.find.cache_clear()
    _native.kernels.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match=r"C\+\+20") as said:
            first = ops.unwrap(np.float32([[0], [3], [-3]]))
            ops.wrap(np.float32([1]))
        assert len(said) == 1
        np.testing.assert_allclose(first[2], 2 * np.pi - 3, atol=1e-6)
        with pytest.raises(MissingPackageError, match=r"C\+\+20"):
            _native.require()
    finally:
        monkeypatch.undo()
        _native.find.cache_clear()
        _native.kernels.cache_clear()


def test_import_loads_neither_torch_nor_numba():
    code = (
        "import sys, numpy as np; from audiogen import ops; ops.unwrap(np.zeros((2, 2)));"
        "print([m for m in ('torch', 'numba', 'scipy', 'librosa') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
