"""`lnmdetect segment` takes as much memory for 800 slices as for 100."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("monai", reason="the extra `segmentation` is not installed")

from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.core.thresholds import Threshold
from lnmdetect.datasets.segmentation_plan import ScanShape, plan_segmentation
from lnmdetect.io.bundles import Bundle, write_bundle
from lnmdetect.io.coco import read_coco
from lnmdetect.stages.speed_scans import BODY_SPACING_MM
from lnmdetect.training.segmenter_task import SegmenterTask
from tests.stages.memory import SIDE, SLICES, assert_memory_does_not_grow


@pytest.fixture
def bundle(recipe_fields: Callable[..., dict[str, Any]], tmp_path: Path) -> Path:
    """An untrained network on a coarse grid, to which almost everything is a node."""
    fields = recipe_fields(
        "segmenter", planning={"spacing_mm": [4.0, 2.0, 2.0], "patch": [4, 64, 64]}
    )
    bare = SegmenterRecipe(**fields)
    plan = plan_segmentation([ScanShape((100, SIDE, SIDE), BODY_SPACING_MM)], bare)
    recipe = bare.model_copy(update={"plan": plan})
    torch.manual_seed(0)
    weights = SegmenterTask(recipe, torch.device("cpu")).module.state_dict()
    threshold = Threshold(0.5, "a rule", "validation patients")
    folder = tmp_path / "bundle"
    write_bundle(Bundle("tiny", recipe, threshold, True, {}, "", folder), weights, "a card")
    return folder


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_number_of_slices(bundle: Path, tmp_path: Path) -> None:
    assert_memory_does_not_grow("segment", str(bundle), tmp_path)
    for slices in SLICES:
        found = read_coco(tmp_path / f"{slices}.json")
        assert len({a.image_id for a in found.annotations}) == slices  # a mask on each
