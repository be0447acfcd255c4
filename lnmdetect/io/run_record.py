"""`run.json`: what was run, with which versions, on what, and what it took."""

import hashlib
import platform
import resource
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lnmdetect import __version__
from lnmdetect.core.errors import PartialBatchError
from lnmdetect.core.records import ImageRecord
from lnmdetect.io.json_files import write_json

RUN = "run.json"
"""Name of the record of a command that fills a folder."""
_PACKAGES = ("torch", "torchvision", "numpy", "pydicom")


def sha256_of_slices(images: Iterable[ImageRecord]) -> str:
    """Return the SHA-256 of the slices' sorted SOP uids (file names for PNG), a line each."""
    keys = sorted(image.sop_instance_uid or image.file_name for image in images)
    return hashlib.sha256("".join(f"{key}\n" for key in keys).encode()).hexdigest()


def record_path(output: Path) -> Path:
    """Return where the record of a command with one output file goes: `boxes.run.json` by it."""
    return output.with_suffix(".run.json")


@dataclass
class RunRecord:
    """Collects a run's facts while it goes on.

    Attributes:
        command: as on the command line, without paths.
        config: what decided the result (paths and identities left out).
        model, inputs: name to sha256.
        failures: how many items of a batch were left out.
        ended_with: the exit code where something ended the run before its end.
    """

    command: str
    config: Mapping[str, Any]
    seed: int | None = None
    model: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    timings_s: dict[str, float] = field(default_factory=dict)
    failures: int = 0
    ended_with: int | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _clock: float = field(default_factory=time.monotonic)

    def lap(self, name: str) -> None:
        """Add the seconds since the last lap under `name`."""
        now = time.monotonic()
        self.timings_s[name] = self.timings_s.get(name, 0.0) + round(now - self._clock, 3)
        self._clock = now

    def add_inputs(self, files: Iterable[tuple[str, str]]) -> None:
        """Add files by name and sha256; another file of the same name becomes `name (2)`."""
        for name, sha256 in files:
            key, number = name, 1
            while self.inputs.setdefault(key, sha256) != sha256:
                number += 1
                key = f"{name} ({number})"

    def write(self, path: Path, *, overwrite: bool = True) -> None:
        """Write the record."""
        write_json(self.to_json(), path, overwrite=overwrite)

    def to_json(self) -> dict[str, Any]:
        """Return the record as data_specs/run.schema.json has it."""
        return {
            "lnmdetect": __version__,
            "python": platform.python_version(),
            "packages": {name: _version(name) for name in _PACKAGES},
            "command": self.command,
            "config": dict(self.config),
            "seed": self.seed,
            "model": self.model,
            "inputs": self.inputs,
            "started": self.started.isoformat(timespec="seconds"),
            "timings_s": self.timings_s,
            "peak_memory_mb": round(_peak_memory_mb()),
            "failures": self.failures,
            "exit_status": self.ended_with or PartialBatchError.exit_code * bool(self.failures),
        }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3  # bytes there, KiB here
