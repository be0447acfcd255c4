"""From pixels of a slice to millimetres in the patient (PS3.3 C.7.6.2.1.1), and back for a scan."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]
Points = NDArray[np.float64]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM's axes lead to the patient's left and back, NIfTI's to his right and front; and back."""


def patient_point_mm(
    point_px: tuple[float, float],
    *,
    position: Sequence[float],
    orientation: Sequence[float],
    spacing_mm: tuple[float, float],
) -> Point:
    """Return (x, y, z) in mm: x to the patient's left, y to the back, z up.

    Args:
        point_px: (column, row), (0, 0) the corner of the first pixel, as boxes have it.
        position: ImagePositionPatient, the centre of the first pixel.
        orientation: ImageOrientationPatient, the directions of a row and of a column.
        spacing_mm: (row, column).
    """
    along_row = (point_px[0] - 0.5) * spacing_mm[1]
    down_column = (point_px[1] - 0.5) * spacing_mm[0]
    x, y, z = (
        position[axis] + along_row * orientation[axis] + down_column * orientation[axis + 3]
        for axis in range(3)
    )
    return x, y, z


@dataclass(frozen=True)
class PatientGrid:
    """Where the voxels of a scan lie in the patient.

    Attributes:
        shape: (slices, rows, columns).
        affine: (4, 4) from (column, row, slice, 1), whole numbers at the voxels' centres, to
            (x, y, z, 1) in mm along DICOM's axes.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise ValueError(f"grid: expected a finite (4, 4) affine, got {self.affine.shape}")
        if min(self.shape) < 1 or abs(np.linalg.det(self.affine[:3, :3])) < 1e-9:
            raise ValueError("grid: expected voxels with an extent along every axis")

    @property
    def affine_ras(self) -> NDArray[np.float64]:
        """The affine along NIfTI's axes."""
        return np.asarray(LPS_TO_RAS @ self.affine)

    @property
    def sides(self) -> tuple[int, int, int]:
        """(columns, rows, slices), the order of the affine."""
        return self.shape[2], self.shape[1], self.shape[0]

    def indices(self, points_mm: Points) -> Points:
        """Return (N, 3) column, row and slice of (N, 3) points in mm; whole at voxels' centres."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(points_mm @ inverse[:3, :3].T + inverse[:3, 3])


def slice_plane(
    position: Sequence[float],
    orientation: Sequence[float],
    spacing_mm: tuple[float, float],
    step_mm: Sequence[float],
) -> NDArray[np.float64]:
    """Return the (4, 4) affine, as `PatientGrid` has it, of slices that begin with this one.

    Args:
        position: ImagePositionPatient of the first slice.
        orientation: ImageOrientationPatient.
        spacing_mm: (row, column).
        step_mm: (x, y, z) from a slice to the next.
    """
    affine = np.eye(4)
    affine[:3, 0] = np.multiply(orientation[:3], spacing_mm[1])
    affine[:3, 1] = np.multiply(orientation[3:], spacing_mm[0])
    affine[:3, 2] = step_mm
    affine[:3, 3] = position
    return affine
