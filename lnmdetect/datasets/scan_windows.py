"""A scan as overlapping windows for the segmenter, and its answers back on the slices."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.records import ImageRecord
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.datasets.segmenter_data import SegmenterItem, channels_of, with_coarse
from lnmdetect.io.scan_handle import ReadSlice
from lnmdetect.transforms.grid import ModelGrid, mask_slice, plan_grid, resample
from lnmdetect.transforms.slab_merge import window_places
from lnmdetect.transforms.volume_grid import Window, blend_slices, cut_volume

Start = tuple[int, int, int]
SAME_STEP = 0.05
"""Share by which the scan's step may differ from the plan's and its own slices be the planes."""


class ScanWindows:
    """The windows of one scan; no more of it is held than a window is deep.

    Args:
        images: D records, rising positions.
        read: gives slice `index`, (H, W) int16 HU.
        recipe: with its plan.
        coarse: P(node) of a first stage on every slice in order, (H, W) in [0, 1]; or None.
    """

    def __init__(
        self,
        images: Sequence[ImageRecord],
        read: ReadSlice,
        recipe: SegmenterRecipe,
        *,
        coarse: Iterator[NDArray[np.float32]] | None = None,
    ) -> None:
        assert recipe.plan is not None
        self.images = images
        self.recipe, self.plan, self._read = recipe, recipe.plan, read
        self.spacing_mm = images[0].spacing_mm
        self.size = (images[0].height, images[0].width)
        self.grid = plan_grid(
            (0, 0, images[0].width, images[0].height), self.spacing_mm, self.plan.spacing_mm[1]
        )
        self.positions_mm = np.array([image.position_mm for image in images], dtype=np.float64)
        self.planes_mm = _planes(self.positions_mm, self.plan.spacing_mm[0])
        self._blend = blend_slices(self.positions_mm, self.planes_mm)
        self._coarse = None if coarse is None else enumerate(coarse)
        self._slice = lru_cache(maxsize=2)(self._read_slice)
        self._plane = lru_cache(maxsize=2 * self.plan.patch[0])(self._read_plane)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(planes, rows, columns) of the network's grid."""
        return (len(self.planes_mm), *self.grid.size)

    def windows(self) -> Iterator[tuple[Start, SegmenterItem | None]]:
        """Yield where each window starts and what it holds, plane by plane; None: only air."""
        depth, height, width = self.plan.patch
        floor_hu = min(low for low, _ in self.recipe.input.windows_hu)
        for start in window_places(self.shape, self.plan.patch, self.recipe.window_overlap):
            planes = np.minimum(np.arange(start[0], start[0] + depth), self.shape[0] - 1)
            slabs = np.stack([self._plane(int(plane)) for plane in planes], axis=1)
            every = np.arange(depth, dtype=np.float64)
            whole, part = blend_slices(every, every), Window(start[1:], (height, width))
            hu, *coarse = (cut_volume(slab, whole, part) for slab in slabs)
            if hu.max() <= floor_hu:
                yield start, None
            else:
                channels = channels_of(hu, self.recipe.input.windows_hu)
                yield start, SegmenterItem(with_coarse(channels, coarse[0] if coarse else None))

    def on_slices(
        self, planes: Iterator[NDArray[np.float32] | None]
    ) -> Iterator[tuple[int, NDArray[np.float32] | None]]:
        """Yield each slice of the scan with its maps (K, H, W), from those of the planes in order.

        Args:
            planes: (K, rows, columns) or None, one a plane of the grid, first to last.
        """
        blend = blend_slices(self.planes_mm, self.positions_mm)
        held: dict[int, NDArray[np.float32] | None] = {}
        drawn = enumerate(planes)
        for index, (lower, upper, share) in enumerate(
            zip(blend.lower, blend.upper, blend.share, strict=True)
        ):
            while upper not in held:
                number, plane = next(drawn)
                held[number] = plane
            for old in [number for number in held if number < lower]:
                del held[old]
            yield index, self._resized(_mixed(held[int(lower)], held[int(upper)], float(share)))

    def _read_slice(self, index: int) -> NDArray[np.int16]:
        """Return (V, rows, columns): HU, and where there is a first stage its P(node) after it."""
        masked, _ = mask_slice(self._read(index), self.spacing_mm, self.recipe.input)
        volumes = [resample(masked, self.grid)]
        if self._coarse is not None:
            # Slices come in order, but those between two planes are not read: theirs are left out.
            shares = next(shares for at, shares in self._coarse if at == index)
            volumes.append(coarse_plane(shares, self.grid))
        return np.stack(volumes)

    def _read_plane(self, plane: int) -> NDArray[np.int16]:
        lower, share = int(self._blend.lower[plane]), float(self._blend.share[plane])
        if share == 0:
            return self._slice(lower)
        upper = int(self._blend.upper[plane])
        mixed = self._slice(lower) * (1 - share) + self._slice(upper) * share
        return np.rint(mixed).astype(np.int16)

    def _resized(self, maps: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        if maps is None:
            return None
        rows, columns = self.size
        return np.stack(
            [cv2.resize(m, (columns, rows), interpolation=cv2.INTER_LINEAR) for m in maps]
        )


def coarse_plane(shares: NDArray[np.float32], grid: ModelGrid) -> NDArray[np.int16]:
    """Return P(node) of a slice (H, W) on a grid, (rows, columns) in thousandths."""
    return resample(np.rint(shares * 1000).astype(np.int16), grid)


def _planes(positions_mm: NDArray[np.float64], step_mm: float) -> NDArray[np.float64]:
    """Return where the planes of the grid lie: on the slices, where their step is the plan's."""
    own = np.diff(positions_mm)
    if len(own) == 0 or abs(float(own.mean()) / step_mm - 1) <= SAME_STEP:
        return positions_mm
    count = int(np.ceil((positions_mm[-1] - positions_mm[0]) / step_mm)) + 1
    return np.asarray(positions_mm[0] + step_mm * np.arange(count), dtype=np.float64)


def _mixed(
    lower: NDArray[np.float32] | None, upper: NDArray[np.float32] | None, share: float
) -> NDArray[np.float32] | None:
    """Return the maps between two planes; what no window covered is no node."""
    if lower is None or upper is None:
        known, part = (upper, share) if lower is None else (lower, 1 - share)
        return None if known is None or part == 0 else known * np.float32(part)
    return np.asarray(lower * (1 - share) + upper * share, dtype=np.float32)
