"""Closed contours filled: the pixels whose centres lie inside.

PS3.3 C.8.8.6.3 has two ways to draw a hole: a channel within one contour, and contours that are
declared to exclude each other. Many tools write a contour within another without declaring it;
that is a hole too. Two that are drawn over each other, or twice, are not.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lnmdetect.transforms.mask_pieces import Mask

Contour = NDArray[np.float64]


def fill_drawn(contours: Sequence[Contour], shape: tuple[int, int]) -> Mask:
    """Return the mask (H, W) of contours that do not say how they combine.

    Those that partly overlap, or hold the same pixels, are one area; one that lies wholly within
    another is a hole in it, one within a hole an island.

    Args:
        contours: as `fill_contours` has them.
        shape: (rows, columns); what lies beyond is cut off.
    """
    mask = np.zeros(shape, dtype=bool)
    areas: list[Mask] = []
    window = _window(contours, shape)
    corner, sides = [part.start for part in window], mask[window].shape
    for contour in contours:
        area = fill_contours([contour - corner[::-1]], sides)
        if area.any():
            areas = _merged(areas, area)
    for area in areas:
        mask[window] ^= area
    return mask


def _window(contours: Sequence[Contour], shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of a slice that contours reach."""
    points = np.concatenate([np.zeros((0, 2)), *contours])
    if not len(points):
        return slice(0, 0), slice(0, 0)
    ends = np.array([np.floor(points.min(axis=0)), np.ceil(points.max(axis=0)) + 1])[:, ::-1]
    low, high = np.clip(ends, 0, shape).astype(int)
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _merged(areas: Sequence[Mask], added: Mask) -> list[Mask]:
    """Return areas each of which is apart from any other, or wholly within it or around it."""
    left, seen = list(areas), -1
    while len(left) != seen:
        seen = len(left)
        crossing = [area for area in left if _cross(area, added)]
        left = [area for area in left if not _cross(area, added)]
        added = np.logical_or.reduce([added, *crossing])
    return [*left, added]


def _cross(one: Mask, other: Mask) -> bool:
    """Return whether two areas share pixels and neither is a true part of the other."""
    shared = np.count_nonzero(one & other)
    sizes = np.count_nonzero(one), np.count_nonzero(other)
    return bool(shared and (shared < min(sizes) or sizes[0] == sizes[1]))


def fill_contours(contours: Sequence[Contour], shape: tuple[int, int]) -> Mask:
    """Return the mask (H, W) of the pixels whose centres lie within an odd number of contours.

    So two that overlap leave their overlap out, as CLOSEDPLANAR_XOR asks for. Of a centre on an
    edge: left and upper edges belong to the inside, right and lower ones do not, so that contours
    which share an edge share no pixel.

    Args:
        contours: each (N, 2) of (column, row), whole numbers at the pixels' centres; the last
            point is joined with the first.
        shape: (rows, columns); what lies beyond is cut off.
    """
    mask = np.zeros(shape, dtype=bool)
    edges = [_edges(contour) for contour in contours if len(contour) > 2]
    if not edges:
        return mask
    x1, y1, x2, y2 = np.concatenate(edges).T
    first = max(0, int(np.ceil(min(y1.min(), y2.min()))))
    last = min(shape[0] - 1, int(np.floor(max(y1.max(), y2.max()))))
    for row in range(first, last + 1):
        # Half open, so that a corner on the row counts once.
        crossed = (y1 <= row) != (y2 <= row)
        share = (row - y1[crossed]) / (y2 - y1)[crossed]
        crossings = np.sort(x1[crossed] + share * (x2 - x1)[crossed])
        for left, right in zip(crossings[0::2], crossings[1::2], strict=True):
            begin, end = max(0, int(np.ceil(left))), max(0, int(np.ceil(right)))
            mask[row, begin:end] = True
    return mask


def _edges(contour: Contour) -> NDArray[np.float64]:
    """Return (N, 4) edges as x1, y1, x2, y2."""
    return np.concatenate([contour, np.roll(contour, -1, axis=0)], axis=1)
