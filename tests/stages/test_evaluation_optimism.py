"""Thresholds chosen on the patients they are measured on: refused, or said in every output."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.patient_digests import PatientDigests, chosen_on, trained_on
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.evaluation_result import EvalResult
from lnmdetect.stages.evaluation_tables import ap50_table, result_tables

BENIGN, METASTATIC = 1, 2
P_METASTATIC = (0.2, 0.45, 0.4, 0.9)
SCORES = (0.9, 0.6, 0.7, 0.3)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """truth.json with a node on one slice of each of p0 to p3, nodes.json that finds all.

    Benign are 1 and 2, metastatic 3 and 4. On slices 1 and 4 a box lies on nothing, scored 0.5 and
    0.8; thresholds are 0.5 for boxes and for P(metastatic).
    """
    monkeypatch.chdir(tmp_path)
    images = tuple(
        ImageRecord(k + 1, f"{k}.dcm", 64, 64, f"p{k}", f"s{k}", f"1.{k}", 0, 0.0, (0.5, 0.5))
        for k in range(4)
    )
    truth = tuple(
        NodeAnnotation(k + 1, k + 1, BENIGN if k < 2 else METASTATIC, (5.0, 5.0, 25.0, 25.0))
        for k in range(4)
    )
    write_coco(CocoDataset({}, images, truth), Path("truth.json"))
    found = tuple(
        replace(node, score=score, **said(p))
        for node, score, p in zip(truth, SCORES, P_METASTATIC, strict=True)
    )
    astray = tuple(
        NodeAnnotation(k + 10, k + 1, BENIGN, (40.0, 40.0, 50.0, 50.0), score=score, **rest(0.1))
        for k, score in ((0, 0.5), (3, 0.8))
    )
    info = {"operating_threshold": 0.5, "operating_threshold_source": "bundle m: a rule"}
    write_coco(CocoDataset(info, images, (*found, *astray)), Path("nodes.json"))
    write_coco(
        CocoDataset({}, images, tuple(replace(n, score=None) for n in found)), Path("t.json")
    )


def said(p: float) -> dict[str, Any]:
    return {**rest(p), "category_id": METASTATIC if p >= 0.5 else BENIGN}


def rest(p: float) -> dict[str, Any]:
    return {"probabilities": {"benign": 1 - p, "metastatic": p}, "threshold": 0.5}


def tell(path: str, **fields: list[str]) -> None:
    """Let a file say that something was chosen on some patients."""
    data = read_coco(Path(path))
    info: Mapping[str, Any] = data.info
    for name, patients in fields.items():
        info = {**info, **chosen_on(name, PatientDigests.of(patients, "0" * 64))}
    write_coco(replace(data, info=info), Path(path), overwrite=True)


def run(**changes: Any) -> EvalResult:
    return evaluate(EvalRequest(**{"bootstrap": 0, **changes}))


def optimistic_notes(result: EvalResult) -> list[str]:
    return [note for note in result.info.notes if note.startswith("Optimistic")]


def shown(table: Any) -> str:
    stream = io.StringIO()
    Console(width=200, file=stream).print(table)
    return stream.getvalue()


def test_files_that_say_nothing_of_patients_or_name_others_are_evaluated() -> None:
    assert optimistic_notes(run()) == []
    tell("nodes.json", operating_threshold=["q1"], classifier_threshold=["q1", "q2"])
    assert optimistic_notes(run()) == []


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("operating_threshold", "the operating threshold was chosen on 2 patients"),
        ("classifier_threshold", "the classifier's threshold was chosen on 2 patients"),
        ("classifier_temperature", "the classifier's temperature was fitted on 2 patients"),
    ],
)
def test_what_was_chosen_on_evaluated_patients_is_refused_unless_optimistic(
    name: str, what: str
) -> None:
    tell("nodes.json", **{name: ["p1", "p3", "elsewhere"]})
    with pytest.raises(InputError, match=f": {what} it is evaluated on.*--optimistic") as e:
        run()
    assert e.value.exit_code == 3
    result = run(optimistic=True)
    sentence = f"Optimistic: in nodes.json {what} it is evaluated on."
    assert optimistic_notes(result) == [sentence]
    assert sentence in result.metrics_json()["info"]["notes"]
    assert sentence in run(optimistic=True, ap50_only=True).to_json()["notes"]
    for table in (result_tables(result), ap50_table(result)):
        assert sentence in " ".join(shown(table).split())


@pytest.mark.parametrize("arm", ["detector", "classifier"])
def test_patients_that_were_trained_on_are_refused_unless_optimistic(arm: str) -> None:
    data = read_coco(Path("nodes.json"))
    seen = trained_on(arm, PatientDigests.of(["p2"], "0" * 64))
    write_coco(replace(data, info={**data.info, **seen}), Path("nodes.json"), overwrite=True)
    with pytest.raises(InputError, match=f"the {arm} was trained on 1 patient it is evaluated on"):
        run(threshold=0.4)
    assert len(optimistic_notes(run(optimistic=True))) == 1


def test_the_same_is_said_once_of_boxes_and_nodes(tmp_path: Path) -> None:
    tell("nodes.json", operating_threshold=["p1"], classifier_threshold=["p2"])
    (tmp_path / "boxes.json").write_bytes((tmp_path / "nodes.json").read_bytes())
    files = {"boxes": (Path("boxes.json"),), "nodes": (Path("nodes.json"),)}
    assert len(optimistic_notes(run(optimistic=True, **files))) == 2


def test_classified_truth_boxes_are_looked_at_too() -> None:
    tell("t.json", classifier_temperature=["p0"])
    with pytest.raises(InputError, match="the classifier's temperature was fitted on 1 patient"):
        run(truth_nodes=(Path("t.json"),))
    assert optimistic_notes(run()) == []


def test_a_threshold_of_ones_own_takes_the_place_of_the_detectors() -> None:
    tell("nodes.json", operating_threshold=["p1"])
    assert optimistic_notes(run(threshold=0.4)) == []
    tell("nodes.json", operating_threshold=["p1"], classifier_threshold=["p1"])
    with pytest.raises(InputError, match="the classifier's threshold"):
        run(threshold=0.4)


def test_of_pooled_files_each_is_held_against_its_own_patients() -> None:
    """In a cross-validation each model's threshold is chosen on what others are tested on."""
    truth, nodes = read_coco(Path("truth.json")), read_coco(Path("nodes.json"))
    for fold, (own, validation) in enumerate((("p0", "p2"), ("p2", "p0"))):
        write_coco(truth.select_patients({own}), Path(f"truth{fold}.json"))
        write_coco(nodes.select_patients({own}), Path(f"nodes{fold}.json"))
        tell(f"nodes{fold}.json", operating_threshold=[validation])
    names = {
        "truth": (Path("truth0.json"), Path("truth1.json")),
        "nodes": (Path("nodes0.json"), Path("nodes1.json")),
    }
    assert optimistic_notes(run(**names)) == []
    tell("nodes1.json", operating_threshold=["p2"])
    with pytest.raises(InputError, match="chosen on 1 patient it is evaluated on"):
        run(**names)


# --- chosen on the evaluated file itself


@pytest.mark.parametrize(
    ("option", "rule"),
    [("choose_threshold", "sensitivity=0.75"), ("choose_node_threshold", "youden")],
)
def test_choosing_on_the_evaluated_file_needs_optimistic(option: str, rule: str) -> None:
    flag = f"--{option.replace('_', '-')}"
    with pytest.raises(UsageError, match=f"{flag}: expected --optimistic beside it.*calibrate"):
        run(**{option: rule})
    with pytest.raises(UsageError, match=f"{flag}: expected of a"):
        run(**{option: "best"}, optimistic=True)


def test_a_rule_and_a_threshold_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="expected no --threshold beside it"):
        EvalRequest(threshold=0.4, choose_threshold="sensitivity=0.9", optimistic=True)


def test_the_detectors_threshold_is_chosen_applied_and_said() -> None:
    before = run()
    assert before.detection is not None
    assert before.detection.operating_point is not None
    assert before.detection.operating_point.sensitivity.value == 0.75
    # nodes at 0.9, 0.7, 0.6, 0.3; on nothing 0.8 and 0.5: all nodes are reached at 0.3
    result = run(choose_threshold="sensitivity=1", optimistic=True)
    assert result.detection is not None
    point = result.detection.operating_point
    assert point is not None
    assert (point.sensitivity.value, point.false_positives_per_image.value) == (1.0, 0.5)
    assert result.thresholds.detector.value == 0.3
    assert result.thresholds.detector.source == (
        "box sensitivity 1.00 at IoU 0.5, chosen on the evaluated file itself: optimistic"
    )
    assert optimistic_notes(result) == [
        "Optimistic: the detector's operating threshold, 0.3, was chosen on the evaluated file "
        "itself (box sensitivity 1.00 at IoU 0.5); figures at it flatter the model."
    ]
    assert result.classification is not None
    assert result.classification.figures.n == 4  # the boxes at 0.3 are called as well
    few = run(choose_threshold="fp-per-scan=0.1", optimistic=True)
    assert few.thresholds.detector.value == 0.9


def test_the_classifiers_threshold_is_chosen_applied_and_said() -> None:
    # At 0.5 one of three boxes from 0.5 on, benign 0.2 and 0.45, metastatic 0.4; J is best at 0.3.
    before = run()
    assert before.classification is not None
    assert before.classification.figures.tpr.value == 0.0
    result = run(choose_node_threshold="youden", optimistic=True)
    assert result.classification is not None
    figures = result.classification.figures
    assert (figures.tpr.value, figures.tnr.value) == (1.0, 0.5)
    assert result.thresholds.classifier.value == pytest.approx(0.3)
    assert "chosen on the evaluated file itself" in result.thresholds.classifier.source
    (note,) = optimistic_notes(result)
    assert note.startswith("Optimistic: the classifier's threshold, 0.3, was chosen on the")


def test_both_thresholds_can_be_chosen_the_second_on_the_boxes_of_the_first() -> None:
    result = run(
        choose_threshold="sensitivity=1", choose_node_threshold="specificity=1", optimistic=True
    )
    # all four boxes count: benign 0.2, 0.45, metastatic 0.4, 0.9; the cut over 0.45 is 0.675
    assert result.thresholds.classifier.value == pytest.approx(0.675)
    assert result.classification is not None
    assert result.classification.figures.tpr.value == 0.5
    assert len(optimistic_notes(result)) == 2


def test_classified_truth_boxes_have_the_chosen_threshold_too() -> None:
    files = {"nodes": (Path("nodes.json"),), "truth_nodes": (Path("t.json"),)}
    result = run(choose_node_threshold="youden", optimistic=True, **files)
    on_truth = result.classification_on_truth_boxes
    assert on_truth is not None
    # at 0.3 all but benign 0.45 are right
    assert (on_truth.figures.tpr.value, on_truth.figures.tnr.value) == (1.0, 0.5)
    alone = run(choose_node_threshold="youden", optimistic=True, nodes=(Path("t.json"),))
    assert alone.thresholds.classifier.value == pytest.approx(0.3)


def test_without_boxes_or_classes_there_is_nothing_to_choose_on() -> None:
    with pytest.raises(InputError, match=r"t\.json: expected boxes with scores for --choose-thre"):
        run(choose_threshold="sensitivity=1", optimistic=True, nodes=(Path("t.json"),))
    data = read_coco(Path("nodes.json"))
    plain = tuple(replace(n, probabilities=None, threshold=None) for n in data.annotations)
    write_coco(replace(data, annotations=plain), Path("nodes.json"), overwrite=True)
    with pytest.raises(InputError, match=r"nodes\.json: expected boxes with class probabilities"):
        run(choose_node_threshold="youden", optimistic=True)


def test_a_node_at_the_chosen_threshold_itself_is_called_metastatic() -> None:
    data = read_coco(Path("nodes.json"))
    surer = tuple(
        replace(node, **said(0.6)) if node.category_id == BENIGN and node.image_id < 3 else node
        for node in data.annotations
    )
    write_coco(replace(data, annotations=surer), Path("nodes.json"), overwrite=True)
    result = run(choose_node_threshold="sensitivity=1", optimistic=True)
    assert result.thresholds.classifier.value == 0.4  # the metastatic node's own, the lowest
    assert result.classification is not None
    assert result.classification.figures.tpr.value == 1.0
