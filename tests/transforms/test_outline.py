"""Outlines of painted ellipses whose axes are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.transforms.outline import mask_outline, outline_in_box
from lnmdetect.transforms.outline_hu import body_middle_px, hu_inside

SIDE = 64
SPACING_MM = (0.5, 0.5)
FAT, NODE, MUSCLE = -90.0, 100.0, 60.0


def ellipse(
    long_px: float, short_px: float, degrees: float, *, fine: int = 4
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the covered share of each pixel, and the exact box of the ellipse."""
    rows, columns = (np.mgrid[: SIDE * fine, : SIDE * fine] + 0.5) / fine - 32
    angle = np.radians(degrees)
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    inside = (2 * along / long_px) ** 2 + (2 * across / short_px) ** 2 <= 1
    share = inside.reshape(SIDE, fine, SIDE, fine).mean(axis=(1, 3))
    half_x = np.hypot(long_px * np.cos(angle), short_px * np.sin(angle)) / 2
    half_y = np.hypot(long_px * np.sin(angle), short_px * np.cos(angle)) / 2
    return share, np.array([32 - half_x, 32 - half_y, 32 + half_x, 32 + half_y])


def painted(share: NDArray[np.float64], around: float = FAT) -> NDArray[np.int16]:
    noise = np.random.default_rng(0).normal(0, 10, share.shape)
    return np.rint(around + (NODE - around) * share + noise).astype(np.int16)


@pytest.mark.parametrize("degrees", [0, 30, 45, 60, 90, 120, 150])
def test_the_short_axis_of_an_oblique_ellipse_is_right_within_a_pixel(degrees: float) -> None:
    share, box = ellipse(24, 12, degrees)
    found = outline_in_box(painted(share), box, SPACING_MM)
    assert found.source == "hu"
    assert found.axes_mm[0] == pytest.approx(6.0, abs=0.5)
    assert found.axes_mm[1] == pytest.approx(12.0, abs=0.75)
    assert found.centre_px == (32.0, 32.0)
    assert found.area_mm2 == pytest.approx(np.pi / 4 * found.axes_mm[0] * found.axes_mm[1])


def test_a_round_node_in_a_wide_box_beside_muscle_is_not_made_thin() -> None:
    share, box = ellipse(14, 14, 0)
    rows, columns = np.mgrid[:SIDE, :SIDE] - 31.5
    muscle = np.clip((columns - rows) / np.sqrt(2) - 6.5, 0, 1)
    wide = box + np.array([-1.0, -1, 1, 1])
    found = outline_in_box(painted(np.maximum(share, muscle)), wide, SPACING_MM)
    # Without the penalty of oblique ellipses it comes out as 5.9 mm.
    assert found.axes_mm[0] == pytest.approx(7.0, abs=0.5)


def test_its_box_overstates_the_short_axis_by_half() -> None:
    share, box = ellipse(24, 12, 45)
    side_mm = float((box[2:] - box[:2]).min() * 0.5)
    assert side_mm == pytest.approx(9.5, abs=0.1)
    assert outline_in_box(painted(share), box, SPACING_MM).axes_mm[0] < 6.6


def test_a_node_in_the_fat_that_is_round_stays_round() -> None:
    share, box = ellipse(14, 14, 0)
    short, long = outline_in_box(painted(share), box, SPACING_MM).axes_mm
    assert long - short < 0.5
    assert short == pytest.approx(7.0, abs=0.3)


def test_a_node_darker_than_what_is_around_it_is_outlined_too() -> None:
    share, box = ellipse(24, 12, 45)
    found = outline_in_box(painted(share, around=260.0), box, SPACING_MM)
    assert found.axes_mm[0] == pytest.approx(6.0, abs=0.5)


def test_axes_are_mm_also_where_pixels_are_oblong() -> None:
    share, box = ellipse(24, 12, 0)
    found = outline_in_box(painted(share), box, (1.0, 0.25))
    # 24 columns of 0.25 mm, 12 rows of 1 mm.
    assert found.axes_mm == pytest.approx((6.0, 12.0), abs=0.3)
    assert found.area_mm2 == pytest.approx(np.pi / 4 * 72, rel=0.03)


def test_where_nothing_stands_out_the_boxs_own_ellipse_is_taken() -> None:
    flat = np.full((SIDE, SIDE), 50, dtype=np.int16)
    found = outline_in_box(flat, np.array([20.0, 20, 36, 28]), SPACING_MM)
    assert found.source == "box"
    assert found.axes_mm == (4.0, 8.0)
    assert found.area_mm2 == pytest.approx(np.pi / 4 * 32)


def test_the_pixels_inside_are_those_of_the_ellipse() -> None:
    share, box = ellipse(24, 12, 45)
    found = outline_in_box(painted(share), box, SPACING_MM)
    full = np.zeros((SIDE, SIDE), dtype=bool)
    row, column = found.corner
    height, width = found.inside.shape
    full[row : row + height, column : column + width] = found.inside
    both = (full & (share >= 0.5)).sum()
    assert 2 * both / (full.sum() + (share >= 0.5).sum()) > 0.93


@pytest.mark.parametrize("box", [[-3.0, 30, 4, 37], [60, 60, 67, 67], [30.2, 30.2, 30.6, 30.7]])
def test_boxes_at_the_border_and_within_a_pixel_have_an_outline(box: list[float]) -> None:
    share, _ = ellipse(24, 12, 45)
    found = outline_in_box(painted(share), np.array(box), SPACING_MM)
    assert found.inside.any()
    assert hu_inside(painted(share), found).size >= 1


def test_a_mask_has_the_axes_of_the_ellipse_with_its_second_moments() -> None:
    mask = np.zeros((20, 30), dtype=bool)
    mask[5:9, 10:20] = True
    found = mask_outline(mask, (0.5, 0.5))
    assert found is not None
    # A rectangle of side s has variance s^2 / 12 along it: 4 * 2 / sqrt(12) and 4 * 5 / sqrt(12).
    assert found.axes_mm == pytest.approx((2.3094, 5.7735), abs=1e-4)
    assert found.area_mm2 == 10.0
    assert found.centre_px == (15.0, 7.0)
    assert found.corner == (5, 10)
    assert found.source == "mask"


def test_a_mask_of_one_pixel_and_an_empty_one() -> None:
    mask = np.zeros((4, 4), dtype=bool)
    assert mask_outline(mask, (1.0, 1.0)) is None
    mask[1, 2] = True
    found = mask_outline(mask, (1.0, 1.0))
    assert found is not None
    assert found.axes_mm == pytest.approx((4 / np.sqrt(12),) * 2)


def test_the_outermost_pixels_are_left_out_where_enough_remain() -> None:
    hu = np.full((10, 10), 40, dtype=np.int16)
    hu[2:7, 2:7] = 100
    hu[3:6, 3:6] = 120
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:7, 2:7] = True
    outline = mask_outline(mask, (1.0, 1.0))
    assert outline is not None
    assert hu_inside(hu, outline).tolist() == [120] * 9
    mask[2] = False
    small = mask_outline(mask, (1.0, 1.0))
    assert small is not None
    assert hu_inside(hu, small).size == 20


def test_the_middle_of_the_body_lies_between_skin_and_skin() -> None:
    hu = np.full((100, 120), -1000, dtype=np.int16)
    hu[20:80, 30:71] = 40
    # Columns 30 to 70, grown by the same margin on both sides: the middle is that of 30 and 71.
    assert body_middle_px(hu, (1.0, 1.0)) == pytest.approx(50.5, abs=1.0)
    hu[20:80, 30:] = 40
    assert body_middle_px(hu, (1.0, 1.0)) is None
