"""The CUDA library without a GPU: its exports, its loader, and the way round when it is missing."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import numpy as np
import pytest

from audiogen import ops
from audiogen.errors import DeviceError, ParameterError
from audiogen.ops import _cuda, reference

from .cases import wrapped_phase

torch = pytest.importorskip("torch")
HEADER = Path(__file__).parents[2] / "csrc/cuda/audiogen_cuda.h"


def test_header_and_python_declare_the_same_functions():
    text = re.sub(r"//.*", "", HEADER.read_text())
    found = {
        name: [a.strip() for a in arguments.split(",")]
        for name, arguments in re.findall(r"int audiogen_cuda_(\w+)\(([^)]*)\)", text)
    }
    assert found.pop("interface") == ["void"]
    kinds = {
        "uint64_t": ctypes.c_uint64,
        "uint32_t": ctypes.c_uint32,
        "float": ctypes.c_float,
        "int": ctypes.c_int,
    }

    def kind(argument):
        return ctypes.c_void_p if "*" in argument else kinds[argument.split()[0]]

    declared = {name: [kind(a) for a in arguments] for name, arguments in found.items()}
    wanted = {name: [*types, ctypes.c_void_p] for name, types in _cuda.SIGNATURES.items()}
    assert declared == wanted
    assert f"#define AUDIOGEN_CUDA_INTERFACE {_cuda.INTERFACE}\n" in HEADER.read_text()


def test_built_library_loads_and_has_every_function():
    path = _cuda.library_path()
    if not path.exists():
        pytest.skip("the CUDA library was not built (no nvcc, or AUDIOGEN_CUDA=off)")
    library = _cuda.load(path)
    for name in _cuda.SIGNATURES:
        assert getattr(library, f"audiogen_cuda_{name}")
    assert library.audiogen_cuda_error(1).decode() == "invalid argument"


def test_file_that_is_no_library(tmp_path):
    path = tmp_path / "libaudiogen_cuda.so"
    path.write_bytes(b"not a library")
    with pytest.raises(DeviceError, match="cannot be loaded"):
        _cuda.load(path)


@pytest.fixture
def no_library(monkeypatch, tmp_path):
    monkeypatch.setattr(_cuda, "library_path", lambda: tmp_path / "absent.so")
    _cuda._library.cache_clear()
    yield
    _cuda._library.cache_clear()


def test_without_the_library_the_cpu_serves(no_library):
    x = torch.from_numpy(wrapped_phase((2, 9, 5)))
    with pytest.warns(RuntimeWarning, match="AUDIOGEN_CUDA=on") as said:
        y = _cuda.unwrap(x)
        z = _cuda.polar_to_rectangular(x, x)
        signal = _cuda.overlap_add(x, 2)
    assert len(said) == 1
    np.testing.assert_allclose(y, reference.unwrap(x.numpy(), axis=1), atol=1e-5)
    np.testing.assert_array_equal(z, ops.polar_to_rectangular(x, x))
    np.testing.assert_array_equal(signal, ops.overlap_add(x, 2))


@pytest.mark.filterwarnings("ignore:audiogen was installed without its CUDA library")
def test_istft_around_the_kernel(no_library):
    spectrum = torch.randn(2, 7, 33, dtype=torch.complex64)
    y = _cuda.istft(_cuda.IstftPlan(64, 16, 7), spectrum)
    np.testing.assert_allclose(y, reference.istft(spectrum.numpy(), 64, 16), atol=1e-5)


def test_devices_do_not_mix():
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    with pytest.raises(ParameterError, match="on the CPU"):
        ops.polar_to_rectangular(torch.zeros(2).cuda(), torch.zeros(2))
