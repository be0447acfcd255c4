"""From pixels of a slice to millimetres in the patient (PS3.3 C.7.6.2.1.1)."""

from collections.abc import Sequence

Point = tuple[float, float, float]


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
