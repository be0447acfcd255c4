"""`lnmdetect train segmenter`: truth.json with masks in, a bundle out."""

from collections.abc import Sequence

import numpy as np

from lnmdetect.core.config_parts import InputConfig
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import CocoDataset, ImageRecord
from lnmdetect.core.segmenter_config import SegmentationPlan, SegmenterRecipe
from lnmdetect.datasets.label_cache import LabelledSeries, label_series
from lnmdetect.datasets.segmentation_plan import ScanShape, plan_segmentation
from lnmdetect.datasets.segmenter_data import (
    TrainingPatches,
    ValidationPatches,
    collate_segmenter,
)
from lnmdetect.datasets.volume_cache import cache_series, group_series
from lnmdetect.io.json_files import write_json
from lnmdetect.io.recipes import read_recipe
from lnmdetect.stages.segmenter_threshold import choose_voxel_threshold
from lnmdetect.stages.training_finish import finish_training, training_record
from lnmdetect.stages.training_run import (
    TrainingInputs,
    TrainRequest,
    TrainResult,
    fit_task,
    open_training,
    start_compute,
)
from lnmdetect.training.loaders import plain_batches
from lnmdetect.training.segmenter_task import SegmenterTask

PLAN = "plan.json"


def train_segmenter(request: TrainRequest, progress: Progress = SILENT) -> TrainResult:
    """Return where the trained bundle lies and what it reached on validation patients.

    Raises:
        UsageError: `--init` is given, or the recipe has a plan.
        InputError: truth or pixels are unsound, or hold single slices instead of scans.
        OutputError: the run's folder holds another training.
        ModelError: the loss is not finite, or the checkpoint does not fit.
        MissingExtraError: the extra `segmentation` is not installed.
    """
    recipe = read_recipe(request.recipe, "segmenter")
    assert isinstance(recipe, SegmenterRecipe)
    if recipe.plan is not None:
        raise UsageError(
            "--recipe",
            expected="a recipe without a plan, which is made from the data",
            got="one with a plan",
            remedy="Take plan out; planning: holds what it is to be held to.",
        )
    device = start_compute(request)
    record = training_record(request, recipe)
    inputs = open_training(request, recipe)
    _require_volumes(inputs.truth)
    plan = plan_segmentation(_shapes(inputs.training), recipe)
    recipe = recipe.model_copy(update={"plan": plan})
    write_json(plan.model_dump(mode="json"), request.output / PLAN, overwrite=True)
    training = _prepare(inputs.training, inputs, recipe, request, progress)
    validation = _prepare(inputs.validation, inputs, recipe, request, progress)
    _require_nodes(training, "training")
    _require_nodes(validation, "validation")
    record.lap("prepare")
    task = SegmenterTask(recipe, device)
    fitted = fit_task(
        request,
        recipe,
        task,
        data=TrainingPatches(training, recipe),
        collate=collate_segmenter,
        validation=plain_batches(
            ValidationPatches(validation, recipe), collate_segmenter, batch_size=1
        ),
        progress=progress,
    )
    record.lap("fit")
    threshold, figures = choose_voxel_threshold(
        inputs.validation, inputs.store, recipe, task, progress
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


def _require_volumes(truth: CocoDataset) -> None:
    if truth.coverage == "key_images":
        raise InputError(
            "truth",
            expected="whole scans, each slice listed",
            got="key images, whose neighbours are not known",
            remedy="Train a detector on key images; a segmenter needs volumes.",
        )


def _require_nodes(series: Sequence[LabelledSeries], side: str) -> None:
    if not any(scan.nodes for scan in series):
        raise InputError(
            "truth",
            expected="nodes on both sides of the split by patient",
            got=f"none in the {len(series)} {side} scans",
            remedy="Add annotated patients, or choose another --seed.",
        )


def _shapes(part: CocoDataset) -> list[ScanShape]:
    return [_shape(images) for images in group_series(part.images)]


def _shape(images: Sequence[ImageRecord]) -> ScanShape:
    first = images[0]
    steps = np.diff([image.position_mm for image in images])
    step_mm = float(np.median(steps)) if len(steps) else first.thickness_mm or 1.0
    return ScanShape((len(images), first.height, first.width), (step_mm, *first.spacing_mm))


def _prepare(
    part: CocoDataset,
    inputs: TrainingInputs,
    recipe: SegmenterRecipe,
    request: TrainRequest,
    progress: Progress,
) -> list[LabelledSeries]:
    assert recipe.plan is not None
    grid = grid_input(recipe, recipe.plan)
    by_image = part.by_image()
    return [
        label_series(
            cache_series(images, inputs.store, grid, request.cache_folder),
            by_image,
            recipe.model.classes,
        )
        for images in progress.track(group_series(part.images), description="preparing scans")
    ]


def grid_input(recipe: SegmenterRecipe, plan: SegmentationPlan) -> InputConfig:
    """Return the recipe's input with the plan's spacing in the plane."""
    return recipe.input.model_copy(update={"spacing_mm": plan.spacing_mm[1]})
