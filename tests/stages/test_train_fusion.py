"""train fusion: ultrasound.json in, a bundle out."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import resnet50

from lnmdetect.core.errors import InputError, OutputError, UsageError
from lnmdetect.core.folds import Fold, FoldSet
from lnmdetect.core.fusion_config import FusionRecipe, GreyScale
from lnmdetect.core.patient_digests import patient_digest
from lnmdetect.core.progress import SILENT
from lnmdetect.core.ultrasound import UltrasoundCase, UltrasoundDataset
from lnmdetect.datasets.fusion_data import TrainingCases
from lnmdetect.io.bundles import Bundle, read_bundle
from lnmdetect.io.fold_file import write_folds
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.ultrasound_files import read_ultrasound, write_ultrasound
from lnmdetect.stages import train_fusion as stage
from lnmdetect.stages.train_fusion import choose_threshold, train_fusion
from lnmdetect.stages.training_run import TrainRequest, TrainResult

Train = Callable[..., TrainResult]
WEIGHTS = "bundle/weights.safetensors"
PATIENTS = 10


@pytest.fixture
def train(ultrasound_toy: Path, tmp_path: Path, make_recipe: Callable[..., Path]) -> Train:
    """A function that trains for 2 epochs of 3 steps; `recipe_changes` go to the recipe."""

    def call(
        run: str = "run",
        *,
        progress: Any = SILENT,
        recipe_changes: dict[str, Any] | None = None,
        **changes: Any,
    ) -> TrainResult:
        values: dict[str, Any] = {
            "data": ultrasound_toy / "ultrasound.json",
            "recipe": str(make_recipe("fusion", **(recipe_changes or {}))),
            "output": tmp_path / run,
            "device": "cpu",
            **changes,
        }
        return train_fusion(TrainRequest(**values), progress)

    return call


def changed_file(toy: Path, path: Path, change: Callable[[UltrasoundCase], Any]) -> Path:
    """Write the toy cases, each after `change`, which may drop it by None."""
    whole = read_ultrasound(toy / "ultrasound.json")
    cases = tuple(case for case in map(change, whole.cases) if case is not None)
    info = {**whole.info, "scan_root": str(toy)}
    write_ultrasound(UltrasoundDataset(info, cases), path)
    return path


def recipe_of(bundle: Bundle) -> FusionRecipe:
    assert isinstance(bundle.recipe, FusionRecipe)
    return bundle.recipe


def test_a_training_leaves_a_bundle_with_card_threshold_and_run_record(
    train: Train, tmp_path: Path, ultrasound_toy: Path
) -> None:
    result = train(seed=3)
    assert result.metric == "auc"
    bundle = read_bundle(str(result.bundle), "fusion")
    assert (bundle.threshold.rule, bundle.threshold.value) == (
        "Youden's J on P(metastatic)",
        result.threshold,
    )
    assert bundle.figures["validation_cases"] == 4
    assert set(bundle.figures) >= {"auc", "sensitivity_at_threshold", "specificity_at_threshold"}
    assert bundle.is_phantom
    card = (result.bundle / "card.md").read_text()
    for words in ("# fusion `tiny`", "phantom figure", "bmode, ceus, finding", "images of 48 px"):
        assert words in card
    assert "Pixels of bmode (0 to 1): mean 0." in card
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["command"], record["seed"]) == ("train fusion", 3)
    assert list(record["model"].values()) == [sha256_of_file(tmp_path / "run" / WEIGHTS)]
    assert (tmp_path / "run" / "curves.png").is_file()
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert (len(split["training"]), len(split["validation"])) == (6, 4)
    assert sum(int(name[1:]) % 2 for name in split["validation"]) == 2  # as many of either class
    assert bundle.trained_on is not None
    assert patient_digest(split["training"][0]) in bundle.trained_on.patients_sha256


def test_no_validation_patient_is_learnt_from(
    train: Train, tmp_path: Path, ultrasound_toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[Any] = []

    class Watched(TrainingCases):
        def __init__(self, items: Any, recipe: FusionRecipe) -> None:
            learnt.extend(items)
            super().__init__(items, recipe)

    monkeypatch.setattr(stage, "TrainingCases", Watched)
    train(modalities="bmode")
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    means = [
        float(on_the_square(ultrasound_toy / f"{p}_bmode.png").mean()) for p in split["training"]
    ]
    assert [float(item.bmode.astype(float).mean()) for item in learnt] == pytest.approx(
        means, abs=1e-4
    )


def test_the_normalisation_is_measured_on_the_training_patients_alone(
    train: Train, ultrasound_toy: Path, tmp_path: Path
) -> None:
    bundle = read_bundle(str(train(recipe_changes={"model": {"frames": 2}}).bundle), "fusion")
    found = recipe_of(bundle).model.normalisation
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    for scale, kinds, lacking in (
        (found.bmode, ("bmode",), "p3"),
        (found.ceus, ("ceus1", "ceus2"), "p2"),
    ):
        trained = [patient for patient in split["training"] if patient != lacking]
        names = [f"{patient}_{kind}.png" for patient in trained for kind in kinds]
        pixels = [on_the_square(ultrasound_toy / name) for name in names]
        assert scale is not None
        assert scale.mean == pytest.approx(np.mean(pixels), abs=1e-4)
        assert scale.sd == pytest.approx(np.std(pixels), abs=1e-4)


def on_the_square(path: Path) -> Any:
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    small = cv2.resize(grey.astype(np.float32) / 255, (48, 40), interpolation=cv2.INTER_AREA)
    return np.pad(small, ((4, 4), (0, 0)))


@pytest.mark.parametrize(("given", "measured"), [("bmode", "ceus"), ("ceus", "bmode")])
def test_a_normalisation_that_is_given_stays_and_the_other_is_measured(
    train: Train, given: str, measured: str
) -> None:
    changes = {"model": {"normalisation": {given: {"mean": 0.5, "sd": 0.25}}}}
    bundle = read_bundle(str(train(recipe_changes=changes).bundle), "fusion")
    kept = recipe_of(bundle).model.normalisation
    assert getattr(kept, given) == GreyScale(mean=0.5, sd=0.25)
    assert getattr(kept, measured) not in (None, GreyScale(mean=0.5, sd=0.25))


def test_the_card_tells_only_of_the_images_that_are_looked_at(train: Train) -> None:
    given = {"normalisation": {"bmode": {"mean": 0.5, "sd": 0.25}}}
    result = train(modalities="ceus,finding", recipe_changes={"model": given})
    card = (result.bundle / "card.md").read_text()
    assert "Pixels of ceus (0 to 1): mean 0." in card
    assert "bmode" not in card


@pytest.mark.parametrize("step", [0, 2, 4])
def test_ctrl_c_and_resume_give_the_weights_of_an_uninterrupted_training(
    train: Train, tmp_path: Path, press_ctrl_c: Callable[[int], Any], step: int
) -> None:
    train("whole")
    with pytest.raises(KeyboardInterrupt):
        train(progress=press_ctrl_c(step))
    train(resume=True)
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    ("modalities", "left_out"),
    [("bmode", 1), ("ceus", 1), ("finding", 1), ("ceus, bmode", 0), ("finding,ceus", 0)],
)
def test_any_subset_is_trained_on_the_cases_that_have_some_of_it(
    train: Train, tmp_path: Path, modalities: str, left_out: int
) -> None:
    result = train(modalities=modalities)
    bundle = read_bundle(str(result.bundle), "fusion")
    assert set(recipe_of(bundle).model.modalities) == set(modalities.replace(" ", "").split(","))
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert len(split["training"]) + len(split["validation"]) == PATIENTS - left_out
    words = "1 case left out: none of the modalities"
    assert (words in result.notes) == (left_out == 1)


def test_the_backbone_asked_for_takes_the_place_of_the_recipes(train: Train) -> None:
    bundle = read_bundle(str(train(modalities="bmode", backbone="vgg11").bundle), "fusion")
    assert recipe_of(bundle).model.backbone == "vgg11"
    assert recipe_of(bundle).model.modalities == ("bmode",)


@pytest.mark.parametrize("modalities", ["doppler", "bmode,bmode", ""])
def test_modalities_that_are_none_are_refused(
    train: Train, tmp_path: Path, modalities: str
) -> None:
    with pytest.raises(UsageError, match="expected some of bmode,ceus,finding, each once"):
        train(modalities=modalities)
    assert not (tmp_path / "run").exists()


def test_gated_fusion_over_several_frames_trains(train: Train) -> None:
    changes = {"model": {"fusion": "gated", "frames": 2, "dropout": 0.1}}
    weights = load_file(train(recipe_changes=changes).bundle / "weights.safetensors")
    assert {"gates.weight", "pooling.score.weight"} <= set(weights)


def test_unlabelled_cases_are_left_out_with_a_note(
    train: Train, ultrasound_toy: Path, tmp_path: Path
) -> None:
    data = changed_file(
        ultrasound_toy,
        tmp_path / "some.json",
        lambda case: replace(case, label=None) if case.patient in ("p0", "p1") else case,
    )
    result = train(data=data)
    assert "2 cases left out: no label" in result.notes
    assert "- cases left out, no label: 2\n" in (result.bundle / "card.md").read_text()


def test_the_files_own_split_is_kept_and_its_test_patients_stay_untouched(
    train: Train, ultrasound_toy: Path, tmp_path: Path
) -> None:
    splits: dict[str, Any] = {
        **dict.fromkeys(("p0", "p1"), "test"),
        **dict.fromkeys(("p2", "p5"), "validation"),
    }
    data = changed_file(
        ultrasound_toy,
        tmp_path / "split.json",
        lambda case: replace(case, split=splits.get(case.patient, "training")),
    )
    result = train(data=data)
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert split["validation"] == ["p2", "p5"]
    assert split["test"] == ["p0", "p1"]
    assert split["training"] == [f"p{n}" for n in (3, 4, 6, 7, 8, 9)]
    assert "fold test of split.json (2 patients)" in (result.bundle / "card.md").read_text()


def test_a_fold_is_not_touched(train: Train, tmp_path: Path) -> None:
    names = [tuple(f"p{n}" for n in range(first, first + 2)) for first in range(0, PATIENTS, 2)]
    folds = FoldSet(tuple(Fold(str(k), part) for k, part in enumerate(names, start=1)))
    write_folds(folds, tmp_path / "folds.json")
    result = train(folds=tmp_path / "folds.json", fold="2")
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert split["test"] == ["p2", "p3"]
    assert not {"p2", "p3"} & {*split["training"], *split["validation"]}
    assert "fold 2 of folds.json (2 patients)" in (result.bundle / "card.md").read_text()
    few = FoldSet(folds.folds[:4])
    write_folds(few, tmp_path / "few.json")
    with pytest.raises(InputError, match=r"expected folds of the 10 patients.*got 2 of them in no"):
        train("other", folds=tmp_path / "few.json", fold="2")


def test_test_patients_of_the_file_stay_untouched_whatever_the_fold(
    train: Train, ultrasound_toy: Path, tmp_path: Path
) -> None:
    data = changed_file(
        ultrasound_toy,
        tmp_path / "split.json",
        lambda case: replace(case, split="test" if case.patient in ("p0", "p1") else "training"),
    )
    names = [tuple(f"p{n}" for n in range(PATIENTS) if n % 2 == k) for k in (0, 1)]
    halves = tuple((*names[k][:3], *names[1 - k][3:]) for k in (0, 1))
    write_folds(FoldSet((Fold("1", halves[0]), Fold("2", halves[1]))), tmp_path / "folds.json")
    train(data=data, folds=tmp_path / "folds.json", fold="2")
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    trained = {*split["training"], *split["validation"]}
    assert trained == set(halves[0]) - {"p0", "p1"}


def test_a_class_that_is_missing_on_one_side_is_refused(
    train: Train, ultrasound_toy: Path, tmp_path: Path
) -> None:
    data = changed_file(
        ultrasound_toy,
        tmp_path / "benign.json",
        lambda case: case if case.label == "benign" else None,
    )
    with pytest.raises(InputError, match=r"got no metastatic case on one side.*another --seed"):
        train(data=data)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_file_that_leaves_nobody_to_train_on_is_refused(
    train: Train, ultrasound_toy: Path, tmp_path: Path, split: Any
) -> None:
    data = changed_file(
        ultrasound_toy, tmp_path / "all.json", lambda case: replace(case, split=split)
    )
    with pytest.raises(InputError, match=r"^all.json: expected labelled patients to train on, .*"):
        train(data=data)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_training_is_refused(train: Train) -> None:
    train()
    with pytest.raises(OutputError, match="--resume"):
        train()


def test_a_training_starts_from_the_weights_in_a_file(train: Train, tmp_path: Path) -> None:
    torch.manual_seed(7)
    published = resnet50(weights=None).state_dict()
    published["layer4.2.conv3.weight"].fill_(0.125)
    published["conv1.weight"].fill_(0.5)
    save_file(published, tmp_path / "first.safetensors")
    changes = {
        "model": {"width": 1},
        "optimiser": {"learning_rate": 1e-12, "epochs": 1, "steps_an_epoch": 1, "batch_size": 2},
    }
    result = train(recipe_changes=changes, init=str(tmp_path / "first.safetensors"))
    trained = load_file(result.bundle / "weights.safetensors")
    for modality in ("bmode", "ceus"):
        body = f"branches.{modality}.body"
        assert bool((trained[f"{body}.layer4.2.conv3.weight"] == 0.125).all())
        assert bool((trained[f"{body}.conv1.weight"] == 1.5).all())  # grey stands for three colours


def test_first_weights_of_another_width_are_refused_before_the_folder_is_made(
    train: Train, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="--init imagenet: expected a recipe of width 1"):
        train(init="imagenet")
    assert not (tmp_path / "run").exists()


def test_the_threshold_is_youdens_and_the_figures_are_those_at_it() -> None:
    threshold, figures = choose_threshold([0.1, 0.2, 0.7, 0.3, 0.8, 0.6], [0, 0, 0, 1, 1, 1])
    # Cut at 0.25: 3 of 3 and 2 of 3. At 0.75: 1 of 3 and 3 of 3.
    assert threshold.value == pytest.approx(0.25)
    assert figures == {
        "validation_cases": 6,
        "sensitivity_at_threshold": pytest.approx(1.0),
        "specificity_at_threshold": pytest.approx(2 / 3),
    }


def test_where_the_ranking_is_upside_down_all_are_called() -> None:
    threshold, figures = choose_threshold([0.3, 0.2, 0.1], [0, 0, 1])
    assert threshold.value == 0.1
    assert figures["sensitivity_at_threshold"] == 1.0
    assert figures["specificity_at_threshold"] == 0.0
