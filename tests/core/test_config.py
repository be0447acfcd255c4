"""Recipes are checked when built."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from lnmdetect.core.config import ClassifierConfig, ClassifierRecipe, DetectorConfig
from lnmdetect.core.config_parts import AugmentationConfig, InputConfig, OptimiserConfig

OPTIMISER = {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0, "epochs": 1, "batch_size": 1}


def test_channels_are_windows_times_offsets() -> None:
    config = InputConfig(windows_hu=((-160, 240), (0, 200)), slice_offsets_mm=(-3, 0, 3))
    assert config.channels == 6


@pytest.mark.parametrize(
    ("part", "fields", "message"),
    [
        (InputConfig, {"windows_hu": [], "slice_offsets_mm": [0]}, "windows_hu"),
        (InputConfig, {"windows_hu": [(0, 1)], "slice_offsets_mm": [3]}, "expected 0.0"),
        (InputConfig, {"windows_hu": [(9, 1)], "slice_offsets_mm": [0]}, "low < high"),
        (InputConfig, {"windows_hu": [(0, float("nan"))], "slice_offsets_mm": [0]}, "finite"),
        (OptimiserConfig, {**OPTIMISER, "learning_rate": float("inf")}, "finite"),
        (OptimiserConfig, {**OPTIMISER, "learning_rate": 0}, "greater than 0"),
        (OptimiserConfig, {**OPTIMISER, "schedule": "step"}, "step_epochs: expected a number"),
        (OptimiserConfig, {**OPTIMISER, "name": "lion"}, "'sgd', 'adam' or 'adamw'"),
        (OptimiserConfig, {**OPTIMISER, "epochs": 0}, "greater than or equal to 1"),
        (DetectorConfig, {"anchor_areas_px2": (1, 2, 3, 4)}, "Field required"),
        (DetectorConfig, {"anchor_areas_px2": (1, 2, 3, 4, 0)}, "greater than 0"),
        (DetectorConfig, {"anchor_areas_px2": (1, 2, 3, 4, 5), "architecture": "yolo"}, "'fcos'"),
        (
            DetectorConfig,
            {"anchor_areas_px2": (1, 2, 3, 4, 5), "architecture": "yolov3"},
            r"expected 9 \(width, height\) for yolov3, got 0",
        ),
        (
            DetectorConfig,
            {"anchor_areas_px2": (1, 2, 3, 4, 5), "anchor_shapes_px": [(3, 4)]},
            r"expected 9 \(width, height\) for yolov3, got 1",
        ),
        (
            DetectorConfig,
            {"anchor_areas_px2": (1, 2, 3, 4, 5), "architecture": "ssd", "roi": "pool"},
            "fpn, roi: only architecture: faster_rcnn",
        ),
        (
            DetectorConfig,
            {"anchor_areas_px2": (1, 2, 3, 4, 5), "architecture": "fcos", "fpn": False},
            "fpn, roi: only architecture: faster_rcnn",
        ),
        (ClassifierConfig, {"classes": ("metastatic", "benign")}, "classes: expected"),
        (AugmentationConfig, {"mirror": 1.5}, "less than or equal to 1"),
        (AugmentationConfig, {"rotation": 15}, "Extra inputs are not permitted"),
    ],
)
def test_an_unsound_value_is_refused(part: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        part(**fields)


def test_a_recipe_cannot_be_changed_once_built() -> None:
    config = AugmentationConfig()
    with pytest.raises(ValidationError, match="frozen"):
        config.mirror = 0.5  # type: ignore[misc]


@pytest.mark.parametrize("asked", [{"body_mask": True}, {"body_mask": False, "spacing_mm": 0.5}])
def test_a_classifier_recipe_that_asks_for_what_crops_ignore_is_refused(
    recipe_fields: Callable[..., dict[str, Any]], asked: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError, match="input: expected body_mask: false and no spacing_mm"):
        ClassifierRecipe(**recipe_fields("classifier", input=asked))
