"""Crops around truth boxes as batches for the classifier."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lnmdetect.core.config import ClassifierRecipe
from lnmdetect.core.geometry import (
    Boxes,
    as_boxes,
    box_sizes,
    pairwise_iou,
    square_crop_side_mm,
)
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import (
    CATEGORY_NAMES,
    LYMPH_NODE,
    NOT_A_NODE,
    CocoDataset,
    Coverage,
    ImageRecord,
)
from lnmdetect.datasets.draws import Draw
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.run_files import new_array
from lnmdetect.transforms.augment import Augmentation
from lnmdetect.transforms.crops import crop_box, with_side_channel
from lnmdetect.transforms.windows import window_stack

ROOM = 1.5
"""Stored crops are this much wider than what the model sees, so that they can turn and move."""
BACKGROUND_REACH_MM = 20.0
"""Background boxes lie this near to a node in x and y: within its fascial space and the next."""
HU_SPAN = (-1024.0, 3071.0)
"""The 12-bit HU range, mapped to [0, 1] while a crop is turned."""


@dataclass(frozen=True)
class LabelledBox:
    """One box to learn from; `label` indexes the recipe's classes."""

    image: ImageRecord
    box_xyxy: tuple[float, float, float, float]
    label: int
    node: str


def labelled_boxes(truth: CocoDataset, classes: Sequence[str]) -> list[LabelledBox]:
    """Return the truth boxes whose class is known, those that are ignored left out."""
    images = {image.image_id: image for image in truth.images}
    boxes = []
    for node in truth.annotations:
        if node.ignored or node.category_id == LYMPH_NODE:
            continue
        image = images[node.image_id]
        label = classes.index(CATEGORY_NAMES[node.category_id])
        name = f"{image.patient}/{node.node_id or node.annotation_id}"
        boxes.append(LabelledBox(image, node.box_xyxy, label, name))
    return boxes


def background_boxes(
    truth: CocoDataset, classes: Sequence[str], share: float, seed: int
) -> list[LabelledBox]:
    """Return boxes of node size that touch no node, `share` a truth box; none without that class.

    They lie near nodes of the same slice (`BACKGROUND_REACH_MM`), where vessels and glands are.
    """
    if NOT_A_NODE not in classes or share == 0:
        return []
    rng = np.random.default_rng((seed, 2))
    images = {image.image_id: image for image in truth.images}
    found = []
    for nodes in truth.by_image().values():
        taken = as_boxes([node.box_xyxy for node in nodes])
        for node, (width, height) in zip(nodes, box_sizes(taken), strict=True):
            for _ in range(rng.poisson(share)):
                row_mm, column_mm = images[node.image_id].spacing_mm
                move_mm = rng.uniform(-BACKGROUND_REACH_MM, BACKGROUND_REACH_MM, size=2)
                corner = np.array(node.box_xyxy[:2]) + move_mm / (column_mm, row_mm)
                x1, y1 = (float(v) for v in corner)
                box = (x1, y1, x1 + float(width), y1 + float(height))
                if _is_free(box, taken, images[node.image_id]):
                    label = classes.index(NOT_A_NODE)
                    found.append(LabelledBox(images[node.image_id], box, label, ""))
    return found


def _is_free(box: tuple[float, ...], taken: Boxes, image: ImageRecord) -> bool:
    inside = box[0] >= 0 and box[1] >= 0 and box[2] <= image.width and box[3] <= image.height
    return bool(inside and pairwise_iou(as_boxes([box]), taken).max() == 0)


@dataclass(frozen=True)
class ClassifierBatch:
    """`crops` (N, C, S, S) in [0, 1] and `labels` (N,), -1 where there is no truth."""

    crops: Tensor
    labels: Tensor


def collate_crops(items: Sequence[tuple[NDArray[np.float32], int]]) -> ClassifierBatch:
    """Return the crops as one batch."""
    crops = torch.from_numpy(np.stack([crop for crop, _ in items]))
    return ClassifierBatch(crops, torch.tensor([label for _, label in items]))


class CropReader:
    """Reads the crops around boxes; the slices of the last image are kept for its next box.

    Args:
        store: where the pixels are.
        recipe: of the classifier.
        room: how many times wider than the model's input a crop is.
        coverage: of the images; a key image stands for all its neighbours.
    """

    def __init__(
        self,
        store: PixelStore,
        recipe: ClassifierRecipe,
        *,
        room: float = 1,
        coverage: Coverage = "all_slices",
    ) -> None:
        self.store, self.recipe, self.room, self.coverage = store, recipe, room, coverage
        self._last: tuple[ImageRecord, NDArray[np.int16]] | None = None

    def read(
        self, image: ImageRecord, box_xyxy: tuple[float, float, float, float]
    ) -> NDArray[np.int16]:
        """Return (S, P, P) HU around a box, P being the model's side times the room, rounded."""
        if self._last is None or self._last[0] != image:
            self._last = (image, self._stack(image))
        return crop_box(
            self._last[1],
            box_xyxy,
            spacing_mm=image.spacing_mm,
            margin=(1 + self.recipe.model.crop_margin) * self.room - 1,
            size_px=round(self.recipe.model.size_px * self.room),
        )

    def _stack(self, image: ImageRecord) -> NDArray[np.int16]:
        """Return (S, H, W) HU, one slice for each offset of the recipe."""
        offsets = self.recipe.input.slice_offsets_mm
        if self.coverage == "key_images":
            return np.stack([self.store.read(image)] * len(offsets))
        return self.store.read_stack(image, offsets)


def add_side(
    channels: NDArray[np.float32],
    image: ImageRecord,
    box_xyxy: tuple[float, float, float, float],
    recipe: ClassifierRecipe,
    *,
    error: float = 1,
) -> NDArray[np.float32]:
    """Return the channels of a crop, with one that tells its side in mm where the recipe asks.

    Args:
        channels: (C, S, S) in [0, 1].
        image: gives the pixel spacing.
        box_xyxy: around which the crop was cut, px.
        recipe: of the classifier.
        error: factor on the side, for training.
    """
    if not recipe.model.size_channel:
        return channels
    side_mm = square_crop_side_mm(
        box_xyxy, spacing_mm=image.spacing_mm, margin=recipe.model.crop_margin
    )
    return with_side_channel(channels, side_mm * error)


def store_crops(
    boxes: Sequence[LabelledBox],
    store: PixelStore,
    recipe: ClassifierRecipe,
    path: Path,
    progress: Progress = SILENT,
    *,
    coverage: Coverage = "all_slices",
) -> NDArray[np.int16]:
    """Return (N, S, P, P) HU around each box with room to turn, memory-mapped from `path`."""
    side = round(recipe.model.size_px * ROOM)
    shape = (len(boxes), len(recipe.input.slice_offsets_mm), side, side)
    crops = new_array(path, shape)
    reader = CropReader(store, recipe, room=ROOM, coverage=coverage)
    for number, box in enumerate(progress.track(boxes, description="reading crops")):
        crops[number] = reader.read(box.image, box.box_xyxy)
    return crops


class PlainCrops(Dataset[tuple[NDArray[np.float32], int]]):
    """Crops as the model will meet them, for validation.

    Args:
        crops: (N, S, P, P) HU from `store_crops`.
        boxes: N boxes.
        recipe: of the classifier.
    """

    def __init__(
        self, crops: NDArray[np.int16], boxes: Sequence[LabelledBox], recipe: ClassifierRecipe
    ) -> None:
        self.crops, self.boxes, self.recipe = crops, boxes, recipe

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.boxes)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], int]:
        """Return the channels (C, S, S) of the crop's centre, and its label."""
        first = (self.crops.shape[-1] - self.recipe.model.size_px) // 2
        last = first + self.recipe.model.size_px
        centre = self.crops[index][:, first:last, first:last]
        box = self.boxes[index]
        channels = window_stack(centre, self.recipe.input.windows_hu)
        return add_side(channels, box.image, box.box_xyxy, self.recipe), box.label


class TrainingCrops(Dataset[tuple[NDArray[np.float32], int]]):
    """Randomly turned, moved and changed crops, drawn evenly; class-balanced: classes and nodes.

    Args:
        crops: (N, S, P, P) HU from `store_crops`.
        boxes: N boxes.
        recipe: of the classifier.
    """

    def __init__(
        self, crops: NDArray[np.int16], boxes: Sequence[LabelledBox], recipe: ClassifierRecipe
    ) -> None:
        self.crops, self.boxes, self.recipe = crops, boxes, recipe
        box_share = 1 / ((1 + recipe.model.crop_margin) * ROOM)
        self.augmentation = Augmentation(
            recipe.augmentation,
            shift=recipe.model.box_jitter * box_share,
            size_px=recipe.model.size_px,
        )
        self._weights = np.cumsum(_drawing_weights(boxes, recipe.model.class_balanced))

    def __len__(self) -> int:
        """Return how many items one pass over the boxes has."""
        return len(self.boxes) * self.recipe.augmentation.copies

    def __getitem__(self, draw: Draw) -> tuple[NDArray[np.float32], int]:
        """Return the channels (C, S, S) and label of a draw; the same draw gives the same item."""
        rng = draw.generator()
        number = int(np.searchsorted(self._weights, rng.random() * self._weights[-1]))
        number = min(number, len(self.boxes) - 1)
        low, high = HU_SPAN
        crop = (self.crops[number].astype(np.float32) - low) / (high - low)
        # Two seeds: of one, both would draw the same numbers, and mirrored crops all be noisy.
        move, light = (int(seed) for seed in rng.integers(2**31, size=2))
        moved = self.augmentation.geometric(
            np.clip(crop, 0, 1), as_boxes([]), np.zeros(0, dtype=bool), seed=move
        )
        hu = np.rint(moved.channels * (high - low) + low).astype(np.int16)
        channels = window_stack(hu, self.recipe.input.windows_hu)
        channels = self.augmentation.photometric(channels, seed=light)
        box, jitter = self.boxes[number], self.recipe.model.box_jitter
        error = 1 + float(rng.uniform(-jitter, jitter))  # as a detector's box would have
        channels = add_side(channels, box.image, box.box_xyxy, self.recipe, error=error)
        return channels, box.label


def _drawing_weights(boxes: Sequence[LabelledBox], balanced: bool) -> NDArray[np.float64]:
    """Return (N,) weights: each box alike; balanced: each class alike, and each node within it."""
    if not balanced:
        return np.ones(len(boxes))
    nodes: dict[str, int] = {}
    for box in boxes:
        nodes[box.node] = nodes.get(box.node, 0) + 1
    weights = np.array([1 / nodes[box.node] if box.node else 1.0 for box in boxes])
    labels = np.array([box.label for box in boxes])
    for label in np.unique(labels):
        weights[labels == label] /= weights[labels == label].sum()
    return weights
