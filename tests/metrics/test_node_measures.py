"""What the cross-sections of a node measure together."""

import numpy as np
import pytest

from lnmdetect.core.linked_nodes import Laterality
from lnmdetect.metrics.node_measures import laterality, node_probability, section_depths_mm


def test_each_section_stands_for_half_the_way_to_its_neighbours() -> None:
    # Slices every 2 mm, one missing between 4 and 8.
    depths = section_depths_mm(np.array([0.0, 2, 4, 8]), 2.0)
    assert depths.tolist() == [2.0, 2.0, 3.0, 3.0]
    assert section_depths_mm(np.array([5.0]), 3.0).tolist() == [3.0]


def test_large_boxes_say_more_about_a_node_than_its_ends() -> None:
    # (0.9 * 80 + 0.1 * 20) / 100 = 0.74.
    assert node_probability([0.9, 0.1], np.array([80.0, 20])) == pytest.approx(0.74)


def test_sections_that_were_not_classified_have_no_say() -> None:
    assert node_probability([None, 0.25], np.array([500.0, 20])) == 0.25
    assert node_probability([None], np.array([1.0])) is None


@pytest.mark.parametrize(
    ("x", "middle", "side"),
    [
        (-5.1, 0.0, "right"),
        (-5.0, 0.0, "midline"),
        (5.1, 0.0, "left"),
        (8.0, 20.0, "right"),
        (17.0, 20.0, "midline"),
    ],
)
def test_x_below_the_bodys_middle_is_the_patients_right(
    x: float, middle: float, side: Laterality
) -> None:
    assert laterality(x, middle) == side
