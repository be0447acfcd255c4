"""Closed contours filled: the pixels whose centres lie inside, by the even-odd rule."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lnmdetect.transforms.mask_pieces import Mask

Contour = NDArray[np.float64]


def fill_contours(contours: Sequence[Contour], shape: tuple[int, int]) -> Mask:
    """Return the mask (H, W) of the pixels whose centres lie within an odd number of contours.

    So a contour within another is a hole, and two that overlap leave their overlap out. Of a
    centre on an edge: left and upper edges belong to the inside, right and lower ones do not, so
    that contours which share an edge share no pixel.

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
