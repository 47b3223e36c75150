"""The number of cores follows the affinity and the CPU quota of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from audiogen.core import cores


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/a/b\n"}, None),
        ({"proc/self/cgroup": "nonsense\n0::/a\n", "sys/fs/cgroup/a/cpu.max": "9 x\n"}, None),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"}, 1.5),
        # The quota of a group above counts, and the smaller one.
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "50000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
            },
            0.5,
        ),
        # A container that sees its group as the root, but the host's path of it.
        (
            {
                "proc/self/cgroup": "0::/docker/1234\n",
                "sys/fs/cgroup/cpu.max": "200000 100000\n",
            },
            2.0,
        ),
        # Version 1.
        (
            {
                "proc/self/cgroup": "7:memory:/x\n4:cpu,cpuacct:/x\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
            },
            3.0,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
    ],
)
def test_quota(tmp_path: Path, files: dict[str, str], wanted: float | None) -> None:
    assert cores.cpu_quota(write(tmp_path, files)) == wanted


@pytest.mark.parametrize(("quota", "wanted"), [(None, 4), (0.5, 1), (1.9, 1), (3.0, 3), (8.0, 4)])
def test_cores_within_the_quota(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, wanted: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(cores, "cpu_quota", lambda: quota)
    assert cores.n_cores() == wanted
