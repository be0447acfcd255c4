"""Findings are valid once built, and say themselves in a few letters."""

from dataclasses import replace
from typing import Any

import pytest

from lnmdetect.core.findings import Algorithm, Finding, Maker, Region
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC, ImageRecord

IMAGE = ImageRecord(1, "1.dcm", 64, 64, "p", "s", "1.2", 0, 0.0, (0.5, 0.5))
FINDING = Finding("box 1", (Region(IMAGE, (1, 2, 3, 4)),), score=0.5)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"regions": ()}, "regions of one series"),
        (
            {"regions": (*FINDING.regions, Region(replace(IMAGE, series="t"), (1, 2, 3, 4)))},
            "regions of one series",
        ),
        ({"category_id": 4}, "a category"),
        ({"score": 1.5}, r"score in \[0, 1\]"),
        ({"p_metastatic": float("nan")}, r"p_metastatic in \[0, 1\]"),
        ({"short_axis_mm": 0.0}, "short_axis_mm above 0"),
        ({"volume_mm3": float("inf")}, "volume_mm3 above 0"),
    ],
)
def test_a_finding_that_cannot_be_is_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=rf"finding box 1: expected {text}"):
        replace(FINDING, **change)


def test_a_region_without_extent_is_refused() -> None:
    with pytest.raises(ValueError, match="expected finite x1 < x2"):
        Region(IMAGE, (3, 2, 3, 4))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "node 0.50"),
        ({"score": None}, "node"),
        ({"category_id": METASTATIC, "p_metastatic": 0.876}, "metastatic 0.88"),
        ({"category_id": BENIGN, "p_metastatic": 0.004}, "benign 0.00"),
    ],
)
def test_the_short_text_is_class_and_number(change: dict[str, Any], text: str) -> None:
    assert replace(FINDING, **change).short_text == text


def test_a_node_is_drawn_with_the_label_that_reports_give_it() -> None:
    assert FINDING.drawn_text == "node 0.50"
    assert replace(FINDING, label="n3", p_metastatic=0.9).drawn_text == "n3 node 0.90"
    assert replace(FINDING, label="a long name of a node").drawn_text == "a long name  node 0.50"


def test_a_maker_knows_which_model_found_and_which_one_called() -> None:
    detector = Algorithm("detector", "compact", "a" * 64)
    segmenter = Algorithm("segmenter", "compact", "b" * 64)
    classifier = Algorithm("classifier", "compact", "c" * 64)
    assert Maker("0.1.0", (detector,)).finder == detector
    assert Maker("0.1.0", (detector,)).caller is None
    assert Maker("0.1.0", (segmenter,)).caller == segmenter
    assert Maker("0.1.0", (segmenter, classifier)).finder == segmenter
    assert Maker("0.1.0", (segmenter, classifier)).caller == classifier
    assert Maker("0.1.0").finder is None
    assert FINDING.category_id == LYMPH_NODE
