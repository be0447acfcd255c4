"""Recipes of the segmentation arm."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from lnmdetect.core.segmenter_config import SegmentationPlan, SegmenterRecipe

Fields = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": {"classes": ["benign", "metastatic"]}}, "classes: expected one of"),
        ({"input": {"slice_offsets_mm": [-3, 0, 3]}}, "a segmenter sees volumes"),
        ({"input": {"spacing_mm": 0.5}}, "whose spacing is planned"),
        ({"planning": {"in_plane_patch": [64, 64]}}, "patch or in_plane_patch, not both"),
        ({"planning": {"in_plane_mm": 0.5}}, "spacing_mm or in_plane_mm, not both"),
        ({"sampling": {"node_share": 0.2}}, "greater than or equal to 0.33"),
    ],
)
def test_what_no_segmenter_can_have_is_refused(
    recipe_fields: Fields, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        SegmenterRecipe(**recipe_fields("segmenter", **changes))


def test_a_plan_has_a_kernel_a_level() -> None:
    with pytest.raises(ValidationError, match="one of each a level"):
        SegmentationPlan(
            spacing_mm=(1, 1, 1),
            patch=(8, 8, 8),
            strides=((1, 1, 1), (2, 2, 2)),
            kernels=((3, 3, 3),),
            memory_gb=1,
            median_shape=(8, 8, 8),
        )
