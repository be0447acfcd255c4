"""train classifier: truth.json in, a bundle out."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import shufflenet_v2_x1_0

from lnmdetect.core.config import ClassifierRecipe
from lnmdetect.core.errors import InputError, OutputError, UsageError
from lnmdetect.core.progress import SILENT
from lnmdetect.core.records import METASTATIC
from lnmdetect.datasets.splits import split_patients
from lnmdetect.io.bundles import read_bundle
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.stages.classify import ClassifyRequest, classify
from lnmdetect.stages.train_classifier import choose_threshold, train_classifier
from lnmdetect.stages.training_run import TrainRequest, TrainResult
from lnmdetect.training.classifier_task import ClassifierTask

Train = Callable[..., TrainResult]
WEIGHTS = "bundle/weights.safetensors"


@pytest.fixture
def train(toy_data: Path, tmp_path: Path, make_recipe: Callable[..., Path]) -> Train:
    """A function that trains for 2 epochs of 3 steps; `recipe_changes` go to the recipe."""

    def call(
        run: str = "run",
        *,
        progress: Any = SILENT,
        recipe_changes: dict[str, Any] | None = None,
        **changes: Any,
    ) -> TrainResult:
        values: dict[str, Any] = {
            "data": toy_data / "truth.json",
            "recipe": str(make_recipe("classifier", **(recipe_changes or {}))),
            "output": tmp_path / run,
            "device": "cpu",
            **changes,
        }
        return train_classifier(TrainRequest(**values), progress)

    return call


def test_a_training_leaves_a_bundle_that_classifies(
    train: Train, toy_data: Path, tmp_path: Path
) -> None:
    result = train()
    assert result.metric == "auc"
    bundle = read_bundle(str(result.bundle), "classifier")
    assert bundle.threshold.rule == "Youden's J on P(metastatic)"
    assert bundle.threshold.value == result.threshold
    assert bundle.figures["validation_boxes"] == 2 * 7
    assert set(bundle.figures) >= {"auc", "tpr_at_threshold", "tnr_at_threshold"}
    request = ClassifyRequest(
        toy_data / "truth.json", tmp_path / "nodes.json", model=str(result.bundle), device="cpu"
    )
    assert classify(request).boxes == 40


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    train: Train, tmp_path: Path
) -> None:
    for run, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(run, seed=seed)
    a, b, c = ((tmp_path / run / WEIGHTS).read_bytes() for run in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize("step", [0, 2, 4])
def test_ctrl_c_and_resume_give_the_weights_of_an_uninterrupted_training(
    train: Train, tmp_path: Path, press_ctrl_c: Callable[[int], Any], step: int
) -> None:
    train("whole")
    with pytest.raises(KeyboardInterrupt):
        train(progress=press_ctrl_c(step))
    train(resume=True)
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()


def test_three_classes_learn_background_as_well(train: Train, tmp_path: Path) -> None:
    classes = ["not_a_node", "benign", "metastatic"]
    changes = {"model": {"classes": classes, "background": 1.0}}
    bundle = read_bundle(str(train(recipe_changes=changes).bundle), "classifier")
    assert isinstance(bundle.recipe, ClassifierRecipe)
    assert bundle.recipe.model.classes == tuple(classes)
    assert bundle.figures["validation_boxes"] == 2 * 7  # nodes alone set the threshold


def test_a_class_that_is_missing_on_one_side_is_refused_and_the_seed_can_be_changed(
    train: Train, toy_data: Path, tmp_path: Path
) -> None:
    truth = read_coco(toy_data / "truth.json")
    patient = {image.image_id: image.patient for image in truth.images}
    rare = tuple(
        node
        for node in truth.annotations
        if node.category_id != METASTATIC or patient[node.image_id] in ("p0", "p1")
    )
    path = tmp_path / "rare.json"
    info = {**truth.info, "scan_root": str(toy_data / "scan")}
    write_coco(replace(truth, annotations=rare, info=info), path)
    held_out = [set(split_patients(truth.patients(), 0.4, seed).validation) for seed in range(20)]
    together = next(seed for seed, names in enumerate(held_out) if len(names & {"p0", "p1"}) != 1)
    apart = next(seed for seed, names in enumerate(held_out) if len(names & {"p0", "p1"}) == 1)
    with pytest.raises(InputError, match=r"got no metastatic node on one side.*another --seed"):
        train(data=path, seed=together)
    assert train(data=path, seed=apart).metric == "auc"


def test_a_folder_that_holds_a_training_is_refused(train: Train) -> None:
    train()
    with pytest.raises(OutputError, match="--resume"):
        train()


def test_the_run_record_names_arm_seed_and_recipe(train: Train, tmp_path: Path) -> None:
    train(seed=3)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    weights = tmp_path / "run" / "bundle" / "weights.safetensors"
    assert list(record["model"].values()) == [sha256_of_file(weights)]
    assert (record["command"], record["seed"]) == ("train classifier", 3)
    assert record["config"]["recipe"]["arm"] == "classifier"


def test_the_threshold_is_youdens_and_the_figures_are_those_at_it(
    recipe_fields: Callable[..., dict[str, Any]],
) -> None:
    fields = recipe_fields("classifier", model={"classes": ["not_a_node", "benign", "metastatic"]})
    task = ClassifierTask(ClassifierRecipe(**fields), torch.device("cpu"))
    labels = np.array([0, 1, 1, 1, 2, 2, 2, 0])
    metastatic = np.array([0.9, 0.1, 0.2, 0.7, 0.3, 0.8, 0.6, 0.5])  # the first is no node
    rest = (1 - metastatic) / 2
    probabilities = np.stack([rest, rest, metastatic], axis=1)
    threshold, figures = choose_threshold(task, probabilities, labels)
    # Cut at 0.25: 3 of 3 and 2 of 3. At 0.75: 1 of 3 and 3 of 3. Background does not count.
    assert threshold.value == pytest.approx(0.25)
    assert figures == {
        "validation_boxes": 6,
        "tpr_at_threshold": pytest.approx(1.0),
        "tnr_at_threshold": pytest.approx(2 / 3),
    }


def test_a_recipe_on_a_bundled_base_may_name_another_network(
    toy_data: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "base: compact\n"
        "name: mine\n"
        "model: {backbone: mobilenetv2, size_px: 32}\n"
        "optimiser: {epochs: 1, steps_an_epoch: 1, batch_size: 4, warmup_steps: 0}\n"
        "validation_share: 0.4\n"
    )
    truth = toy_data / "truth.json"
    result = train_classifier(TrainRequest(truth, str(recipe), tmp_path / "run", device="cpu"))
    config = json.loads((result.bundle / "config.json").read_text())
    assert config["recipe"]["model"]["backbone"] == "mobilenetv2"
    request = ClassifyRequest(truth, tmp_path / "n.json", model=str(result.bundle), device="cpu")
    assert classify(request).boxes == 40


def test_a_network_that_cannot_be_is_refused_before_the_folder_is_made(
    train: Train, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"model\.backbone: expected one of resnet50"):
        train(recipe_changes={"model": {"backbone": "resnet51"}})
    with pytest.raises(UsageError, match=r"model\.size_px: expected 71 or more for xception"):
        train(recipe_changes={"model": {"backbone": "xception"}})
    with pytest.raises(UsageError, match=r"--init imagenet: expected a recipe of width 1"):
        train(init="imagenet")
    assert not (tmp_path / "run").exists()


def test_a_training_starts_from_the_weights_in_a_file(train: Train, tmp_path: Path) -> None:
    torch.manual_seed(7)
    published = shufflenet_v2_x1_0(weights=None).state_dict()
    published["conv5.0.weight"].fill_(0.125)
    weights = tmp_path / "elsewhere" / "weights.safetensors"
    weights.parent.mkdir()
    save_file(published, weights)
    changes = {
        "model": {"backbone": "shufflenetv2"},
        "optimiser": {"learning_rate": 1e-9, "weight_decay": 0.0},
    }
    result = train(recipe_changes=changes, init=str(weights))
    trained = load_file(result.bundle / "weights.safetensors")
    assert bool((trained["conv5.0.weight"] == 0.125).all())
    record = (tmp_path / "run" / "run.json").read_text()
    assert json.loads(record)["config"]["init"] == "weights.safetensors"
    assert json.loads(record)["inputs"]["weights.safetensors"] == sha256_of_file(weights)
    assert "elsewhere" not in record


def test_first_weights_that_are_not_there_are_refused_before_the_folder_is_made(
    train: Train, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"--init: expected imagenet, or a file.*'absent\.pth'"):
        train(init="absent.pth", recipe_changes={"model": {"width": 1}})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("norm", ["frozen", "group"])
def test_a_bundle_keeps_its_norms(train: Train, tmp_path: Path, toy_data: Path, norm: str) -> None:
    torch.manual_seed(7)
    weights = tmp_path / "weights.safetensors"
    published = shufflenet_v2_x1_0(weights=None).state_dict()
    published["conv1.1.running_mean"].fill_(0.125)
    save_file(published, weights)
    changes = {"model": {"backbone": "shufflenetv2", "norm": norm}}
    init = str(weights) if norm == "frozen" else None
    result = train(recipe_changes=changes, init=init)
    recipe = read_bundle(str(result.bundle), "classifier").recipe
    assert isinstance(recipe, ClassifierRecipe)
    assert recipe.model.norm == norm
    trained = load_file(result.bundle / "weights.safetensors")
    if norm == "frozen":
        assert bool((trained["conv1.1.running_mean"] == 0.125).all())
    assert ("conv1.1.running_mean" in trained) == (norm == "frozen")
    truth = toy_data / "truth.json"
    request = ClassifyRequest(truth, tmp_path / "n.json", model=str(result.bundle), device="cpu")
    assert classify(request).boxes == 40


def test_norms_and_first_weights_that_do_not_suit_each_other_are_refused(
    train: Train, tmp_path: Path
) -> None:
    model = {"width": 1, "norm": "frozen"}
    with pytest.raises(UsageError, match=r"model\.norm: expected frozen with --init.*norm: group"):
        train(recipe_changes={"model": model})
    with pytest.raises(UsageError, match=r"--init: expected norm: batch or frozen.*Leave --init"):
        train(recipe_changes={"model": {**model, "norm": "group"}}, init="imagenet")
    assert not (tmp_path / "run").exists()
