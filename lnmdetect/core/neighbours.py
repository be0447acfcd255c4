"""Which slices stand in for a slice's neighbours; the one rule for scans, stores and caches."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TIE_MM = 1e-3
"""Positions are written with fewer digits than they are computed with."""
TOLERANCE_SHARE = 0.5
"""A neighbour may lie this share of the offset (plus half a slice spacing) off the asked place."""


def neighbour_indices(
    positions_mm: Sequence[float] | NDArray[np.float64], index: int, offsets_mm: Sequence[float]
) -> list[int]:
    """Return for every offset the index of the slice nearest to `positions_mm[index] + offset`.

    The slice itself stands in where no slice lies within half the slice spacing plus half the
    offset of the place asked for: at the ends of a scan and for lone key images. Of two slices
    equally near the one nearer to the slice itself is taken, whatever the last bits say.

    Args:
        positions_mm: rising positions along the slice normal.
        index: of the slice itself.
        offsets_mm: along the normal, either sign; 0 is the slice itself.
    """
    positions = np.asarray(positions_mm, dtype=np.float64)
    half_spacing = float(np.median(np.diff(positions))) / 2 if len(positions) > 1 else 0.0
    chosen = []
    for offset in offsets_mm:
        distance = np.abs(positions - (positions[index] + offset))
        tied = np.flatnonzero(distance <= distance.min() + TIE_MM)
        nearest = int(tied[np.abs(positions[tied] - positions[index]).argmin()])
        reach = half_spacing + TOLERANCE_SHARE * abs(offset)
        chosen.append(nearest if offset and distance[nearest] <= reach else index)
    return chosen
