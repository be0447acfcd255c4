"""Pixels to mm in the patient, by hand."""

import numpy as np
import pytest

from lnmdetect.core.patient_space import PatientGrid, patient_point_mm, slice_plane

AXIAL = (1.0, 0, 0, 0, 1, 0)


def test_the_middle_of_the_first_pixel_is_the_position_of_the_slice() -> None:
    point = patient_point_mm(
        (0.5, 0.5), position=(-100, -120, 30), orientation=AXIAL, spacing_mm=(0.5, 0.4)
    )
    assert point == (-100, -120, 30)


def test_columns_run_to_the_left_and_rows_to_the_back() -> None:
    point = patient_point_mm(
        (10.5, 20.5), position=(-100, -120, 30), orientation=AXIAL, spacing_mm=(0.5, 0.4)
    )
    assert point == pytest.approx((-96, -110, 30))


def test_a_patient_who_lies_the_other_way_has_the_other_side() -> None:
    turned = (-1.0, 0, 0, 0, -1, 0)
    point = patient_point_mm(
        (10.5, 0.5), position=(100, 0, 0), orientation=turned, spacing_mm=(1.0, 1.0)
    )
    assert point == pytest.approx((90, 0, 0))


@pytest.fixture
def grid() -> PatientGrid:
    """Three slices of 4 rows and 5 columns, rows to the left, columns upwards, slices backwards."""
    affine = slice_plane((-100, -120, 30), (1.0, 0, 0, 0, 0, 1), (0.5, 0.4), (0, -2, 0))
    return PatientGrid((3, 4, 5), affine)


def test_a_voxel_lies_where_its_column_row_and_slice_lead(grid: PatientGrid) -> None:
    place = grid.affine @ [4, 3, 2, 1]
    assert place[:3] == pytest.approx([-100 + 4 * 0.4, -120 - 2 * 2, 30 + 3 * 0.5])


def test_nifti_s_axes_lead_to_the_right_and_to_the_front(grid: PatientGrid) -> None:
    assert (grid.affine_ras @ [4, 3, 2, 1])[:3] == pytest.approx([98.4, 124, 31.5])


def test_indices_are_the_way_back(grid: PatientGrid) -> None:
    points = (grid.affine @ np.array([[4, 3, 2, 1], [0.25, 1.5, 0, 1]]).T).T[:, :3]
    assert grid.indices(points) == pytest.approx(np.array([[4, 3, 2], [0.25, 1.5, 0]]))


def test_grid_and_boxes_agree_but_for_the_half_pixel(grid: PatientGrid) -> None:
    point = patient_point_mm(
        (2.5, 1.5), position=(-100, -120, 30), orientation=(1, 0, 0, 0, 0, 1), spacing_mm=(0.5, 0.4)
    )
    assert (grid.affine @ [2, 1, 0, 1])[:3] == pytest.approx(point)


def test_a_grid_whose_slices_lie_on_each_other_is_none() -> None:
    flat = slice_plane((0, 0, 0), (1.0, 0, 0, 0, 1, 0), (1, 1), (0, 0, 0))
    with pytest.raises(ValueError, match="an extent along every axis"):
        PatientGrid((2, 2, 2), flat)
