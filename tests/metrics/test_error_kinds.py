from collections.abc import Callable

import numpy as np

from lnmdetect.metrics.end_to_end import BoxClasses
from lnmdetect.metrics.error_kinds import count_errors, error_kinds
from lnmdetect.metrics.matching import match_images
from lnmdetect.metrics.tables import ImageBoxes

Make = Callable[..., ImageBoxes]
BENIGN, METASTATIC = 1, 2
A = (10.0, 10.0, 20.0, 20.0)
B = (30.0, 30.0, 40.0, 40.0)
C = (50.0, 50.0, 60.0, 60.0)
D = (70.0, 10.0, 80.0, 20.0)
NEAR_B = (34.0, 30.0, 44.0, 40.0)  # IoU 6 / 14
TOUCHING_C = (59.0, 50.0, 69.0, 60.0)  # IoU 1 / 19
FAR = (80.0, 80.0, 90.0, 90.0)


def test_every_box_gets_its_kind(make_image: Make) -> None:
    image = make_image(
        [A, B, C, D],
        [A, A, NEAR_B, TOUCHING_C, FAR, D, FAR],
        [0.9, 0.8, 0.7, 0.6, 0.6, 0.6, 0.1],
        ignored=[False, False, False, True],
    )
    matches = match_images([image])
    kinds = error_kinds(matches, matches.tables.found.scores >= 0.5)
    assert kinds.found.tolist() == [
        *("hit", "duplicate", "poorly placed", "background", "background", "ignored"),
        "below threshold",
    ]
    assert kinds.truth.tolist() == ["found", "poorly placed", "missed", "ignored"]
    counts = count_errors(kinds)
    assert (counts.missed, counts.poorly_placed_truth, counts.wrong_class) == (1, 1, 0)
    assert (counts.duplicate, counts.poorly_placed, counts.background) == (1, 1, 2)


def test_a_node_that_is_found_and_called_otherwise_is_of_the_wrong_class(make_image: Make) -> None:
    image = make_image(
        [A, B, C], [A, B, C], [0.9, 0.9, 0.9], classes=[METASTATIC, BENIGN, METASTATIC]
    )
    p = np.array([0.9, 0.8, 0.1])
    said = BoxClasses(np.array([True, True, False]), 1 - p, p, p >= 0.5)
    matches = match_images([image])
    kinds = error_kinds(matches, np.ones(3, dtype=bool), said)
    assert kinds.found.tolist() == ["hit", "wrong class", "hit"]  # the third was not classified
    assert kinds.truth.tolist() == ["found", "wrong class", "found"]
    assert count_errors(kinds).wrong_class == 1


def test_a_duplicate_overlaps_by_half_or_more_and_ignored_truth_makes_no_near_miss(
    make_image: Make,
) -> None:
    half_of_a, near_c = (10.0, 10.0, 20.0, 15.0), (54.0, 50.0, 64.0, 60.0)
    image = make_image([A, C], [A, half_of_a, near_c], [0.9, 0.8, 0.7], ignored=[False, True])
    matches = match_images([image])
    kinds = error_kinds(matches, np.ones(3, dtype=bool))
    # The third is covered by ignored truth to 60 %: it lies there. Less would be background.
    assert kinds.found.tolist() == ["hit", "duplicate", "ignored"]
    beside_c = (56.0, 50.0, 66.0, 60.0)
    matches = match_images([make_image([C], [beside_c], [0.9], ignored=[True])])
    assert error_kinds(matches, np.ones(1, dtype=bool)).found.tolist() == ["background"]


def test_a_wrong_call_below_the_threshold_leaves_its_node_missed(make_image: Make) -> None:
    matches = match_images([make_image([A], [A], [0.3], classes=[METASTATIC])])
    wrong = BoxClasses(np.array([True]), np.array([0.9]), np.array([0.1]), np.array([False]))
    kinds = error_kinds(matches, np.array([False]), wrong)
    assert (kinds.found.tolist(), kinds.truth.tolist()) == (["below threshold"], ["missed"])


def test_a_hit_below_the_threshold_leaves_its_node_missed(make_image: Make) -> None:
    matches = match_images([make_image([A], [A], [0.3])])
    kinds = error_kinds(matches, np.array([False]))
    assert (kinds.found.tolist(), kinds.truth.tolist()) == (["below threshold"], ["missed"])


def test_boxes_beyond_the_hundred_best_are_ignored(make_image: Make) -> None:
    matches = match_images([make_image([], [FAR] * 101, np.linspace(0.9, 0.6, 101))])
    kinds = error_kinds(matches, np.ones(101, dtype=bool))
    assert kinds.found.tolist() == ["background"] * 100 + ["ignored"]


def test_no_box_and_no_truth_give_no_error(make_image: Make) -> None:
    matches = match_images([make_image()])
    counts = count_errors(error_kinds(matches, np.zeros(0, dtype=bool)))
    assert set(vars(counts).values()) == {0}
