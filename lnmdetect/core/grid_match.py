"""Whether another array lies on a scan's voxels, its axes turned or mirrored; nothing resampled."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.patient_space import PatientGrid

TOLERANCE_VOXELS = 0.1
"""How far the corners of two grids may lie apart: rounding in headers stays far below, half a voxel
is another grid."""

Sides = tuple[int, int, int]


@dataclass(frozen=True)
class GridMatch:
    """How an array lies on a scan's voxels.

    Attributes:
        axes: which axis of the array runs along the scan's columns, rows and slices.
        mirrored: whether it runs against them.
        start: (column, row, slice) of the scan where the array begins, once it is turned.
        sides: (columns, rows, slices) of the array, once it is turned.
    """

    axes: Sides
    mirrored: tuple[bool, bool, bool]
    start: Sides
    sides: Sides

    def covers(self, grid: PatientGrid) -> bool:
        """Return whether the array has a value for each voxel of the scan, and no other."""
        return self.start == (0, 0, 0) and self.sides == grid.sides

    def within(self, grid: PatientGrid) -> bool:
        """Return whether no part of the array lies beyond the scan."""
        return all(
            first >= 0 and first + side <= limit
            for first, side, limit in zip(self.start, self.sides, grid.sides, strict=True)
        )

    def turned(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view (slices, rows, columns) of an array in the order of its own affine."""
        along = array.transpose(self.axes)
        steps = tuple(slice(None, None, -1 if against else 1) for against in self.mirrored)
        return along[steps].transpose(2, 1, 0)


def match_grid(grid: PatientGrid, sides: Sides, affine: NDArray[np.float64]) -> GridMatch | None:
    """Return how an array lies on the scan's voxels; None where their centres do not coincide.

    Args:
        grid: the scan's.
        sides: of the array, in the order of its affine.
        affine: (4, 4) from the array's indices to mm along DICOM's axes.
    """
    to_scan = np.linalg.inv(grid.affine) @ affine
    turn = np.rint(to_scan[:3, :3])
    if not (np.isfinite(to_scan).all() and _only_turns(turn)):
        return None
    shift = np.rint(to_scan[:3, 3])
    corners = np.array(list(product(*((0, side - 1) for side in sides))), dtype=np.float64)
    apart = corners @ (to_scan[:3, :3] - turn).T + to_scan[:3, 3] - shift
    if np.abs(apart).max() > TOLERANCE_VOXELS:
        return None
    first = (corners @ turn.T + shift).min(axis=0).astype(int)
    axes = [int(axis) for axis in np.abs(turn).argmax(axis=1)]
    against = [bool(turn[row, axis] < 0) for row, axis in enumerate(axes)]
    return GridMatch(
        (axes[0], axes[1], axes[2]),
        (against[0], against[1], against[2]),
        (int(first[0]), int(first[1]), int(first[2])),
        (sides[axes[0]], sides[axes[1]], sides[axes[2]]),
    )


def _only_turns(turn: NDArray[np.float64]) -> bool:
    """Return whether each axis is one of the scan's, one voxel a step."""
    sizes = np.abs(turn)
    return bool((sizes.sum(axis=0) == 1).all() and (sizes.sum(axis=1) == 1).all())
