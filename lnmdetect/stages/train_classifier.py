"""`lnmdetect train classifier`: truth.json in, a bundle out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.config import ClassifierRecipe
from lnmdetect.core.errors import InputError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import CATEGORY_NAMES, METASTATIC, CocoDataset
from lnmdetect.core.thresholds import Threshold
from lnmdetect.datasets.classifier_data import (
    LabelledBox,
    PlainCrops,
    TrainingCrops,
    background_boxes,
    collate_crops,
    labelled_boxes,
    store_crops,
)
from lnmdetect.io.run_files import open_array
from lnmdetect.metrics.thresholds import youden_threshold
from lnmdetect.stages.training_finish import finish_training, training_record
from lnmdetect.stages.training_fit import fit_task, start_compute
from lnmdetect.stages.training_run import (
    TrainingInputs,
    TrainRequest,
    TrainResult,
    asked_recipe,
    open_training,
)
from lnmdetect.training.classifier_task import ClassifierTask, chosen_backbone, imagenet_weights
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict
from lnmdetect.training.loaders import plain_batches
from lnmdetect.training.ranks import first_then_others


def train_classifier(request: TrainRequest, progress: Progress = SILENT) -> TrainResult:
    """Return where the trained bundle lies and what it reached on validation patients.

    Raises:
        UsageError: there is no such network, its crops would be too small, or there are no
            ImageNet weights of its width.
        InputError: truth or pixels are unsound, or a class is missing on either side of the split.
        OutputError: the run's folder holds another training.
        ModelError: the loss is not finite, or the checkpoint does not fit.
    """
    recipe = asked_recipe(request, "classifier")
    assert isinstance(recipe, ClassifierRecipe)
    _require_network(recipe, request)
    device = start_compute(request, recipe)
    record = training_record(request, recipe)
    inputs = open_training(request, recipe)
    boxes, crops = _prepare(inputs.training, inputs, recipe, request, progress)
    held_out, held_crops = _prepare(inputs.validation, inputs, recipe, request, progress)
    record.lap("prepare")
    labels = [box.label for box in held_out]
    task = ClassifierTask(recipe, device, labels)
    plain = PlainCrops(held_crops, held_out, recipe)
    validation = plain_batches(plain, collate_crops, batch_size=recipe.optimiser.batch_size)
    fitted = fit_task(
        request,
        recipe,
        task,
        data=TrainingCrops(crops, boxes, recipe),
        collate=collate_crops,
        validation=validation,
        progress=progress,
    )
    record.lap("fit")
    task.finish()
    probabilities = np.stack(list(predict(task, validation, Compute(device))))
    threshold, figures = choose_threshold(task, probabilities, np.array(labels))
    return finish_training(
        request,
        recipe,
        fitted,
        metric=task.monitor,
        threshold=threshold,
        figures=figures,
        inputs=inputs,
        record=record,
    )


def _require_network(recipe: ClassifierRecipe, request: TrainRequest) -> None:
    """Refuse before the crops are cut what could not be built, or filled, after it."""
    chosen_backbone(recipe)
    if request.init:
        imagenet_weights(recipe)


def _prepare(
    part: CocoDataset,
    inputs: TrainingInputs,
    recipe: ClassifierRecipe,
    request: TrainRequest,
    progress: Progress,
) -> tuple[list[LabelledBox], NDArray[np.int16]]:
    """Return the boxes of one side of the split and their stored crops."""
    classes = recipe.model.classes
    boxes = labelled_boxes(part, classes)
    _require_classes(boxes, classes)
    boxes += background_boxes(part, classes, recipe.model.background, request.seed)
    side = "training" if part.patients()[0] in inputs.split.training else "validation"
    path = request.cache_folder / f"crops_{side}.npy"
    coverage = inputs.truth.coverage
    crops = first_then_others(
        lambda: store_crops(boxes, inputs.store, recipe, path, progress, coverage=coverage),
        lambda: open_array(path),
    )
    return boxes, crops


def _require_classes(boxes: Sequence[LabelledBox], classes: Sequence[str]) -> None:
    present = {classes[box.label] for box in boxes}
    missing = {"benign", "metastatic"} - present
    if missing:
        raise InputError(
            "truth",
            expected="benign and metastatic nodes on both sides of the split by patient",
            got=f"no {' and no '.join(sorted(missing))} node on one side",
            remedy="Add patients, or choose another --seed.",
        )


def choose_threshold(
    task: ClassifierTask, probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[Threshold, dict[str, float | None]]:
    """Return Youden's threshold on P(metastatic) over the validation boxes, and figures there.

    Args:
        task: says which class is which.
        probabilities: (N, classes).
        labels: (N,) class indices.
    """
    nodes = np.isin(labels, [task.benign, task.metastatic])
    is_positive = labels[nodes] == task.metastatic
    ranking = probabilities[nodes][:, task.metastatic]
    value = youden_threshold(is_positive, ranking)
    assert value is not None  # both classes are there: _require_classes
    called = ranking >= value
    figures: dict[str, float | None] = {
        "validation_boxes": float(nodes.sum()),
        "tpr_at_threshold": float(called[is_positive].mean()),
        "tnr_at_threshold": float((~called[~is_positive]).mean()),
    }
    rule = f"Youden's J on P({CATEGORY_NAMES[METASTATIC]})"
    return Threshold(value, rule, "validation patients"), figures
