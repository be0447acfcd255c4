"""How many cores a process may use, by its control group."""

import os
from pathlib import Path

import pytest

from lnmdetect.io import machine
from lnmdetect.io.machine import usable_cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of control groups of a machine with 8 cores, without a limit."""
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "OWN_CGROUP", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_a_limit_they_are_the_cores_it_may_run_on(groups: Path) -> None:
    assert usable_cores() == 8
    put(groups / "cpu.max", "max 100000\n")
    put(groups / "cpu" / "cpu.cfs_quota_us", "-1\n")
    put(groups / "cpu" / "cpu.cfs_period_us", "100000\n")
    assert usable_cores() == 8


@pytest.mark.parametrize(
    ("quota", "cores"), [(250_000, 2), (50_000, 1), (1_600_000, 8), (399_999, 3)]
)
def test_a_containers_share_of_time_is_counted_in_whole_cores(
    groups: Path, quota: int, cores: int
) -> None:
    put(groups / "cpu.max", f"{quota} 100000\n")
    assert usable_cores() == cores


def test_the_older_control_groups_say_it_in_two_files(groups: Path) -> None:
    put(groups / "own", "3:name=systemd:/\n1:cpu,cpuacct:/a job/7\n")
    put(groups / "cpu" / "a job" / "7" / "cpu.cfs_quota_us", "300000\n")
    put(groups / "cpu" / "a job" / "7" / "cpu.cfs_period_us", "100000\n")
    assert usable_cores() == 3


def test_the_least_of_the_own_group_and_those_around_it_holds(groups: Path) -> None:
    put(groups / "own", "0::/slurm/job/step\n")
    put(groups / "slurm" / "cpu.max", "600000 100000\n")
    put(groups / "slurm" / "job" / "cpu.max", "200000 100000\n")
    put(groups / "slurm" / "job" / "step" / "cpu.max", "max 100000\n")
    assert usable_cores() == 2
