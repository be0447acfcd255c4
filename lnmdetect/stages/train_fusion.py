"""`lnmdetect train fusion`: ultrasound.json in, a bundle out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lnmdetect.core.errors import InputError
from lnmdetect.core.fusion_config import FusionConfig, FusionNormalisation, FusionRecipe
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.thresholds import Threshold
from lnmdetect.core.ultrasound import UltrasoundDataset
from lnmdetect.core.wording import counted
from lnmdetect.datasets.fusion_data import (
    LABELS,
    FusionItem,
    PlainCases,
    TrainingCases,
    can_be_answered,
    collate_fusion,
    measure_scale,
    read_item,
)
from lnmdetect.datasets.splits import PatientSplit
from lnmdetect.datasets.ultrasound_splits import deal_off
from lnmdetect.io.ultrasound_files import image_root, read_ultrasound
from lnmdetect.io.ultrasound_pixels import read_frame
from lnmdetect.metrics.thresholds import youden_threshold
from lnmdetect.stages.fusion_model import parsed_modalities
from lnmdetect.stages.training_finish import finish_training, training_record
from lnmdetect.stages.training_fit import fit_task, start_compute
from lnmdetect.stages.training_run import (
    TrainRequest,
    TrainResult,
    asked_recipe,
    begin_run,
    require_own_folder,
)
from lnmdetect.stages.training_split import HeldOut, hold_out_cases
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict
from lnmdetect.training.fusion_task import POSITIVE, FusionTask, branch_weights, chosen_branch
from lnmdetect.training.loaders import plain_batches


@dataclass(frozen=True)
class FusionInputs:
    """An ultrasound file opened for training: its patients split, its images found.

    Attributes:
        cases: what may be trained on: labelled, with a modality of the network, not held out.
        root: folder from which the images' file names start.
        left_out: why how many cases are not among `cases`.
    """

    cases: UltrasoundDataset
    root: Path
    split: PatientSplit
    held_out: HeldOut | None
    left_out: Mapping[str, int]

    @property
    def is_phantom(self) -> bool:
        """Whether the images are synthetic."""
        return self.cases.is_phantom

    def described(self) -> dict[str, Any]:
        """Return what of ultrasound a card's reader is told."""
        seed = {"phantoms": [{"seed": self.cases.info.get("seed")}]} if self.is_phantom else {}
        left_out = {f"cases left out, {why}": count for why, count in self.left_out.items()}
        return {"cases": len(self.cases.cases), **seed, **left_out}

    def notes(self) -> tuple[str, ...]:
        """Return which cases are left out, as sentences."""
        return tuple(
            f"{counted(count, 'case')} left out: {why}" for why, count in self.left_out.items()
        )


def train_fusion(request: TrainRequest, progress: Progress = SILENT) -> TrainResult:
    """Return where the trained bundle lies and what it reached on validation patients.

    Raises:
        UsageError: there is no such modality, the recipe's images are too small for its network,
            or there are no ImageNet weights for it.
        InputError: the file or its images are unsound, or a class is missing on either side of the
            split.
        OutputError: the run's folder holds another training.
        ModelError: the loss is not finite, or the checkpoint does not fit.
    """
    recipe = _asked_recipe(request)
    device = start_compute(request, recipe)
    record = training_record(request, recipe)
    inputs = open_fusion(request, recipe)
    training = _items(inputs, inputs.split.training, recipe.model, progress)
    validation = _items(inputs, inputs.split.validation, recipe.model, progress)
    recipe = with_normalisation(recipe, training)
    record.lap("prepare")
    labels = _labels(validation)
    task = FusionTask(recipe, device, labels)
    batch_size = recipe.optimiser.batch_size
    held = plain_batches(PlainCases(validation), collate_fusion, batch_size=batch_size)
    fitted = fit_task(
        request,
        recipe,
        task,
        data=TrainingCases(training, recipe),
        collate=collate_fusion,
        validation=held,
        progress=progress,
    )
    record.lap("fit")
    threshold, figures = choose_threshold(list(predict(task, held, Compute(device))), labels)
    result = finish_training(
        request,
        recipe,
        fitted,
        metric=task.monitor,
        threshold=threshold,
        figures=figures,
        inputs=inputs,
        record=record,
    )
    return replace(result, notes=(*inputs.notes(), *result.notes))


def _asked_recipe(request: TrainRequest) -> FusionRecipe:
    """Return the recipe that is asked for, with the modalities and backbone that are asked for.

    Raises:
        UsageError: see `train_fusion`.
    """
    recipe = asked_recipe(request, "fusion")
    assert isinstance(recipe, FusionRecipe)
    asked: dict[str, Any] = {}
    if request.modalities is not None:
        asked["modalities"] = parsed_modalities("--modalities", request.modalities)
    if request.backbone is not None:
        asked["backbone"] = request.backbone
    model = FusionConfig.model_validate(recipe.model.model_dump() | asked)
    recipe = recipe.model_copy(update={"model": model})
    chosen_branch(recipe)
    if request.init:
        branch_weights(recipe)
    return recipe


def open_fusion(request: TrainRequest, recipe: FusionRecipe) -> FusionInputs:
    """Return the inputs after making the run's folder; the split is the folder's own on resume.

    Validation patients are those the file puts into the split `validation`; where it puts nobody
    there, the recipe's share, spread evenly by label.

    Raises:
        OutputError: the folder holds a training and neither resume nor overwrite is set.
        InputError: the file or an image is unsound, it holds fewer than two patients, or none to
            train on.
    """
    require_own_folder(request)
    whole = read_ultrasound(request.data, scan=request.scan)
    root = image_root(request.data, whole, request.scan)
    ours, held_out = hold_out_cases(whole, request.data, request.folds, request.fold)
    labelled = [case for case in ours.cases if case.label is not None]
    usable = tuple(case for case in labelled if can_be_answered(case, recipe.model))
    left_out = {
        "no label": len(ours.cases) - len(labelled),
        "none of the modalities": len(labelled) - len(usable),
    }
    cases = replace(ours, cases=usable)
    validation = _validation(cases, recipe, request)
    split = begin_run(request, cases, recipe, held_out, validation=validation)
    some = {why: count for why, count in left_out.items() if count}
    return FusionInputs(cases, root, split, held_out, some)


def _validation(
    cases: UltrasoundDataset, recipe: FusionRecipe, request: TrainRequest
) -> tuple[str, ...]:
    """Return the patients that choose epoch and threshold: those of the file, else drawn ones.

    Raises:
        InputError: nobody is left to train on.
    """
    named = {case.patient for case in cases.cases if case.split == "validation"}
    if named >= set(cases.patients()):
        raise InputError(
            request.data.name,
            expected="labelled patients to train on, beside those for test and validation",
            got="none",
            remedy="Put patients into the split training, or leave split out to have it drawn.",
        )
    return tuple(named) or deal_off(cases, recipe.validation_share, request.seed)[1]


def _items(
    inputs: FusionInputs, patients: Sequence[str], model: FusionConfig, progress: Progress
) -> list[FusionItem]:
    """Return the cases of one side of the split, their images read.

    Raises:
        InputError: a class is missing on it, or an image cannot be read.
    """
    cases = inputs.cases.subset(set(patients)).cases
    missing = set(LABELS) - {case.label for case in cases}
    if missing:
        raise InputError(
            "cases",
            expected="benign and metastatic cases on both sides of the split by patient",
            got=f"no {' and no '.join(sorted(missing))} case on one side",
            remedy="Add patients, or choose another --seed.",
        )
    read = partial(read_frame, inputs.root)
    return [
        read_item(case, read, model) for case in progress.track(cases, description="reading images")
    ]


def with_normalisation(recipe: FusionRecipe, training: Sequence[FusionItem]) -> FusionRecipe:
    """Return the recipe with mean and deviation of its images, measured where it gives none.

    Args:
        recipe: as read.
        training: cases of the training patients.
    """
    given, images = recipe.model.normalisation, recipe.model.images
    bmode, ceus = given.bmode, given.ceus
    if bmode is None and "bmode" in images:
        bmode = measure_scale(item.bmode for item in training)
    if ceus is None and "ceus" in images:
        ceus = measure_scale(item.ceus for item in training)
    normalisation = FusionNormalisation(bmode=bmode, ceus=ceus)
    model = recipe.model.model_copy(update={"normalisation": normalisation})
    return recipe.model_copy(update={"model": model})


def _labels(items: Sequence[FusionItem]) -> list[int]:
    return [item.label for item in items if item.label is not None]


def choose_threshold(
    probabilities: Sequence[float], labels: Sequence[int]
) -> tuple[Threshold, dict[str, float | None]]:
    """Return Youden's threshold on P(metastatic) over the validation cases, and figures there.

    Args:
        probabilities: of metastasis, one a case.
        labels: places in `LABELS`, of which both occur.
    """
    is_positive, ranking = np.asarray(labels) == POSITIVE, np.asarray(probabilities)
    value = youden_threshold(is_positive, ranking)
    assert value is not None  # both classes are there: _items
    called = ranking >= value
    figures: dict[str, float | None] = {
        "validation_cases": float(len(labels)),
        "sensitivity_at_threshold": float(called[is_positive].mean()),
        "specificity_at_threshold": float((~called[~is_positive]).mean()),
    }
    rule = f"Youden's J on P({LABELS[POSITIVE]})"
    return Threshold(value, rule, "validation patients"), figures
