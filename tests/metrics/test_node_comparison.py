"""Results in 3-D beside each other: two scans of two patients, three slices each, by hand."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.linked_evaluation import LinkedTable, TruthNodes
from lnmdetect.metrics.node_comparison import NodeComparison, compare_nodes
from lnmdetect.metrics.node_hits import node_hits
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.tables import FoundTable, TruthTable

A, B, AWAY = [10.0, 10, 20, 20], [40.0, 10, 50, 20], [80.0, 80, 90, 90]
EDGE = [19.0, 10, 39, 20]
"""Meets A by a pixel; its centre lies in no node."""
# Images 0..2 are the first patient's, 3..5 the second's. Node 0 (box A) stands on images 0 and 1,
# node 1 (box B, metastatic) on image 0, node 2 (box A, metastatic) on image 3, node 3 (box B) on
# image 4.
TRUTH = [(0, A, 0, BENIGN), (1, A, 0, BENIGN), (0, B, 1, METASTATIC), (3, A, 2, METASTATIC),
         (4, B, 3, BENIGN)]  # fmt: skip
PATIENT = np.array([0, 0, 0, 1, 1, 1])
Node = tuple[float, float, float, list[tuple[int, list[float]]]]
"""Score, P(metastatic), axis and cross-sections, the first of which holds the centre."""


def truth(ignored: tuple[int, ...] = (), nameless: tuple[int, ...] = ()) -> TruthNodes:
    images, boxes, nodes, categories = zip(*TRUTH, strict=True)
    table = TruthTable(
        np.array(images),
        np.array(boxes),
        np.isin(np.arange(len(TRUTH)), ignored),
        np.array(categories),
    )
    named = np.where(np.isin(np.arange(len(TRUTH)), nameless), -1, nodes)
    return TruthNodes(table, named, np.array([4.0, 6.0, 8.0, 5.0]), np.full(4, 0.5))


def answered(*nodes: Node) -> LinkedTable:
    flat = [(place, one) for place, node in enumerate(nodes) for one in node[3]]
    first = [node[3][0] for node in nodes]
    return LinkedTable(
        scores=np.array([score for score, _, _, _ in nodes], dtype=np.float64),
        centre_image=np.array([image for image, _ in first], dtype=np.int64),
        centre_px=np.array([[(b[0] + b[2]) / 2, (b[1] + b[3]) / 2] for _, b in first]).reshape(
            -1, 2
        ),
        short_axis_mm=np.array([axis for _, _, axis, _ in nodes], dtype=np.float64),
        box_short_axis_mm=np.full(len(nodes), 7.0),
        p_metastatic=np.array([p for _, p, _, _ in nodes], dtype=np.float64),
        sections=FoundTable(
            np.array([image for _, (image, _) in flat], dtype=np.int64),
            np.array([box for _, (_, box) in flat], dtype=np.float64).reshape(-1, 4),
            np.full(len(flat), 0.9),
        ),
        node_of_section=np.array([place for place, _ in flat], dtype=np.int64),
    )


GOOD = answered(
    (0.9, 0.2, 4.5, [(0, A), (1, A)]),
    (0.8, 0.7, 6.0, [(0, B)]),
    (0.7, 0.9, 7.0, [(3, A)]),
    (0.6, 0.8, 5.0, [(4, B)]),
)
POOR = answered(
    (0.9, 0.3, np.nan, [(0, A)]),
    (0.8, 0.1, np.nan, [(0, B)]),
    (0.7, 0.5, np.nan, [(3, EDGE)]),
    (0.6, 0.5, np.nan, [(5, AWAY)]),
    (0.5, 0.6, np.nan, [(4, B)]),
)


def compared(*answers: LinkedTable, count: int = 0, of: TruthNodes | None = None) -> NodeComparison:
    cohort = Cohort(PATIENT, PATIENT, Resamples(2, count=count))
    return compare_nodes(answers, of or truth(), cohort)


def values(found: NodeComparison, name: str) -> list[float | None]:
    return [figure.value for figure in found.figures[name].values]


def test_nodes_are_found_by_their_centres_and_by_their_boxes() -> None:
    found = compared(GOOD, POOR)
    assert (found.truth, found.answered, found.found_by_all) == (4, (4, 5), 3)
    assert values(found, "found_centre") == [1, 3 / 4]
    assert values(found, "found_overlap") == [1, 1]
    assert values(found, "false_positives_per_scan_centre") == [0, 2 / 2]
    assert values(found, "false_positives_per_scan_overlap") == [0, 1 / 2]
    (difference,) = found.figures["found_centre"].differences
    assert difference.value == pytest.approx(1 / 4)


def test_every_difference_is_the_first_less_another() -> None:
    found = compared(POOR, GOOD, POOR)
    differences = found.figures["false_positives_per_scan_centre"].differences
    assert [one.value for one in differences] == [1, 0]


def test_areas_and_axes_are_of_the_nodes_that_all_have_found() -> None:
    found = compared(GOOD, POOR)
    # Nodes 0, 1 and 3; node 2 is not found by the second.
    assert found.classified_found_by_all == 3
    assert values(found, "auc") == [
        roc_auc_score([0, 1, 0], [0.2, 0.7, 0.8]),
        roc_auc_score([0, 1, 0], [0.3, 0.1, 0.6]),
    ]
    # Outlines of 4.5, 6 and 5 mm; without an outline the box's 7; in truth 4, 6 and 5.
    assert values(found, "short_axis_error_mm") == pytest.approx([0.5 / 3, (3 + 1 + 2) / 3])
    low = compared(answered((0.9, 0.2, 3.0, [(0, A)]), (0.9, 0.2, 7.0, [(0, B)])), POOR)
    assert values(low, "short_axis_error_mm")[0] == pytest.approx(0)
    assert values(low, "short_axis_absolute_error_mm")[0] == pytest.approx(1)


def test_without_probabilities_a_result_has_no_area_and_does_not_narrow_the_others() -> None:
    mute = answered((0.9, np.nan, 4.0, [(0, A)]))
    found = compared(GOOD, mute)
    assert found.classified_found_by_all == 4
    assert found.figures["auc"].values[1].reason == "no P(metastatic)"
    assert found.figures["auc"].differences[0].reason == "no P(metastatic)"
    assert found.figures["auc"].values[0].value == roc_auc_score([0, 1, 1, 0], [0.2, 0.7, 0.9, 0.8])
    assert compared(mute, mute).classified_found_by_all == 0


def test_a_node_found_but_not_called_is_no_node_in_common() -> None:
    half = answered((0.9, 0.4, 4.0, [(0, A)]), (0.8, np.nan, 6.0, [(0, B)]), (0.7, 0.9, 8.0,
                    [(3, A)]))  # fmt: skip
    assert compared(GOOD, half).classified_found_by_all == 2


def test_nodes_of_unknown_status_are_found_but_not_in_the_area() -> None:
    unknown = truth()
    unknown.table.classes[0:2] = LYMPH_NODE
    found = compared(GOOD, GOOD, of=unknown)
    assert (found.truth, found.classified_found_by_all) == (4, 3)


def test_what_is_ignored_in_truth_is_neither_found_nor_false() -> None:
    found = compared(GOOD, POOR, of=truth(ignored=(3,)))
    assert found.truth == 3
    assert values(found, "found_overlap") == [1, 1]
    assert values(found, "false_positives_per_scan_centre") == [0, 1]
    assert values(found, "false_positives_per_scan_overlap") == [0, 1 / 2]
    assert compared(GOOD, GOOD, of=truth(ignored=(3,))).found_by_all == 3
    pole = answered((0.9, 0.2, 4.0, [(1, A)]))  # of node 0, which counts on image 0
    assert values(compared(pole, GOOD, of=truth(ignored=(1,))), "found_overlap")[0] == 0
    nameless = compared(GOOD, POOR, of=truth(nameless=(3,)))
    assert nameless.truth == 3
    assert values(nameless, "false_positives_per_scan_centre") == [0, 1]


def test_of_two_nodes_in_one_the_surer_is_its_partner() -> None:
    twice = answered((0.3, 0.1, 4.0, [(0, A)]), (0.8, 0.9, 4.0, [(1, A)]))
    assert node_hits(twice, truth()).partner.tolist() == [1, -1, -1, -1]
    assert values(compared(twice, GOOD), "false_positives_per_scan_centre") == [0, 0]


def test_nothing_answered_finds_nothing_and_nothing_to_find_is_undefined() -> None:
    found = compared(answered(), GOOD)
    assert values(found, "found_centre") == [0, 1]
    assert values(found, "froc_mean_per_scan") == [0, 1]
    assert found.figures["auc"].values[0].value is None
    assert found.figures["short_axis_error_mm"].values[0].value is None
    empty = compared(GOOD, POOR, of=truth(ignored=(0, 1, 2, 3, 4)))
    assert empty.figures["found_centre"].values[0].reason == "no node that counts"
    assert empty.figures["froc_mean_per_scan"].values[0].reason == "no node that counts"


def test_the_same_patients_are_drawn_for_all() -> None:
    found = compared(GOOD, POOR, count=300)
    # The poor one misses node 2: its recall is 1 of 2 in the second patient, 1 in the first.
    weights = Resamples(2, count=300).weights[1:]
    drawn = 1 - (2 * weights[:, 0] + weights[:, 1]) / (2 * weights.sum(axis=1))
    (difference,) = found.figures["found_centre"].differences
    assert difference.interval == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    same = compared(POOR, POOR, count=300).figures["found_centre"].differences[0]
    assert (same.value, same.interval) == (0, None)
