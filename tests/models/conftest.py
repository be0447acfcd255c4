"""What tests of several detectors share."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lnmdetect.models.detector_sizes import DetectorSizes

SHAPES = ((6, 6), (9, 8), (12, 10), (15, 14), (18, 19), (24, 22), (30, 31), (40, 38), (60, 60))
MakeTarget = Callable[..., dict[str, Tensor]]
MakeSizes = Callable[..., DetectorSizes]


@pytest.fixture(scope="session")
def make_target() -> MakeTarget:
    """A function that gives the target of an image with counted and ignored boxes, xyxy px."""

    def make(
        boxes: list[list[float]] | None = None, ignored: list[list[float]] | None = None
    ) -> dict[str, Tensor]:
        counted, left_out = (
            torch.tensor(x or [], dtype=torch.float32).reshape(-1, 4) for x in (boxes, ignored)
        )
        labels = torch.ones(len(counted), dtype=torch.long)
        return {"boxes": counted, "ignored": left_out, "labels": labels}

    return make


@pytest.fixture(scope="session")
def make_sizes() -> MakeSizes:
    """A function that gives the sizes of a detector an eighth as wide, with few proposals."""

    def make(**changes: Any) -> DetectorSizes:
        sizes: dict[str, Any] = {
            "anchor_areas_px2": (144.0, 256.0, 484.0, 900.0, 2500.0),
            "anchor_shapes_px": SHAPES,
            "width": 0.125,
            "in_channels": 1,
            "proposals_train": 100,
            "proposals_test": 100,
            "roi_samples": 64,
        }
        return DetectorSizes(**{**sizes, **changes})

    return make
