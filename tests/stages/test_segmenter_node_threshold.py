"""The threshold on a node's score, chosen on scans whose answered nodes are known."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle

pytest.importorskip("monai", reason="the extra `segmentation` is not installed")

from lnmdetect.core.errors import InputError
from lnmdetect.core.progress import SILENT
from lnmdetect.core.records import BENIGN, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.scan_handle import ScanHandle
from lnmdetect.stages import segmenter_node_threshold as stage
from lnmdetect.stages.segment_scan import SegmentedScan
from lnmdetect.stages.segmenter_node_threshold import choose_node_threshold
from lnmdetect.transforms.mask_pieces import Piece, Section

SIDE = 10
TOP, BOTTOM = [0, 4, 96], [50, 4, 46]  # runs down the first column, and down the sixth
RIGHT = 9
"""A column that no node of truth has."""


def truth(*, ignored: bool = False) -> CocoDataset:
    """Scans `a` and `b` of two slices; the node n1 on the first of both, n2 on the second of a."""
    images = tuple(
        ImageRecord(
            2 * s + z + 1, f"{n}{z}.dcm", SIDE, SIDE, n, n, f"1.{s}.{z}", z, 2.0 * z, (1, 1)
        )
        for s, n in enumerate("ab")
        for z in range(2)
    )
    nodes = tuple(
        NodeAnnotation(
            number,
            image_id,
            BENIGN,
            (0.0, 0.0, 1.0, 4.0),
            node_id=name,
            ignored=ignored and name == "n2",
            segmentation={"size": [SIDE, SIDE], "counts": counts},
        )
        for number, image_id, name, counts in [
            (1, 1, "n1", TOP),
            (2, 2, "n2", BOTTOM),
            (3, 3, "n1", TOP),
        ]
    )
    return CocoDataset({"coverage": "all_slices"}, images, nodes)


def piece(score: float, index: int, column: int) -> Piece:
    """Return a node of one slice: the upper four pixels of a column."""
    inside = np.ones((4, 1), dtype=np.uint8, order="F")
    runs = rle.encode(inside)["counts"]
    return Piece([Section(index, (0, column), (4, 1), runs, 4, np.array([4 * score]))])


def answer(monkeypatch: pytest.MonkeyPatch, *pieces: Sequence[Piece]) -> None:
    """Let the scans in order have these nodes."""

    def scans(
        asked: Sequence[ScanHandle], segmenter: Any, threshold: float, progress: Any
    ) -> Iterator[SegmentedScan]:
        assert threshold == 0.5
        for scan, found in zip(asked, pieces, strict=True):
            yield SegmentedScan(scan.images, tuple(found))

    monkeypatch.setattr(stage, "segment_scans", scans)


def choose(dataset: CocoDataset) -> tuple[float, dict[str, float | None]]:
    threshold, figures = choose_node_threshold(dataset, None, None, 0.5, SILENT)  # type: ignore[arg-type]
    assert threshold.rule == "at most 2 false nodes a scan, touching no node of truth"
    return threshold.value, figures


def test_it_is_the_lowest_score_with_two_false_nodes_a_scan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Five false nodes in two scans, four of which may stay: at 0.6, not at 0.55, where n2 is.
    answer(
        monkeypatch,
        [piece(0.9, 0, 0), *[piece(0.8, 0, RIGHT)] * 3, piece(0.7, 1, RIGHT), piece(0.55, 1, 5)],
        [piece(0.6, 0, 0), piece(0.55, 0, RIGHT)],
    )
    value, figures = choose(truth())
    assert value == 0.6
    assert figures == {
        "nodes_found_at_node_threshold": pytest.approx(2 / 3, abs=1e-4),
        "false_nodes_per_scan_at_node_threshold": 2.0,
    }


def test_with_few_false_nodes_every_node_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, [piece(0.5678, 0, 0), piece(0.9, 0, RIGHT)], [])
    value, figures = choose(truth())
    assert value == 0.0  # not 0.5678: true nodes of other scans may score lower
    assert figures["nodes_found_at_node_threshold"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["false_nodes_per_scan_at_node_threshold"] == 0.5


def test_a_node_on_a_mask_of_another_slice_is_false(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, [piece(0.9, 1, 0)], [])
    assert choose(truth())[1]["false_nodes_per_scan_at_node_threshold"] == 0.5


def test_a_node_that_touches_only_an_ignored_one_is_neither_found_nor_false(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer(monkeypatch, [piece(0.9, 1, 5)], [])
    figures = choose(truth(ignored=True))[1]
    assert figures["nodes_found_at_node_threshold"] == 0.0
    assert figures["false_nodes_per_scan_at_node_threshold"] == 0.0


def test_no_false_node_slips_in_just_below_the_lowest_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = [piece(score, 0, RIGHT) for score in (0.9, 0.8, 0.7, 0.6, 0.5671)]
    answer(monkeypatch, [piece(0.5678, 0, 0), *wrong], [])
    value, figures = choose(truth())
    assert value == 0.5678
    assert figures["false_nodes_per_scan_at_node_threshold"] == 2.0


def test_where_the_surest_nodes_hold_too_many_false_ones_only_the_surest_could_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer(monkeypatch, [piece(0.9, 0, RIGHT)] * 5, [])
    value, figures = choose(truth())
    assert value == 1.0
    assert figures["false_nodes_per_scan_at_node_threshold"] == 0.0


def test_where_nothing_is_answered_every_node_would_count(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, [], [])
    assert choose(truth())[0] == 0.0


def test_a_scan_that_cannot_be_read_ends_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = InputError("a", expected="a slice", got="none", remedy="Copy it again.")
    monkeypatch.setattr(stage, "segment_scans", lambda *_: iter([broken]))
    with pytest.raises(InputError, match="Copy it again"):
        choose(truth())
