"""Several files in one evaluation: the folds of a cross-validation."""

import json
from pathlib import Path
from typing import Any

import pytest

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_request import EvalRequest

CATEGORIES = [{"id": k, "name": n} for k, n in ((1, "benign"), (2, "metastatic"))]
TRUTHS = (Path("truth_1.json"), Path("truth_2.json"))
NODES = (Path("nodes_1.json"), Path("nodes_2.json"))
NO_NODES = "No nodes in 3-D: truth that names no node (node_id)."


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, slices: range, *, found: bool, threshold: float | None = None) -> None:
    """A metastatic or benign node a slice; a detection scores 0.1 x (number of the slice)."""
    images = [
        {
            "id": row,
            "file_name": f"{k}.png",
            "width": 64,
            "height": 64,
            "lnmdetect": {"patient": f"p{k}", "spacing_mm": [0.5, 0.5]},
        }
        for row, k in enumerate(slices)
    ]
    nodes = []
    for row, k in enumerate(slices):
        box: dict[str, Any] = {"id": row, "image_id": row, "category_id": 1 + k % 2}
        box["bbox"] = [10, 10, 20, 20]
        if found:
            said = {"benign": 0.4, "metastatic": 0.6}
            box |= {"score": k / 10, "probabilities": said, "threshold": 0.5}
        nodes.append(box)
    info = {} if threshold is None else {"operating_threshold": threshold}
    whole = {"info": info, "images": images, "categories": CATEGORIES, "annotations": nodes}
    Path(name).write_text(json.dumps(whole))


def write_two_folds() -> None:
    write("truth_1.json", range(1, 5), found=False)
    write("truth_2.json", range(5, 9), found=False)
    write("nodes_1.json", range(1, 5), found=True, threshold=0.15)
    write("nodes_2.json", range(5, 9), found=True, threshold=0.65)


def test_pooled_folds_are_one_data_set_and_each_has_its_own_threshold() -> None:
    write_two_folds()
    result = evaluate(EvalRequest(truth=TRUTHS, nodes=NODES, bootstrap=50))
    assert (result.info.patients, result.info.truth_boxes, result.info.detections) == (8, 8, 8)
    assert result.ap50.value == pytest.approx(1.0)
    assert result.detection is not None
    assert result.detection.operating_point is not None
    # Above 0.15: slices 2 to 4; above 0.65: 7 and 8.
    assert result.detection.operating_point.sensitivity.value == 5 / 8
    assert result.thresholds.detector.value is None
    assert result.thresholds.detector.values == (0.15, 0.65)
    assert any("2 truth files are pooled" in note for note in result.info.notes)
    assert [stamp.file for stamp in result.info.detections_of] == ["nodes_1.json", "nodes_2.json"]


def test_a_file_without_a_threshold_leaves_none_for_the_pool_and_equal_ones_are_one() -> None:
    write_two_folds()
    write("nodes_2.json", range(5, 9), found=True)
    lacking = evaluate(EvalRequest(truth=TRUTHS, nodes=NODES, bootstrap=0))
    threshold = lacking.thresholds.detector
    assert (threshold.value, threshold.values) == (None, None)
    assert threshold.source == "nodes_2.json gives no info.operating_threshold"
    assert lacking.detection is not None
    assert lacking.detection.operating_point is None
    write("nodes_2.json", range(5, 9), found=True, threshold=0.15)
    alike = evaluate(EvalRequest(truth=TRUTHS, nodes=NODES, bootstrap=0)).thresholds.detector
    assert (alike.value, alike.values) == (0.15, None)
    assert alike.source == "nodes_1.json; nodes_2.json"


def test_studies_that_could_not_be_read_are_summed_over_the_pool() -> None:
    write_two_folds()
    for path, failed in zip(NODES, (1, 2), strict=True):
        data = json.loads(path.read_text())
        data["info"]["failed_studies"] = failed
        path.write_text(json.dumps(data))
    notes = evaluate(EvalRequest(truth=TRUTHS, nodes=NODES, bootstrap=0)).info.notes
    assert (
        "3 studies of the input could not be read when nodes_1.json, nodes_2.json was made."
        in notes
    )


def test_one_truth_file_can_be_met_by_several_prediction_files() -> None:
    write_two_folds()
    write("truth.json", range(1, 9), found=False)
    result = evaluate(EvalRequest(nodes=NODES, bootstrap=0))
    assert result.info.images_without_predictions == 0
    assert result.ap50.value == pytest.approx(1.0)


def test_a_slice_in_two_truth_files_is_refused() -> None:
    write_two_folds()
    write("truth_2.json", range(4, 9), found=False)
    expected = r"truth_2\.json: images\[0\]: .* got one that truth_1\.json lists too"
    with pytest.raises(InputError, match=expected):
        evaluate(EvalRequest(truth=TRUTHS, nodes=NODES))
    write_two_folds()
    with pytest.raises(InputError, match=r"got one that truth_1\.json lists too"):
        evaluate(EvalRequest(truth=(TRUTHS[0], TRUTHS[0]), nodes=NODES))


def test_a_slice_in_two_prediction_files_is_refused() -> None:
    write_two_folds()
    with pytest.raises(InputError, match="same slice"):
        evaluate(EvalRequest(truth=TRUTHS, nodes=(NODES[0], NODES[0])))


def test_truth_of_two_kinds_is_not_pooled() -> None:
    write_two_folds()
    data = json.loads(TRUTHS[1].read_text())
    for key, other, expected in (
        ("phantom", True, r"truth_2\.json: info\.phantom: expected False, as in truth_1\.json"),
        ("coverage", "key_images", r"truth_2\.json: info\.coverage: expected all_slices"),
    ):
        TRUTHS[1].write_text(json.dumps({**data, "info": {key: other}}))
        with pytest.raises(InputError, match=expected):
            evaluate(EvalRequest(truth=TRUTHS, nodes=NODES))


def test_classified_truth_boxes_can_stand_beside_predicted_ones() -> None:
    write("truth.json", range(1, 9), found=False)
    write("nodes.json", range(1, 5), found=True, threshold=0.0)
    write("truth_nodes.json", range(1, 9), found=True)
    data = json.loads(Path("truth_nodes.json").read_text())
    for node in data["annotations"]:
        del node["score"]
    Path("truth_nodes.json").write_text(json.dumps(data))
    request = EvalRequest(truth_nodes=(Path("truth_nodes.json"),), bootstrap=0)
    result = evaluate(request)
    assert result.classification is not None
    assert result.classification.figures.n == 4
    assert result.classification_on_truth_boxes is not None
    assert result.classification_on_truth_boxes.figures.n == 8
    Path("nodes.json").unlink()
    alone = evaluate(request)
    assert alone.detection is None
    assert alone.classification_on_truth_boxes is not None


def test_truth_boxes_without_a_class_and_found_boxes_without_classes_are_told() -> None:
    write("truth.json", range(1, 9), found=False)
    write("nodes.json", range(1, 9), found=True, threshold=0.0)
    found = json.loads(Path("nodes.json").read_text())
    classified = json.loads(Path("nodes.json").read_text())
    for node in classified["annotations"]:
        del node["score"]
    for node in found["annotations"]:
        del node["probabilities"]
    Path("boxes.json").write_text(json.dumps(found))
    Path("truth_nodes.json").write_text(json.dumps(classified))
    request = EvalRequest(
        boxes=(Path("boxes.json"),), truth_nodes=(Path("truth_nodes.json"),), bootstrap=0
    )
    assert evaluate(request).info.notes == (
        "No classes of found boxes: boxes.json holds no class probabilities.",
        NO_NODES,
    )
    del classified["annotations"][0], classified["annotations"][0]["probabilities"]
    Path("truth_nodes.json").write_text(json.dumps(classified))
    assert (
        "2 truth boxes have no class in truth_nodes.json, and its figures none of them."
        in evaluate(request).info.notes
    )


def test_detections_are_no_classified_truth_boxes() -> None:
    write("truth.json", range(1, 3), found=False)
    write("nodes.json", range(1, 3), found=True)
    expected = (
        r"nodes\.json: expected truth boxes with class prob.* got boxes with detection scores"
    )
    with pytest.raises(InputError, match=expected):
        evaluate(EvalRequest(truth_nodes=(Path("nodes.json"),)))


def test_few_patients_are_told_and_no_resamples_leave_no_interval() -> None:
    write("truth.json", range(1, 5), found=False)
    write("nodes.json", range(1, 4), found=True)
    result = evaluate(EvalRequest(bootstrap=20))
    assert any(note.startswith("4 patients: resamples of so few") for note in result.info.notes)
    none = evaluate(EvalRequest(bootstrap=0))
    assert none.ap50.interval is None
    assert none.ap50.interval_method == "none: no resamples asked for"
    assert not any("resamples of so few" in note for note in none.info.notes)


def test_what_some_figures_leave_out_is_told() -> None:
    write("truth.json", range(1, 9), found=False)
    write("nodes.json", range(1, 9), found=True, threshold=0.2)
    assert evaluate(EvalRequest()).info.notes[1:] == (NO_NODES,)  # the first: few patients
    truth, found = (json.loads(Path(name).read_text()) for name in ("truth.json", "nodes.json"))
    truth["info"]["coverage"] = "key_images"
    truth["categories"].append({"id": 3, "name": "lymph_node"})
    truth["annotations"][0] |= {"category_id": 3, "node_id": "a"}
    truth["annotations"][1] |= {"iscrowd": 1}
    for box in found["annotations"][:2]:
        del box["probabilities"], box["threshold"]
    Path("truth.json").write_text(json.dumps(truth))
    Path("nodes.json").write_text(json.dumps(found))
    assert evaluate(EvalRequest(bootstrap=20)).info.notes == (
        "20 resamples: too few for the ends of a 95 % interval, which another seed would move.",
        "8 patients: resamples of so few hold little but copies of each other, and the intervals "
        "over patients are too narrow.",
        "2 boxes of nodes.json have no class: figures of classes leave them out.",
        "1 truth box is of unknown status: no figure of classes counts them.",
        "6 truth boxes name no node (node_id): the sensitivity for nodes leaves them out.",
        "Truth holds key images: what is said a scan or a patient is about these slices only.",
        "No nodes in 3-D: truth of key images.",
    )


def test_classes_at_another_threshold_of_the_detector_are_told() -> None:
    write("truth.json", range(1, 9), found=False)
    for name, threshold in (("boxes.json", 0.2), ("nodes.json", 0.6), ("none.json", None)):
        write(name, range(1, 9), found=True, threshold=threshold)

    def told(nodes: str) -> list[str]:
        request = EvalRequest(boxes=(Path("boxes.json"),), nodes=(Path(nodes),), bootstrap=0)
        return [note for note in evaluate(request).info.notes if "operating threshold" in note]

    assert told("nodes.json") == [
        "nodes.json has another operating threshold of the detector, 0.6: classes, both stages, "
        "errors and groups go by that file, the other figures by boxes.json."
    ]
    (none,) = told("none.json")
    assert none.startswith("none.json has no operating threshold of the detector: classes")
    write("same.json", range(1, 9), found=True, threshold=0.2)
    assert told("same.json") == []


def test_a_threshold_that_the_calls_deny_is_none() -> None:
    write("truth.json", range(1, 9), found=False)
    write("nodes.json", range(1, 9), found=True, threshold=0.2)
    # P(metastatic) is 0.6 and the threshold 0.5: of eight boxes four are called benign.
    threshold = evaluate(EvalRequest(bootstrap=0)).thresholds.classifier
    assert threshold.value is None
    assert threshold.source == (
        "nodes.json gives 4 boxes called against its threshold of 0.5; each box counts as the "
        "category it has"
    )
    found = json.loads(Path("nodes.json").read_text())
    for box in found["annotations"]:
        del box["probabilities"], box["threshold"]
    Path("nodes.json").write_text(json.dumps(found))
    source = evaluate(EvalRequest(bootstrap=0)).thresholds.classifier.source
    assert source == "nodes.json holds no class probabilities"


def test_a_name_is_a_nodes_within_its_scan_and_a_series_a_scan_within_its_patient() -> None:
    write("truth.json", range(1, 5), found=False)
    write("nodes.json", range(1, 5), found=True, threshold=0.2)
    truth = json.loads(Path("truth.json").read_text())
    for row, (patient, series) in enumerate((("a", "1"), ("a", "1"), ("a", "2"), ("b", "1"))):
        truth["images"][row]["lnmdetect"] |= {"patient": patient, "series": series}
        truth["annotations"][row]["node_id"] = "left"
    Path("truth.json").write_text(json.dumps(truth))
    result = evaluate(EvalRequest(bootstrap=0))
    assert (result.info.patients, result.info.scans) == (2, 3)
    assert result.detection is not None
    assert result.detection.nodes_per_scan.mean.n == 3


def test_poles_that_were_classified_are_no_test_and_no_box_astray() -> None:
    write("truth.json", range(1, 9), found=False)
    write("nodes.json", range(1, 9), found=True)
    truth, nodes = (json.loads(Path(name).read_text()) for name in ("truth.json", "nodes.json"))
    truth["annotations"][0]["iscrowd"] = nodes["annotations"][0]["iscrowd"] = 1
    for box in nodes["annotations"]:
        del box["score"]
    Path("truth.json").write_text(json.dumps(truth))
    Path("nodes.json").write_text(json.dumps(nodes))
    result = evaluate(EvalRequest(bootstrap=0))
    assert (result.info.detections, result.info.unscored_detections) == (7, 0)
    assert result.classification_on_truth_boxes is not None
    assert result.classification_on_truth_boxes.figures.n == 7
    assert result.classification_on_truth_boxes.score_min is None


def test_a_box_of_unknown_class_is_not_classified_whatever_its_probabilities() -> None:
    write("truth.json", range(1, 9), found=False)
    write("nodes.json", range(1, 9), found=True, threshold=0.0)
    nodes = json.loads(Path("nodes.json").read_text())
    nodes["categories"].append({"id": 3, "name": "lymph_node"})
    nodes["annotations"][0]["category_id"] = 3
    Path("nodes.json").write_text(json.dumps(nodes))
    result = evaluate(EvalRequest(bootstrap=0))
    assert result.classification is not None
    assert result.classification.figures.n == 7
    assert "1 box of nodes.json has no class: figures of classes leave them out." in (
        result.info.notes
    )


def test_the_seed_gives_the_same_intervals_and_another_gives_others() -> None:
    write("truth.json", range(1, 9), found=False)
    write("nodes.json", range(3, 9), found=True)
    first, again, other = (
        evaluate(EvalRequest(bootstrap=99, seed=seed)).ap50.interval for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bootstrap": -1}, "--bootstrap: expected a number of resamples"),
        ({"scan_rates": (0.0,)}, "--fp-per-scan: expected false positives a scan, above 0, got 0"),
        ({"scan_rates": (float("nan"),)}, "--fp-per-scan: expected .* got nan"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EvalRequest(**options)
