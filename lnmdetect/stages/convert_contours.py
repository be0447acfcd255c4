"""The closed contours of a structure as cross-sections on the slices of a scan."""

import numpy as np

from lnmdetect.core.errors import InputError
from lnmdetect.core.grid_match import TOLERANCE_VOXELS
from lnmdetect.io.dicom_rtstruct import PlanarContour, Structure
from lnmdetect.stages.convert_in import PlacedScan
from lnmdetect.transforms.contour_fill import Contour, fill_contours, fill_drawn
from lnmdetect.transforms.label_nodes import CrossSection

OUTSIDE_PX = 1.0
"""How far beyond the centres of the outermost pixels a contour may run, whose edges lie at half."""


def filled_contours(structure: Structure, scan: PlacedScan, where: str) -> list[CrossSection]:
    """Return the cross-sections of a structure's contours, one a slice, rising.

    Args:
        structure: of the set.
        scan: it was drawn on.
        where: the file's name, for messages.

    Raises:
        InputError: a contour lies across or between the slices, or beyond the scan.
    """
    by_slice: dict[int, list[Contour]] = {}
    excluding: set[int] = set()
    for contour in structure.contours:
        index, points = _on_slice(contour, scan, where)
        by_slice.setdefault(index, []).append(points)
        if contour.excludes:
            excluding.add(index)
    shape = scan.grid.shape[1:]
    masks = {
        index: (fill_contours if index in excluding else fill_drawn)(by_slice[index], shape)
        for index in sorted(by_slice)
    }
    return [CrossSection.of(index, mask) for index, mask in masks.items() if mask.any()]


def _on_slice(contour: PlanarContour, scan: PlacedScan, where: str) -> tuple[int, Contour]:
    """Return the slice of a contour, and its points (N, 2) as column and row there.

    Raises:
        InputError: it lies across or between the slices, or beyond the scan.
    """
    indices = scan.grid.indices(contour.points_mm)
    index = int(np.rint(indices[:, 2].mean()))
    highest = np.array(scan.grid.sides, dtype=np.float64) - 1
    low, high = indices.min(axis=0), indices.max(axis=0)
    beside = (low[:2] < -OUTSIDE_PX).any() or (high[:2] > highest[:2] + OUTSIDE_PX).any()
    if high[2] - low[2] > 2 * TOLERANCE_VOXELS:
        got = "one across them"
    elif beside or not 0 <= index <= highest[2]:
        got = "one beyond the scan"
    elif np.abs(indices[:, 2] - index).max() > TOLERANCE_VOXELS:
        got = "one between them"
    else:
        return index, indices[:, :2]
    raise InputError(
        where,
        expected="contours that lie on the scan's slices",
        got=got,
        remedy="Give the scan on which the structures were drawn.",
    )
