"""Compare the CUDA kernels and both models with the CPU, and measure them.

python examples/gpu_check.py [cuda | cuda:N]

Ends with status 0 if everything agrees, 1 if something does not, and 2 without a GPU.
"""

import sys
import time

import numpy as np

import audiogen
from audiogen import ops
from audiogen.core import backend
from audiogen.engine.cuda_samplernn import CudaSampleStream
from audiogen.engine.device_frames import DeviceFrames
from audiogen.errors import AudiogenError
from audiogen.presets import load_preset

NOTES, FREE = "plucked", "speech-sketch"  # presets that both come with audiogen
PAPER_MS = 20.0  # a 4 s note, Engel et al., "GANSynth", ICLR 2019

failures = 0


def report(what: str, error: float, allowed: float) -> None:
    """Print one comparison and count it if it fails."""
    global failures
    agrees = error <= allowed  # NaN does not
    failures += not agrees
    print(f"  {what:34} off by {error:8.1e}, up to {allowed:.0e}  {'ok' if agrees else 'WRONG'}")


def seconds(call, n: int) -> float:
    """Shortest time of a call that ends with the result on the host."""
    times = []
    call()
    for _ in range(n):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


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


def check_samplernn(device: str, n: int, sizes: tuple[int, ...]) -> None:
    preset = load_preset(FREE)
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
    for n_streams in sizes:
        stream = CudaSampleStream.of_preset(preset, n_streams=n_streams, device=device)
        rate = n / seconds(lambda stream=stream: stream.process(n), 2)
        share = rate / preset.sample_rate
        print(
            f"  {n_streams:4} streams: {rate:9.0f} samples/s each ({share:.2f} x real time),"
            f" {rate * n_streams:10.0f} together"
        )


def check_gansynth(device: str, score: str, n_notes: int) -> None:
    wanted = audiogen.load(NOTES).render(score, seed=1)
    synth = audiogen.load(NOTES, device=device)
    got = synth.render(score, seed=1)
    error = float(np.abs(got - wanted).max()) if got.shape == wanted.shape else float("inf")
    report("GANSynth: a score", error, 1e-3)
    preset = load_preset(NOTES)
    frames = DeviceFrames(preset, device)
    n_frames = preset.generator.full_shape[0]
    z = np.random.default_rng(0).standard_normal((n_notes, preset.generator.latent_size))
    for n in dict.fromkeys((1, n_notes)):
        notes = {
            "z": z[:n].astype(np.float32),
            "pitch": np.linspace(48.0, 72.0, n, dtype=np.float32),
            "velocity": np.full(n, 0.8, np.float32),
            "seed": np.arange(n, dtype=np.uint64),
            "noise_stream": np.zeros(n, np.uint32),
        }
        took_ms = 1e3 * seconds(lambda notes=notes: frames.images(notes, 0, n_frames), 3) / n
        print(f"  {n:4} notes at once: {took_ms:7.2f} ms a note, preset {NOTES}")
    note_ms = 1e3 * paper_note_s(device, n_notes) / n_notes
    print(
        f"  {n_notes:4} notes at once: {note_ms:7.2f} ms a note of 4 s, the paper's generator"
        f" (the paper's own: {PAPER_MS:.0f} ms)"
    )


def paper_note_s(device: str, n_notes: int) -> float:
    """Seconds that a batch of the paper's generator takes, with random weights."""
    import torch

    from audiogen.models.config import GeneratorConfig
    from audiogen.models.gansynth import Generator
    from audiogen.representation.config import SpectrogramConfig

    generator = Generator(GeneratorConfig(), SpectrogramConfig()).to(device)
    z = torch.randn(n_notes, generator.config.latent_size, device=device)
    pitch = torch.full((n_notes,), 60.0, device=device)
    with torch.no_grad():
        return seconds(lambda: generator(z, pitch).cpu(), 3)


def check(device: str, small: bool = False) -> int:
    """Run everything; returns the number of failures."""
    import torch

    print(f"torch {torch.__version__}, device {device}")
    print("kernels, beside the CPU's:")
    check_kernels(device)
    print(f"SampleRNN, preset {FREE}:")
    check_samplernn(device, 30 if small else 4000, (1,) if small else (1, 16, 64, 256))
    print("GANSynth:")
    check_gansynth(device, "C4:0.3 [E4 G4]:0.3", 1 if small else 32)
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
