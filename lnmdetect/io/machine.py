"""What of the machine this process may use."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RANK_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""What torchrun tells each process that it starts, beside where the first one listens."""
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class RankPlace:
    """The place of this process among those that torchrun started, the only one without it.

    Attributes:
        rank: from 0, over all machines; count: of all processes.
        local_rank, local_count: the same on this machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1


def rank_place() -> RankPlace:
    """Return the place of this process among those that torchrun started."""
    told = [os.environ.get(name, "") for name in RANK_VARIABLES]
    if not all(map(str.isdecimal, told)):
        return RankPlace()
    return RankPlace(*map(int, told))


def usable_cores() -> int:
    """Return how many cores this process may use, at least 1.

    These are the cores it may run on, and no more than the whole cores that a container or a job
    scheduler grants it as time (control groups, v2 and v1).
    """
    knows_affinity = hasattr(os, "sched_getaffinity")  # Linux does
    cores = len(os.sched_getaffinity(0)) if knows_affinity else os.cpu_count() or 1
    granted = min(_granted_cores(), default=float(cores))
    return max(1, min(cores, int(granted)))


def _granted_cores() -> Iterator[float]:
    """Yield the limits of this process's control group and of those around it, in cores."""
    for folder in _groups():
        limit = _words(folder / "cpu.max")  # v2: quota and period, or "max" and period
        if not limit:  # v1 has a file of each
            limit = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        if len(limit) == 2 and all(map(str.isdigit, limit)):
            yield int(limit[0]) / int(limit[1])


def _groups() -> Iterator[Path]:
    yield from (CGROUPS, CGROUPS / "cpu")
    for line in _text(OWN_CGROUP).splitlines():
        _, kinds, path = line.split(":", 2)
        root = CGROUPS / "cpu" if "cpu" in kinds.split(",") else CGROUPS
        own = root / path.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if root in folder.parents)


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
