"""`lnmdetect segment` takes as much memory for 800 slices as for 100."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("monai", reason="the extra `segmentation` is not installed")

from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.core.thresholds import Threshold
from lnmdetect.datasets.segmentation_plan import ScanShape, plan_segmentation
from lnmdetect.io.bundles import Bundle, write_bundle
from lnmdetect.io.coco import read_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.training.segmenter_task import SegmenterTask

SIDE, SPACING_MM = 512, (2.0, 0.5, 0.5)
SLICES = (100, 400, 800)
"""A volume of the last holds 420 MB in HU, and 840 MB more a class in P."""


@pytest.fixture
def bundle(recipe_fields: Callable[..., dict[str, Any]], tmp_path: Path) -> Path:
    """An untrained network on a coarse grid, to which almost everything is a node."""
    fields = recipe_fields(
        "segmenter", planning={"spacing_mm": [4.0, 2.0, 2.0], "patch": [4, 64, 64]}
    )
    bare = SegmenterRecipe(**fields)
    plan = plan_segmentation([ScanShape((100, SIDE, SIDE), SPACING_MM)], bare)
    recipe = bare.model_copy(update={"plan": plan})
    torch.manual_seed(0)
    weights = SegmenterTask(recipe, torch.device("cpu")).module.state_dict()
    threshold = Threshold(0.5, "a rule", "validation patients")
    folder = tmp_path / "bundle"
    write_bundle(Bundle("tiny", recipe, threshold, True, {}, "", folder), weights, "a card")
    return folder


def write_scan(folder: Path, slices: int) -> None:
    """Write a series that shows the same body on all slices."""
    y, x = np.mgrid[:SIDE, :SIDE]
    body = np.hypot(x - SIDE / 2, y - SIDE / 2) < SIDE / 3
    fat = np.hypot(x - SIDE / 2, y - SIDE / 2) > SIDE / 4
    plane = np.where(body, np.where(fat, -100, 50), -1000).astype(np.int16)
    meta = CtSeriesMeta("memory", "p", "p", SPACING_MM, SPACING_MM[0], (0.0, 0.0, 0.0))
    write_ct_series(np.broadcast_to(plane, (slices, SIDE, SIDE)), folder, meta)


def peak_mb(scan: Path, bundle: Path, output: Path) -> float:
    """The peak resident memory of the command in a process of its own."""
    command = [sys.executable, "-m", "lnmdetect", "segment", str(scan), "--model", str(bundle)]
    command += ["-o", str(output), "--device", "cpu", "-q"]
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_number_of_slices(bundle: Path, tmp_path: Path) -> None:
    peaks: dict[int, float] = {}
    for slices in SLICES:
        write_scan(tmp_path / f"{slices}", slices)
        output = tmp_path / f"{slices}.json"
        peaks[slices] = peak_mb(tmp_path / f"{slices}", bundle, output)
        found = read_coco(output)
        assert len(found.images) == slices
        assert len({a.image_id for a in found.annotations}) == slices  # a mask on each
    told = ", ".join(f"{slices} slices {peak:.0f} MB" for slices, peak in peaks.items())
    sys.stdout.write(f"\npeak memory of segment: {told}\n")
    assert max(peaks.values()) <= 1.05 * min(peaks.values()), told
