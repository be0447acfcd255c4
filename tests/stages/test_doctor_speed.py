"""doctor is fast, since it reads headers and three slices, and loads no torch."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from tests.io.torture import neck

FILES, MOST_SECONDS = 800, 3.0


@pytest.mark.slow
def test_800_files_take_less_than_3_seconds(tmp_path: Path) -> None:
    """Of processor time, start of the program included: other programs do not slow that much."""
    voxels = np.concatenate([neck()] * (FILES // len(neck())))
    meta = CtSeriesMeta("fast", "p", "p", (1.0, 1.0, 1.0), 1.0, (0.0, 0.0, 0.0))
    write_ct_series(voxels, tmp_path / "scan", meta)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = (sys.executable, "-m", "lnmdetect", "doctor", str(tmp_path / "scan"))
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"doctor on {FILES} files: {seconds:.2f} s of processor time")
    assert f"{FILES}" in said.stdout
    assert seconds < MOST_SECONDS


def test_doctor_does_not_load_torch() -> None:
    code = "import sys, lnmdetect.stages.doctor; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False"]
