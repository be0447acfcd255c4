"""The class of nodes that masks found, by hand."""

import numpy as np
import pytest

from lnmdetect.metrics.mask_classes import found_classes
from lnmdetect.metrics.mask_counts import FoundMasks, MaskCounts, TruthMasks
from lnmdetect.metrics.resampling import Resamples


def counts(
    true: list[int],
    called: list[int],
    p_metastatic: list[float],
    shared: list[tuple[int, int, int]],
    score: list[float] | None = None,
) -> MaskCounts:
    nodes, answers = len(true), len(called)
    flags = np.zeros(answers, dtype=bool)
    return MaskCounts(
        confusion=np.zeros((1, 5, 5), dtype=np.int64),
        truth=TruthMasks(
            patient=np.arange(nodes),
            label=np.array(true),
            short_axis_mm=np.full(nodes, 8.0),
            covered=np.ones((nodes, 5), dtype=np.int64),
        ),
        found=FoundMasks(
            patient=np.zeros(answers, dtype=np.int64),
            label=np.array(called),
            score=np.array(score or [0.5] * answers),
            p_metastatic=np.array(p_metastatic),
            sections=np.ones(answers, dtype=np.int64),
            pixels=np.ones(answers, dtype=np.int64),
            touches=~flags,
            touches_ignored=flags,
        ),
        shared=np.array(shared).reshape(-1, 3),
    )


def test_accuracy_stands_beside_that_of_the_commonest_class() -> None:
    made = counts(
        [1, 1, 1, 2, 3, 2],
        [1, 1, 2, 2, 2, 1],
        [0.1, 0.2, 0.7, 0.9, 0.8, 0.3],
        [(node, node, 5) for node in range(6)],
    )
    found = found_classes(made, Resamples(6, count=0))
    assert found.nodes == 6
    assert found.confusion == ((2, 1, 0), (1, 1, 0), (0, 1, 0))
    assert found.three_classes.accuracy.value == pytest.approx(3 / 6)
    assert found.three_classes.majority_accuracy.value == pytest.approx(3 / 6)
    assert found.three_classes.above_majority.value == pytest.approx(0)
    assert found.three_classes.balanced_accuracy.value == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found.three_classes.chance == pytest.approx(1 / 3)
    assert found.merged.accuracy.value == pytest.approx(4 / 6)
    assert found.merged.above_majority.value == pytest.approx(1 / 6)
    assert found.merged.balanced_accuracy.value == pytest.approx((2 / 3 + 2 / 3) / 2)
    # Pairs of a positive (0.9, 0.8, 0.3) and a negative (0.1, 0.2, 0.7) in order: 3 + 3 + 2 of 9.
    assert found.auc.value == pytest.approx(8 / 9)


def test_the_answered_node_with_most_common_pixels_gives_the_class() -> None:
    made = counts([1, 2], [1, 2, 2], [0.1, 0.6, 0.9], [(0, 1, 4), (0, 0, 5), (1, 1, 3), (1, 2, 9)])
    assert found_classes(made, Resamples(2, count=0)).three_classes.accuracy.value == 1


@pytest.mark.parametrize(("score", "accuracy"), [([0.9, 0.8], 1), ([0.8, 0.9], 0), ([0.5, 0.5], 1)])
def test_of_equals_the_surer_one_and_then_the_first_gives_it(
    score: list[float], accuracy: float
) -> None:
    made = counts([1], [1, 2], [0.1, 0.9], [(0, 0, 5), (0, 1, 5)], score)
    assert found_classes(made, Resamples(1, count=0)).three_classes.accuracy.value == accuracy


def test_nodes_of_unknown_class_on_either_side_are_left_out() -> None:
    made = counts([4, 1, 1], [1, 4, 1], [0.1, np.nan, 0.2], [(0, 0, 5), (1, 1, 5), (2, 2, 5)])
    assert found_classes(made, Resamples(3, count=0)).nodes == 1


def test_without_a_found_node_of_known_class_every_figure_is_undefined() -> None:
    found = found_classes(counts([1], [4], [np.nan], [(0, 0, 5)]), Resamples(1, count=0))
    assert found.nodes == 0
    assert found.merged.accuracy.value is None
    assert found.merged.chance is None
    assert found.three_classes.above_majority.reason == (
        "no found node whose class truth and answer tell"
    )
    assert found.auc.value is None


def test_the_difference_to_chance_has_the_interval_of_patients_drawn() -> None:
    true, called = [1, 1, 1, 2, 2, 2, 2, 1], [1, 1, 2, 2, 2, 2, 1, 1]
    made = counts(true, called, [0.5] * 8, [(node, node, 5) for node in range(8)])
    resamples = Resamples(8, count=300)
    right = np.array(true) == np.array(called)
    commoner = np.array(true) == 1
    drawn = [
        np.average(right.astype(float) - commoner, weights=weights)
        for weights in resamples.weights[1:]
    ]
    figure = found_classes(made, resamples).merged.above_majority
    assert figure.value == pytest.approx(6 / 8 - 4 / 8)
    assert figure.interval == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
