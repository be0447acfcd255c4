"""Boxes without learning, on drawn discs."""

import numpy as np
import pytest

from lnmdetect.core.geometry import as_boxes, box_centres, pairwise_iou
from lnmdetect.models.blobs import MAX_BOXES, blob_boxes, threshold_boxes

WINDOW = (-160.0, 240.0)
EVERYWHERE = np.ones((160, 160), dtype=bool)


def slice_with_disc(
    centre: tuple[float, float] = (80, 60), radius: float = 12, *, hu: int = 120
) -> np.ndarray:
    y, x = np.mgrid[:160, :160] + 0.5
    inside = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2
    return np.where(inside, hu, 0).astype(np.int16)


def box_of(centre: tuple[float, float] = (80, 60), radius: float = 12) -> np.ndarray:
    (x, y), r = centre, radius
    return as_boxes([[x - r, y - r, x + r, y + r]])


@pytest.mark.parametrize("radius", [6, 12, 20])
def test_the_best_blob_is_the_disc(radius: float) -> None:
    centre = (81, 61)  # the middle of a pixel of the 1 mm grid
    boxes, answers = blob_boxes(
        slice_with_disc(centre, radius), (0.5, 0.5), window_hu=WINDOW, body=EVERYWHERE
    )
    assert pairwise_iou(box_of(centre, radius), boxes[:1])[0, 0] > 0.6
    np.testing.assert_allclose(box_centres(boxes[:1]), [centre], atol=0.5)
    assert (np.diff(answers) <= 0).all()


@pytest.mark.parametrize("radius", [6, 12, 20])
def test_the_best_part_in_a_hu_range_is_the_disc(radius: float) -> None:
    boxes, _ = threshold_boxes(
        slice_with_disc(radius=radius), (0.5, 0.5), range_hu=(80, 160), body=EVERYWHERE
    )
    assert len(boxes) == 1
    assert pairwise_iou(box_of(radius=radius), boxes)[0, 0] > 0.75


def test_pixels_that_are_not_square_give_boxes_in_their_pixels() -> None:
    # rows of 1 mm, columns of 0.5 mm: a disc of 6 mm radius is 24 x 12 px
    y, x = np.mgrid[:80, :160] + 0.5
    disc = np.where(((x - 80) / 2) ** 2 + (y - 40) ** 2 <= 36, 120, 0).astype(np.int16)
    whole, truth = np.ones((80, 160), dtype=bool), as_boxes([[68, 34, 92, 46]])
    parts, _ = threshold_boxes(disc, (1.0, 0.5), range_hu=(80, 160), body=whole)
    blobs, _ = blob_boxes(disc, (1.0, 0.5), window_hu=WINDOW, body=whole)
    assert pairwise_iou(truth, parts)[0, 0] > 0.75
    assert pairwise_iou(truth, blobs[:1])[0, 0] > 0.6


def test_nothing_is_found_outside_the_body() -> None:
    nowhere = np.zeros_like(EVERYWHERE)
    hu = slice_with_disc()
    assert len(blob_boxes(hu, (0.5, 0.5), window_hu=WINDOW, body=nowhere)[0]) == 0
    assert len(threshold_boxes(hu, (0.5, 0.5), range_hu=(80, 160), body=nowhere)[0]) == 0


def test_parts_too_small_too_large_or_too_long_are_no_nodes() -> None:
    hu = np.zeros((160, 160), np.int16)
    hu[10:14, 10:14] = 120  # 2 mm
    hu[40:150, 20:130] = 120  # 55 mm
    hu[20:28, 60:150] = 120  # 4 x 45 mm
    assert len(threshold_boxes(hu, (0.5, 0.5), range_hu=(80, 160), body=EVERYWHERE)[0]) == 0


def test_noise_gives_at_most_a_hundred_boxes() -> None:
    noise = np.random.default_rng(0).normal(40, 200, (400, 400)).astype(np.int16)
    whole = np.ones((400, 400), dtype=bool)
    boxes, answers = blob_boxes(noise, (1.0, 1.0), window_hu=WINDOW, body=whole)
    assert len(boxes) == len(answers) == MAX_BOXES
