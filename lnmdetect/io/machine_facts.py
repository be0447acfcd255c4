"""What a measured time depends on of the machine: its processor, cores, memory and load."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lnmdetect.io.machine import usable_cores

CPU_INFO = Path("/proc/cpuinfo")
FLAGS = (
    *("avx2", "avx_vnni", "avx512f", "avx512_vnni"),
    *("avx512_bf16", "amx_bf16", "amx_int8"),
)
"""Instructions that decide how much bf16 and int8 gain."""
PACKAGES = ("torch", "torchvision", "numpy", "pydicom", "openvino", "onnxruntime", "ray")
BUSY_LOAD = 0.5
"""Of a core: beyond this share of the cores others compute beside a measurement."""


@dataclass(frozen=True)
class MachineFacts:
    """A machine at one moment.

    Attributes:
        cpu: model as the system names it.
        flags: of `FLAGS`, those it has; empty where the system does not tell.
        cores: that this process may use.
        memory_gb: of the whole machine; None where the system does not tell.
        load_average: processes that computed in the last minute, on average; None likewise.
        packages: versions of those that compute, of the installed ones.
    """

    system: str
    cpu: str
    flags: tuple[str, ...]
    cores: int
    memory_gb: float | None
    load_average: float | None
    python: str
    packages: dict[str, str]

    @property
    def is_busy(self) -> bool:
        """Whether others computed when it was looked at."""
        return (self.load_average or 0) > BUSY_LOAD * self.cores

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON holds them."""
        return {**asdict(self), "flags": list(self.flags), "busy": self.is_busy}


def machine_facts() -> MachineFacts:
    """Return what this machine is, now."""
    told = _cpu_info()
    return MachineFacts(
        system=f"{platform.system()} {platform.machine()}",
        cpu=told.get("model name") or platform.processor() or "not told by the system",
        flags=_flags(told),
        cores=usable_cores(),
        memory_gb=_memory_gb(),
        load_average=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        python=platform.python_version(),
        packages={name: found for name in PACKAGES if (found := _version(name))},
    )


def cpu_flags() -> tuple[str, ...]:
    """Return those of `FLAGS` that this processor has; none where the system does not tell."""
    return _flags(_cpu_info())


def _flags(told: Mapping[str, str]) -> tuple[str, ...]:
    has = set(told.get("flags", told.get("Features", "")).split())
    return tuple(flag for flag in FLAGS if flag in has)


def _cpu_info() -> dict[str, str]:
    """Return what Linux says of the first processor; nothing elsewhere."""
    try:
        first, _, _ = CPU_INFO.read_text(encoding="utf-8").partition("\n\n")
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _memory_gb() -> float | None:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
