"""Slices and truth boxes as batches for the detector."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.geometry import Boxes, as_boxes, box_centres, clip_boxes, shift_boxes
from lnmdetect.core.records import CocoDataset, ImageRecord
from lnmdetect.datasets.draws import Draw, permuted
from lnmdetect.datasets.volume_cache import CachedSeries
from lnmdetect.transforms.augment import Augmentation
from lnmdetect.transforms.grid import ModelGrid
from lnmdetect.transforms.windows import AIR_HU, window_stack

STRIDE = 32
"""Sides of a batch are multiples of the network's largest stride."""
ROOM = 1.25
"""Windows are cut this much wider than the model sees, so that turning shows no empty corners."""


@dataclass(frozen=True)
class DetectorItem:
    """One slice or window for the detector.

    Attributes:
        channels: (C, H, W) float32 in [0, 1].
        boxes_xyxy: (N, 4) px of `channels`.
        ignored: (N,) whether a box is neither hit nor miss.
        image, grid: where it came from; None for a training window.
    """

    channels: NDArray[np.float32]
    boxes_xyxy: Boxes
    ignored: NDArray[np.bool_]
    image: ImageRecord | None = None
    grid: ModelGrid | None = None


@dataclass(frozen=True)
class DetectorBatch:
    """Items padded to one size: `images` (N, C, H, W) and torchvision-style `targets`."""

    images: Tensor
    targets: list[dict[str, Tensor]]
    items: list[DetectorItem]


def collate_detector(items: Sequence[DetectorItem]) -> DetectorBatch:
    """Return the items as one batch, padded with 0 at the right and below to multiples of 32."""
    sizes = np.array([item.channels.shape[1:] for item in items]).max(axis=0)
    height, width = (int(-(-side // STRIDE) * STRIDE) for side in sizes)
    images = torch.zeros(len(items), items[0].channels.shape[0], height, width)
    for image, item in zip(images, items, strict=True):
        image[:, : item.channels.shape[1], : item.channels.shape[2]] = torch.from_numpy(
            item.channels
        )
    return DetectorBatch(images, [_target(item) for item in items], list(items))


def _target(item: DetectorItem) -> dict[str, Tensor]:
    boxes = torch.from_numpy(item.boxes_xyxy).float()
    ignored = torch.from_numpy(item.ignored)
    labels = torch.ones(int((~ignored).sum()), dtype=torch.long)
    return {"boxes": boxes[~ignored], "ignored": boxes[ignored], "labels": labels}


@dataclass(frozen=True)
class TruthSlice:
    """One slice of a cached series with its truth, in model pixels."""

    series: CachedSeries
    index: int
    boxes_xyxy: Boxes
    ignored: NDArray[np.bool_]
    node_ids: tuple[str | None, ...]


def truth_slices(truth: CocoDataset, series: Sequence[CachedSeries]) -> list[TruthSlice]:
    """Return every slice that truth lists, with its boxes on the model's grid."""
    by_image = truth.by_image()
    slices = []
    for scan in series:
        for index, image in enumerate(scan.images):
            nodes = by_image[image.image_id]
            boxes = scan.grid.to_model(as_boxes([node.box_xyxy for node in nodes]))
            ignored = np.array([node.ignored for node in nodes], dtype=bool)
            ids = tuple(node.node_id for node in nodes)
            slices.append(TruthSlice(scan, index, boxes, ignored, ids))
    return slices


class WholeSlices(Dataset[DetectorItem]):
    """Whole slices without random changes, for validation and prediction."""

    def __init__(self, slices: Sequence[TruthSlice], recipe: DetectorRecipe) -> None:
        self.slices, self.recipe = slices, recipe

    def __len__(self) -> int:
        """Return the number of slices."""
        return len(self.slices)

    def __getitem__(self, index: int) -> DetectorItem:
        """Return one slice with its image record and grid."""
        part = self.slices[index]
        channels = window_stack(_stack(part, self.recipe), self.recipe.input.windows_hu)
        image = part.series.images[part.index]
        return DetectorItem(channels, part.boxes_xyxy, part.ignored, image, part.series.grid)


def _stack(part: TruthSlice, recipe: DetectorRecipe) -> NDArray[np.int16]:
    rows = part.series.stack_indices(part.index, recipe.input.slice_offsets_mm)
    volume = part.series.volume()
    return np.stack([volume[row] for row in rows])


class TrainingWindows(Dataset[DetectorItem]):
    """Randomly placed and changed windows, or whole slices where the recipe has no window.

    Args:
        slices: of the training patients.
        recipe: of the detector.
    """

    def __init__(self, slices: Sequence[TruthSlice], recipe: DetectorRecipe) -> None:
        self.slices, self.recipe = slices, recipe
        self.augmentation = Augmentation(recipe.augmentation, size_px=recipe.sampling.patch_px)
        self._nodes: dict[object, list[tuple[int, int]]] = {}
        for number, part in enumerate(slices):
            for row, node in enumerate(part.node_ids):
                if not part.ignored[row]:
                    key = (part.series.path, node) if node else (number, row)
                    self._nodes.setdefault(key, []).append((number, row))
        self._keys = list(self._nodes)

    def __len__(self) -> int:
        """Return how many items one pass over the images has."""
        return len(self.slices) * self.recipe.augmentation.copies

    def __getitem__(self, draw: Draw) -> DetectorItem:
        """Return the item of a draw; the same draw gives the same item."""
        rng = draw.generator()
        part, window = self._choose(draw, rng)
        item = self._cut(part, window)
        # Two seeds: of one, both would draw the same numbers, and mirrored windows all be noisy.
        move, light = (int(seed) for seed in rng.integers(2**31, size=2))
        moved = self.augmentation.geometric(item.channels, item.boxes_xyxy, item.ignored, seed=move)
        channels = self.augmentation.photometric(moved.channels, seed=light)
        return DetectorItem(channels, moved.boxes_xyxy, moved.ignored)

    def _choose(
        self, draw: Draw, rng: np.random.Generator
    ) -> tuple[TruthSlice, tuple[int, int] | None]:
        """Return a slice and the centre (x, y) of its window; None takes the whole slice."""
        sampling = self.recipe.sampling
        if sampling.patch_px is None:
            return self.slices[permuted(draw, len(self.slices))], None
        if not self._keys or rng.random() < sampling.empty_share:
            part = self.slices[int(rng.integers(len(self.slices)))]
            height, width = part.series.grid.size
            return part, (int(rng.integers(width)), int(rng.integers(height)))
        sections = self._nodes[self._keys[int(rng.integers(len(self._keys)))]]
        number, row = sections[int(rng.integers(len(sections)))]
        part = self.slices[number]
        jitter = rng.uniform(-0.4, 0.4, size=2) * sampling.patch_px
        x, y = box_centres(part.boxes_xyxy[row : row + 1])[0] + jitter
        return part, (int(x), int(y))

    def _cut(self, part: TruthSlice, centre: tuple[int, int] | None) -> DetectorItem:
        stack = _stack(part, self.recipe)
        windows = self.recipe.input.windows_hu
        patch_px = self.recipe.sampling.patch_px
        if centre is None or patch_px is None:
            return _whole(part, window_stack(stack, windows))
        side = round(patch_px * ROOM)
        x1, y1 = centre[0] - side // 2, centre[1] - side // 2
        patch = _padded_window(stack, (x1, y1), side)
        moved = replace(part, boxes_xyxy=shift_boxes(part.boxes_xyxy, shift_x=-x1, shift_y=-y1))
        return _whole(moved, window_stack(patch, windows))


def _whole(part: TruthSlice, channels: NDArray[np.float32]) -> DetectorItem:
    """Return the channels with the boxes on them; one whose centre is not on them is ignored."""
    height, width = channels.shape[1:]
    boxes = clip_boxes(part.boxes_xyxy, width=width, height=height)
    centres = box_centres(part.boxes_xyxy)
    outside = ((centres < 0) | (centres >= [width, height])).any(axis=1)
    kept = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
    return DetectorItem(channels, boxes[kept], (part.ignored | outside)[kept])


def _padded_window(
    stack: NDArray[np.int16], corner: tuple[int, int], side: int
) -> NDArray[np.int16]:
    """Return (S, side, side) of the stack from `corner` (x, y) on, air outside it."""
    patch = np.full((len(stack), side, side), AIR_HU, dtype=np.int16)
    x1, y1 = corner
    height, width = stack.shape[1:]
    left, top = max(x1, 0), max(y1, 0)
    right, bottom = min(x1 + side, width), min(y1 + side, height)
    if right > left and bottom > top:
        part = stack[:, top:bottom, left:right]
        patch[:, top - y1 : bottom - y1, left - x1 : right - x1] = part
    return patch
