"""Values that are valid once built."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lnmdetect.core.records import CocoDataset, Detections, ImageRecord, NodeAnnotation, Scan

IMAGE = ImageRecord(1, "1.2.dcm", 60, 40, "p", "s", "1.2", 0, 0.0, (0.5, 0.4))
NODE = NodeAnnotation(7, 1, 2, (1.0, 2.0, 5.0, 9.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "image 1: expected a positive size"),
        ({"spacing_mm": (0.5, -0.5)}, "spacing in mm above 0"),
        ({"spacing_mm": (0.5, float("nan"))}, "spacing in mm above 0"),
        ({"position_mm": float("inf")}, "a finite position_mm"),
    ],
)
def test_an_unsound_image_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(IMAGE, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box_xyxy": (5.0, 2.0, 1.0, 9.0)}, "annotation 7: boxes"),
        ({"box_xyxy": (1.0, 2.0, float("nan"), 9.0)}, "annotation 7: boxes"),
        ({"category_id": 4}, "annotation 7: expected a category of"),
        ({"score": 1.1}, r"a score in \[0, 1\]"),
        ({"score": float("nan")}, r"a score in \[0, 1\]"),
        ({"probabilities": {"benign": 0.5, "metastatic": 0.4}}, "probabilities that sum to 1"),
        ({"probabilities": {"benign": -0.5, "metastatic": 1.5}}, r"probabilities in \[0, 1\]"),
        ({"probabilities": {"benign": float("nan"), "metastatic": 1.0}}, r"in \[0, 1\]"),
        ({"short_axis_mm": float("nan")}, "a short axis in mm above 0"),
        ({"slice_short_axis_mm": 0.0}, "a short axis in mm above 0"),
        ({"threshold": 1.2}, r"a threshold in \[0, 1\]"),
        ({"threshold": float("nan")}, r"a threshold in \[0, 1\]"),
    ],
)
def test_an_unsound_annotation_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(NODE, **changes)


@pytest.mark.parametrize(
    ("images", "nodes", "message"),
    [
        ((IMAGE, replace(IMAGE, sop_instance_uid="9")), (), "distinct ids"),
        ((IMAGE, IMAGE.with_id(2)), (), "distinct SOP uids"),
        ((IMAGE,), (NODE, replace(NODE, category_id=1)), "annotations: expected distinct ids"),
        ((IMAGE,), (replace(NODE, image_id=3),), "annotation 7: expected an image_id listed"),
    ],
)
def test_an_unsound_data_set_is_refused(
    images: tuple[ImageRecord, ...], nodes: tuple[NodeAnnotation, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CocoDataset({}, images, nodes)


def test_images_join_by_uid_and_by_name_where_there_is_none() -> None:
    assert IMAGE.join_key == "1.2"
    assert replace(IMAGE, sop_instance_uid="").join_key == "1.2.dcm"


def test_boxes_are_grouped_by_image_those_without_included() -> None:
    other = replace(IMAGE, image_id=2, sop_instance_uid="3", patient="q")
    data = CocoDataset({}, (IMAGE, other), (NODE,))
    assert data.by_image() == {1: [NODE], 2: []}
    assert data.patients() == ("p", "q")
    assert data.select_patients({"p"}) == CocoDataset({}, (IMAGE,), (NODE,))
    assert data.select_patients({"q"}).annotations == ()


@pytest.mark.parametrize(
    ("info", "coverage", "phantom"),
    [
        ({}, "all_slices", False),
        ({"coverage": "key_images", "phantom": True}, "key_images", True),
    ],
)
def test_coverage_and_phantom_come_from_info(
    info: dict[str, Any], coverage: str, phantom: bool
) -> None:
    data = CocoDataset(info, (), ())
    assert (data.coverage, data.is_phantom) == (coverage, phantom)


def scan(**changes: Any) -> Scan:
    images = tuple(
        replace(IMAGE, image_id=i, sop_instance_uid=str(i), position_mm=2.0 * i)
        for i in range(1, 4)
    )
    values = {"voxels_hu": np.zeros((3, 40, 60), np.int16), "spacing_mm": (2.0, 0.5, 0.4)}
    return Scan(**{**values, "images": images, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"voxels_hu": np.zeros((40, 60), np.int16)}, r"voxels \(D, H, W\)"),
        ({"voxels_hu": np.zeros((3, 40, 60), np.float32)}, "int16 HU"),
        ({"voxels_hu": np.zeros((2, 40, 60), np.int16)}, "one image a slice"),
        ({"spacing_mm": (0.0, 0.5, 0.4)}, "spacing in mm above 0"),
        ({"images": tuple(reversed(scan().images))}, "rising positions"),
        ({"voxels_hu": np.zeros((3, 60, 40), np.int16)}, "images of 60 x 40 px"),
        ({"spacing_mm": (2.0, 0.4, 0.5)}, r"images with a spacing of \(0.4, 0.5\) mm"),
        ({"spacing_mm": (2.5, 0.5, 0.4)}, "slices every 2.5 mm"),
    ],
)
def test_an_unsound_scan_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scan(**changes)


@pytest.mark.parametrize(
    ("boxes", "scores", "message"),
    [
        ([[0.0, 0, 1, 1]], [], r"boxes \(N, 4\)"),
        ([[0.0, 0, 1, 1]], [1.5], r"scores in \[0, 1\]"),
        ([[0.0, 0, 1, 1]], [float("nan")], r"scores in \[0, 1\]"),
        ([[1.0, 0, 1, 1]], [0.5], "expected finite"),
    ],
)
def test_unsound_detections_are_refused(
    boxes: list[list[float]], scores: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Detections(np.array(boxes), np.array(scores))


def test_no_detections_are_a_value() -> None:
    assert len(Detections(np.zeros((0, 4)), np.zeros(0))) == 0
