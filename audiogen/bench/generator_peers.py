"""Other implementations of a GANSynth generator at a given precision, on one thread."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from audiogen.bench.compare import require_torch
from audiogen.core.packages import require_package
from audiogen.errors import MissingPackageError

if TYPE_CHECKING:
    from audiogen.models.gansynth import Generator

PITCH = 60.0
Call = Callable[[], Any]
Prepare = Callable[["Generator", Any, str], Call]


def peers_of(
    generator: Generator, z: Any, precision: str, peers: Mapping[str, Prepare] | None = None
) -> tuple[dict[str, Call], dict[str, str]]:
    """Prepare the peers of a generator for one note.

    Parameters
    ----------
    generator : Generator
        The network in evaluation mode, in float32.
    z : Tensor [1, latent_size]
        Latent of the note.
    precision : str
        ``float32`` or ``bfloat16``.
    peers : mapping of str to callable, optional
        Peers by name; all of them if omitted.

    Returns
    -------
    calls : dict of str to callable
        Calls that compute the note, by the peer's name.
    absent : dict of str to str
        Peers that can't run here, and the reasons.
    """
    calls: dict[str, Call] = {}
    absent: dict[str, str] = {}
    for name, prepare in (_PEERS if peers is None else peers).items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                call = prepare(generator, z, precision)
                call()
        except (MissingPackageError, _Unsupported) as error:
            absent[name] = str(error)
        except Exception as error:  # a peer's own failure; the race goes on without it
            absent[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        else:
            calls[name] = call
    return calls, absent


class _Unsupported(Exception):
    """The peer doesn't support the precision."""


def _eager(generator: Generator, z: Any, precision: str) -> Call:
    return _torch_call(_in_precision(generator, precision), z, precision)


def _channels_last(generator: Generator, z: Any, precision: str) -> Call:
    torch = require_torch()
    network = _in_precision(generator, precision).to(memory_format=torch.channels_last)
    return _torch_call(network, z, precision)


def _compiled(generator: Generator, z: Any, precision: str) -> Call:
    torch = require_torch()
    network = _in_precision(generator, precision).to(memory_format=torch.channels_last)
    return _torch_call(torch.compile(network), z, precision)


def _in_precision(generator: Generator, precision: str) -> Any:
    """A copy with all weights in a precision: `torch.autocast` would round them in each call."""
    return copy.deepcopy(generator).to(getattr(require_torch(), precision))


def _torch_call(network: Any, z: Any, precision: str) -> Call:
    torch = require_torch()
    pitch, z = torch.tensor([PITCH]), z.to(getattr(torch, precision))

    def call() -> Any:
        with torch.no_grad():
            return network(z, pitch)

    return call


def _onnxruntime(generator: Generator, z: Any, precision: str) -> Call:
    if precision != "float32":
        raise _Unsupported(f"doesn't multiply in {precision} on x86-64")
    onnxruntime = require_package("onnxruntime", "bench", "this peer")
    require_package("onnx", "bench", "this peer")
    torch = require_torch()

    file = io.BytesIO()
    pitch = torch.tensor([PITCH])
    with torch.no_grad():
        # Traced first, because the exporter passes all arguments by position.
        torch.onnx.export(
            torch.jit.trace(generator, (z, pitch), check_trace=False),
            (z, pitch),
            file,
            input_names=["z", "pitch"],
            opset_version=17,
            dynamo=False,
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        file.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    given = {node.name for node in session.get_inputs()}
    inputs = {k: v.numpy() for k, v in {"z": z, "pitch": pitch}.items() if k in given}
    return lambda: session.run(None, inputs)


def _openvino(generator: Generator, z: Any, precision: str) -> Call:
    openvino = require_package("openvino", "bench", "this peer")
    torch = require_torch()
    pitch = torch.tensor([PITCH])
    model = openvino.convert_model(generator, example_input=(z, pitch))
    core = openvino.Core()
    if precision == "bfloat16" and "BF16" not in core.get_property(
        "CPU", "OPTIMIZATION_CAPABILITIES"
    ):
        raise _Unsupported("doesn't multiply in bfloat16 on this CPU")
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    inputs = [z.numpy(), pitch.numpy()]
    return lambda: request.infer(inputs)


_PEERS: dict[str, Prepare] = {
    "PyTorch eager": _eager,
    "PyTorch channels_last": _channels_last,
    "torch.compile": _compiled,
    "onnxruntime": _onnxruntime,
    "OpenVINO": _openvino,
}
