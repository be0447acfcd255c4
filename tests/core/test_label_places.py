"""Labels lie beside their boxes, inside the picture, and hide no box where there is room."""

import pytest

from lnmdetect.core.label_places import first_clear, place_banner, place_labels

PICTURE = (100.0, 100.0)
SIZE = (30.0, 10.0)


# Gap 2: right of the box, else left of it, below it, above it.
@pytest.mark.parametrize(
    ("box", "place"),
    [
        ((10, 10, 20, 20), (22, 10, 52, 20)),
        ((80, 10, 90, 20), (48, 10, 78, 20)),
        ((10, 10, 90, 20), (10, 22, 40, 32)),
        ((10, 80, 90, 99), (10, 68, 40, 78)),
        ((0, 95, 10, 100), (12, 90, 42, 100)),
    ],
)
def test_a_label_goes_beside_its_box_inside_the_picture(
    box: tuple[float, float, float, float], place: tuple[float, float, float, float]
) -> None:
    assert place_labels([box], [SIZE], PICTURE, gap=2) == [place]


def test_a_label_avoids_other_boxes_and_the_labels_before() -> None:
    boxes = [(10.0, 10.0, 20.0, 20.0), (30.0, 12.0, 40.0, 18.0)]
    first, second = place_labels(boxes, [SIZE, SIZE], PICTURE, gap=2)
    # Right of the first lies the second box, left of it is no room: below it.
    assert first == (10, 22, 40, 32)
    assert second == (42, 12, 72, 22)
    (again,) = place_labels(boxes[1:], [SIZE], PICTURE, gap=2, reserved=[(50, 0, 60, 30)])
    assert again == (0, 12, 30, 22)


def test_a_box_that_fills_the_picture_gets_its_label_on_it() -> None:
    assert place_labels([(0, 0, 100, 100)], [SIZE], PICTURE, gap=2) == [(70, 0, 100, 10)]


def test_a_label_wider_than_the_picture_is_as_wide_as_it() -> None:
    assert place_labels([(2, 2, 8, 8)], [(30, 4)], (10, 20), gap=2) == [(0, 10, 10, 14)]


def test_the_first_place_is_taken_where_none_is_clear() -> None:
    places = [(0.0, 0.0, 5.0, 5.0), (5.0, 0.0, 10.0, 5.0)]
    assert first_clear(places, [(4, 4, 6, 6)]) == places[0]
    assert first_clear(places, [(4, 4, 5, 5)]) == places[1]


def test_a_label_stands_off_where_all_places_next_to_its_box_are_taken() -> None:
    around = [(0.0, 38.0, 100.0, 40.0), (0.0, 60.0, 100.0, 62.0), (38.0, 0.0, 40.0, 100.0)]
    box = (40.0, 40.0, 60.0, 60.0)
    (place,) = place_labels([box], [SIZE], PICTURE, gap=2, reserved=[*around, (60, 40, 62, 60)])
    assert place == (62, 40, 92, 50)
    right = (60.0, 0.0, 100.0, 60.0)
    (place,) = place_labels([box], [SIZE], PICTURE, gap=1, reserved=[*around[1:], right])
    assert place == (40, 71, 70, 81)


@pytest.mark.parametrize(
    ("boxes", "corner"),
    [
        ([], (4, 4)),
        ([(0, 0, 5, 5)], (66, 4)),
        ([(0, 0, 100, 5)], (4, 86)),
        ([(0, 0, 100, 5), (0, 90, 5, 99)], (66, 86)),
        ([(0, 0, 100, 5), (0, 90, 100, 99)], (4, 14)),
        ([(0, 0, 100, 100)], (4, 4)),
    ],
)
def test_the_banner_goes_where_no_box_is(
    boxes: list[tuple[float, float, float, float]], corner: tuple[float, float]
) -> None:
    assert place_banner(boxes, SIZE, PICTURE, edge=4)[:2] == corner
