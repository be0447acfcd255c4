"""Volumes and label volumes as batches of patches for the segmenter."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lnmdetect.core.segmenter_config import SegmentationPlan, SegmenterRecipe
from lnmdetect.datasets.draws import Draw
from lnmdetect.datasets.label_cache import LabelledSeries, NodePlace
from lnmdetect.transforms.augment import Augmentation
from lnmdetect.transforms.volume_grid import Window, blend_slices, cut_labels, cut_volume
from lnmdetect.transforms.windows import window

ROOM = 1.25
"""Patches are cut this much wider than the network sees, so that turning shows few empty corners: a
square one turned by 12 degrees needs 1.19."""
TRIES = 10
"""Of a patch on a node, until turning and shrinking have left a voxel of one in it."""


@dataclass(frozen=True)
class SegmenterItem:
    """One patch.

    Attributes:
        channels: (C, D, H, W) float32 in [0, 1], one a window.
        labels: (D, H, W) uint8, 0 the background; None where the truth is not known.
    """

    channels: NDArray[np.float32]
    labels: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class SegmenterBatch:
    """Patches of one size: `volumes` (N, C, D, H, W), `labels` (N, D, H, W) int64 or None."""

    volumes: Tensor
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.volumes)


def collate_segmenter(items: Sequence[SegmenterItem]) -> SegmenterBatch:
    """Return the patches as one batch."""
    volumes = torch.from_numpy(np.stack([item.channels for item in items]))
    known = [item.labels for item in items if item.labels is not None]
    if len(known) < len(items):
        return SegmenterBatch(volumes, None)
    return SegmenterBatch(volumes, torch.from_numpy(np.stack(known)).long())


def channels_of(
    hu: NDArray[np.float32], windows_hu: Sequence[tuple[float, float]]
) -> NDArray[np.float32]:
    """Return (C, D, H, W) channels in [0, 1] of a volume (D, H, W), HU."""
    return np.stack([window(hu, limits) for limits in windows_hu])


COARSE_RANGE = (0.0, 1000.0)
"""P(node) of a first stage is kept in thousandths, so that it is cut and interpolated as HU are."""


def with_coarse(
    channels: NDArray[np.float32], thousandths: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Return (C, D, H, W) channels with P(node) of the first stage as one more, where it is."""
    if thousandths is None:
        return channels
    return np.concatenate([channels, window(thousandths, COARSE_RANGE)[None]])


def is_on_node(number: int, node_share: float) -> bool:
    """Return whether a patch is placed on a node: of the first n at least `node_share * n` are.

    Args:
        number: of the patch, from 0.
        node_share: of the patches, in [0, 1]; spread evenly over them.
    """
    before, after = (math.ceil(n * node_share - 1e-9) for n in (number, number + 1))
    return after > before


class Patches:
    """Where patches are cut, and the cutting: the part that training and validation share.

    Args:
        series: of the patients, one or more.
        recipe: with its plan.
    """

    def __init__(self, series: Sequence[LabelledSeries], recipe: SegmenterRecipe) -> None:
        assert recipe.plan is not None
        self.series, self.recipe = series, recipe
        self.plan: SegmentationPlan = recipe.plan
        self.nodes: dict[int, list[tuple[LabelledSeries, NodePlace]]] = {}
        for scan in series:
            for node in scan.nodes:
                group = node.label if recipe.sampling.class_balanced else 0
                self.nodes.setdefault(group, []).append((scan, node))

    def on_node(self, number: int) -> bool:
        """Return whether the patch of this number is placed on a node."""
        return bool(self.nodes) and is_on_node(number, self.recipe.sampling.node_share)

    def place(
        self, rng: np.random.Generator, *, on_node: bool
    ) -> tuple[LabelledSeries, tuple[float, float, float]]:
        """Return a series and the middle of a patch in it: (mm along z, row, column) of its grid.

        On a node the middle is moved so that the node lies anywhere within the patch.
        """
        depth, height, width = self.plan.patch
        reach = np.array([depth * self.plan.spacing_mm[0], height, width]) * 0.4
        if on_node:
            groups = sorted(self.nodes)
            nodes = self.nodes[groups[int(rng.integers(len(groups)))]]
            scan, node = nodes[int(rng.integers(len(nodes)))]
            positions = scan.positions_mm
            z_mm = float(np.interp(node.centre[0], np.arange(len(positions)), positions))
            centre = np.array([z_mm, *node.centre[1:]]) + rng.uniform(-1, 1, 3) * reach
        else:
            scan = self.series[int(rng.integers(len(self.series)))]
            positions, size = scan.positions_mm, scan.series.grid.size
            low, high = np.array([positions[0], 0, 0]), np.array([positions[-1], *size])
            centre = rng.uniform(low, np.maximum(high, low))
        return scan, (float(centre[0]), float(centre[1]), float(centre[2]))

    def cut(
        self, scan: LabelledSeries, centre: tuple[float, float, float], *, room: float = 1.0
    ) -> SegmenterItem:
        """Return the patch around `centre` (mm, row, column), wider in the plane by `room`."""
        depth, height, width = self.plan.patch
        planes_mm = centre[0] + np.arange(depth, dtype=np.float64) * self.plan.spacing_mm[0]
        planes_mm -= (depth - 1) / 2 * self.plan.spacing_mm[0]
        blend = blend_slices(scan.positions_mm, planes_mm)
        size = round(height * room), round(width * room)
        corner = round(centre[1] - size[0] / 2), round(centre[2] - size[1] / 2)
        part = Window(corner, size)
        hu = cut_volume(scan.series.volume(), blend, part)
        coarse = None if scan.coarse is None else cut_volume(scan.coarse_volume(), blend, part)
        channels = with_coarse(channels_of(hu, self.recipe.input.windows_hu), coarse)
        return SegmenterItem(channels, cut_labels(scan.labels(), blend, part))


class TrainingPatches(Dataset[SegmenterItem]):
    """Randomly placed and changed patches.

    Args:
        series: of the training patients.
        recipe: with its plan.
    """

    def __init__(self, series: Sequence[LabelledSeries], recipe: SegmenterRecipe) -> None:
        self.patches = Patches(series, recipe)
        height, width = self.patches.plan.patch[1:]
        self.augmentation = Augmentation(recipe.augmentation, size_px=(height, width))

    def __len__(self) -> int:
        """Return how many patches count as one pass: one a node, at least one a series."""
        return max(len(self.patches.series), sum(map(len, self.patches.nodes.values())))

    def __getitem__(self, draw: Draw) -> SegmenterItem:
        """Return the patch of a draw; the same draw gives the same patch.

        One that is placed on a node holds a voxel of a node, unless ten tries have not found any.
        """
        rng, on_node = draw.generator(), self.patches.on_node(draw.number)
        for _ in range(TRIES):
            item, labels = self._changed(rng, on_node=on_node)
            if not on_node or labels.any():
                break
        return item

    def _changed(
        self, rng: np.random.Generator, *, on_node: bool
    ) -> tuple[SegmenterItem, NDArray[np.uint8]]:
        """Return one patch after random changes, and its labels."""
        item = self.patches.cut(*self.patches.place(rng, on_node=on_node), room=ROOM)
        assert item.labels is not None
        move, light = (int(seed) for seed in rng.integers(2**31, size=2))
        channels, depth = item.channels, len(item.labels)
        flat = channels.reshape(-1, *channels.shape[2:])
        moved, labels = self.augmentation.geometric_labels(flat, item.labels, seed=move)
        lit = self.augmentation.photometric(moved, seed=light)
        return SegmenterItem(lit.reshape(-1, depth, *lit.shape[1:]), labels), labels


class ValidationPatches(Dataset[SegmenterItem]):
    """Fixed patches without random changes, the same at every epoch.

    Args:
        series: of the validation patients.
        recipe: with its plan; gives the number.
    """

    def __init__(self, series: Sequence[LabelledSeries], recipe: SegmenterRecipe) -> None:
        self.patches = Patches(series, recipe)
        self.count = recipe.sampling.validation_patches

    def __len__(self) -> int:
        """Return the number of patches."""
        return self.count

    def __getitem__(self, index: int) -> SegmenterItem:
        """Return one patch."""
        rng = np.random.default_rng(index)
        return self.patches.cut(*self.patches.place(rng, on_node=self.patches.on_node(index)))
