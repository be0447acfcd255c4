"""calibrate: what a model says of validation patients in, a bundle with another threshold out."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.core.config import ClassifierRecipe
from lnmdetect.core.errors import InputError, LnmDetectError, OutputError, UsageError
from lnmdetect.core.patient_digests import PatientDigests, seen_and_evaluated
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC, CocoDataset, NodeAnnotation
from lnmdetect.core.thresholds import Temperature, Threshold
from lnmdetect.io.bundles import (
    package_weights,
    read_bundle,
    read_weights,
    write_bundle,
    write_with_weights_of,
)
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.metrics.temperature import at_temperature
from lnmdetect.stages.calibrate import CalibrateRequest, CalibrateResult
from lnmdetect.stages.calibrate_classifier import calibrate_classifier
from lnmdetect.stages.calibrate_detector import calibrate_detector
from lnmdetect.stages.classify import ClassifyRequest, classify
from lnmdetect.stages.detect import detect
from lnmdetect.stages.detect_request import DetectRequest
from lnmdetect.training.classifier_task import ClassifierTask

Fields = Callable[..., dict[str, Any]]
Say = Callable[..., Path]
BENIGN_SAYS = (0.05, 0.2, 0.4, 0.9)
METASTATIC_SAYS = (0.1, 0.6, 0.8, 0.95)
"""P(metastatic) said in turn of the toy truth's nodes; one of four is wrong either way."""


@pytest.fixture
def says(toy_data: Path, bundles: Path, tmp_path: Path) -> Say:
    """A function that writes nodes.json of the toy truth boxes, as if classifier-tiny had."""

    def write(
        benign: tuple[float, ...] = BENIGN_SAYS,
        metastatic: tuple[float, ...] = METASTATIC_SAYS,
        **classifier: Any,
    ) -> Path:
        truth = read_coco(toy_data / "truth.json")
        counts = {BENIGN: 0, METASTATIC: 0}
        nodes = []
        for node in truth.annotations:
            values = benign if node.category_id == BENIGN else metastatic
            p = values[counts[node.category_id] % len(values)]
            counts[node.category_id] += not node.ignored
            said = {"benign": 1 - p, "metastatic": p}
            nodes.append(replace(node, probabilities=said, threshold=0.5))
        sha256 = read_bundle(str(bundles / "classifier-tiny"), "classifier").sha256
        info = {**truth.info, "classifier": {"name": "tiny", "sha256": sha256, **classifier}}
        path = tmp_path / "said.json"
        write_coco(replace(truth, info=info, annotations=tuple(nodes)), path, overwrite=True)
        return path

    return write


@pytest.fixture
def calibrate(toy_data: Path, bundles: Path, tmp_path: Path) -> Callable[..., CalibrateResult]:
    def call(found: Path, arm: str = "classifier", **changes: Any) -> CalibrateResult:
        values: dict[str, Any] = {
            "truth": toy_data / "truth.json",
            "output": tmp_path / f"{arm}-mine",
            "model": str(bundles / f"{arm}-tiny"),
            **changes,
        }
        stage = calibrate_detector if arm == "detector" else calibrate_classifier
        return stage(CalibrateRequest(found, **values))

    return call


Calibrate = Callable[..., CalibrateResult]


def changed(result: CalibrateResult) -> dict[str, Any]:
    return {change.name: (change.before, change.after) for change in result.changes}


def p_metastatic(data: CocoDataset) -> NDArray[np.float64]:
    """(N, 2) probabilities of benign and metastatic, box by box."""
    said = [node.probabilities or {} for node in data.annotations]
    return np.array([[p["benign"], p["metastatic"]] for p in said])


# --- the classifier


def test_threshold_and_temperature_go_into_a_new_bundle_with_the_same_weights(
    calibrate: Calibrate, says: Say, toy_data: Path, bundles: Path, tmp_path: Path
) -> None:
    source = read_bundle(str(bundles / "classifier-tiny"), "classifier")
    result = calibrate(says())
    bundle = read_bundle(str(tmp_path / "classifier-mine"), "classifier")
    truth_sha256 = sha256_of_file(toy_data / "truth.json")
    digests = PatientDigests.of([f"p{n}" for n in range(5)], truth_sha256)
    assert (bundle.name, bundle.sha256, bundle.recipe) == ("mine", source.sha256, source.recipe)
    assert bundle.threshold == Threshold(
        bundle.threshold.value,
        "Youden's J on P(metastatic)",
        "5 validation patients, phantoms",
        digests,
    )
    assert bundle.temperature.patients == digests
    assert bundle.data["patients calibrated on"] == 5
    assert bundle.data["sha256 of the truth file calibrated on"] == truth_sha256
    card = (result.bundle / "card.md").read_text()
    assert "fitted on 5 validation patients, phantoms" in card
    assert "- calibrated from: tiny" in card
    assert (result.patients, result.images, result.cases, result.phantom) == (5, 30, 35, True)
    record = json.loads((result.bundle / "run.json").read_text())
    assert record["command"] == "calibrate classifier"
    assert record["config"] == {"rule": "youden", "temperature": True}
    assert record["inputs"] == {"truth.json": truth_sha256, "said.json": sha256_of_file(says())}
    assert record["model"] == {"tiny": source.sha256}


def test_the_temperature_makes_the_nodes_likeliest_and_the_threshold_is_after_it(
    calibrate: Calibrate, says: Say
) -> None:
    # 9 to 1 said, 4 of 5 true: at T = log 9 / log 4 the odds are 4 to 1
    benign, metastatic = (0.1, 0.1, 0.1, 0.1, 0.9), (0.9, 0.9, 0.9, 0.9, 0.1)
    found = changed(calibrate(says(benign, metastatic)))
    before, after = found["temperature"]
    assert before == 1
    assert after == pytest.approx(np.log(9) / np.log(4), abs=1e-5)
    # Of 20 benign and 15 metastatic boxes 4 and 3 are wrong; P is 0.2 or 0.8 then.
    assert found["threshold on P(metastatic)"] == (0.5, pytest.approx(0.5))
    assert found["sensitivity (TPR)"] == (0.8, 0.8)
    assert found["specificity (TNR)"] == (0.8, 0.8)
    right, wrong = np.log([0.9, 0.1])
    assert found["negative log-likelihood"] == (
        pytest.approx(-0.8 * right - 0.2 * wrong),
        pytest.approx(-0.8 * np.log(0.8) - 0.2 * np.log(0.2)),
    )
    assert found["Brier score"] == (
        pytest.approx(0.8 * 0.1**2 + 0.2 * 0.9**2),
        pytest.approx(0.8 * 0.2**2 + 0.2 * 0.8**2),
    )
    assert found["AUC"][0] == found["AUC"][1]


def test_calibrating_and_classifying_again_divides_the_logits(
    calibrate: Calibrate, toy_data: Path, bundles: Path, tmp_path: Path
) -> None:
    """The whole way: a classifier of its own answers, calibrated, classifies."""
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    truth, device = toy_data / "truth.json", "cpu"
    model = str(louder(bundles / "classifier-tiny", tmp_path / "loud"))
    classify(ClassifyRequest(truth, old, model=model, device=device))
    learnt = with_labels_that_fit(toy_data, old, tmp_path)
    result = calibrate(old, truth=learnt, model=model, rule="sensitivity=0.7")
    bundle = read_bundle(str(result.bundle), "classifier")
    temperature = bundle.temperature.value
    assert abs(np.log(temperature)) > 0.05
    classify(ClassifyRequest(truth, new, model=str(result.bundle), device=device))
    before, after = read_coco(old), read_coco(new)
    assert p_metastatic(after) == pytest.approx(
        at_temperature(p_metastatic(before), temperature), abs=3e-6 + 3e-6 / temperature
    )
    for node, (_, p) in zip(after.annotations, p_metastatic(after), strict=True):
        assert node.threshold == pytest.approx(bundle.threshold.value, abs=1e-6)
        assert node.category_id == (METASTATIC if p >= bundle.threshold.value else BENIGN)
    assert after.info["classifier"]["sha256"] == before.info["classifier"]["sha256"]
    assert after.info["classifier"]["temperature"] == temperature
    assert [o.patients for o in seen_and_evaluated(after.info, ["p0", "p9"])] == [1, 1]


def louder(bundle: Path, folder: Path) -> Path:
    """A copy of a classifier whose answers lie further apart."""
    source = read_bundle(str(bundle), "classifier")
    weights = read_weights(source)
    last = {name: 100 * weights[name] for name in ("fc.weight", "fc.bias")}
    write_bundle(replace(source, folder=folder), {**weights, **last}, "a card")
    return folder


def with_labels_that_fit(toy_data: Path, nodes: Path, tmp_path: Path) -> Path:
    """A truth whose classes are mostly what the untrained classifier holds for likelier."""
    truth = read_coco(toy_data / "truth.json")
    said = p_metastatic(read_coco(nodes))[:, 1] >= 0.5
    labels = [METASTATIC if p != (row % 5 == 0) else BENIGN for row, p in enumerate(said)]
    pairs = zip(truth.annotations, labels, strict=True)
    info = {**truth.info, "scan_root": str(toy_data / "scan")}
    changed = tuple(replace(node, category_id=label) for node, label in pairs)
    path = tmp_path / "learnt.json"
    write_coco(replace(truth, info=info, annotations=changed), path)
    return path


def test_probabilities_made_at_a_temperature_are_taken_back_to_the_logits(
    calibrate: Calibrate, says: Say, bundles: Path, tmp_path: Path
) -> None:
    first = calibrate(says())
    cold = read_bundle(str(first.bundle), "classifier")
    benign, metastatic = (
        tuple(at_temperature(np.array([[1 - p, p] for p in values]), cold.temperature.value)[:, 1])
        for values in (BENIGN_SAYS, METASTATIC_SAYS)
    )
    path = says(benign, metastatic, temperature=cold.temperature.value)
    again = calibrate(path, model=str(first.bundle), output=tmp_path / "again")
    twice = read_bundle(str(again.bundle), "classifier")
    assert twice.temperature.value == pytest.approx(cold.temperature.value, rel=1e-4)
    assert twice.threshold.value == pytest.approx(cold.threshold.value, abs=1e-4)
    before, after = changed(again)["temperature"]
    assert before == cold.temperature.value
    assert after == twice.temperature.value
    # From the model of temperature 1 with the same file: the weights are the same.
    third = calibrate(path, output=tmp_path / "third")
    assert changed(third)["temperature"] == (1.0, pytest.approx(cold.temperature.value, rel=1e-4))


def test_a_temperature_can_be_left_as_it_is(
    calibrate: Calibrate, says: Say, bundles: Path, tmp_path: Path
) -> None:
    plain = calibrate(says(), temperature=False)
    assert changed(plain)["temperature"] == (1.0, 1.0)
    # youden: cuts at 0.5 and 0.85 leave 3 of 4 and 3 of 4 right; the lowest such is taken
    assert changed(plain)["threshold on P(metastatic)"][1] == pytest.approx(0.5)
    source = read_bundle(str(bundles / "classifier-tiny"), "classifier")
    seen = Temperature(2.0, "others", PatientDigests.of(["x"], "0" * 64))
    warm = replace(source, folder=tmp_path / "warm", temperature=seen)
    write_with_weights_of(source, warm, "a card")
    kept = calibrate(
        says(temperature=1.0), temperature=False, model=str(warm.folder), output=tmp_path / "kept"
    )
    assert read_bundle(str(kept.bundle), "classifier").temperature == seen
    # the cut between 0.4 and 0.6 at temperature 1, halfway between their values at 2
    odds = np.sqrt([0.4 / 0.6, 0.6 / 0.4])
    middle = float((odds / (1 + odds)).mean())
    assert changed(kept)["threshold on P(metastatic)"][1] == pytest.approx(middle, abs=1e-5)


def test_a_third_class_has_its_part_in_the_temperature(
    calibrate: Calibrate,
    says: Say,
    toy_data: Path,
    tmp_path: Path,
    recipe_fields: Fields,
) -> None:
    import torch

    classes = ["not_a_node", "benign", "metastatic"]
    recipe = ClassifierRecipe(**recipe_fields("classifier", model={"classes": classes}))
    task = ClassifierTask(recipe, torch.device("cpu"))
    source = read_bundle_of(recipe, task, tmp_path / "three")
    data = read_coco(says(sha256=source.sha256))
    nodes = []
    for number, node in enumerate(data.annotations):
        right = 0.04 if number % 5 == 0 else 0.92  # of 40 boxes 8 are wrong, ignored ones too
        said = {"not_a_node": 0.04, "benign": 0.04, "metastatic": 0.04}
        said[("benign", "metastatic")[node.category_id == METASTATIC]] = right
        said["not_a_node"] += 1 - sum(said.values())
        nodes.append(replace(node, probabilities=said))
    path = tmp_path / "three.json"
    write_coco(replace(data, annotations=tuple(nodes)), path)
    result = calibrate(path, model=str(source.folder))
    kept = [node for node in nodes if not node.ignored]
    logits = np.log([[n.probabilities[c] for c in classes] for n in kept if n.probabilities])
    places = [1 + (node.category_id == METASTATIC) for node in kept]

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        return float(
            (np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(places)), places]).mean()
        )

    before, after = changed(result)["temperature"]
    assert before == 1
    assert after is not None
    assert loss(after) < min(loss(after * 1.01), loss(after / 1.01), loss(1) - 1e-4)
    assert changed(result)["negative log-likelihood"] == pytest.approx(
        (loss(1), loss(after)), abs=1e-5
    )


def read_bundle_of(recipe: ClassifierRecipe, task: ClassifierTask, folder: Path) -> Any:
    from lnmdetect.io.bundles import Bundle

    bundle = Bundle("three", recipe, Threshold(0.5, "", ""), True, {}, "", folder)
    write_bundle(bundle, task.module.state_dict(), "a card")
    return read_bundle(str(folder), "classifier")


def test_of_predicted_boxes_those_on_nodes_at_the_operating_threshold_count(
    calibrate: Calibrate, says: Say, tmp_path: Path
) -> None:
    data = read_coco(says())
    nodes: list[NodeAnnotation] = []
    for number, node in enumerate(data.annotations):
        nodes.append(replace(node, score=0.9 if number < 20 else 0.2, ignored=False))
    astray = replace(nodes[0], annotation_id=99, box_xyxy=(1.0, 1.0, 9.0, 9.0), score=0.95)
    info = {**data.info, "operating_threshold": 0.5}
    path = tmp_path / "predicted.json"
    write_coco(replace(data, info=info, annotations=(*nodes, astray)), path)
    expected = sum(not node.ignored for node in data.annotations[:20])
    assert calibrate(path).cases == expected
    write_coco(replace(data, annotations=(*nodes, astray)), path, overwrite=True)
    assert calibrate(path, output=tmp_path / "all").cases == 35


@pytest.mark.parametrize(
    ("benign", "metastatic", "changes", "message"),
    [
        ((0.1,), (0.9,), {}, "temperature: expected .* got 35 nodes; 0.05 is not low enough"),
        ((0.9,), (0.1,), {}, "20 is not high enough.*--no-temperature"),
        ((0.9,), (0.1,), {"temperature": False, "rule": "specificity=0.9"}, "got benign nodes at"),
    ],
)
def test_nodes_that_allow_no_choice_are_refused_in_a_sentence(
    calibrate: Calibrate,
    says: Say,
    benign: tuple[float, ...],
    metastatic: tuple[float, ...],
    changes: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(InputError, match=message):
        calibrate(says(benign, metastatic), **changes)


def test_nodes_of_one_class_are_refused(
    calibrate: Calibrate, says: Say, toy_data: Path, tmp_path: Path
) -> None:
    truth = read_coco(toy_data / "truth.json")
    same = tuple(replace(node, category_id=BENIGN) for node in truth.annotations)
    write_coco(replace(truth, annotations=same), tmp_path / "benign.json")
    with pytest.raises(InputError, match=r"said\.json: .* got 35 on benign and 0 on metastatic"):
        calibrate(says(), truth=tmp_path / "benign.json")
    with pytest.raises(InputError, match="got 0 on benign and 0 on metastatic"):
        calibrate(unclassified(says(), tmp_path))


def unclassified(nodes: Path, tmp_path: Path) -> Path:
    data = read_coco(nodes)
    plain = tuple(replace(node, probabilities=None, threshold=None) for node in data.annotations)
    path = tmp_path / "unclassified.json"
    write_coco(replace(data, annotations=plain), path)
    return path


@pytest.mark.parametrize("sha256", ["0" * 64, None, 3])
def test_a_file_of_another_model_is_refused(calibrate: Calibrate, says: Say, sha256: Any) -> None:
    with pytest.raises(InputError, match=r"said\.json: info\.classifier\.sha256: .* bundle tiny"):
        calibrate(says(sha256=sha256))


def test_a_file_that_names_no_model_is_refused(calibrate: Calibrate, toy_data: Path) -> None:
    with pytest.raises(InputError, match=r"truth\.json: info\.classifier\.sha256: .* got none"):
        calibrate(toy_data / "truth.json")


@pytest.mark.parametrize("temperature", [0, -1, "warm", True])
def test_a_temperature_that_is_none_is_refused(
    calibrate: Calibrate, says: Say, temperature: Any
) -> None:
    with pytest.raises(InputError, match=r"info\.classifier\.temperature: expected a "):
        calibrate(says(temperature=temperature))


def test_a_rule_of_the_other_arm_is_refused_before_anything_is_read(
    calibrate: Calibrate, tmp_path: Path
) -> None:
    for arm, rule in (("detector", "youden"), ("classifier", "fp-per-scan=1")):
        with pytest.raises(UsageError, match="--rule: expected of a"):
            calibrate(tmp_path / "nowhere.json", arm, rule=rule)


# --- the folder


def test_no_existing_model_is_written_into(
    calibrate: Calibrate, says: Say, bundles: Path, tmp_path: Path
) -> None:
    model = bundles / "classifier-tiny"
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    (tmp_path / "link").symlink_to(model)
    installed = package_weights()
    refused: list[tuple[Path, dict[str, Any], str]] = [
        (model, {"overwrite": True}, "the folder of the model itself"),
        (model / "sub", {}, "the folder of the model itself"),
        (tmp_path / "link", {"overwrite": True}, "the folder of the model itself"),
        (installed / "classifier-compact", {"overwrite": True}, "the installed package"),
        (installed / "classifier-new", {}, "a folder of the installed package"),
        (bundles / "detector-tiny", {}, "one that holds a bundle"),
    ]
    for output, changes, got in refused:
        with pytest.raises(OutputError, match=got) as error:
            calibrate(says(), output=output, **changes)
        assert error.value.exit_code == 5
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
    assert not (installed / "classifier-new").exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="a file, not a folder"):
        calibrate(says(), output=tmp_path / "file")


def test_an_own_bundle_is_replaced_on_request(calibrate: Calibrate, says: Say) -> None:
    first = calibrate(says())
    with pytest.raises(OutputError, match="--overwrite"):
        calibrate(says())
    again = calibrate(says(), rule="specificity=0.5", overwrite=True)
    assert again.rule == "specificity 0.50 on P(metastatic)"
    assert read_bundle(str(first.bundle), "classifier").threshold.rule == again.rule


# --- the detector


@pytest.fixture
def boxes(toy_data: Path, bundles: Path, tmp_path: Path) -> Path:
    """boxes.json as if detector-tiny had found the toy nodes and a box on nothing a slice.

    Scores fall from 0.9 by 0.01 with each node; on nothing they are 0.805, 0.795, ...
    """
    truth = read_coco(toy_data / "truth.json")
    sha256 = read_bundle(str(bundles / "detector-tiny"), "detector").sha256
    found = [
        replace(node, score=round(0.9 - 0.01 * number, 3), category_id=LYMPH_NODE, ignored=False)
        for number, node in enumerate(truth.annotations)
    ]
    astray = [
        NodeAnnotation(
            100 + number,
            image.image_id,
            LYMPH_NODE,
            (2.0, 80.0, 10.0, 90.0),
            score=round(0.805 - 0.01 * number, 3),
        )
        for number, image in enumerate(truth.images)
    ]
    info = {**truth.info, "detector": {"name": "tiny", "sha256": sha256}}
    path = tmp_path / "boxes.json"
    write_coco(replace(truth, info=info, annotations=(*found, *astray)), path)
    return path


@pytest.mark.parametrize(
    ("rule", "threshold", "words"),
    [
        # 40 boxes at 0.90 .. 0.51, those of slice 4's first discs (6, 14, 22, 30, 38) ignored: 35
        # count. 32 of them (0.90) are reached at number 35; the recipe asks for 0.90.
        (None, 0.55, "box sensitivity 0.90 at IoU 0.5"),
        ("sensitivity=0.2", 0.83, "box sensitivity 0.20 at IoU 0.5"),
        # 30 slices, 5 scans; boxes on nothing at 0.805, 0.795, 0.785, 0.775, ...
        ("fp-per-image=0.1", 0.78, "at most 0.1 false positives an image at IoU 0.5"),
        ("fp-per-scan=0.5", 0.79, "at most 0.5 false positives a scan at IoU 0.5"),
        ("fp-per-scan=0", 0.81, "at most 0 false positives a scan at IoU 0.5"),
    ],
)
def test_a_detectors_threshold_follows_the_rule(
    calibrate: Calibrate, boxes: Path, rule: str | None, threshold: float, words: str
) -> None:
    result = calibrate(boxes, "detector", rule=rule)
    bundle = read_bundle(str(result.bundle), "detector")
    assert (bundle.threshold.value, bundle.threshold.rule) == (threshold, words)
    assert changed(result)["operating threshold"] == (0.5, threshold)
    assert (result.cases, result.patients, result.images) == (35, 5, 30)
    record = json.loads((result.bundle / "run.json").read_text())
    assert record["config"] == {"rule": rule or "sensitivity=0.9"}


def test_a_detectors_figures_are_those_at_the_old_and_the_new_threshold(
    calibrate: Calibrate, boxes: Path
) -> None:
    result = calibrate(boxes, "detector", rule="fp-per-scan=1")
    found = changed(result)
    # From 0.5 on all: 35 of 35, 30 false. From 0.765 on: 14 boxes less an ignored one, 5 false.
    assert found["operating threshold"] == (0.5, 0.765)
    assert found["box sensitivity"] == (1.0, pytest.approx(13 / 35))
    assert found["precision"] == (pytest.approx(35 / 65), pytest.approx(13 / 18))
    assert found["false positives an image"] == (1.0, pytest.approx(5 / 30))
    assert found["false positives a scan"] == (6.0, 1.0)
    figures = read_bundle(str(result.bundle), "detector").figures
    assert figures["sensitivity_at_threshold"] == pytest.approx(13 / 35)
    assert figures["false_positives_per_scan_at_threshold"] == 1.0


def test_detect_applies_the_threshold_and_says_on_whom_it_was_chosen(
    calibrate: Calibrate, boxes: Path, toy_data: Path, tmp_path: Path
) -> None:
    result = calibrate(boxes, "detector")
    request = DetectRequest(
        toy_data / "scan" / "p0", tmp_path / "new.json", model=str(result.bundle), device="cpu"
    )
    assert detect(request).threshold == 0.55
    info = read_coco(tmp_path / "new.json").info
    assert info["operating_threshold"] == 0.55
    assert info["operating_threshold_source"] == (
        "bundle mine: box sensitivity 0.90 at IoU 0.5, chosen on 5 validation patients, phantoms"
    )
    assert [o.patients for o in seen_and_evaluated(info, ["p3", "p4", "p5"])] == [2]


def test_patients_the_model_learnt_from_are_refused(
    calibrate: Calibrate, boxes: Path, bundles: Path, tmp_path: Path
) -> None:
    source = read_bundle(str(bundles / "detector-tiny"), "detector")
    learnt = replace(
        source,
        folder=tmp_path / "learnt",
        trained_on=PatientDigests.of(["p1", "p4", "q"], "0" * 64),
    )
    write_with_weights_of(source, learnt, "a card")
    with pytest.raises(InputError, match=r"truth\.json: .* tiny was not trained on, got 2 of 5"):
        calibrate(boxes, "detector", model=str(learnt.folder))
    other = replace(learnt, folder=tmp_path / "o", trained_on=PatientDigests.of(["q"], "0" * 64))
    write_with_weights_of(source, other, "a card")
    result = calibrate(boxes, "detector", model=str(other.folder))
    assert read_bundle(str(result.bundle), "detector").trained_on == other.trained_on


def test_figures_at_a_threshold_that_is_gone_are_left_out(
    calibrate: Calibrate, boxes: Path, bundles: Path, tmp_path: Path
) -> None:
    source = read_bundle(str(bundles / "detector-tiny"), "detector")
    trained = replace(
        source, folder=tmp_path / "trained", figures={"ap50": 0.7, "recall_at_threshold": 0.9}
    )
    write_with_weights_of(source, trained, "a card")
    result = calibrate(boxes, "detector", model=str(trained.folder))
    figures = read_bundle(str(result.bundle), "detector").figures
    assert figures["ap50"] == 0.7
    assert "recall_at_threshold" not in figures


def test_a_sensitivity_out_of_reach_and_truth_boxes_are_refused(
    calibrate: Calibrate, boxes: Path, tmp_path: Path
) -> None:
    data = read_coco(boxes)
    few = tmp_path / "few.json"
    write_coco(replace(data, annotations=data.annotations[:4]), few)
    with pytest.raises(InputError, match="got 4 of 35 truth boxes hit by all stored boxes"):
        calibrate(few, "detector")
    unscored = tuple(replace(node, score=None) for node in data.annotations)
    write_coco(replace(data, annotations=unscored), few, overwrite=True)
    with pytest.raises(InputError, match=r"few\.json: expected boxes with scores"):
        calibrate(few, "detector")


def test_a_single_patient_and_absent_slices_are_noted(
    calibrate: Calibrate, boxes: Path, toy_data: Path, tmp_path: Path
) -> None:
    one = tmp_path / "one.json"
    truth = read_coco(toy_data / "truth.json").select_patients({"p0"})
    write_coco(truth, one)
    data = read_coco(boxes).select_patients({"p0"})
    rest = tuple(node for node in data.annotations if node.image_id != 6)
    found = replace(data, images=data.images[:5], annotations=rest)
    write_coco(replace(found, info={**found.info, "failed_studies": 2}), boxes, overwrite=True)
    assert calibrate(boxes, "detector", truth=one).notes == (
        "1 patient decided; with fewer than 20 the choice moves much from one group of patients to "
        "the next",
        "1 truth image is not in boxes.json: nothing is found there",
        "2 studies could not be read when boxes.json was made",
    )


def test_nothing_is_left_behind_where_a_choice_fails(
    calibrate: Calibrate, says: Say, tmp_path: Path
) -> None:
    with pytest.raises(LnmDetectError):
        calibrate(says((0.1,), (0.9,)))
    assert not (tmp_path / "classifier-mine").exists()
