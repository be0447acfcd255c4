"""`lnmdetect train detector`: truth.json in, a bundle out."""

from collections.abc import Sequence

import numpy as np

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.errors import InputError, ModelError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import CocoDataset
from lnmdetect.core.thresholds import Threshold
from lnmdetect.datasets.detector_data import (
    TrainingWindows,
    TruthSlice,
    WholeSlices,
    collate_detector,
    truth_slices,
)
from lnmdetect.datasets.volume_cache import cache_series, group_series
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.froc import operating_point
from lnmdetect.metrics.matching import match_images
from lnmdetect.metrics.thresholds import threshold_at_sensitivity
from lnmdetect.stages.training_finish import finish_training, training_record
from lnmdetect.stages.training_fit import fit_task, start_compute
from lnmdetect.stages.training_run import (
    TrainingInputs,
    TrainRequest,
    TrainResult,
    asked_recipe,
    open_training,
)
from lnmdetect.training.detector_task import DetectorTask, truth_boxes, with_detections
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict
from lnmdetect.training.loaders import plain_batches
from lnmdetect.training.ranks import first_then_others

BLIND_THRESHOLD = 0.5
"""Of a detector that no threshold helps, where one is kept all the same."""


def train_detector(request: TrainRequest, progress: Progress = SILENT) -> TrainResult:
    """Return where the trained bundle lies and what it reached on validation patients.

    Raises:
        InputError: truth or pixels are unsound.
        OutputError: the run's folder holds another training.
        ModelError: the loss is not finite, or the checkpoint does not fit.
    """
    recipe = asked_recipe(request, "detector")
    assert isinstance(recipe, DetectorRecipe)
    device = start_compute(request, recipe)
    record = training_record(request, recipe)
    inputs = open_training(request, recipe)
    training, validation = first_then_others(
        lambda: [
            _prepare(part, inputs, recipe, request, progress)
            for part in (inputs.training, inputs.validation)
        ]
    )
    record.lap("prepare")
    watched = _spread(validation, recipe.validation_images)
    _require_nodes(training, "training")
    _require_nodes(watched, "validation")
    task = DetectorTask(recipe, device, [truth_boxes(part) for part in watched])
    fitted = fit_task(
        request,
        recipe,
        task,
        data=TrainingWindows(training, recipe),
        collate=collate_detector,
        validation=plain_batches(WholeSlices(watched, recipe), collate_detector, batch_size=1),
        progress=progress,
    )
    record.lap("fit")
    threshold, figures = choose_threshold(
        task, validation, recipe, progress, blind_too=request.blind_too
    )
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


def _prepare(
    part: CocoDataset,
    inputs: TrainingInputs,
    recipe: DetectorRecipe,
    request: TrainRequest,
    progress: Progress,
) -> list[TruthSlice]:
    groups = group_series(part.images, inputs.truth.coverage)
    series = [
        cache_series(images, inputs.store, recipe.input, request.cache_folder)
        for images in progress.track(groups, description="preparing scans")
    ]
    return truth_slices(part, series)


def _require_nodes(slices: Sequence[TruthSlice], side: str) -> None:
    if all(part.ignored.all() for part in slices):
        raise InputError(
            "truth",
            expected="nodes on both sides of the split by patient",
            got=f"no box that counts among the {len(slices)} {side} slices",
            remedy="Add annotated patients, or choose another --seed.",
        )


def _spread(slices: Sequence[TruthSlice], count: int | None) -> list[TruthSlice]:
    """Return at most `count` slices, evenly spread over all."""
    if count is None or count >= len(slices):
        return list(slices)
    places = np.linspace(0, len(slices) - 1, count).round().astype(int)
    return [slices[place] for place in places]


def choose_threshold(
    task: DetectorTask,
    slices: Sequence[TruthSlice],
    recipe: DetectorRecipe,
    progress: Progress,
    *,
    blind_too: bool = False,
) -> tuple[Threshold, dict[str, float | None]]:
    """Return the score at the recipe's box sensitivity on all validation slices, and figures there.

    Where the sensitivity is out of reach, the lowest score that hits a node is taken, and the rule
    says so.

    Raises:
        ModelError: no detection hits a node, and `blind_too` does not allow that.
    """
    data = WholeSlices(slices, recipe)
    loader = progress.track(
        plain_batches(data, collate_detector, batch_size=1), description="choosing the threshold"
    )
    found = predict(task, loader, Compute(task.device))
    images = [
        with_detections(truth_boxes(part), detections)
        for part, detections in zip(slices, found, strict=True)
    ]
    matches = match_images(images)
    value = threshold_at_sensitivity(matches, recipe.sensitivity_target)
    rule = f"box sensitivity {recipe.sensitivity_target:.2f} at IoU 0.5"
    if blind_too and not matches.hit.any():
        value, rule = BLIND_THRESHOLD, "no detection hits a node: 0.5 stands in"
    elif not matches.hit.any():
        raise ModelError(
            "operating threshold",
            expected="a detection that hits a node of a validation patient",
            got=f"{len(matches.scores)} detections, none of which does",
            remedy="Train longer, or look at learning curves and truth boxes.",
        )
    if value is None:
        value = float(matches.scores[matches.hit].min())
        rule += " (out of reach; the lowest score that hits a node)"
    chosen = matches.tables.found.scores >= value
    point = operating_point(matches, chosen, Cohort.without_patients(len(images)))
    figures = {
        "validation_slices": float(len(images)),
        "sensitivity_at_threshold": point.sensitivity.value,
        "false_positives_per_image_at_threshold": point.false_positives_per_image.value,
    }
    return Threshold(value, rule, "validation patients"), figures
