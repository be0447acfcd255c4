"""Pixels to mm in the patient, by hand."""

import pytest

from lnmdetect.core.patient_space import patient_point_mm

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
