"""Parts of a volume on a network's grid: interpolated along z, cut in the plane, padded."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.transforms.windows import AIR_HU

OUTSIDE = 0
"""Label of what lies beyond the volume."""


@dataclass(frozen=True)
class SliceBlend:
    """How planes of a network's grid are made from the slices of a scan.

    Attributes:
        lower, upper: (K,) slices on either side of each plane.
        share: (K,) of the upper one, in [0, 1].
        inside: (K,) whether the plane lies within the scan, half a step beyond its ends included.
    """

    lower: NDArray[np.int64]
    upper: NDArray[np.int64]
    share: NDArray[np.float64]
    inside: NDArray[np.bool_]

    @property
    def nearest(self) -> NDArray[np.int64]:
        """The slice nearest to each plane."""
        return np.where(self.share < 0.5, self.lower, self.upper)


def blend_slices(positions_mm: NDArray[np.float64], planes_mm: NDArray[np.float64]) -> SliceBlend:
    """Return how the planes are made from slices at `positions_mm`, rising, one or more."""
    places = np.interp(planes_mm, positions_mm, np.arange(len(positions_mm)))
    lower = np.floor(places).astype(np.int64)
    upper = np.minimum(lower + 1, len(positions_mm) - 1)
    step = float(np.diff(positions_mm).mean()) if len(positions_mm) > 1 else np.inf
    inside = (planes_mm > positions_mm[0] - step / 2) & (planes_mm < positions_mm[-1] + step / 2)
    return SliceBlend(lower, upper, places - lower, inside)


@dataclass(frozen=True)
class Window:
    """A part of the plane: `corner` (row, column) may lie outside, `size` is (rows, columns)."""

    corner: tuple[int, int]
    size: tuple[int, int]


def cut_volume(
    volume_hu: NDArray[np.int16], blend: SliceBlend, window: Window
) -> NDArray[np.float32]:
    """Return (K, rows, columns) HU of the planes, linear between slices, air beyond the volume.

    Args:
        volume_hu: (D, H, W), memory-mapped or not; no more of it is read than is needed.
        blend: of K planes.
        window: in the plane.
    """
    cut = np.full((len(blend.lower), *window.size), AIR_HU, dtype=np.float32)
    source, target = _overlap(window, volume_hu.shape[1:])
    for plane, (lower, upper, share, inside) in enumerate(
        zip(blend.lower, blend.upper, blend.share, blend.inside, strict=True)
    ):
        if inside:
            part = volume_hu[lower][source].astype(np.float32)
            if share > 0:
                part = part * (1 - share) + volume_hu[upper][source].astype(np.float32) * share
            cut[plane][target] = part
    return cut


def cut_labels(labels: NDArray[np.uint8], blend: SliceBlend, window: Window) -> NDArray[np.uint8]:
    """Return (K, rows, columns) labels of the planes, each from the nearest slice; 0 beyond."""
    cut = np.full((len(blend.lower), *window.size), OUTSIDE, dtype=np.uint8)
    source, target = _overlap(window, labels.shape[1:])
    for plane, (nearest, inside) in enumerate(zip(blend.nearest, blend.inside, strict=True)):
        if inside:
            cut[plane][target] = labels[nearest][source]
    return cut


def _overlap(
    window: Window, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return which part of the plane the window covers, and where it lies within the window."""
    source, target = [], []
    for corner, size, side in zip(window.corner, window.size, shape, strict=True):
        first, last = max(corner, 0), max(min(corner + size, side), max(corner, 0))
        source.append(slice(first, last))
        target.append(slice(first - corner, last - corner))
    return (source[0], source[1]), (target[0], target[1])
