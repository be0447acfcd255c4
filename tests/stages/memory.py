"""Peak memory of a command on series of different lengths."""

import subprocess
import sys
from pathlib import Path

from lnmdetect.io.coco import read_coco
from lnmdetect.stages.command_memory import told_mb, watched_line
from lnmdetect.stages.speed_scans import write_body

SIDE = 512
SLICES = (100, 400, 800)
"""A volume of the last holds 420 MB in HU, and 840 MB more a class in P."""


def peak_mb(stage: str, scan: Path, bundle: str, output: Path) -> float:
    """The peak resident memory of the command in a process of its own."""
    command = [sys.executable, "-m", "lnmdetect", stage, str(scan), "--model", bundle]
    command += ["-o", str(output), "--device", "cpu", "-q"]
    told = subprocess.run(watched_line(command), stdout=subprocess.PIPE, text=True, check=True)
    return told_mb(told.stdout)


def assert_memory_does_not_grow(stage: str, bundle: str, folder: Path) -> None:
    """Every slice is listed, and the longest series takes no more than the shortest."""
    peaks: dict[int, float] = {}
    for slices in SLICES:
        write_body(folder / f"{slices}", slices, SIDE)
        output = folder / f"{slices}.json"
        peaks[slices] = peak_mb(stage, folder / f"{slices}", bundle, output)
        assert len(read_coco(output).images) == slices
    told = ", ".join(f"{slices} slices {peak:.0f} MB" for slices, peak in peaks.items())
    sys.stdout.write(f"\npeak memory of {stage}: {told}\n")
    assert max(peaks.values()) <= 1.05 * min(peaks.values()), told
