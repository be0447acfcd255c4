"""Nodes found by masks, by hand."""

import numpy as np
import pytest

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.mask_counts import FoundMasks, TruthMasks, joined_pairs
from lnmdetect.metrics.mask_detection import detection_by_size, detection_rates, false_positives
from lnmdetect.metrics.resampling import Resamples

ONE_EACH = Resamples(4, count=0)


def truth(
    covered: list[list[int]], label: list[int], short_axis_mm: list[float] | None = None
) -> TruthMasks:
    count = len(label)
    return TruthMasks(
        patient=np.arange(count) % 4,
        label=np.array(label),
        short_axis_mm=np.array(short_axis_mm or [8.0] * count),
        covered=np.array(covered),
    )


# Pixels answered as background, negative, positive, extranodal extension, unknown.
NODES = truth(
    [[10, 0, 0, 0, 0], [5, 5, 0, 0, 0], [2, 0, 2, 6, 0], [0, 9, 0, 1, 0], [0, 0, 0, 0, 0]],
    [1, 1, 2, 3, 1],
)


def test_a_node_is_found_above_the_overlap_and_not_at_it() -> None:
    rates = detection_rates(NODES, ONE_EACH)
    assert rates["all"].nodes == 4
    assert rates["all"].over_0.value == 3 / 4
    assert rates["all"].over_half.value == 2 / 4
    assert rates["negative"].over_0.value == 1 / 2
    assert rates["negative"].over_half.value == 0
    assert rates["positive"].over_half.value == rates["extranodal_extension"].over_half.value == 1


def test_the_curve_falls_where_each_node_is_lost() -> None:
    curve = detection_rates(NODES, ONE_EACH)["all"].curve
    assert curve is not None
    assert curve.overlap[::5] == (0, 0.25, 0.5, 0.75)
    assert curve.rate[::5] == (3 / 4, 3 / 4, 2 / 4, 2 / 4)
    assert curve.rate[15:] == (2 / 4, 1 / 4, 1 / 4, 1 / 4, 1 / 4)
    assert curve.low is None
    assert curve.method == "none: no resamples asked for"


def test_the_class_called_is_told_apart_from_the_overlap() -> None:
    rates = detection_rates(NODES, ONE_EACH)
    assert rates["negative"].called_over_0.value == 1 / 2
    assert rates["positive"].called_over_0.value == 1
    assert rates["positive"].called_over_half.value == 0
    assert rates["extranodal_extension"].called_over_half.value == 0
    assert rates["metastatic"].nodes == 2
    assert rates["metastatic"].called_over_half.value == 1 / 2
    # By their own class: 0.5 of the second node, 0.2 of the third, 0.1 of the fourth.
    assert rates["all"].called_over_0.value == 3 / 4
    assert rates["all"].called_over_half.value == 0


def test_without_a_node_that_counts_there_is_no_rate() -> None:
    rates = detection_rates(truth([[0] * 5], [1]), ONE_EACH)
    assert rates["all"].nodes == 0
    assert rates["all"].over_0.value is None
    assert rates["all"].over_0.reason == "no node of truth with a mask that counts"
    assert rates["all"].curve is None


def test_the_band_holds_the_rate_of_patients_drawn() -> None:
    resamples = Resamples(4, count=400)
    covered = [[10 - pixels, pixels, 0, 0, 0] for pixels in (0, 2, 4, 6, 8, 10, 3, 9)]
    nodes = truth(covered, [1] * 8)
    curve = detection_rates(nodes, resamples)["all"].curve
    assert curve is not None
    assert curve.low is not None
    assert curve.high is not None
    found = np.array([0.1 * pixels > 0.5 for pixels in (0, 2, 4, 6, 8, 10, 3, 9)])
    drawn = [
        np.average(found, weights=weights[np.arange(8) % 4]) for weights in resamples.weights[1:]
    ]
    assert (curve.low[10], curve.high[10]) == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
    assert curve.method == "bootstrap over patients"


def test_sizes_meet_at_their_upper_limit_and_unknown_ones_stand_last() -> None:
    covered = [[0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0]]
    nodes = truth(covered, [1, 1, 2, 3, 1], [4.9, 5.0, 10.0, 15.0, np.nan])
    rows = detection_by_size(nodes, ONE_EACH)
    of_all = {row.short_axis: row for row in rows if row.node_class == "all"}
    assert {name: row.nodes for name, row in of_all.items()} == {
        "under 5 mm": 1,
        "5 to 10 mm": 1,
        "10 to 15 mm": 1,
        "15 mm or more": 1,
        "not given": 1,
    }
    assert [row.over_0.value for row in of_all.values()] == [1, 0, 1, 0, 1]
    merged = [row.nodes for row in rows if row.node_class == "metastatic"]
    assert merged == [0, 0, 1, 1, 0]
    assert len(rows) == 25


def found(touches: list[int], ignored: list[int], pixels: list[int]) -> FoundMasks:
    return FoundMasks(
        patient=np.array([0, 0, 0, 1, 1]),
        label=np.array([1, 1, 2, 3, 4]),
        score=np.ones(5),
        p_metastatic=np.full(5, np.nan),
        sections=np.array([1, 2, 3, 4, 5]),
        pixels=np.array(pixels),
        touches=np.array(touches, dtype=bool),
        touches_ignored=np.array(ignored, dtype=bool),
    )


def test_false_positives_are_nodes_with_pixels_that_touch_nothing() -> None:
    # Five images: four of the first patient, in two scans; one of the second.
    cohort = Cohort(np.array([0, 0, 0, 0, 1]), np.array([0, 0, 1, 1, 2]), Resamples(2, count=0))
    rates = false_positives(found([1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [9, 9, 9, 9, 0]), cohort)
    assert rates.nodes == 2  # the third and the fourth; the fifth has no pixel
    assert rates.sections == 7
    assert rates.per_volume.value == pytest.approx(2 / 3)
    assert rates.per_volume.n == 3
    assert rates.per_image.value == pytest.approx(7 / 5)
    by_class = {name: figure.value for name, figure in rates.per_volume_by_class.items()}
    assert by_class == pytest.approx(
        {"negative": 0, "positive": 1 / 3, "extranodal_extension": 1 / 3, "metastatic": 2 / 3}
    )


def test_pairs_of_named_nodes_are_summed_over_slices() -> None:
    parts = [np.array([[0, 1, 4], [-1, 1, 9]]), np.zeros((0, 3), int), np.array([[0, 1, 2]])]
    assert joined_pairs(parts).tolist() == [[0, 1, 6]]
    assert joined_pairs([]).shape == (0, 3)
