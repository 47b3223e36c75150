"""The CUDA library without a GPU: its exports and its loader."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest

from audiogen import ops
from audiogen.errors import DeviceError, ParameterError
from audiogen.ops import _cuda

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


def test_devices_do_not_mix():
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    with pytest.raises(ParameterError, match="cuda:0 and cpu"):
        ops.polar_to_rectangular(torch.zeros(2).cuda(), torch.zeros(2))
