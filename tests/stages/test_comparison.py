import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score

from lnmdetect.core.errors import InputError, LnmDetectError, OutputError, UsageError
from lnmdetect.core.patient_digests import PatientDigests, chosen_on
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.stages.comparison import MANY_TESTS, CompareRequest, compare
from lnmdetect.stages.comparison_result import Comparison
from lnmdetect.stages.comparison_tables import comparison_tables, p_text
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_request import EvalRequest

TRUTH, A, B = Path("truth.json"), Path("a.json"), Path("b.json")


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def picture(key: int) -> ImageRecord:
    patient = key // 3
    return ImageRecord(
        key + 1,
        f"1.{key}.dcm",
        200,
        200,
        f"p{patient}",
        f"s{patient}",
        f"1.{key}",
        key % 3,
        2.0 * (key % 3),
        (0.5, 0.5),
    )


IMAGES = tuple(picture(key) for key in range(36))


def truth_nodes() -> tuple[NodeAnnotation, ...]:
    """Three boxes an image, far from each other; every tenth is thin and does not count."""
    rng = np.random.default_rng(0)
    nodes: list[NodeAnnotation] = []
    for key in range(len(IMAGES)):
        for corner in (10, 70, 130):
            number = len(nodes) + 1
            side = float(rng.integers(12, 30))
            box = (float(corner), float(corner), corner + side, corner + side)
            category = int(rng.integers(1, 3))
            nodes.append(NodeAnnotation(number, key + 1, category, box, ignored=number % 10 == 0))
    return tuple(nodes)


def answered(seed: int, skill: float, *, found: float = 1.0, scored: bool) -> CocoDataset:
    """What a model says of the truth boxes: the boxes themselves, or boxes near a share of them."""
    rng = np.random.default_rng(seed)
    nodes = []
    for node in truth_nodes():
        if rng.random() > found:
            continue
        p = round(float(1 / (1 + np.exp(-rng.normal(skill * (2 * node.category_id - 3), 1)))), 6)
        x1, y1, x2, y2 = node.box_xyxy
        shift = float(rng.integers(0, 3)) if scored else 0.0
        nodes.append(
            replace(
                node,
                category_id=2 if p >= 0.5 else 1,
                box_xyxy=(x1 + shift, y1, x2 + shift, y2),
                score=round(float(rng.uniform(0.1, 1)), 6) if scored else None,
                ignored=False if scored else node.ignored,
                probabilities={"benign": 1 - p, "metastatic": p},
                threshold=0.5,
            )
        )
    info = {"operating_threshold": 0.4} if scored else {}
    return CocoDataset(info, IMAGES, tuple(nodes))


@pytest.fixture
def files() -> None:
    """Truth, and two models' detections with classes."""
    write_coco(CocoDataset({"phantom": True}, IMAGES, truth_nodes()), TRUTH)
    write_coco(answered(1, 1.2, found=0.9, scored=True), A)
    write_coco(answered(2, 0.4, found=0.6, scored=True), B)


@pytest.fixture
def truth_box_files() -> None:
    """Truth, and what two models say of the truth boxes."""
    write_coco(CocoDataset({}, IMAGES, truth_nodes()), TRUTH)
    write_coco(answered(3, 1.2, scored=False), A)
    write_coco(answered(4, 0.4, scored=False), B)


def request(**changes: Any) -> CompareRequest:
    return CompareRequest(A, B, **{"bootstrap": 100, **changes})


def printed(result: Comparison) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(comparison_tables(result))
    return capture.get()


@pytest.mark.usefixtures("files")
def test_each_side_has_the_figures_of_its_own_evaluation() -> None:
    result = compare(request())
    assert result.detection is not None
    for side, path in (("a", A), ("b", B)):
        alone = evaluate(EvalRequest(nodes=(path,), bootstrap=100)).detection
        assert alone is not None
        assert getattr(result.detection["ap50"], side) == alone.average_precision.ap50
        assert getattr(result.detection["ap"], side) == alone.average_precision.ap
        assert getattr(result.detection["froc_mean_per_image"], side) == alone.froc.mean
    difference = result.detection["ap50"].difference
    assert (difference.value or 0) > 0.1
    assert difference.interval is not None
    assert difference.interval[0] > 0


@pytest.mark.usefixtures("files")
def test_a_and_b_swapped_differ_by_the_sign() -> None:
    one = compare(request())
    other = compare(CompareRequest(B, A, bootstrap=100))
    assert one.classes is not None
    assert other.classes is not None
    assert other.classes.auc.difference.value == pytest.approx(
        -(one.classes.auc.difference.value or 0)
    )
    assert other.classes.delong.p_value == pytest.approx(one.classes.delong.p_value)
    assert other.classes.mcnemar["all"].first_only == one.classes.mcnemar["all"].second_only
    assert other.a.stamp == one.b.stamp


@pytest.mark.usefixtures("files")
def test_classes_are_compared_on_truth_boxes_that_both_hit_above_their_thresholds() -> None:
    result = compare(request())
    said: list[dict[int, float]] = []
    for path in (A, B):  # by hand: what lies less than 3 px beside a truth box hits it
        found = {}
        for box in read_coco(path).annotations:
            for node in truth_nodes():
                near = abs(node.box_xyxy[1] - box.box_xyxy[1]) < 1
                if node.image_id == box.image_id and near and (box.score or 0) >= 0.4:
                    found[node.annotation_id] = (box.probabilities or {})["metastatic"]
        said.append(found)
    counting = {n.annotation_id: n.category_id == 2 for n in truth_nodes() if not n.ignored}
    both = [key for key in counting if key in said[0] and key in said[1]]
    classes, left_out = result.classes, result.left_out
    assert classes is not None
    assert left_out is not None
    assert classes.n == len(both)
    for side, found in (("a", said[0]), ("b", said[1])):
        area = roc_auc_score([counting[k] for k in both], [found[k] for k in both])
        assert getattr(classes.auc, side).value == pytest.approx(area)
    a_alone = sum(key in said[0] and key not in said[1] for key in counting)
    assert left_out.answered_by_a_alone == a_alone
    assert classes.n + sum(vars(left_out).values()) == len(counting)
    note = next(n for n in result.info.notes if "both found" in n)
    assert f"{len(counting) - len(both)} truth boxes are left out" in note


@pytest.mark.usefixtures("truth_box_files")
def test_truth_boxes_that_both_classified_leave_none_out_and_are_no_detections() -> None:
    result = compare(request())
    counting = sum(not node.ignored for node in truth_nodes())
    assert result.detection is None
    assert result.classes is not None
    assert result.classes.n == counting
    assert result.left_out is not None
    assert set(vars(result.left_out).values()) == {0}
    assert any("A (a.json) holds truth boxes" in note for note in result.info.notes)
    assert not any("both found" in note for note in result.info.notes)
    assert (result.classes.permutation.p_value or 1) < 0.05
    assert (result.classes.delong.p_value or 1) < 0.05


@pytest.mark.usefixtures("files")
def test_boxes_without_classes_are_compared_as_boxes_alone() -> None:
    plain = read_coco(B)
    nodes = tuple(
        replace(n, probabilities=None, category_id=3, threshold=None) for n in plain.annotations
    )
    write_coco(replace(plain, annotations=nodes), B, overwrite=True)
    result = compare(request())
    assert result.detection is not None
    assert (result.classes, result.left_out) == (None, None)
    assert "No classes are compared: B (b.json) holds no class probabilities." in result.info.notes


@pytest.mark.usefixtures("files")
def test_a_bare_coco_result_list_is_compared_too() -> None:
    results = [
        {"image_id": n.image_id, "category_id": 3, "bbox": [*n.box_xyxy[:2], 20, 20], "score": 0.5}
        for n in truth_nodes()[::2]
    ]
    B.write_text(json.dumps(results))
    result = compare(request())
    assert result.detection is not None
    assert result.detection["ap50"].b.value is not None
    assert result.b.detections == len(results)


@pytest.mark.usefixtures("files")
def test_the_same_seed_gives_the_same_bytes_and_every_number_is_finite() -> None:
    first = json.dumps(compare(request(output=Path("one.json"))).to_json(), allow_nan=False)
    compare(request(output=Path("two.json")))
    assert Path("one.json").read_bytes() == Path("two.json").read_bytes()
    assert json.loads(first) == json.loads(Path("one.json").read_text())
    record = json.loads(Path("one.run.json").read_text())
    assert record["command"] == "eval --compare"
    assert set(record["inputs"]) == {"truth.json", "A", "B"}


@pytest.mark.usefixtures("files")
def test_the_table_says_which_is_a_and_that_nothing_is_corrected() -> None:
    shown = printed(compare(request()))
    assert "A: a.json, " in shown
    assert "B: b.json, " in shown
    assert "A - B" in shown
    assert "Detection, phantom figures" in shown
    assert "McNemar" in shown
    assert "permutation by patient, 100 swaps" in shown
    assert MANY_TESTS in " ".join(shown.split())


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"a": Path("none.json")}, InputError, "none.json: expected a file, got none there"),
        ({"b": Path()}, InputError, "got a folder"),
        ({"b": A}, UsageError, r"the same content twice \(a.json and a.json\)"),
        ({"b": TRUTH}, UsageError, "truth.json, which is the truth file"),
        ({"output": A}, OutputError, "a file of that name"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(
    changes: dict[str, Any], error: type[LnmDetectError], message: str
) -> None:
    with pytest.raises(error, match=message):
        compare(replace(request(), **changes))


@pytest.mark.usefixtures("files")
def test_a_copy_under_another_name_is_not_compared_with_its_original() -> None:
    Path("copy.json").write_bytes(A.read_bytes())
    with pytest.raises(UsageError, match="different prediction files, got the same content"):
        compare(CompareRequest(A, Path("copy.json")))


def test_a_p_value_is_never_shown_as_nothing() -> None:
    assert p_text(0.0) == "p < 0.0001"
    assert p_text(0.0312) == "p = 0.031"


@pytest.mark.usefixtures("files")
def test_a_threshold_chosen_on_these_patients_is_refused_unless_said() -> None:
    plain = read_coco(B)
    digests = chosen_on("operating_threshold", PatientDigests.of(["p0", "p1"], "0" * 64))
    write_coco(replace(plain, info={**plain.info, **digests}), B, overwrite=True)
    with pytest.raises(InputError, match=r"b\.json: .* was chosen on 2 patients"):
        compare(request())
    assert compare(request(optimistic=True)).info.notes[0].startswith("Optimistic: in b.json ")
    assert not compare(request(threshold=0.5)).info.notes[0].startswith("Optimistic")
