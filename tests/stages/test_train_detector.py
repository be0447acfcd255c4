"""train detector: truth.json in, a bundle out; and what both trainings share."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision.models._api import WeightsEnum

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.errors import InputError, ModelError, OutputError, UsageError
from lnmdetect.core.patient_digests import PatientDigests, patient_digest
from lnmdetect.core.progress import SILENT
from lnmdetect.core.records import Detections
from lnmdetect.core.thresholds import Threshold
from lnmdetect.datasets.detector_data import DetectorBatch, TruthSlice, truth_slices
from lnmdetect.datasets.volume_cache import cache_series, group_series
from lnmdetect.io.bundles import read_bundle, read_weights
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.stages import first_weights
from lnmdetect.stages import train_detector as stage
from lnmdetect.stages.detect import DetectRequest, detect
from lnmdetect.stages.training_run import TrainRequest, TrainResult
from lnmdetect.training.detector_task import DetectorTask, truth_boxes

Fields = Callable[..., dict[str, Any]]
Train = Callable[..., TrainResult]
WEIGHTS = "bundle/weights.safetensors"


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four steps of training find no node yet: the threshold is given, its choice tested below."""

    def given(*_: Any, **__: Any) -> tuple[Threshold, dict[str, float | None]]:
        return Threshold(0.25, "a rule", "validation patients"), {"validation_slices": 12.0}

    monkeypatch.setattr(stage, "choose_threshold", given)


@pytest.fixture
def train(toy_data: Path, tmp_path: Path, make_recipe: Callable[..., Path], chosen: None) -> Train:
    """A function that trains for 2 epochs of 2 steps into the folder `run` of the test."""

    def call(run: str = "run", *, progress: Any = SILENT, **changes: Any) -> TrainResult:
        values: dict[str, Any] = {
            "data": toy_data / "truth.json",
            "recipe": str(make_recipe("detector")),
            "output": tmp_path / run,
            "device": "cpu",
            "cache": tmp_path / "cache",
            **changes,
        }
        return stage.train_detector(TrainRequest(**values), progress)

    return call


def test_a_training_leaves_a_bundle_that_finds_boxes(
    train: Train, toy_data: Path, tmp_path: Path
) -> None:
    result = train()
    assert (result.metric, result.bundle) == ("ap50", tmp_path / "run" / "bundle")
    bundle = read_bundle(str(result.bundle), "detector")
    assert bundle.is_phantom
    held_out = json.loads((tmp_path / "run" / "split.json").read_text())["validation"]
    seen = PatientDigests.of(held_out, sha256_of_file(toy_data / "truth.json"))
    assert bundle.threshold == Threshold(0.25, "a rule", "validation patients", seen)
    assert bundle.trained_on is not None
    everyone = {patient_digest(f"p{number}") for number in range(5)}
    assert {*bundle.trained_on.patients_sha256} == everyone - {*seen.patients_sha256}
    assert result.threshold == 0.25
    assert bundle.figures["validation_slices"] == 12
    assert bundle.figures["ap50"] == result.reached
    request = DetectRequest(
        toy_data / "scan" / "p0", tmp_path / "b.json", model=str(result.bundle), device="cpu"
    )
    assert detect(request).slices == 6


def test_a_training_leaves_curves_split_and_record(train: Train, tmp_path: Path) -> None:
    result = train(seed=4)
    folder = tmp_path / "run"
    assert result.curves == folder / "curves.png"
    assert result.curves.read_bytes().startswith(b"\x89PNG")
    with (folder / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert set(rows[0]) >= {"loss_classifier", "loss_objectness", "ap50", "learning_rate"}
    record = json.loads((folder / "run.json").read_text())
    weights = folder / "bundle" / "weights.safetensors"
    assert list(record["model"].values()) == [sha256_of_file(weights)]
    assert (record["command"], record["seed"]) == ("train detector", 4)
    assert record["config"]["recipe"]["name"] == "tiny"
    assert list(record["inputs"]) == ["truth.json"]
    assert str(tmp_path) not in json.dumps(record)


def test_no_patient_is_on_both_sides_and_each_is_on_one(train: Train, tmp_path: Path) -> None:
    train()
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert sorted(split["training"] + split["validation"]) == ["p0", "p1", "p2", "p3", "p4"]
    assert len(split["validation"]) == 2


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    train: Train, tmp_path: Path
) -> None:
    for run, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(run, seed=seed)
    a, b, c = ((tmp_path / run / WEIGHTS).read_bytes() for run in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize("step", [0, 1, 2])
def test_ctrl_c_and_resume_give_the_weights_of_an_uninterrupted_training(
    train: Train, tmp_path: Path, press_ctrl_c: Callable[[int], Any], step: int
) -> None:
    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train(progress=press_ctrl_c(step))
    assert (tmp_path / "run" / "last.pt").is_file()
    assert not (tmp_path / "run" / "bundle").exists()
    resumed = train(resume=True)
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert (resumed.reached, resumed.kept_epoch, resumed.threshold) == (
        whole.reached,
        whole.kept_epoch,
        whole.threshold,
    )


def test_each_epoch_watches_the_recipes_number_of_slices_spread_over_all(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[tuple[str, int]] = []
    predict = DetectorTask.predict

    def noted(task: DetectorTask, batch: DetectorBatch) -> list[Detections]:
        watched.extend((i.image.patient, i.image.slice_index) for i in batch.items if i.image)
        return predict(task, batch)

    monkeypatch.setattr(DetectorTask, "predict", noted)
    train()
    assert len(watched) == 2 * 4  # validation_images: 4, two epochs
    assert watched[:4] == watched[4:]
    assert len({patient for patient, _ in watched}) == 2


def test_a_folder_that_holds_a_training_is_refused(train: Train) -> None:
    train()
    with pytest.raises(OutputError, match=r"run: expected a new folder.*--resume") as error:
        train()
    assert error.value.exit_code == 5


def test_overwrite_starts_afresh(train: Train, tmp_path: Path) -> None:
    train(seed=1)
    train("fresh", seed=2)
    train(seed=2, overwrite=True)
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == (tmp_path / "fresh" / WEIGHTS).read_bytes()


def test_after_overwrite_nothing_of_the_old_training_can_be_resumed(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train()

    def no_power(*_: Any) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(DetectorTask, "losses", no_power)
        with pytest.raises(RuntimeError, match="power cut"):
            train(overwrite=True)
    with pytest.raises(ModelError, match=r"last\.pt: expected a checkpoint"):
        train(resume=True)


def test_a_failed_start_can_be_repeated_without_overwrite(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(DetectorTask, "losses", broken)
        with pytest.raises(RuntimeError):
            train()
    assert train().metric == "ap50"


def test_resuming_on_other_patients_is_refused(
    train: Train, toy_data: Path, tmp_path: Path
) -> None:
    train()
    truth = read_coco(toy_data / "truth.json")
    fewer = truth.select_patients({"p0", "p1", "p2"})
    path = tmp_path / "fewer.json"
    write_coco(replace(fewer, info={**truth.info, "scan_root": str(toy_data / "scan")}), path)
    with pytest.raises(
        InputError, match=r"fewer\.json: expected the 5 patients .*got 0 others and 2"
    ):
        train(data=path, resume=True)


@pytest.mark.parametrize("change", ["seed", "recipe", "data file"])
def test_resuming_with_another_seed_recipe_or_truth_is_refused(
    train: Train,
    toy_data: Path,
    tmp_path: Path,
    make_recipe: Callable[..., Path],
    press_ctrl_c: Callable[[int], Any],
    change: str,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(progress=press_ctrl_c(0))
    truth = read_coco(toy_data / "truth.json")
    other = replace(truth.annotations[0], box_xyxy=(1.0, 1.0, 9.0, 9.0))
    moved = replace(
        truth,
        info={**truth.info, "scan_root": str(toy_data / "scan")},
        annotations=(other, *truth.annotations[1:]),
    )
    write_coco(moved, tmp_path / "moved.json")
    faster = make_recipe("detector", optimiser={"learning_rate": 0.5})
    changes: dict[str, dict[str, Any]] = {
        "seed": {"seed": 5},
        "recipe": {"recipe": str(faster.rename(tmp_path / "faster.yaml"))},
        "data file": {"data": tmp_path / "moved.json"},
    }
    with pytest.raises(ModelError, match=f"got one begun with another {change}\\."):
        train(resume=True, **changes[change])


def test_a_resumed_training_does_not_load_imagenet_weights_again(
    train: Train, monkeypatch: pytest.MonkeyPatch, press_ctrl_c: Callable[[int], Any]
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(first_weights, "load_imagenet_body", lambda body, init: loaded.append(init))
    with pytest.raises(KeyboardInterrupt):
        train(progress=press_ctrl_c(0), init="imagenet")
    train(resume=True, init="imagenet")
    assert loaded == ["imagenet"]


def test_resuming_where_nothing_was_begun_is_refused(train: Train) -> None:
    with pytest.raises(ModelError, match=r"last\.pt: expected a checkpoint to resume from"):
        train(resume=True)


def test_one_patient_alone_is_refused(train: Train, toy_data: Path, tmp_path: Path) -> None:
    truth = read_coco(toy_data / "truth.json")
    info = {**truth.info, "scan_root": str(toy_data / "scan")}
    path = tmp_path / "one.json"
    write_coco(replace(truth.select_patients({"p3"}), info=info), path)
    with pytest.raises(InputError, match="at least 2 patients"):
        train(data=path)


def test_a_side_of_the_split_without_nodes_is_refused(
    train: Train, toy_data: Path, tmp_path: Path
) -> None:
    truth = read_coco(toy_data / "truth.json")
    info = {**truth.info, "scan_root": str(toy_data / "scan")}
    path = tmp_path / "ignored.json"
    ignored = tuple(replace(node, ignored=True) for node in truth.annotations)
    write_coco(replace(truth, annotations=ignored, info=info), path)
    with pytest.raises(InputError, match="got no box that counts among the 18 training slices"):
        train(data=path)


def test_an_output_that_cannot_be_a_folder_is_refused(train: Train, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(OutputError, match="run: expected a folder that can be made"):
        train()


def test_a_device_that_is_not_there_is_refused(train: Train) -> None:
    with pytest.raises(UsageError, match="--device"):
        train(device="cuda:9")


def test_imagenet_weights_without_a_network_fail_with_the_file_to_provide(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", refuse)
    with pytest.raises(ModelError, match=r"--init imagenet: .*resnet50-0676ba61\.pth") as error:
        train(init="imagenet")
    assert "\n" not in str(error.value)


class Oracle:
    """A task that answers with given detections, slice by slice."""

    device = torch.device("cpu")
    module = torch.nn.Identity()

    def __init__(self, answers: list[Detections]) -> None:
        self.answers = iter(answers)

    def predict(self, batch: DetectorBatch) -> list[Detections]:
        return [next(self.answers) for _ in batch.items]


@pytest.fixture
def slices(toy_data: Path, tmp_path: Path, recipe_fields: Fields) -> list[TruthSlice]:
    """The six slices of one patient, with seven boxes that count."""
    recipe = DetectorRecipe(**recipe_fields("detector"))
    truth = read_coco(toy_data / "truth.json").select_patients({"p0"})
    store = PixelStore(toy_data / "scan")
    series = [cache_series(s, store, recipe.input, tmp_path) for s in group_series(truth.images)]
    return truth_slices(truth, series)


def choose(
    answers: list[Detections],
    slices: list[TruthSlice],
    sensitivity: float,
    fields: Fields,
    *,
    blind_too: bool = False,
) -> tuple[Threshold, dict[str, float | None]]:
    recipe = DetectorRecipe(**fields("detector", sensitivity_target=sensitivity))
    task: Any = Oracle(answers)
    return stage.choose_threshold(task, slices, recipe, SILENT, blind_too=blind_too)


def falling_scores(slices: list[TruthSlice]) -> list[Detections]:
    """All boxes of slice z scored 0.9 - z / 10 and a little less, and a false one at 0.45."""
    answers = []
    for z, part in enumerate(slices):
        boxes = np.concatenate([truth_boxes(part).truth_xyxy, [[0.0, 0.0, 5.0, 5.0]]])
        scores = np.array([0.9 - 0.1 * z - 0.01 * k for k in range(len(part.boxes_xyxy))] + [0.45])
        order = np.argsort(-scores)
        answers.append(Detections(boxes[order], scores[order]))
    return answers


def test_the_threshold_is_the_score_at_the_sensitivity_on_all_validation_slices(
    slices: list[TruthSlice], recipe_fields: Fields
) -> None:
    # Counted hits by score: 0.80 0.79 (slice 1), 0.70 0.69, 0.60 0.59, then 0.49 (slice 4).
    threshold, figures = choose(falling_scores(slices), slices, 0.75, recipe_fields)
    assert threshold.value == pytest.approx(0.59)  # 6 of 7
    assert threshold.rule == "box sensitivity 0.75 at IoU 0.5"
    assert figures == {
        "validation_slices": 6,
        "sensitivity_at_threshold": pytest.approx(6 / 7),
        "false_positives_per_image_at_threshold": 0,
    }


def test_out_of_reach_the_lowest_hit_is_taken_and_the_rule_says_so(
    slices: list[TruthSlice], recipe_fields: Fields
) -> None:
    answers = falling_scores(slices)
    nothing = Detections(np.zeros((0, 4)), np.zeros(0))
    answers[3:] = [nothing] * 3
    threshold, figures = choose(answers, slices, 0.75, recipe_fields)
    assert threshold.value == pytest.approx(0.69)
    assert "out of reach; the lowest score that hits a node" in threshold.rule
    assert figures["sensitivity_at_threshold"] == pytest.approx(4 / 7)


def test_a_detector_that_finds_no_node_may_be_kept(
    slices: list[TruthSlice], recipe_fields: Fields
) -> None:
    miss = Detections(np.array([[0.0, 0, 5, 5]]), np.array([0.9]))
    threshold, figures = choose([miss] * 6, slices, 0.75, recipe_fields, blind_too=True)
    assert (threshold.value, threshold.rule) == (0.5, "no detection hits a node: 0.5 stands in")
    assert figures["sensitivity_at_threshold"] == 0


def test_a_training_that_finds_no_node_says_so(
    slices: list[TruthSlice], recipe_fields: Fields
) -> None:
    miss = Detections(np.array([[0.0, 0, 5, 5]]), np.array([0.9]))
    with pytest.raises(ModelError, match=r"got 6 detections, none of which does\. Train longer"):
        choose([miss] * 6, slices, 0.75, recipe_fields)


def test_the_threshold_is_chosen_with_the_weights_that_are_stored(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, torch.Tensor] = {}

    def watch(task: DetectorTask, *_: Any, **__: Any) -> tuple[Threshold, dict[str, float | None]]:
        seen.update({name: v.clone() for name, v in task.module.state_dict().items()})
        return Threshold(0.25, "a rule", "validation patients"), {}

    monkeypatch.setattr(stage, "choose_threshold", watch)
    bundle = read_bundle(str(train().bundle), "detector")
    assert all(torch.equal(seen[name], v) for name, v in read_weights(bundle).items())
