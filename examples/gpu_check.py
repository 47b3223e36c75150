"""Compare the CUDA kernels and both models with the CPU, and measure them.

python examples/gpu_check.py [cuda | cuda:N]

Ends with status 0 if everything agrees, 1 if something does not, and 2 without a GPU.
"""

import sys

import numpy as np

import audiogen
from audiogen import ops
from audiogen.bench.device import NOTES, STREAMS, measure_device, text_of_rate
from audiogen.core import backend
from audiogen.engine.cuda_samplernn import CudaSampleStream
from audiogen.errors import AudiogenError
from audiogen.presets import load_preset

failures = 0


def report(what: str, error: float, allowed: float) -> None:
    """Print one comparison and count it if it fails."""
    global failures
    agrees = error <= allowed  # NaN does not
    failures += not agrees
    print(f"  {what:34} off by {error:8.1e}, up to {allowed:.0e}  {'ok' if agrees else 'WRONG'}")


def check_kernels(device: str) -> None:
    import torch

    random = np.random.default_rng(0)
    shape = (3, 200, 129)
    phase = random.uniform(-3.1, 3.1, shape).astype(np.float32)
    magnitude = random.uniform(-6.0, 1.0, shape).astype(np.float32)
    spectrum = ops.polar_to_rectangular(magnitude, phase)
    turn, half = 2.0 * np.pi, 2.0
    for name, arguments, options, period in (
        ("wrap", (7.0 * phase,), {}, turn),
        ("unwrap", (phase,), {}, None),
        ("instantaneous_frequency", (phase,), {}, half),
        ("integrate", (phase / np.float32(np.pi),), {}, turn),
        ("polar_to_rectangular", (magnitude, phase), {}, None),
        ("istft", (spectrum,), {"n_fft": 256, "hop_length": 64}, None),
    ):
        op = getattr(ops, name)
        wanted = op(*arguments, **options)
        tensors = [torch.from_numpy(array).to(device) for array in arguments]
        difference = op(*tensors, **options).cpu().numpy() - wanted
        if period is not None:
            difference = difference - period * np.round(difference / period)
        report(name, float(np.abs(difference).max()), 1e-3)


def check_samplernn(device: str, n: int) -> None:
    preset = load_preset(STREAMS)
    native = backend.require()
    network = preset.open_network()
    levels = np.random.default_rng(0).integers(0, preset.samplernn.q_levels, (2, n), np.int32)
    ours = CudaSampleStream.of_preset(preset, n_streams=2, device=device)
    theirs = native.SampleStream(network, 2, 0, 0)
    difference = ours.logits(levels) - theirs.logits(levels)
    report("SampleRNN: logits", float(np.abs(difference).max()), 1e-3)
    ours.reset(5)
    theirs = native.SampleStream(network, 2, 5, 0)
    report("SampleRNN: samples", float((ours.draw(n) != theirs.draw(n)).mean()), 0.5)


def check_gansynth(device: str, score: str) -> None:
    wanted = audiogen.load(NOTES).render(score, seed=1)
    got = audiogen.load(NOTES, device=device).render(score, seed=1)
    error = float(np.abs(got - wanted).max()) if got.shape == wanted.shape else float("inf")
    report("GANSynth: a score", error, 1e-3)


def check(device: str, small: bool = False) -> int:
    """Run everything; returns the number of failures."""
    import torch

    print(f"torch {torch.__version__}, device {device}")
    print("kernels, beside the CPU's:")
    check_kernels(device)
    print("models, beside the CPU's:")
    check_samplernn(device, 30 if small else 4000)
    check_gansynth(device, "C4:0.3 [E4 G4]:0.3")
    print("speed, as in `audiogen bench --device`:")
    sizes = {"n_notes": (1,), "n_streams": (1,), "n_samples": 30, "n_paper": 1} if small else {}
    for rate in measure_device(device, **sizes):
        print(f"  {text_of_rate(rate)}")
    return failures


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1].startswith("cuda") else "cuda"
    try:
        from audiogen.core.device import choose_device

        found = check(str(choose_device(name)))
    except AudiogenError as error:
        print(f"gpu_check: {error}", file=sys.stderr)
        sys.exit(2)
    print("all agree" if not found else f"{found} comparisons failed")
    sys.exit(1 if found else 0)
