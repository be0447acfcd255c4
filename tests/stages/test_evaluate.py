import contextlib
import hashlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rich.console import Console
from sklearn.metrics import roc_auc_score

from lnmdetect.core.errors import InputError, OutputError, UsageError
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.metrics.figure import Figure
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.evaluation_result import EvalResult
from lnmdetect.stages.evaluation_tables import ap50_table, result_tables
from lnmdetect.stages.evaluation_thresholds import Threshold

BENIGN, METASTATIC, LYMPH_NODE = 1, 2, 3
Box = tuple[float, float, float, float]
BOX: Box = (10.0, 10.0, 20.0, 20.0)
OTHER: Box = (30.0, 30.0, 40.0, 40.0)
FAR: Box = (50.0, 50.0, 60.0, 60.0)


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def image(image_id: int, **changes: Any) -> ImageRecord:
    fields: dict[str, Any] = {
        "image_id": image_id,
        "file_name": f"1.2.{image_id}.dcm",
        "width": 128,
        "height": 128,
        "patient": f"p{image_id % 3}",
        "series": f"1.{image_id % 3}",
        "sop_instance_uid": f"1.2.{image_id}",
        "slice_index": image_id,
        "position_mm": 2.0 * image_id,
        "spacing_mm": (0.5, 0.5),
    }
    return ImageRecord(**{**fields, **changes})


def node(number: int, image_id: int, box: Box, **fields: Any) -> NodeAnnotation:
    category = fields.pop("category_id", LYMPH_NODE)
    return NodeAnnotation(number, image_id, category, box, **fields)


def called(number: int, image_id: int, box: Box, score: float | None, p: float) -> NodeAnnotation:
    return node(
        number,
        image_id,
        box,
        category_id=METASTATIC if p >= 0.5 else BENIGN,
        score=score,
        probabilities={"benign": 1 - p, "metastatic": p},
        threshold=0.5,
    )


def write(
    name: str, images: list[ImageRecord], nodes: list[NodeAnnotation], **info: Any
) -> CocoDataset:
    dataset = CocoDataset(info, tuple(images), tuple(nodes))
    write_coco(dataset, Path(name), overwrite=True)
    return dataset


def write_two_nodes() -> None:
    """Truth: a metastatic node on image 1, a benign one on image 2, image 3 without any."""
    images = [image(1), image(2), image(3)]
    nodes = [node(1, 1, BOX, category_id=METASTATIC), node(2, 2, OTHER, category_id=BENIGN)]
    write("truth.json", images, nodes, phantom=True)


def write_random(seed: int) -> None:
    """Truth, and nodes.json with other image ids and another order of the images."""
    rng = np.random.default_rng(seed)
    images = [image(key) for key in range(1, 61)]
    truth: list[NodeAnnotation] = []
    found: list[NodeAnnotation] = []
    for record in images:
        for _ in range(int(rng.integers(0, 4))):
            x, y = rng.uniform(0, 90, 2)
            w, h = rng.uniform(5, 30, 2)
            box = (x, y, x + w, y + h)
            category = int(rng.integers(1, 3))
            thin = bool(rng.random() < 0.15)
            truth.append(
                node(len(truth) + 1, record.image_id, box, category_id=category, ignored=thin)
            )
            if rng.random() < 0.8:
                dx, dy = rng.normal(0, 1.5, 2)
                near = (max(x + dx, 0), max(y + dy, 0), x + w + dx, y + h + dy)
                p = float(np.clip(rng.normal(0.3 * category, 0.2), 0.01, 0.99))
                found.append(called(len(found) + 1, record.image_id, near, _score(rng), p))
        for _ in range(int(rng.integers(0, 4))):
            x, y = rng.uniform(0, 90, 2)
            box = (x, y, x + 12, y + 9)
            found.append(called(len(found) + 1, record.image_id, box, _score(rng), 0.4))
    write("truth.json", images, truth)
    shuffled = [replace(record, image_id=1000 - record.image_id) for record in reversed(images)]
    moved = [replace(a, image_id=1000 - a.image_id) for a in found]
    write("nodes.json", shuffled, moved, operating_threshold=0.5)


def _score(rng: np.random.Generator) -> float:
    return float(rng.integers(1, 40) / 40)


def value(figure: Figure) -> float:
    assert figure.value is not None
    return figure.value


def told(figure: Figure) -> tuple[float | None, str | None, int | None]:
    return figure.value, figure.reason, figure.n


def detection_values(result: EvalResult) -> list[float]:
    assert result.detection is not None
    average = result.detection.average_precision
    return [value(f) for f in (average.ap50, average.ap75, average.ap, average.ar100)]


@pytest.mark.parametrize("seed", range(4))
def test_ap_and_ar_are_those_of_pycocotools_on_the_same_files(seed: int) -> None:
    write_random(seed)
    truth = json.loads(Path("truth.json").read_text())
    written = json.loads(Path("nodes.json").read_text())["annotations"]
    # One class: with useCats = 0 the order of equal scores would depend on the category.
    for annotation in truth["annotations"]:
        annotation["category_id"] = LYMPH_NODE
    Path("one_class.json").write_text(json.dumps(truth))
    results = [{**a, "image_id": 1000 - a["image_id"], "category_id": LYMPH_NODE} for a in written]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO("one_class.json")
        assert len(coco.imgs) == 60
        run = COCOeval(coco, coco.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    ap, ap50, ap75, ar100 = run.stats[[0, 1, 2, 8]]
    assert 0.1 < ap < ap50 < 0.95
    assert detection_values(evaluate(EvalRequest())) == pytest.approx(
        [ap50, ap75, ap, ar100], abs=1e-9
    )


@pytest.mark.parametrize("category", [BENIGN, METASTATIC])
def test_ap50_of_a_class_is_that_of_pycocotools_on_score_times_probability(category: int) -> None:
    write_random(11)
    name = {BENIGN: "benign", METASTATIC: "metastatic"}[category]
    written = json.loads(Path("nodes.json").read_text())["annotations"]
    results = [
        {
            "image_id": 1000 - a["image_id"],
            "category_id": category,
            "bbox": a["bbox"],
            "score": a["score"] * a["probabilities"][name],
        }
        for a in written
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO("truth.json")
        run = COCOeval(coco, coco.loadRes(results), "bbox")
        run.params.catIds = [category]
        run.evaluate()
        run.accumulate()
        run.summarize()
    result = evaluate(EvalRequest())
    assert result.end_to_end is not None
    assert value(result.end_to_end.ap50[name]) == pytest.approx(run.stats[1], abs=1e-9)


def test_three_boxes_give_the_figures_counted_by_hand() -> None:
    write_two_nodes()
    found = [
        called(1, 1, BOX, 0.9, 0.8),
        called(2, 2, OTHER, 0.6, 0.7),
        called(3, 3, FAR, 0.7, 0.9),
    ]
    write("nodes.json", [image(k) for k in (1, 2, 3)], found, operating_threshold=0.65)
    result = evaluate(EvalRequest())
    assert result.detection is not None
    # Precision 1 to recall 0.5 (51 of 101 recalls), then 2/3.
    assert value(result.ap50) == pytest.approx((51 + 50 * 2 / 3) / 101)
    point = result.detection.operating_point
    assert point is not None
    assert (value(point.sensitivity), value(point.precision)) == (0.5, 0.5)
    assert value(point.false_positives_per_image) == pytest.approx(1 / 3)
    assert result.classification is not None
    assert result.classification.boxes == "predicted"
    shown = result.classification.figures  # the benign node's box, 0.6, is below the threshold
    assert (shown.n, shown.auc.value, value(shown.accuracy)) == (1, None, 1.0)
    assert result.classification_of_all_boxes is not None
    figures = result.classification_of_all_boxes.figures
    assert (figures.n, value(figures.auc), value(figures.accuracy)) == (2, 1.0, 0.5)
    assert result.end_to_end is not None
    assert value(result.end_to_end.found_and_called["metastatic"]) == 1.0
    assert value(result.end_to_end.found_and_called["benign"]) == 0.0
    assert result.info.patients == 3
    assert result.info.images == 3


def test_auc_on_predicted_boxes_is_that_of_scikit_learn_over_the_hits() -> None:
    write_random(5)
    result = evaluate(EvalRequest())
    truth, found = read_coco(Path("truth.json")), read_coco(Path("nodes.json"))
    shown = replace(found, annotations=tuple(a for a in found.annotations if score(a) >= 0.5))
    for part, boxes, score_min in (
        (result.classification, shown, 0.5),
        (result.classification_of_all_boxes, found, None),
    ):
        assert part is not None
        labels, p = hits_by_hand(truth, boxes)
        assert part.figures.n == len(labels) > 15
        assert value(part.figures.auc) == pytest.approx(roc_auc_score(labels, p), abs=1e-12)
        assert part.score_min == score_min
        low, high = part.figures.auc.interval or (0.0, 0.0)
        assert 0 < low < value(part.figures.auc) < high <= 1  # over the three patients


def score(box: NodeAnnotation) -> float:
    assert box.score is not None
    return box.score


def test_classes_of_boxes_below_the_operating_threshold_are_told_apart() -> None:
    write_two_nodes()
    found = [called(1, 1, BOX, 0.9, 0.8), called(2, 2, OTHER, 0.2, 0.7)]
    write("nodes.json", [image(k) for k in (1, 2, 3)], found, operating_threshold=0.5)
    result = evaluate(EvalRequest())
    assert result.classification is not None
    assert result.classification_of_all_boxes is not None
    assert value(result.classification.figures.accuracy) == 1.0
    assert value(result.classification_of_all_boxes.figures.accuracy) == 0.5
    text = printed(result_tables(result))
    first = text.index("Classification on predicted boxes scored 0.5 or more")
    assert first < text.index("Classification on all stored predicted boxes")
    assert "Intervals: 95 %, percentiles of 2000 resamples of the patients (seed 0)" in text
    lower = evaluate(EvalRequest(threshold=0.1))
    assert lower.classification is not None
    assert lower.classification.figures.n == 2
    assert lower.classification_of_all_boxes is None  # no box is below, so it would say it twice
    write("nodes.json", [image(k) for k in (1, 2, 3)], found)
    unknown = evaluate(EvalRequest())
    assert unknown.classification is not None
    assert unknown.classification.score_min is None
    assert unknown.classification_of_all_boxes is None


def hits_by_hand(truth: CocoDataset, found: CocoDataset) -> tuple[list[bool], list[float]]:
    labels, p = [], []
    for record in truth.images:
        free = [a for a in truth.annotations if a.image_id == record.image_id and not a.ignored]
        boxes = [a for a in found.annotations if a.image_id == 1000 - record.image_id]
        for box in sorted(boxes, key=lambda a: -(a.score or 0)):
            best = max(free, key=lambda t: iou(t.box_xyxy, box.box_xyxy), default=None)
            if best is not None and iou(best.box_xyxy, box.box_xyxy) >= 0.5:
                free.remove(best)
                labels.append(best.category_id == METASTATIC)
                assert box.probabilities is not None
                p.append(box.probabilities["metastatic"])
    return labels, p


def iou(a: Box, b: Box) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def test_truth_boxes_that_were_classified_give_classes_but_no_detection() -> None:
    write_two_nodes()
    said = [called(1, 1, BOX, None, 0.8), called(2, 2, OTHER, None, 0.2)]
    poles = replace(called(3, 3, FAR, None, 0.9), ignored=True)
    write("nodes.json", [image(k) for k in (1, 2, 3)], [*said, poles])
    result = evaluate(EvalRequest())
    assert result.detection is None
    assert result.end_to_end is None
    assert result.ap50.value is None
    assert result.classification is None
    of_truth = result.classification_on_truth_boxes
    assert of_truth is not None
    assert of_truth.boxes == "truth"
    assert of_truth.figures.n == 2
    assert value(of_truth.figures.auc) == 1.0
    assert any("truth boxes" in note for note in result.info.notes)


def test_nodes_json_is_preferred_to_boxes_json_and_each_can_be_named() -> None:
    write_two_nodes()
    images = [image(k) for k in (1, 2, 3)]
    write("boxes.json", images, [node(1, 1, BOX, score=0.9)])
    assert evaluate(EvalRequest()).info.detections_of[0].file == "boxes.json"
    assert evaluate(EvalRequest()).classification is None
    write("nodes.json", images, [called(1, 1, BOX, 0.9, 0.8), called(2, 2, OTHER, 0.8, 0.3)])
    assert evaluate(EvalRequest()).info.detections_of[0].file == "nodes.json"
    named = evaluate(EvalRequest(boxes=(Path("boxes.json"),)))
    assert named.info.detections == 1
    both = evaluate(EvalRequest(boxes=(Path("boxes.json"),), nodes=(Path("nodes.json"),)))
    assert both.info.detections == 1
    assert both.info.classes_of[0].file == "nodes.json"
    assert both.classification is not None
    assert both.classification.figures.n == 2


def test_a_bare_result_list_is_scored_by_the_ids_of_truth() -> None:
    write_two_nodes()
    entry = {"image_id": 1, "category_id": 3, "bbox": [10, 10, 10, 10], "score": 0.5}
    Path("results.json").write_text(json.dumps([entry]))
    result = evaluate(EvalRequest(boxes=(Path("results.json"),)))
    assert value(result.ap50) == pytest.approx(51 / 101)
    Path("results.json").write_text("[]")
    empty = evaluate(EvalRequest(boxes=(Path("results.json"),)))
    assert told(empty.ap50) == (0.0, "no detection", 2)


def test_no_detection_is_ap_0_with_a_reason() -> None:
    write_two_nodes()
    write("boxes.json", [image(k) for k in (1, 2, 3)], [], operating_threshold=0.5)
    result = evaluate(EvalRequest())
    assert told(result.ap50) == (0.0, "no detection", 2)
    assert result.detection is not None
    assert result.detection.operating_point is not None
    assert value(result.detection.operating_point.sensitivity) == 0.0
    assert result.end_to_end is not None
    assert told(result.end_to_end.ap50["metastatic"]) == (0.0, "no detection", 1)


def test_no_truth_is_null_with_a_reason_and_false_positives_still_count() -> None:
    write("truth.json", [image(1), image(2)], [])
    write("boxes.json", [image(1), image(2)], [node(1, 1, BOX, score=0.9)], operating_threshold=0.5)
    result = evaluate(EvalRequest())
    assert result.ap50 == Figure(None, "no truth box that counts")
    assert result.detection is not None
    point = result.detection.operating_point
    assert point is not None
    assert value(point.false_positives_per_image) == 0.5
    assert value(point.precision) == 0.0
    assert json.dumps(result.metrics_json(), allow_nan=False)


def test_one_class_only_leaves_auc_undefined() -> None:
    write("truth.json", [image(1)], [node(1, 1, BOX, category_id=METASTATIC)])
    write("nodes.json", [image(1)], [called(1, 1, BOX, 0.9, 0.8)])
    result = evaluate(EvalRequest())
    assert result.classification is not None
    assert result.classification.figures.auc == Figure(None, "no benign node")
    assert value(result.classification.figures.tpr) == 1.0


def test_slices_that_key_image_truth_does_not_list_are_not_scored() -> None:
    nodes = [node(1, 1, BOX, category_id=METASTATIC)]
    write("truth.json", [image(1)], nodes, coverage="key_images")
    found = [node(1, 2, FAR, score=0.99), node(2, 1, BOX, score=0.5), node(3, 3, FAR, score=0.9)]
    write("boxes.json", [image(1), image(2), image(3)], found)
    result = evaluate(EvalRequest())
    assert value(result.ap50) == pytest.approx(1.0)
    assert (result.info.detections, result.info.unscored_detections) == (1, 2)
    assert any("2 boxes of boxes.json are not scored" in note for note in result.info.notes)


def test_boxes_on_a_slice_that_full_truth_does_not_list_are_refused_by_name() -> None:
    write_two_nodes()
    found = [node(1, 1, BOX, score=0.5), node(2, 9, FAR, score=0.9)]
    write("boxes.json", [image(1), image(2), image(3), image(9)], found)
    expected = r"boxes\.json: annotations\[1\]\.image_id: .* got images\[3\] \(1\.2\.9\)"
    with pytest.raises(InputError, match=expected):
        evaluate(EvalRequest())


def test_an_unlisted_slice_without_boxes_does_no_harm() -> None:
    write_two_nodes()
    write("boxes.json", [image(k) for k in (1, 2, 3, 9)], [node(1, 1, BOX, score=0.5)])
    assert value(evaluate(EvalRequest()).ap50) == pytest.approx(51 / 101)


def test_truth_slices_missing_from_the_predictions_count_and_are_told() -> None:
    write_two_nodes()
    write("boxes.json", [image(1)], [node(1, 1, BOX, score=0.5)])
    result = evaluate(EvalRequest())
    assert value(result.ap50) == pytest.approx(51 / 101)
    assert result.info.images_without_predictions == 2
    assert "2 truth images are not in boxes.json: nothing is found there." in result.info.notes
    short = evaluate(EvalRequest(ap50_only=True))
    lacking = "No nodes in 3-D: truth that names no node (node_id)."
    assert list(result.info.notes) == [*short.to_json()["notes"], lacking]
    assert "Note: 2 truth images are not in boxes.json" in printed(ap50_table(short))


def test_studies_that_detect_could_not_read_are_told() -> None:
    write_two_nodes()
    write("boxes.json", [image(k) for k in (1, 2, 3)], [], failed_studies=1)
    note = "1 study of the input could not be read when boxes.json was made."
    assert note in evaluate(EvalRequest()).info.notes


def test_files_of_different_scans_are_refused() -> None:
    write_two_nodes()
    write("boxes.json", [image(8)], [])
    with pytest.raises(InputError, match=r"boxes\.json: images: expected slices that the truth"):
        evaluate(EvalRequest())


def test_a_slice_of_another_size_is_refused() -> None:
    write_two_nodes()
    write("boxes.json", [image(1), image(2, width=256)], [])
    with pytest.raises(InputError, match=r"images\[1\]: expected 128 x 128 px.* got 256 x 128"):
        evaluate(EvalRequest())


def test_boxes_with_and_without_score_in_one_file_are_refused() -> None:
    write_two_nodes()
    write("boxes.json", [image(1)], [node(1, 1, BOX, score=0.5), node(2, 1, FAR)])
    with pytest.raises(InputError, match=r"annotations\[1\]\.score: expected a score on every box"):
        evaluate(EvalRequest())


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            EvalRequest(),
            r"boxes\.json: expected a file, got none there\. Give its place with --box",
        ),
        (EvalRequest(nodes=(Path("no.json"),)), r"no\.json: expected a file.*--nodes"),
        (EvalRequest(boxes=(Path(),)), r"expected a file, got a folder"),
    ],
)
def test_a_missing_file_is_named(request_: EvalRequest, message: str) -> None:
    write_two_nodes()
    with pytest.raises(InputError, match=message):
        evaluate(request_)


def test_a_missing_truth_is_named() -> None:
    write("boxes.json", [image(1)], [])
    with pytest.raises(InputError, match=r"truth\.json: expected a file.*--truth"):
        evaluate(EvalRequest())


def test_the_threshold_used_is_told_with_its_source() -> None:
    write_two_nodes()
    images = [image(k) for k in (1, 2, 3)]
    found = [called(1, 1, BOX, 0.4, 0.8)]
    sources = {
        "operating_threshold": 0.3,
        "operating_threshold_source": "bundle a: sensitivity 0.9",
        "classifier_threshold": 0.5,
        "classifier_threshold_source": "bundle b: Youden's J",
    }
    write("nodes.json", images, found, **sources)
    thresholds = evaluate(EvalRequest()).thresholds
    assert thresholds.detector == Threshold(0.3, "nodes.json, from bundle a: sensitivity 0.9")
    assert thresholds.classifier == Threshold(0.5, "nodes.json, from bundle b: Youden's J")
    write("nodes.json", images, [], **sources)
    assert evaluate(EvalRequest()).thresholds == thresholds
    chosen = evaluate(EvalRequest(threshold=0.7))
    assert chosen.thresholds.detector == Threshold(0.7, "--threshold")
    assert chosen.detection is not None
    assert chosen.detection.operating_point is not None
    assert value(chosen.detection.operating_point.sensitivity) == 0.0


def test_without_a_threshold_there_is_no_operating_point() -> None:
    write_two_nodes()
    nodes = [replace(called(1, 1, BOX, 0.4, 0.8), threshold=None)]
    write("nodes.json", [image(1)], nodes)
    result = evaluate(EvalRequest())
    assert result.detection is not None
    assert result.detection.operating_point is None
    assert result.thresholds.detector.value is None
    assert "gives no info.operating_threshold" in result.thresholds.detector.source
    assert "gives no threshold of the classifier" in result.thresholds.classifier.source
    several = [called(1, 1, BOX, 0.4, 0.8), replace(called(2, 1, FAR, 0.4, 0.8), threshold=0.6)]
    write("nodes.json", [image(1)], several)
    source = evaluate(EvalRequest()).thresholds.classifier.source
    assert "2 different thresholds; each box counts as the category it has" in source


def test_a_threshold_that_is_no_score_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"--threshold: expected a score in \[0, 1\], got 50"):
        EvalRequest(threshold=50)


def test_figures_of_phantoms_are_labelled() -> None:
    write_two_nodes()
    write("nodes.json", [image(1)], [called(1, 1, BOX, 0.9, 0.8)])
    result = evaluate(EvalRequest(ap50_only=True))
    assert result.metrics_json()["info"]["phantom"] is True
    assert result.to_json()["phantom"] is True
    for table in (result_tables(result), ap50_table(result)):
        assert "phantom figures" in printed(table)
    write("truth.json", [image(1)], [node(1, 1, BOX)])
    result = evaluate(EvalRequest())
    assert result.metrics_json()["info"]["phantom"] is False
    assert "phantom" not in printed(result_tables(result)).lower()


def printed(table: Any) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_tables_show_value_interval_count_and_reason() -> None:
    write_two_nodes()
    found = [called(1, 1, BOX, 0.9, 0.8), called(2, 3, FAR, 0.95, 0.8)]
    write("nodes.json", [image(k) for k in (1, 2, 3)], found, operating_threshold=0.5)
    lines = printed(result_tables(evaluate(EvalRequest()))).splitlines()
    assert lines[0].startswith(
        "3 patients, 3 scans, 3 images, 2 truth boxes (0 more ignored), 2 boxes of nodes.json"
    )
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    # Precision 1/2 at 51 of 101 recalls; each of the two nodes is found alone, or neither.
    assert ["AP50", "0.252", "0.000 to 1.000", "", "2"] in cells
    sensitivity = ["Sensitivity at the operating threshold", "0.500", "0.000 to 1.000"]
    assert [*sensitivity, "(0.095 to 0.905)", "2"] in cells
    assert ["AUC", "undefined", "no benign node", "", ""] in cells
    same = "none: a single patient"
    assert ["AP50 benign", "0.000", same, "", "1"] in cells
    assert "Operating threshold of the detector: 0.5 (nodes.json)" in lines


def test_all_curves_a_scan_are_read_at_the_rates_that_were_asked_for() -> None:
    write_random(0)
    result = evaluate(EvalRequest(bootstrap=0, scan_rates=(3.0, 5.0)))
    assert result.end_to_end is not None
    read = result.end_to_end.froc_metastatic_per_scan.points
    assert [point.false_positives for point in read] == [3.0, 5.0]
    _, table = printed(result_tables(result)).split("FROC: sensitivity at false positives per scan")
    lines = [line for line in table.split("└")[0].splitlines() if line[:1] in "┃│"]
    assert [line.count("┃") + line.count("│") for line in lines] == [6] * 4


def test_ap50_alone_is_one_row_and_a_bare_json_object() -> None:
    write_two_nodes()
    write("boxes.json", [image(1)], [node(1, 1, BOX, score=0.9)])
    result = evaluate(EvalRequest(ap50_only=True))
    assert result.to_json() == {
        "ap50": {
            "value": pytest.approx(51 / 101),
            "n": 2,
            "interval": [0.0, pytest.approx(1.0)],
            "interval_method": "bootstrap over patients",
        },
        "phantom": True,
        "notes": list(result.info.notes),
    }
    rows = [line for line in printed(ap50_table(result)).splitlines() if "│" in line]
    assert len(rows) == 1
    assert "AP50" in rows[0]
    assert "0.505" in rows[0]


def test_metrics_json_is_written_whole_and_never_over_another() -> None:
    write_random(2)
    request = EvalRequest(output=Path("out/metrics.json"), ap50_only=True)
    result = evaluate(request)
    assert json.loads(Path("out/metrics.json").read_text()) == result.metrics_json()
    with pytest.raises(OutputError, match=r"metrics\.json: expected a new file"):
        evaluate(request)
    first = Path("out/metrics.json").read_bytes()
    evaluate(replace(request, overwrite=True))
    assert Path("out/metrics.json").read_bytes() == first


def test_a_run_record_with_the_hashes_of_the_files_lies_beside_the_metrics() -> None:
    write_random(2)
    evaluate(EvalRequest(output=Path("metrics.json"), threshold=0.25))
    record = json.loads(Path("metrics.run.json").read_text())
    assert record["command"] == "eval"
    assert record["config"] == {
        "threshold": 0.25,
        "bootstrap": 2000,
        "seed": 0,
        "by": [],
        "scan_rates": [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0],
        "choose_threshold": None,
        "choose_node_threshold": None,
        "optimistic": False,
    }
    assert record["inputs"] == {
        name: hashlib.sha256(Path(name).read_bytes()).hexdigest()
        for name in ("truth.json", "nodes.json")
    }


def test_an_existing_output_is_refused_before_anything_is_read() -> None:
    Path("metrics.json").write_text("{}")
    with pytest.raises(OutputError, match="--overwrite"):
        evaluate(EvalRequest(output=Path("metrics.json")))


def test_results_cannot_be_changed_once_built() -> None:
    write_two_nodes()
    write("boxes.json", [image(1)], [node(1, 1, BOX, score=0.9)], operating_threshold=0.5)
    result = evaluate(EvalRequest())
    parts = (result, result.info, result.thresholds, result.thresholds.detector, result.detection)
    for part in (*parts, result.info.truth[0], EvalRequest()):
        with pytest.raises(FrozenInstanceError):
            setattr(part, next(iter(vars(part))), None)


EVALUATE = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "timm"):
            raise ImportError(name + " is not installed")
sys.meta_path.insert(0, NoTorch())
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.evaluation_tables import result_tables
print(evaluate(EvalRequest()).ap50.value)
print(*(m for m in ("matplotlib", "scipy", "sklearn", "pydicom", "cv2") if m in sys.modules))
"""


def test_evaluation_works_without_torch_and_loads_no_heavy_package() -> None:
    write_random(1)
    run = subprocess.run(
        [sys.executable, "-c", EVALUATE], capture_output=True, text=True, check=True
    )
    number, heavy = run.stdout.split("\n")[:2]
    assert float(number) == pytest.approx(value(evaluate(EvalRequest()).ap50), abs=1e-12)
    assert heavy == ""


def measured(command: Callable[[], Any]) -> float:
    start = time.perf_counter()
    command()
    return time.perf_counter() - start


@pytest.mark.slow
def test_evaluation_of_a_demo_sized_set_takes_under_a_second_and_a_half() -> None:
    write_demo_sized()
    command = [sys.executable, "-c", EVALUATE]
    runs = [measured(lambda: subprocess.run(command, check=True)) for _ in range(3)]
    assert min(runs) < 1.5


def write_demo_sized() -> None:
    rng = np.random.default_rng(0)
    images = [image(key) for key in range(1, 331)]
    corners = rng.uniform(0, 100, (990, 2)).round(2)
    boxes = [(float(x), float(y), float(x) + 12, float(y) + 12) for x, y in corners]
    places = [1 + number % 330 for number in range(990)]
    truth = [
        node(n + 1, place, box, category_id=1 + n % 2)
        for n, (place, box) in enumerate(zip(places, boxes, strict=True))
        if n % 2 == 0
    ]
    found = [
        called(n + 1, place, box, float(rng.random()), float(rng.random()))
        for n, (place, box) in enumerate(zip(places, boxes, strict=True))
    ]
    write("truth.json", images, truth, phantom=True)
    write("nodes.json", images, found, operating_threshold=0.5)
