"""Voxels from the feet to the head and from front to back, whatever way a series is stored."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.phantom.node_paint import CrossSection


def reading_steps(orientation: Sequence[float]) -> tuple[int, int]:
    """Return the steps, 1 or -1, that read slices from the feet up and rows from front to back.

    Raises:
        InputError: the rows run sideways.
    """
    if abs(orientation[4]) < 0.7:
        raise InputError(
            "--onto",
            expected="axial slices whose rows follow each other from front to back",
            got="rows that run from side to side",
            remedy="Export the series in its usual orientation.",
        )
    normal_z = orientation[0] * orientation[4] - orientation[1] * orientation[3]
    return (1 if normal_z > 0 else -1), (1 if orientation[4] > 0 else -1)


def turned(voxels: NDArray[np.int16], orientation: Sequence[float]) -> NDArray[np.int16]:
    """Return the voxels from feet to head and front to back; applied twice, as they were."""
    up, back = reading_steps(orientation)
    return np.ascontiguousarray(voxels[::up, ::back])


def turned_section(
    section: CrossSection, shape: tuple[int, ...], orientation: Sequence[float]
) -> CrossSection:
    """Return the cross-section on the voxels that `turned` takes it from.

    `shape` is that of the voxels: (slices, rows, columns).
    """
    up, back = reading_steps(orientation)
    row, column = section.corner
    index, mask = section.slice_index, section.mask
    if up < 0:
        index = shape[0] - 1 - index
    if back < 0:
        row, mask = shape[1] - row - len(mask), mask[::-1]
    return CrossSection(section.node_index, index, (row, column), mask)
