"""The model's grid: exact sizes, exact places, and boxes there and back."""

import numpy as np
import pytest

from lnmdetect.core.config_parts import InputConfig
from lnmdetect.transforms.grid import mask_slice, model_channels, plan_grid, resample

WHOLE = InputConfig(windows_hu=((-160, 240),), slice_offsets_mm=(0.0,), body_mask=False)


def test_a_grid_has_the_size_in_mm_over_the_models_spacing() -> None:
    # 300 columns of 0.4 mm are 120 mm, 240 px; 200 rows of 0.8 mm are 160 mm, 320 px
    grid = plan_grid((10, 20, 310, 220), (0.8, 0.4), 0.5)
    assert grid.size == (320, 240)
    assert grid.scale == (240 / 300, 320 / 200)


def test_boxes_go_to_the_grid_by_hand() -> None:
    grid = plan_grid((10, 20, 310, 220), (0.8, 0.4), 0.5)
    found = grid.to_model(np.array([[10.0, 20, 310, 220], [20, 30, 25, 40]]))
    assert found == pytest.approx(np.array([[0, 0, 240, 320], [8, 16, 12, 32]]))


def test_boxes_come_back_from_the_grid() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 400, size=(50, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 60, size=(50, 2))], axis=1)
    grid = plan_grid((13, 57, 401, 499), (0.683, 0.683), 0.5)
    assert grid.to_original(grid.to_model(boxes)) == pytest.approx(boxes, abs=1e-9)


def test_without_a_spacing_the_slices_own_pixels_stay() -> None:
    grid = plan_grid((3, 4, 9, 6), (0.7, 0.7), None)
    assert (grid.size, grid.scale) == ((2, 6), (1, 1))
    hu = np.arange(80, dtype=np.int16).reshape(8, 10)
    assert np.array_equal(resample(hu, grid), hu[4:6, 3:9])


def test_even_a_sliver_keeps_one_pixel() -> None:
    assert plan_grid((0, 0, 1, 1), (0.1, 0.1), 0.5).size == (1, 1)


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        (0.5, [[15, 35], [55, 75]]),  # halved: means of 2 x 2 px
        (0.25, None),
    ],
)
def test_resampling_averages_when_it_shrinks(
    spacing: float, expected: list[list[int]] | None
) -> None:
    hu = np.array([[10, 20, 30, 40], [10, 20, 30, 40], [50, 60, 70, 80], [50, 60, 70, 80]])
    found = resample(hu.astype(np.int16), plan_grid((0, 0, 4, 4), (0.25, 0.25), spacing))
    assert found.dtype == np.int16
    assert found.tolist() == (hu.tolist() if expected is None else expected)


@pytest.mark.parametrize("model_mm", [0.31, 0.5, 0.9, 1.7])
def test_a_bright_square_lies_where_its_box_goes(model_mm: float) -> None:
    """Boxes and pixels move together: no half pixel is lost between them."""
    hu = np.full((200, 240), -1000, dtype=np.int16)
    hu[80:120, 60:140] = 1000
    grid = plan_grid((20, 10, 220, 190), (0.7, 0.6), model_mm)
    mass = resample(hu, grid).astype(float) + 1000
    rows, columns = np.mgrid[: grid.size[0], : grid.size[1]] + 0.5
    ((x1, y1, x2, y2),) = grid.to_model(np.array([[60.0, 80, 140, 120]]))
    assert (columns * mass).sum() / mass.sum() == pytest.approx((x1 + x2) / 2, abs=0.05)
    assert (rows * mass).sum() / mass.sum() == pytest.approx((y1 + y2) / 2, abs=0.05)
    assert mass.sum() / 2000 == pytest.approx((x2 - x1) * (y2 - y1), rel=0.02)


def test_what_is_outside_the_patient_becomes_air() -> None:
    hu = np.full((100, 100), -900, dtype=np.int16)
    hu[30:70, 20:80] = 50
    hu[95:97] = 300  # a couch 2 px thick
    config = WHOLE.model_copy(update={"body_mask": True})
    masked, box = mask_slice(hu, (1.0, 1.0), config)
    assert (masked[95:97] == -1024).all()
    assert (masked[30:70, 20:80] == 50).all()
    x1, y1, x2, y2 = box
    assert x1 <= 20 < 80 <= x2
    assert y1 <= 30 < 70 <= y2 <= 90
    assert (hu[95:97] == 300).all()  # the argument is left alone


def test_without_a_body_mask_the_slice_stays_whole() -> None:
    hu = np.full((7, 9), 50, dtype=np.int16)
    masked, box = mask_slice(hu, (1.0, 1.0), WHOLE)
    assert masked is hu
    assert box == (0, 0, 9, 7)


def test_channels_come_from_the_crop_on_the_models_spacing() -> None:
    stack = np.stack([np.full((40, 60), hu, dtype=np.int16) for hu in (-160, 40, 240)])
    config = InputConfig(
        spacing_mm=0.5, windows_hu=((-160, 240), (0, 80)), slice_offsets_mm=(-3, 0, 3)
    )
    channels, grid = model_channels(stack, (10, 5, 50, 35), (1.0, 1.0), config)
    assert channels.shape == (6, 60, 80)
    assert channels.dtype == np.float32
    assert channels[:, 0, 0].tolist() == [0, 0, 0.5, 0.5, 1, 1]
    assert grid.crop == (10, 5, 50, 35)
