"""Linked nodes against truth: two scans of two patients, three slices each, laid out by hand."""

import numpy as np
import pytest

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.linked_evaluation import (
    LinkedFigures,
    LinkedTable,
    TruthNodes,
    linked_figures,
)
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.tables import FoundTable, TruthTable

A, B = [10.0, 10, 20, 20], [40.0, 10, 50, 20]
# Images 0..2 are the first patient's, 3..5 the second's. Node 0 (box A) stands on images 0..2,
# node 1 (box B) on images 0 and 1, node 2 (box A) on images 3 and 4.
TRUTH = [(0, A, 0), (1, A, 0), (2, A, 0), (0, B, 1), (1, B, 1), (3, A, 2), (4, A, 2)]
COHORT = Cohort(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 0, 1, 1, 1]), Resamples(2, count=0))
Section = tuple[int, list[float]]


def truth(ignored: tuple[int, ...] = ()) -> TruthNodes:
    flags = np.isin(np.arange(len(TRUTH)), ignored)
    table = TruthTable(
        np.array([image for image, _, _ in TRUTH]),
        np.array([box for _, box, _ in TRUTH]),
        flags,
        np.ones(len(TRUTH), dtype=np.int64),
    )
    nodes = np.array([node for _, _, node in TRUTH])
    return TruthNodes(table, nodes, np.array([5.0, 5.0, 6.0]), np.full(3, 0.5))


def linked(*nodes: tuple[float, list[Section]], axes: tuple[float, ...] = ()) -> LinkedTable:
    """Return the table of nodes given as (score, sections); the centre is the first section's."""
    flat = [(place, s) for place, (_, sections) in enumerate(nodes) for s in sections]
    first = [sections[0] for _, sections in nodes]
    return LinkedTable(
        scores=np.array([score for score, _ in nodes], dtype=np.float64),
        centre_image=np.array([image for image, _ in first], dtype=np.int64),
        centre_px=np.array([[(b[0] + b[2]) / 2, (b[1] + b[3]) / 2] for _, b in first]).reshape(
            -1, 2
        ),
        short_axis_mm=np.array(axes or [5.5] * len(nodes), dtype=np.float64),
        box_short_axis_mm=np.full(len(nodes), 8.0),
        p_metastatic=np.full(len(nodes), np.nan),
        sections=FoundTable(
            np.array([image for _, (image, _) in flat], dtype=np.int64),
            np.array([box for _, (_, box) in flat], dtype=np.float64).reshape(-1, 4),
            np.full(len(flat), 0.9),
        ),
        node_of_section=np.array([place for place, _ in flat], dtype=np.int64),
    )


def figures(
    *nodes: tuple[float, list[Section]], axes: tuple[float, ...] = (), ignored: tuple[int, ...] = ()
) -> LinkedFigures:
    return linked_figures(linked(*nodes, axes=axes), truth(ignored), COHORT, rates=(0.5, 1.0))


FIRST = (0.9, [(0, A), (1, A), (2, A)])
SECOND = (0.8, [(0, B), (1, B)])
THIRD = (0.7, [(3, A), (4, A)])


def sensitivities(found: LinkedFigures) -> list[float | None]:
    return [point.sensitivity.value for point in found.froc.points]


def test_nodes_linked_as_they_are_in_truth_are_all_found_and_none_is_split_or_merged() -> None:
    found = figures(FIRST, SECOND, THIRD)
    assert sensitivities(found) == [1.0, 1.0]
    assert found.in_one_node.value == 1.0
    assert found.in_one_node.n == 3
    assert (found.split.value, found.merged.value) == (0.0, 0.0)


def test_a_node_in_two_linked_nodes_is_split() -> None:
    found = figures((0.9, [(0, A), (1, A)]), (0.6, [(2, A)]), SECOND, THIRD)
    assert found.split.value == pytest.approx(1 / 3)
    assert found.in_one_node.value == pytest.approx(2 / 3)
    # The second part is neither hit nor false positive: all nodes are found without any.
    assert sensitivities(found) == [1.0, 1.0]


def test_two_nodes_in_one_linked_node_are_merged() -> None:
    found = figures((0.9, [(0, A), (1, A), (2, A), (0, B), (1, B)]), THIRD)
    assert found.merged.value == pytest.approx(2 / 3)
    assert found.in_one_node.value == 1.0
    assert sensitivities(found)[1] == pytest.approx(2 / 3)


def test_a_node_found_on_one_slice_cannot_be_split() -> None:
    found = figures((0.9, [(0, A)]), SECOND)
    assert found.in_one_node.n == 1


def test_a_centre_beside_every_node_is_a_false_positive() -> None:
    beside = (0.95, [(0, [70.0, 70, 80, 80])])
    found = figures(beside, FIRST, SECOND, THIRD)
    # Two scans: half a false positive a scan is one.
    assert sensitivities(found) == [1.0, 1.0]
    two = figures(beside, (0.92, [(3, [70.0, 70, 80, 80])]), FIRST, SECOND, THIRD)
    assert sensitivities(two) == [0.0, 1.0]


def test_a_centre_in_no_box_of_its_slice_hits_nothing() -> None:
    # Node 2 stands on images 3 and 4; this one's centre is taken to lie on image 5.
    found = figures((0.9, [(5, A), (3, A), (4, A)]))
    assert sensitivities(found) == [0.0, 0.0]


def test_a_centre_in_two_nodes_hits_the_one_whose_middle_is_nearer() -> None:
    wide = [12.0, 10, 32, 20]  # Its middle, (22, 15), lies in it alone; that of A in both.
    table = TruthTable(
        np.array([0, 0]), np.array([A, wide]), np.zeros(2, dtype=bool), np.ones(2, dtype=np.int64)
    )
    pair = TruthNodes(table, np.array([0, 1]), np.array([5.0, 5.0]), np.full(2, 0.5))
    for nodes in ([FIRST, (0.8, [(0, wide)])], [(0.8, [(0, wide)]), FIRST]):
        found = linked_figures(linked(*nodes), pair, COHORT, rates=(0.5,))
        assert sensitivities(found) == [1.0]


def test_a_node_of_ignored_boxes_only_is_neither_hit_nor_miss() -> None:
    found = figures(FIRST, SECOND, THIRD, ignored=(5, 6))
    assert found.froc.mean.n == 2
    assert sensitivities(found) == [1.0, 1.0]


def test_axes_are_compared_with_those_of_the_node_that_holds_most_of_the_hits() -> None:
    split = ((0.9, [(0, A), (1, A)]), (0.6, [(2, A)]), SECOND, THIRD)
    found = figures(*split, axes=(5.5, 9.0, 4.5, 6.5))
    # 5.5 - 5, 4.5 - 5, 6.5 - 6.
    assert found.short_axis.mean_mm.value == pytest.approx(0.5 / 3)
    assert found.short_axis.mean_mm.n == 3
    # Boxes of 8 mm: 3, 3 and 2 mm too long; a pixel is 0.5 mm.
    assert found.box_short_axis.mean_mm.value == pytest.approx(8 / 3)
    assert found.box_short_axis.mean_px.value == pytest.approx(16 / 3)


def test_without_measured_axes_their_error_is_undefined_and_not_0() -> None:
    found = figures(FIRST, axes=(float("nan"),))
    assert found.short_axis.mean_mm.value is None
    assert found.box_short_axis.mean_mm.value == 3.0


def test_no_linked_node_finds_nothing() -> None:
    found = figures()
    assert sensitivities(found) == [0.0, 0.0]
    assert found.in_one_node.value is None
    assert found.in_one_node.reason == "no node found on two slices or more"


def test_a_table_whose_columns_differ_in_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a centre and two axes for each of 1 nodes"):
        LinkedTable(
            np.ones(1), np.zeros(1, np.int64), np.zeros((2, 2)), np.ones(1), np.ones(1), np.ones(1),
            FoundTable(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0)), np.zeros(0, np.int64),
        )  # fmt: skip


def test_a_centre_in_a_box_of_no_named_node_is_no_false_positive() -> None:
    nameless = truth()
    named = TruthNodes(
        nameless.table, np.where(nameless.node == 2, -1, nameless.node), np.ones(2), np.ones(2)
    )
    found = linked_figures(
        linked((0.95, THIRD[1]), SECOND, FIRST), named, COHORT, rates=(0.25, 0.5)
    )
    assert sensitivities(found) == [1.0, 1.0]
