"""The bench measures what it is given, skips what it can't, and its command says both."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from audiogen.bench import JOBS, Job, Race, Result, Skipped, machine, run
from audiogen.bench.compare import Limit
from audiogen.cli.bench import _lines as bench_lines
from audiogen.errors import MissingPackageError, ParameterError


@pytest.fixture
def races(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Iterator[Race]]:
    """One call that is three times as slow as another, by a clock that only they move."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("audiogen.bench.compare.time.perf_counter", lambda: now[0])

    def give() -> Iterator[Race]:
        yield Race(
            "sleep",
            lambda: sleep(0.002),
            lambda: sleep(0.006),
            "sleep longer",
            target=2.0,
            remark=lambda seconds: f"{seconds * 1e3:.0f} ms",
        )

    return give


def unlucky() -> Iterator[Race]:
    raise MissingPackageError("torch isn't installed")
    yield


def test_ratio_is_peer_over_ours(races: Callable[[], Iterator[Race]]) -> None:
    (result,) = run({"job": Job(races, "sleeping", 0.1)})
    assert isinstance(result, Result)
    assert result.job == "job" and result.what == "sleep" and result.peer == "sleep longer"
    assert result.ratio == pytest.approx(3.0)
    assert result.spread == pytest.approx((3.0, 3.0))
    assert (result.ours_s, result.peer_s) == pytest.approx((0.002, 0.006))
    assert result.remark == "2 ms" and result.machine == machine()


def test_the_ratio_is_against_the_fastest_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def taking(seconds: float) -> Callable[[], None]:
        def call() -> None:
            now[0] += seconds

        return call

    monkeypatch.setattr("audiogen.bench.compare.time.perf_counter", lambda: now[0])
    others = {"quick": taking(0.004), "slow": taking(0.01)}
    race = Race(
        "sleep",
        taking(0.002),
        taking(0.006),
        "middling",
        others=others,
        absent={"missing": "isn't installed"},
        limit=lambda: Limit(0.001, "nothing at all"),
    )
    (result,) = run({"job": Job(lambda: [race], "sleeping", 0.1)})
    assert isinstance(result, Result)
    assert result.peer == "quick" and result.ratio == pytest.approx(2.0)
    assert list(result.others) == ["middling", "slow"]
    assert result.others == pytest.approx({"middling": 0.006, "slow": 0.01})
    assert (result.limit_s, result.limit) == (0.001, "nothing at all")
    assert result.absent == {"missing": "isn't installed"}
    lines = bench_lines(result).split("\n")
    assert [line.strip() for line in lines] == [
        "sleep",
        "ours 2 ms, quick 4 ms: 2.00x (2.00 to 2.00)",
        "slower peers: middling 6 ms, slow 10 ms",
        "not measured: missing, isn't installed",
        "limit 1 ms, 50% reached: nothing at all",
    ]

    disturbed = bench_lines(dataclasses.replace(result, limit_s=0.003))
    assert "limit unknown, other programs disturbed it: nothing at all" in disturbed


def test_a_disturbed_round_changes_no_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    now, n_calls = [0.0], [0]

    def ours() -> None:
        n_calls[0] += 1
        now[0] += 0.05 if n_calls[0] % 2 else 0.025  # another program runs in every second one

    def peer() -> None:
        now[0] += 0.05

    monkeypatch.setattr("audiogen.bench.compare.time.perf_counter", lambda: now[0])
    (result,) = run({"job": Job(lambda: [Race("work", ours, peer, "peer")], "working", 0.1)})
    assert isinstance(result, Result)
    assert result.ours_s == pytest.approx(0.025) and result.ratio == pytest.approx(2.0)
    assert result.spread == pytest.approx((1.0, 2.0))


def test_peers_compute_the_same_note_or_say_why_not() -> None:
    torch = pytest.importorskip("torch")
    from audiogen.bench import generator_peers
    from audiogen.models.gansynth import Generator, GeneratorConfig
    from audiogen.representation.config import SpectrogramConfig

    config = GeneratorConfig("one_hot", 4, (8, 8), start_shape=(8, 64))
    spectrogram = SpectrogramConfig(n_samples=1024, n_fft=256, hop_length=64, n_frames=16)
    torch.manual_seed(0)
    network = Generator(config, spectrogram).eval()
    z = torch.randn(1, 4)
    with torch.no_grad():
        want = network(z, torch.tensor([generator_peers.PITCH]))
    for precision, tolerance in (("float32", 1e-3), ("bfloat16", 0.1)):
        names = {"PyTorch eager", "PyTorch channels_last", "onnxruntime", "OpenVINO"}
        peers = {name: generator_peers._PEERS[name] for name in names}
        calls, absent = generator_peers.peers_of(network, z, precision, peers)
        assert {*calls, *absent} == names and {"PyTorch eager", "PyTorch channels_last"} <= {*calls}
        for name, call in calls.items():
            out = call()
            got = (
                out if isinstance(out, torch.Tensor) else torch.as_tensor(next(iter(_values(out))))
            )
            assert got.shape == want.shape, name
            assert float((got.float() - want).abs().mean()) < tolerance, name
        assert all(absent.values())
        if precision == "bfloat16":
            assert absent["onnxruntime"] == "doesn't multiply in bfloat16 on x86-64"


def _values(outputs: Any) -> Any:
    return outputs.values() if hasattr(outputs, "values") else outputs


def test_a_peer_that_is_not_installed_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    from audiogen.bench import generator_peers

    monkeypatch.setitem(sys.modules, "openvino", None)

    def broken(*_: object) -> Any:
        raise RuntimeError("out of registers\nand more")

    peers = {"OpenVINO": generator_peers._openvino, "other": broken}
    calls, absent = generator_peers.peers_of(None, None, "float32", peers)  # type: ignore[arg-type]
    assert not calls
    assert 'pip install "audiogen-synth[bench]"' in absent["OpenVINO"]
    assert absent["other"] == "RuntimeError: out of registers"


@pytest.mark.slow
def test_limits_are_measured_and_reached_by_no_more() -> None:
    native = pytest.importorskip("audiogen._native")
    from audiogen.bench import limits

    peak = limits.peak_per_second("float32")
    assert 1e8 < peak < 1e12
    limit = limits.compute_limit(2e6, "float32")
    assert limit is not None and limit().seconds == pytest.approx(2e6 / peak, rel=0.9)
    assert "float32 in registers" in limit().what
    for tiles, least in (("bfloat16 tiles", 4), ("int8 tiles", 8)):
        if native.bfloat16_rows() != "tiles":
            assert limits.peak_per_second(tiles) == 0.0
            assert limits.compute_limit(1.0, tiles) is None
        else:  # 16 and 32 times the multiply-adds of two registers of 16 floats
            assert limits.peak_per_second(tiles) > least * peak
    small, large = limits.bandwidth(1e5), limits.bandwidth(64e6)
    assert 1e8 < large and small > 0.5 * large
    assert limits.memory_limit(1e6, 1e6)().seconds < 0.1
    x = np.arange(1000, dtype=np.float32)
    assert native.read_floats(x) == x.sum()
    with pytest.raises(ParameterError, match="product='int4' not found"):
        native.peak("int4", 1)


def test_missing_package_skips_one_job(races: Callable[[], Iterator[Race]]) -> None:
    skipped, result = run({"first": Job(unlucky, "", 0.1), "second": Job(races, "", 0.1)})
    assert skipped == Skipped("first", "torch isn't installed")
    assert isinstance(result, Result)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system can't pin processes")
def test_pins_to_one_core_and_lets_go() -> None:
    before = os.sched_getaffinity(0)
    during = []

    def looks() -> Iterator[Race]:
        during.append(os.sched_getaffinity(0))
        yield from ()

    assert list(run({"job": Job(looks, "", 0.1)})) == []
    assert len(during[0]) == 1 and os.sched_getaffinity(0) == before


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system can't pin processes")
def test_a_race_gets_the_cores_that_it_wants_or_is_skipped() -> None:
    before = os.sched_getaffinity(0)
    during: list[set[int]] = []

    def race(n_cores: int) -> Race:
        call = lambda: during.append(os.sched_getaffinity(0))  # noqa: E731
        return Race("look", call, 1.0, "nothing", rounds=1, n_cores=n_cores)

    def looks() -> Iterator[Race]:
        yield race(len(before))
        yield race(1)
        yield race(len(before) + 1)
        yield race(1)

    one, other, skipped = run({"job": Job(looks, "", 0.1)})
    assert isinstance(one, Result) and isinstance(other, Result)
    assert during[0] == before and during[-1] == {max(before)}
    assert isinstance(skipped, Skipped) and f"needs {len(before) + 1} cores" in skipped.reason
    assert os.sched_getaffinity(0) == before


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "audiogen.cli.main", "bench", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_unknown_job_lists_the_jobs_and_the_nearest() -> None:
    done = command("--only", "unwrapp")
    assert done.returncode == 2
    assert "--only unwrapp not found; the nearest is unwrap" in done.stderr
    assert all(job in done.stderr for job in JOBS)
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_command_runs_without_torch(tmp_path: Any) -> None:
    """A job that needs torch says so; the others' rows come out."""
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    skipped = command("--only", "istft", "--json", PYTHONPATH=path)
    assert skipped.returncode == 0 and json.loads(skipped.stdout) == []
    assert "needs torch, which can't be imported" in skipped.stderr
    rows = json.loads(command("--only", "unwrap", "--json", PYTHONPATH=path).stdout)
    assert [row["peer"] for row in rows] == ["numpy.unwrap", "numba"]
    for row in rows:
        assert row["job"] == "unwrap" and row["ratio"] > 0 and row["machine"]


@pytest.mark.slow
def test_command_prints_its_plan_and_lines_of_80_columns() -> None:
    pytest.importorskip("torch")
    done = command("--only", "istft")
    assert done.returncode == 0, done.stderr
    plan, *lines = done.stdout.splitlines()
    assert plan == "1 job, about a minute and up to 1 GB of memory. Ctrl-C stops."
    assert any("torch.istft" in line and "target 1x" in line for line in lines)
    assert machine()[:5] in done.stdout and max(map(len, lines)) <= 80


def test_jobs_are_printed_as_they_are_measured(monkeypatch, capsys, races) -> None:
    """The rows of the first job are out before the second one starts."""
    from typer.testing import CliRunner

    from audiogen.cli import bench

    seen = []

    def second() -> Iterator[Race]:
        seen.append(len(printed))
        yield from ()

    def big() -> Iterator[Race]:
        raise AssertionError("it must be asked for")
        yield

    printed: list[str] = []
    monkeypatch.setattr(bench, "_print", lambda text, to_stderr: printed.append(text))
    jobs = {"first": Job(races, "sleeping", 0.1), "second": Job(second, "looking", 0.1)}
    jobs["big"] = Job(big, "a large step", 10.0, memory_gb=12.0, by_default=False)
    monkeypatch.setattr("audiogen.bench.JOBS", jobs)
    done = CliRunner().invoke(bench.app, [])
    assert done.exit_code == 0, done.output
    assert "--only big runs a large step (12 GB, about 10 minutes)" in " ".join(printed[0].split())
    assert seen == [3] and "ours 2 ms, sleep longer 6 ms: 3.00x" in printed[2]


def test_the_models_are_measured_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from audiogen.bench.device import measure_device, text_of_rate
    from audiogen.models import config

    thin = config.GeneratorConfig(channels=(8,) * len(config.GeneratorConfig().channels))
    monkeypatch.setattr(config, "GeneratorConfig", lambda: thin)  # the paper's is slow on a CPU
    rates = list(measure_device("cpu", (1, 2), (), n_paper=1))
    assert [(rate.n, rate.unit) for rate in rates] == [(1, "note"), (2, "note"), (1, "note")]
    assert all(rate.seconds > 0 and rate.per_real_time > 0 for rate in rates)
    text = text_of_rate(dataclasses.replace(rates[2], seconds=0.01, per_real_time=400.0))
    assert text.startswith("frames of 1 note of 4 s, the paper's generator: 10.00 ms a note, 400 x")


def test_bench_needs_the_device_that_it_is_asked_for() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = command("--device", "cuda")
    assert done.returncode == 2 and "device='cuda' not found" in done.stderr
    done = command("--device", "auto")
    assert done.returncode == 2 and "--device auto must be cpu, cuda or cuda:N" in done.stderr
    done = command("--device", "cuda", "--only", "job")
    assert done.returncode == 2 and "leave it out with --device" in done.stderr


def test_operations_are_those_of_the_frames_that_sound() -> None:
    pytest.importorskip("audiogen._native")
    from audiogen.bench.engine import frame_operations
    from audiogen.presets import load_preset

    plucked = load_preset("plucked")
    assert frame_operations(plucked, 2.0) == 2.0 * frame_operations(plucked, 1.0) > 1e8
    for name in ("drums", "winds-sketch"):
        assert frame_operations(load_preset(name), 2.0) == 0.0


def test_a_score_is_divided_among_presets() -> None:
    from audiogen.bench.user_jobs import _held_seconds
    from audiogen.notes import Note, Score

    notes = [Note(0.0, 1.5, 60, program=0), Note(1.0, 0.5, 62, program=56)]
    drum = Note(0.0, 0.25, 38, is_drum=True)
    assert _held_seconds(Score([*notes, drum])) == {"struck": 1.5, "brass": 0.5, "drums": 0.25}
