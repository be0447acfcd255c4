"""classify: boxes.json in, nodes.json out."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError, ModelError, OutputError, UsageError
from lnmdetect.core.patient_digests import Overlap, PatientDigests, seen_and_evaluated
from lnmdetect.core.records import (
    BENIGN,
    LYMPH_NODE,
    METASTATIC,
    CocoDataset,
    ImageRecord,
    NodeAnnotation,
)
from lnmdetect.core.thresholds import Temperature, Threshold
from lnmdetect.datasets.classifier_data import ClassifierBatch
from lnmdetect.io.bundles import read_bundle, write_with_weights_of
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.stages.classify import ClassifyRequest, ClassifyResult, called_node, classify
from lnmdetect.training.classifier_task import ClassifierTask

Classify = Callable[..., ClassifyResult]


@pytest.fixture
def boxes(toy_data: Path, tmp_path: Path) -> Path:
    """boxes.json: the toy truth's boxes, scored 0.1, 0.2, ... in turn, operating threshold 0.3."""
    truth = read_coco(toy_data / "truth.json")
    scored = tuple(
        replace(node, score=0.1 * (1 + number % 5), category_id=LYMPH_NODE, ignored=False)
        for number, node in enumerate(truth.annotations)
    )
    info = {
        **truth.info,
        "scan_root": str(toy_data / "scan"),
        "operating_threshold": 0.3,
        "detector": {"name": "d", "sha256": "0", "trained_on_phantoms": True},
    }
    path = tmp_path / "boxes.json"
    write_coco(replace(truth, info=info, annotations=scored), path)
    return path


@pytest.fixture
def run(boxes: Path, bundles: Path, tmp_path: Path) -> Classify:
    def call(**changes: Any) -> ClassifyResult:
        values: dict[str, Any] = {
            "boxes": boxes,
            "output": tmp_path / "nodes.json",
            "model": str(bundles / "classifier-tiny"),
            "device": "cpu",
            **changes,
        }
        return classify(ClassifyRequest(**values))

    return call


def by_box(data: CocoDataset) -> dict[tuple[str, tuple[float, ...]], dict[str, float]]:
    """Probabilities by SOP uid and box, whatever the ids are."""
    keys = {image.image_id: image.join_key for image in data.images}
    return {
        (keys[node.image_id], node.box_xyxy): dict(node.probabilities or {})
        for node in data.annotations
    }


def test_every_box_keeps_its_score_and_gets_probabilities_that_sum_to_1(
    run: Classify, boxes: Path
) -> None:
    result = run()
    before, after = read_coco(boxes), read_coco(result.output)
    assert result.boxes == len(before.annotations) == len(after.annotations)
    assert after.images == before.images
    scores = {node.annotation_id: node.score for node in before.annotations}
    for node in after.annotations:
        assert node.score == scores[node.annotation_id]
        assert node.probabilities is not None
        assert set(node.probabilities) == {"benign", "metastatic"}
        assert sum(node.probabilities.values()) == pytest.approx(1, abs=1e-6)
        assert node.threshold == 0.5


def test_the_category_follows_from_the_threshold(run: Classify) -> None:
    def categories(threshold: float | None) -> tuple[list[int], list[float]]:
        result = run(threshold=threshold, overwrite=True)
        nodes = read_coco(result.output).annotations
        called = [node.category_id for node in nodes]
        return called, [node.probabilities["metastatic"] for node in nodes if node.probabilities]

    called, probabilities = categories(None)
    assert called == [METASTATIC if p >= 0.5 else BENIGN for p in probabilities]
    assert set(categories(0.0)[0]) == {METASTATIC}
    assert set(categories(1.0)[0]) == {BENIGN}
    middle = sorted(probabilities)[20]  # at the threshold itself a node is metastatic
    assert categories(middle)[0] == [METASTATIC if p >= middle else BENIGN for p in probabilities]


def test_counts_for_people_take_boxes_at_the_detectors_threshold(run: Classify) -> None:
    result = run(threshold=0.0)
    nodes = read_coco(result.output).annotations
    above = sum((node.score or 0) >= 0.3 for node in nodes)
    assert (result.metastatic_above_threshold, result.benign_above_threshold) == (above, 0)
    assert above < len(nodes)


def test_only_boxes_at_the_threshold_on_request(run: Classify) -> None:
    result = run(above_threshold=True)
    scores = [node.score or 0 for node in read_coco(result.output).annotations]
    assert len(scores) == result.boxes == 40 * 3 // 5
    assert min(scores) >= 0.3


def test_images_are_joined_by_sop_uid_not_by_id(run: Classify, boxes: Path, tmp_path: Path) -> None:
    expected = by_box(read_coco(run().output))
    data = read_coco(boxes)
    other = {image.image_id: 1000 - image.image_id for image in data.images}
    images = tuple(image.with_id(other[image.image_id]) for image in reversed(data.images))
    nodes = tuple(replace(n, image_id=other[n.image_id]) for n in data.annotations)
    shuffled = tmp_path / "shuffled.json"
    write_coco(replace(data, images=images, annotations=nodes), shuffled)
    found = by_box(read_coco(run(boxes=shuffled, output=tmp_path / "n.json").output))
    assert set(found) == set(expected)
    for key, probabilities in found.items():
        assert probabilities == pytest.approx(expected[key], abs=1e-5)


def test_a_crop_does_not_depend_on_the_others_of_its_batch(
    run: Classify, boxes: Path, tmp_path: Path
) -> None:
    expected = by_box(read_coco(run().output))
    data = read_coco(boxes)
    alone = tmp_path / "alone.json"
    write_coco(replace(data, annotations=data.annotations[7:8]), alone)
    found = by_box(read_coco(run(boxes=alone, output=tmp_path / "n.json").output))
    ((key, probabilities),) = found.items()
    assert probabilities == pytest.approx(expected[key], abs=1e-5)


def test_classifying_twice_gives_the_same_bytes(run: Classify) -> None:
    first = run().output.read_bytes()
    assert run(overwrite=True).output.read_bytes() == first


def test_each_slice_is_read_once_however_many_boxes_it_has(
    run: Classify, boxes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read_coco(boxes)
    apart = data.annotations[::2] + data.annotations[1::2]  # no two of a slice in a row
    write_coco(replace(data, annotations=apart), boxes, overwrite=True)
    reads: list[int] = []
    original = PixelStore.read_stack

    def noted(store: PixelStore, image: ImageRecord, offsets: Any) -> NDArray[np.int16]:
        reads.append(image.image_id)
        return original(store, image, offsets)

    monkeypatch.setattr(PixelStore, "read_stack", noted)
    run()
    assert sorted(reads) == sorted(set(reads))


def test_boxes_of_one_place_are_classified_once_and_all_called(
    run: Classify, boxes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read_coco(boxes)
    alone = read_coco(run().output).annotations
    twins = tuple(
        replace(node, annotation_id=node.annotation_id + 1000) for node in data.annotations[:7]
    )
    write_coco(replace(data, annotations=data.annotations + twins), boxes, overwrite=True)
    seen: list[int] = []
    predict = ClassifierTask.predict

    def counted(task: ClassifierTask, batch: ClassifierBatch) -> list[NDArray[np.float64]]:
        seen.append(len(batch.crops))
        return predict(task, batch)

    monkeypatch.setattr(ClassifierTask, "predict", counted)
    called = {n.annotation_id: n for n in read_coco(run(overwrite=True).output).annotations}
    assert len(called) == len(data.annotations) + 7
    assert sum(seen) == len(data.annotations)
    assert [called[node.annotation_id] for node in alone] == list(alone)
    for twin in twins:
        assert (
            replace(called[twin.annotation_id], annotation_id=twin.annotation_id - 1000)
            == (called[twin.annotation_id - 1000])
        )


def test_the_neighbours_of_key_images_are_never_read(
    run: Classify, boxes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read_coco(boxes)
    write_coco(replace(data, info={**data.info, "coverage": "key_images"}), boxes, overwrite=True)

    def refuse(*_: Any) -> None:
        raise AssertionError("a stack was read")

    monkeypatch.setattr(PixelStore, "read_stack", refuse)
    assert run().boxes == len(data.annotations)


def test_no_boxes_are_a_result(run: Classify, boxes: Path) -> None:
    data = read_coco(boxes)
    write_coco(replace(data, annotations=()), boxes, overwrite=True)
    result = run()
    assert (result.boxes, read_coco(result.output).annotations) == (0, ())


def test_a_truth_file_can_be_classified(run: Classify, toy_data: Path) -> None:
    result = run(boxes=toy_data / "truth.json")
    assert result.boxes == 40
    assert result.benign_above_threshold + result.metastatic_above_threshold == 40


def test_info_keeps_the_detector_and_adds_the_classifier(run: Classify, toy_data: Path) -> None:
    output = run().output
    info = read_coco(output).info
    assert info["detector"]["name"] == "d"
    assert info["classifier"]["name"] == "tiny"
    assert info["classifier_threshold"] == 0.5
    assert info["operating_threshold"] == 0.3
    assert (output.parent / info["scan_root"]).resolve() == (toy_data / "scan").resolve()


def with_another(bundle: Path, folder: Path, **changes: Any) -> Path:
    """A copy of a bundle with other fields."""
    source = read_bundle(str(bundle), "classifier")
    write_with_weights_of(source, replace(source, folder=folder, **changes), "a card")
    return folder


def test_a_bundles_temperature_is_in_the_probabilities_and_its_threshold_after_it(
    run: Classify, bundles: Path, tmp_path: Path
) -> None:
    before = by_box(read_coco(run().output))
    seen_on = PatientDigests.of(["p0"], "0" * 64)
    hot = with_another(
        bundles / "classifier-tiny",
        tmp_path / "hot",
        temperature=Temperature(3.0, "1 patient", seen_on),
        threshold=Threshold(0.52, "a rule", "1 patient", seen_on),
    )
    data = read_coco(run(model=str(hot), overwrite=True).output)
    for key, found in by_box(data).items():
        odds = before[key]["metastatic"] / before[key]["benign"]
        assert found["metastatic"] == pytest.approx(
            odds ** (1 / 3) / (1 + odds ** (1 / 3)), abs=1e-5
        )
    for node in data.annotations:
        assert node.probabilities is not None
        p_metastatic = node.probabilities["metastatic"]
        assert node.category_id == (METASTATIC if p_metastatic >= 0.52 else BENIGN)
    assert data.info["classifier"]["temperature"] == 3.0
    assert data.info["classifier_temperature_chosen_on"] == seen_on.to_json()
    assert data.info["classifier_threshold_chosen_on"] == seen_on.to_json()
    assert seen_and_evaluated(data.info, ["p0", "p1"]) == (
        Overlap("the classifier's threshold was chosen on", 1),
        Overlap("the classifier's temperature was fitted on", 1),
    )


def test_a_threshold_of_the_users_was_chosen_on_nobody_known(
    run: Classify, bundles: Path, tmp_path: Path
) -> None:
    assert read_coco(run().output).info["classifier"]["temperature"] == 1.0
    seen = Threshold(0.5, "a rule", "1 patient", PatientDigests.of(["p0"], "0" * 64))
    model = with_another(bundles / "classifier-tiny", tmp_path / "seen", threshold=seen)
    own = read_coco(run(model=str(model), threshold=0.4, overwrite=True).output).info
    assert own["classifier_threshold_source"] == "--threshold"
    assert seen_and_evaluated(own, ["p0"]) == ()
    theirs = read_coco(run(model=str(model), overwrite=True).output).info
    assert theirs["classifier_threshold_source"] == "bundle tiny: a rule, chosen on 1 patient"
    assert seen_and_evaluated(theirs, ["p0"]) == (
        Overlap("the classifier's threshold was chosen on", 1),
    )


def test_nothing_of_an_earlier_classifier_stays(
    run: Classify, bundles: Path, tmp_path: Path
) -> None:
    seen = PatientDigests.of(["p0"], "0" * 64)
    model = with_another(
        bundles / "classifier-tiny",
        tmp_path / "seen",
        threshold=Threshold(0.5, "a rule", "1 patient", seen),
        temperature=Temperature(2.0, "1 patient", seen),
        trained_on=seen,
    )
    first = run(model=str(model)).output
    assert len(seen_and_evaluated(read_coco(first).info, ["p0"])) == 3
    again = read_coco(run(boxes=first, output=tmp_path / "again.json").output).info
    assert seen_and_evaluated(again, ["p0"]) == ()
    assert again["classifier"]["temperature"] == 1.0


def test_pixels_can_lie_elsewhere(
    run: Classify, boxes: Path, toy_data: Path, tmp_path: Path
) -> None:
    expected = by_box(read_coco(run().output))
    data = read_coco(boxes)
    lost = tmp_path / "lost.json"
    write_coco(replace(data, info={**data.info, "scan_root": "gone"}), lost)
    with pytest.raises(InputError):
        run(boxes=lost, output=tmp_path / "n.json")
    found = run(boxes=lost, output=tmp_path / "n.json", scan=toy_data / "scan").output
    assert by_box(read_coco(found)) == expected


def test_a_slice_that_is_not_there_is_refused_by_its_uid(
    run: Classify, boxes: Path, toy_data: Path
) -> None:
    with pytest.raises(InputError, match=r"image \d+: expected a slice with SOP instance uid"):
        run(scan=toy_data / "scan" / "p0")


def test_an_existing_output_is_refused_before_anything_is_read(
    run: Classify, tmp_path: Path
) -> None:
    output = tmp_path / "nodes.json"
    output.write_text("mine")
    with pytest.raises(OutputError, match=r"nodes\.json: expected a new file"):
        run(boxes=tmp_path / "nowhere.json")
    assert output.read_text() == "mine"


def test_a_device_that_is_not_there_is_refused(run: Classify) -> None:
    with pytest.raises(UsageError, match="--device"):
        run(device="cuda:9")


def test_a_detectors_bundle_is_refused(run: Classify, bundles: Path) -> None:
    with pytest.raises(ModelError, match="expected a bundle of arm 'classifier'"):
        run(model=str(bundles / "detector-tiny"))


def test_weights_of_another_network_are_refused(
    run: Classify, bundles: Path, tmp_path: Path
) -> None:
    mixed = tmp_path / "classifier-mixed"
    mixed.mkdir()
    (mixed / "config.json").write_bytes((bundles / "classifier-tiny/config.json").read_bytes())
    weights = (bundles / "detector-tiny/weights.safetensors").read_bytes()
    (mixed / "weights.safetensors").write_bytes(weights)
    with pytest.raises(ModelError, match="expected the weights of the network") as error:
        run(model=str(mixed))
    assert error.value.exit_code == 4


def test_boxes_of_keyed_uids_need_scan_and_their_nodes_name_no_place(
    run: Classify, boxes: Path, toy_data: Path
) -> None:
    data = read_coco(boxes)
    info = {k: v for k, v in data.info.items() if k != "scan_root"} | {"pseudonymised_uids": True}
    write_coco(replace(data, info=info), boxes, overwrite=True)
    with pytest.raises(InputError, match=r"scan_root: .* got none, .* Name the place with --scan"):
        run()
    nodes = read_coco(run(scan=toy_data / "scan").output)
    assert "scan_root" not in nodes.info
    assert len(nodes.annotations) == len(data.annotations)


def test_the_run_record_names_model_and_input(run: Classify, tmp_path: Path) -> None:
    run()
    record = json.loads((tmp_path / "nodes.run.json").read_text())
    assert record["command"] == "classify"
    assert list(record["inputs"]) == ["boxes.json"]
    assert record["config"] == {
        "model": "classifier-tiny",
        "device": "cpu",
        "above_threshold": False,
        "threshold": None,
        "precision": "fp32",
        "engine": "torch",
    }
    assert list(record["model"]) == ["tiny"]


@pytest.mark.parametrize(("p_metastatic", "category"), [(0.5, METASTATIC), (0.4999, BENIGN)])
def test_a_node_at_the_threshold_itself_is_metastatic(p_metastatic: float, category: int) -> None:
    box = NodeAnnotation(1, 1, LYMPH_NODE, (1.0, 1.0, 5.0, 5.0), score=0.9)
    probabilities = np.array([1 - p_metastatic, p_metastatic])
    node = called_node(box, probabilities, ("benign", "metastatic"), 0.5)
    assert (node.category_id, node.threshold) == (category, 0.5)
