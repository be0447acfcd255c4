"""Which boxes become findings, and on which side of the patient they lie."""

from dataclasses import replace

import pytest

from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.dicom_header import SliceHeader
from lnmdetect.stages.export_findings import (
    box_findings,
    chosen_boxes,
    laterality,
    maker_of,
    node_findings,
)

IMAGE = ImageRecord(1, "1.2.3.dcm", 64, 64, "p", "s", "1.2.3", 0, 0.0, (0.5, 0.25))
BOX = NodeAnnotation(7, 1, 2, (10, 20, 30, 24), score=0.6, node_id="a")
AXIAL, TURNED = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.0, 1.0, 0.0, 1.0, 0.0, 0.0)


def header(x_mm: float, orientation: tuple[float, ...] = AXIAL) -> SliceHeader:
    return SliceHeader(
        file="1",
        frame=None,
        sop_uid="1.2.3",
        series_uid="1.2",
        study_uid="1",
        patient_id="",
        rows=64,
        columns=64,
        position=(x_mm, 0.0, 0.0),
        orientation=orientation,
        spacing_mm=(0.5, 0.25),
        thickness_mm=None,
        slope=1.0,
        intercept=0.0,
        padding=None,
        transfer_syntax="",
    )


# The box's centre is column 20, row 22: 19.5 x 0.25 = 4.875 mm along the rows, 21.5 x 0.5 = 10.75
# mm down from the first voxel's centre.
@pytest.mark.parametrize(
    ("x_mm", "orientation", "side"),
    [
        (-4.876, AXIAL, "right"),
        (-4.874, AXIAL, "left"),
        (-4.875, AXIAL, "midline"),
        (-10.76, TURNED, "right"),
        (-10.74, TURNED, "left"),
    ],
)
def test_x_of_the_centre_decides_the_side(
    x_mm: float, orientation: tuple[float, ...], side: str
) -> None:
    assert laterality(IMAGE, BOX.box_xyxy, {"1.2.3": header(x_mm, orientation)}) == side


def test_without_a_header_the_side_is_not_known() -> None:
    assert laterality(IMAGE, BOX.box_xyxy, {}) is None


def test_boxes_below_the_threshold_and_ignored_ones_stay_out() -> None:
    boxes = (
        BOX,
        replace(BOX, annotation_id=8, score=0.4),
        replace(BOX, annotation_id=9, score=0.39),
        replace(BOX, annotation_id=10, ignored=True),
        replace(BOX, annotation_id=11, score=None),
    )
    dataset = CocoDataset({"operating_threshold": 0.4}, (IMAGE,), boxes)
    assert [box.annotation_id for box in chosen_boxes(dataset, None)] == [7, 8, 11]
    assert [box.annotation_id for box in chosen_boxes(dataset, 0.5)] == [7, 11]


def test_the_short_axis_is_the_files_else_the_boxs_shorter_side_in_mm() -> None:
    dataset = CocoDataset({}, (IMAGE,), (BOX,))
    (finding,) = box_findings(dataset, [BOX])
    assert finding.short_axis_mm == 2.0
    (finding,) = box_findings(dataset, [replace(BOX, slice_short_axis_mm=1.5)])
    assert finding.short_axis_mm == 1.5


def test_boxes_of_one_node_are_one_finding_with_its_surest_box() -> None:
    other = replace(IMAGE, image_id=2, sop_instance_uid="1.2.4", slice_index=1, position_mm=1.0)
    second = replace(BOX, annotation_id=8, image_id=2, score=0.9, category_id=1)
    alone = replace(BOX, annotation_id=9, node_id=None)
    dataset = CocoDataset({}, (IMAGE, other), (BOX, second, alone))
    first, last = node_findings(dataset, dataset.annotations)
    assert (first.label, first.score, first.category_id) == ("a", 0.9, 1)
    assert [region.image.image_id for region in first.regions] == [1, 2]
    assert last.label == "box 9"


def test_models_come_with_the_thresholds_in_use() -> None:
    info = {
        "detector": {"name": "compact", "sha256": "a"},
        "classifier": {"name": "small", "sha256": "b"},
        "classifier_threshold": 0.55,
    }
    maker = maker_of(info, 0.3, phantom=False)
    assert [(one.role, one.name, one.threshold) for one in maker.algorithms] == [
        ("detector", "compact", 0.3),
        ("classifier", "small", 0.55),
    ]
    assert maker_of({}, 0.3, phantom=True).algorithms == ()
