from collections.abc import Callable

import numpy as np

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.froc import froc
from lnmdetect.metrics.matching import match_images
from lnmdetect.metrics.nodes import node_curve
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.tables import ImageBoxes

Make = Callable[..., ImageBoxes]
A = (10.0, 10.0, 20.0, 20.0)
B = (30.0, 30.0, 40.0, 40.0)
FAR = (80.0, 80.0, 90.0, 90.0)
ONE_SCAN = np.zeros(2, dtype=np.int64)


def test_a_node_is_found_with_the_best_of_its_boxes_and_counts_once(make_image: Make) -> None:
    # Node 0 on both slices (scores .4 and .9), node 1 on the second (.3); a false positive of .6.
    images = [make_image([A], [A, FAR], [0.4, 0.6]), make_image([A, B], [A, B], [0.9, 0.3])]
    whose = Cohort(ONE_SCAN, ONE_SCAN, Resamples(1, count=0))
    curve = node_curve(match_images(images), np.array([0, 0, 1]), whose)
    assert curve.truths.tolist() == [2.0]
    found = froc(curve, whose, per="scan", of="node", rates=(0.5, 1.0))
    assert [point.sensitivity.value for point in found.points] == [0.5, 1.0]
    assert [point.threshold for point in found.points] == [0.9, 0.3]
    assert found.mean.n == 2


def test_of_two_boxes_of_a_node_the_better_one_finds_it(make_image: Make) -> None:
    images = [make_image([A], [A, FAR], [0.4, 0.6]), make_image([A], [A], [0.9])]
    whose = Cohort(ONE_SCAN, ONE_SCAN, Resamples(1, count=0))
    curve = node_curve(match_images(images), np.array([0, 0]), whose)
    (point,) = froc(curve, whose, per="scan", of="node", rates=(0.5,)).points
    assert (point.sensitivity.value, point.threshold) == (1.0, 0.9)


def test_boxes_of_no_node_and_ignored_boxes_make_no_node(make_image: Make) -> None:
    images = [make_image([A, B], [A, B], [0.9, 0.8], ignored=[False, True]), make_image()]
    whose = Cohort(ONE_SCAN, ONE_SCAN, Resamples(1, count=0))
    nothing = node_curve(match_images(images), np.array([-1, -1]), whose)
    assert nothing.truths.tolist() == [0.0]
    some = node_curve(match_images(images), np.array([0, 1]), whose)
    assert some.truths.tolist() == [1.0]
