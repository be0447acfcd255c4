"""Series resampled to a model's grid once and memory-mapped, so that a loader never waits."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.config_parts import InputConfig
from lnmdetect.core.neighbours import neighbour_indices
from lnmdetect.core.records import Coverage, ImageRecord
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.run_files import open_array, save_array
from lnmdetect.transforms.body import BoxPx
from lnmdetect.transforms.grid import ModelGrid, mask_slice, plan_grid, resample

CACHE_FORMAT = 1
"""Raised when masks or resampling change, so that old files are not taken for new ones."""


@dataclass(frozen=True)
class CachedSeries:
    """The slices of one scan on a model's grid.

    Attributes:
        images: D records, rising positions.
        grid: shared by all slices.
        path: `.npy` file of (D, h, w) int16 HU.
    """

    images: tuple[ImageRecord, ...]
    grid: ModelGrid
    path: Path

    def volume(self) -> NDArray[np.int16]:
        """Return the slices (D, h, w), HU, memory-mapped."""
        return open_array(self.path)

    def stack_indices(self, index: int, offsets_mm: tuple[float, ...]) -> list[int]:
        """Return which slices stand for the offsets around slice `index`."""
        return neighbour_indices([i.position_mm for i in self.images], index, offsets_mm)


def group_series(
    images: Iterable[ImageRecord], coverage: Coverage = "all_slices"
) -> list[tuple[ImageRecord, ...]]:
    """Return the images of each series in rising position; sizes and spacings never mix.

    Each of key images is a series of its own, as `detect` reads them: none is another's neighbour.
    """
    if coverage == "key_images":
        return [(image,) for image in images]
    groups: dict[tuple[object, ...], list[ImageRecord]] = {}
    for image in images:
        key = (image.series, image.width, image.height, image.spacing_mm)
        groups.setdefault(key, []).append(image)
    return [tuple(sorted(group, key=lambda i: i.position_mm)) for group in groups.values()]


def cache_series(
    images: tuple[ImageRecord, ...], store: PixelStore, config: InputConfig, folder: Path
) -> CachedSeries:
    """Return the series on the model's grid, written to `folder` unless it is there already."""
    path = folder / f"{_cache_key(images, config, store.read(images[len(images) // 2]))}.npy"
    crop_path = path.with_suffix(".crop.npy")
    if path.is_file() and crop_path.is_file():
        x1, y1, x2, y2 = (int(v) for v in open_array(crop_path))
        grid = plan_grid((x1, y1, x2, y2), images[0].spacing_mm, config.spacing_mm)
        return CachedSeries(images, grid, path)
    masked, boxes = zip(
        *(mask_slice(store.read(i), i.spacing_mm, config) for i in images), strict=True
    )
    crop = _union(boxes)
    grid = plan_grid(crop, images[0].spacing_mm, config.spacing_mm)
    save_array(crop_path, np.array(crop))
    save_array(path, np.stack([resample(hu, grid) for hu in masked]))
    return CachedSeries(images, grid, path)


def _union(boxes: Iterable[BoxPx]) -> BoxPx:
    corners = np.array(list(boxes))
    x1, y1 = corners[:, :2].min(axis=0)
    x2, y2 = corners[:, 2:].max(axis=0)
    return (int(x1), int(y1), int(x2), int(y2))


def _cache_key(
    images: tuple[ImageRecord, ...], config: InputConfig, middle_hu: NDArray[np.int16]
) -> str:
    """Return a name that changes with the slices, the grid and the pixels of the middle slice.

    A phantom that is drawn again with the same seed keeps its uids, but not its pixels.
    """
    first = images[0]
    grid = f"{CACHE_FORMAT} {config.spacing_mm} {config.body_mask}"
    grid += f" {first.spacing_mm} {first.width} {first.height}"
    text = "\n".join([grid, *(image.join_key for image in images)])
    return hashlib.sha256(text.encode() + middle_hu.tobytes()).hexdigest()[:24]
