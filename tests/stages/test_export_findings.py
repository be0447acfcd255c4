"""Which boxes become findings, and of which models they are."""

from dataclasses import replace

from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.stages.export_findings import (
    box_findings,
    chosen_boxes,
    maker_of,
    node_findings,
)

IMAGE = ImageRecord(1, "1.2.3.dcm", 64, 64, "p", "s", "1.2.3", 0, 0.0, (0.5, 0.25))
BOX = NodeAnnotation(7, 1, 2, (10, 20, 30, 24), score=0.6, node_id="a")


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
