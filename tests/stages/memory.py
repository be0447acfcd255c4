"""Peak memory of a command on series of different lengths."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from lnmdetect.io.coco import read_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series

SIDE, SPACING_MM = 512, (2.0, 0.5, 0.5)
SLICES = (100, 400, 800)
"""A volume of the last holds 420 MB in HU, and 840 MB more a class in P."""


def write_scan(folder: Path, slices: int) -> None:
    """Write a series that shows the same body on all slices."""
    y, x = np.mgrid[:SIDE, :SIDE]
    body = np.hypot(x - SIDE / 2, y - SIDE / 2) < SIDE / 3
    fat = np.hypot(x - SIDE / 2, y - SIDE / 2) > SIDE / 4
    plane = np.where(body, np.where(fat, -100, 50), -1000).astype(np.int16)
    meta = CtSeriesMeta("memory", "p", "p", SPACING_MM, SPACING_MM[0], (0.0, 0.0, 0.0))
    write_ct_series(np.broadcast_to(plane, (slices, SIDE, SIDE)), folder, meta)


# The peak of a process begins with that of the one which started it, so a small one stands between.
BETWEEN = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def peak_mb(stage: str, scan: Path, bundle: str, output: Path) -> float:
    """The peak resident memory of the command in a process of its own."""
    command = [sys.executable, "-m", "lnmdetect", stage, str(scan), "--model", bundle]
    command += ["-o", str(output), "--device", "cpu", "-q"]
    told = subprocess.run(
        [sys.executable, "-c", BETWEEN, *command], stdout=subprocess.PIPE, text=True, check=True
    )
    return int(told.stdout) / (1e6 if sys.platform == "darwin" else 1e3)


def assert_memory_does_not_grow(stage: str, bundle: str, folder: Path) -> None:
    """Every slice is listed, and the longest series takes no more than the shortest."""
    peaks: dict[int, float] = {}
    for slices in SLICES:
        write_scan(folder / f"{slices}", slices)
        output = folder / f"{slices}.json"
        peaks[slices] = peak_mb(stage, folder / f"{slices}", bundle, output)
        assert len(read_coco(output).images) == slices
    told = ", ".join(f"{slices} slices {peak:.0f} MB" for slices, peak in peaks.items())
    sys.stdout.write(f"\npeak memory of {stage}: {told}\n")
    assert max(peaks.values()) <= 1.05 * min(peaks.values()), told
