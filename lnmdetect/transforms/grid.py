"""From a scan's pixels to the grid a model sees, and boxes back again."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.config_parts import InputConfig
from lnmdetect.core.geometry import Boxes, scale_boxes, shift_boxes
from lnmdetect.transforms.body import BoxPx, body_mask, mask_box
from lnmdetect.transforms.windows import AIR_HU, window_stack


@dataclass(frozen=True)
class ModelGrid:
    """Where a model's pixels lie in the original slice.

    Attributes:
        crop: xyxy px of the original slice that is kept.
        scale: (x, y) model pixels per original pixel.
        size: (height, width) of the model's slice, before padding.
    """

    crop: BoxPx
    scale: tuple[float, float]
    size: tuple[int, int]

    def to_model(self, boxes_xyxy: Boxes) -> Boxes:
        """Return boxes (N, 4) of the original slice in model pixels."""
        moved = shift_boxes(boxes_xyxy, shift_x=-self.crop[0], shift_y=-self.crop[1])
        return scale_boxes(moved, scale_x=self.scale[0], scale_y=self.scale[1])

    def to_original(self, boxes_xyxy: Boxes) -> Boxes:
        """Return boxes (N, 4) of the model's slice in original pixels."""
        grown = scale_boxes(boxes_xyxy, scale_x=1 / self.scale[0], scale_y=1 / self.scale[1])
        return shift_boxes(grown, shift_x=self.crop[0], shift_y=self.crop[1])


def plan_grid(crop: BoxPx, spacing_mm: tuple[float, float], model_mm: float | None) -> ModelGrid:
    """Return the grid for a crop of a slice; `model_mm` None keeps the slice's own pixels.

    Args:
        crop: xyxy px of the original slice.
        spacing_mm: (row, column) of the original slice.
        model_mm: in-plane spacing the model was trained at.
    """
    width, height = crop[2] - crop[0], crop[3] - crop[1]
    target = model_mm or None
    model_width = round(width * spacing_mm[1] / target) if target else width
    model_height = round(height * spacing_mm[0] / target) if target else height
    size = (max(1, model_height), max(1, model_width))
    return ModelGrid(crop, (size[1] / width, size[0] / height), size)


def resample(hu: NDArray[np.int16], grid: ModelGrid) -> NDArray[np.int16]:
    """Return the (h, w) model slice of one original (H, W) slice, HU."""
    x1, y1, x2, y2 = grid.crop
    part = np.ascontiguousarray(hu[y1:y2, x1:x2])
    if part.shape == grid.size:
        return part
    shrinks = grid.scale[0] < 1
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(
        part.astype(np.float32), (grid.size[1], grid.size[0]), interpolation=method
    )
    return np.rint(resized).astype(np.int16)


def mask_slice(
    hu: NDArray[np.int16], spacing_mm: tuple[float, float], config: InputConfig
) -> tuple[NDArray[np.int16], BoxPx]:
    """Return the slice (H, W) with what lies outside the patient set to air, and the patient's box.

    A recipe without `body_mask` keeps the whole slice.
    """
    if not config.body_mask:
        return hu, (0, 0, hu.shape[1], hu.shape[0])
    inside = body_mask(hu, spacing_mm)
    return np.where(inside, hu, np.int16(AIR_HU)), mask_box(inside)


def model_channels(
    stack_hu: NDArray[np.int16], crop: BoxPx, spacing_mm: tuple[float, float], config: InputConfig
) -> tuple[NDArray[np.float32], ModelGrid]:
    """Return a model's channels (C, h, w) in [0, 1] for a stack of masked slices, and their grid.

    Args:
        stack_hu: (S, H, W), one slice an offset of `config`.
        crop: xyxy px that is kept, the patient's box in the slice itself: air costs nothing.
        spacing_mm: (row, column).
        config: of the model.
    """
    grid = plan_grid(crop, spacing_mm, config.spacing_mm)
    slices = np.stack([resample(hu, grid) for hu in stack_hu])
    return window_stack(slices, config.windows_hu), grid
