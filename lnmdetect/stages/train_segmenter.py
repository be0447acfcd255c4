"""`lnmdetect train segmenter`: truth.json with masks in, a bundle out."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lnmdetect.core.config_parts import InputConfig
from lnmdetect.core.errors import UsageError
from lnmdetect.core.node_classes import CLASSES_BY_NAME
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
from lnmdetect.models.shared_batch import is_first
from lnmdetect.stages.segment_scan import Segmenter
from lnmdetect.stages.segmenter_cascade import (
    FirstStage,
    keep_first_stage,
    load_first_stage,
    require_unseen,
    with_coarse,
)
from lnmdetect.stages.segmenter_node_threshold import choose_node_threshold
from lnmdetect.stages.segmenter_threshold import choose_voxel_threshold
from lnmdetect.stages.segmenter_truth import require_labelled_volumes, require_nodes
from lnmdetect.stages.training_finish import finish_training, training_record
from lnmdetect.stages.training_fit import fit_task, start_compute
from lnmdetect.stages.training_run import (
    TrainingInputs,
    TrainRequest,
    TrainResult,
    asked_recipe,
    open_training,
)
from lnmdetect.training.devices import training_compute
from lnmdetect.training.fit_settings import FitResult
from lnmdetect.training.loaders import plain_batches
from lnmdetect.training.ranks import first_then_others
from lnmdetect.training.segmenter_task import SegmenterTask

ShowPlan = Callable[[SegmentationPlan], None]
PLAN = "plan.json"


def train_segmenter(
    request: TrainRequest, progress: Progress = SILENT, *, show: ShowPlan = lambda _: None
) -> TrainResult:
    """Return where the trained bundle lies and what it reached on validation patients.

    Args:
        request: what to train on what.
        progress: told about every scan and step.
        show: is given the plan before the training begins.

    Raises:
        UsageError: `--init` is given, the recipe has a plan, or the first stage of a cascade is the
            second one of another.
        InputError: truth or pixels are unsound, hold single slices instead of scans, or the first
            stage was trained on patients that are held out.
        OutputError: the run's folder holds another training.
        ModelError: the loss is not finite, or the checkpoint does not fit.
        MissingExtraError: the extra `segmentation` is not installed.
    """
    recipe = _unplanned_recipe(request)
    device = start_compute(request, recipe)
    first = None if request.coarse is None else load_first_stage(request.coarse, request.device)
    record = training_record(request, recipe)
    inputs = open_training(request, recipe)
    notes = require_labelled_volumes(inputs.truth, recipe.model.classes)
    require_nodes(inputs.training, "training")
    require_nodes(inputs.validation, "validation")
    if first is not None:
        require_unseen(first, [*inputs.split.validation, *_untouched(inputs)])
    recipe, plan = _planned(recipe, inputs, request, is_second_stage=first is not None)
    show(plan)
    training, validation = first_then_others(
        lambda: [
            _prepare(part, inputs, recipe, request, first, progress=progress)
            for part in (inputs.training, inputs.validation)
        ]
    )
    record.lap("prepare")
    task = SegmenterTask(recipe, device)
    fitted = _fit(request, recipe, task, (training, validation), progress)
    record.lap("fit")
    precision = training_compute(device).precision  # a third of the time of fp32
    segmenter = Segmenter(recipe, task, first.segmenter if first else None, precision)
    threshold, figures = choose_voxel_threshold(
        inputs.validation, inputs.store, segmenter, progress
    )
    node_threshold, of_nodes = choose_node_threshold(
        inputs.validation, inputs.store, segmenter, threshold.value, progress
    )
    result = finish_training(
        request,
        recipe,
        fitted,
        metric=task.monitor,
        threshold=threshold,
        node_threshold=node_threshold,
        figures={**figures, **of_nodes},
        inputs=inputs,
        record=record,
        first_stage=first.bundle.trained_on if first else None,
    )
    if first is not None and is_first():
        keep_first_stage(first, result.bundle)
    shown = plan.model_dump(mode="json")
    return replace(result, plan=shown, notes=(*notes, *result.notes))


def _unplanned_recipe(request: TrainRequest) -> SegmenterRecipe:
    """Return the recipe that is asked for, with the classes that are asked for."""
    recipe = asked_recipe(request, "segmenter")
    assert isinstance(recipe, SegmenterRecipe)
    if recipe.plan is not None:
        raise UsageError(
            "--recipe",
            expected="a recipe without a plan, which is made from the data",
            got="one with a plan",
            remedy="Take plan out; planning: holds what it is to be held to.",
        )
    if request.classes is None:
        return recipe
    model = recipe.model.model_copy(update={"classes": CLASSES_BY_NAME[request.classes]})
    return recipe.model_copy(update={"model": model})


def _fit(
    request: TrainRequest,
    recipe: SegmenterRecipe,
    task: SegmenterTask,
    sides: tuple[Sequence[LabelledSeries], Sequence[LabelledSeries]],
    progress: Progress,
) -> FitResult:
    """Return the curves of a training; `sides` are the series to learn from and to validate on.

    The last epoch is kept, as nnU-Net does: validation patches hold too little of a scan for its
    false nodes. On 12 whole phantom scans the best epoch had 5.4 a scan, the last one 3.0.
    """
    training, validation = sides
    batches = plain_batches(ValidationPatches(validation, recipe), collate_segmenter, batch_size=1)
    return fit_task(
        request,
        recipe,
        task,
        data=TrainingPatches(training, recipe),
        collate=collate_segmenter,
        validation=batches,
        progress=progress,
        keep="last",
    )


def _untouched(inputs: TrainingInputs) -> tuple[str, ...]:
    return inputs.held_out.patients if inputs.held_out else ()


def _planned(
    recipe: SegmenterRecipe, inputs: TrainingInputs, request: TrainRequest, *, is_second_stage: bool
) -> tuple[SegmenterRecipe, SegmentationPlan]:
    """Return the recipe with its plan, and the plan, which the first rank writes beside the run."""
    plan = plan_segmentation(_shapes(inputs.training), recipe)
    if is_first():
        write_json(plan.model_dump(mode="json"), request.output / PLAN, overwrite=True)
    model = recipe.model.model_copy(update={"coarse": is_second_stage})
    return recipe.model_copy(update={"plan": plan, "model": model}), plan


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
    first: FirstStage | None,
    *,
    progress: Progress,
) -> list[LabelledSeries]:
    assert recipe.plan is not None
    grid = grid_input(recipe, recipe.plan)
    by_image = part.by_image()
    prepared = []
    for images in progress.track(group_series(part.images), description="preparing scans"):
        series = cache_series(images, inputs.store, grid, request.cache_folder)
        scan = label_series(series, by_image, recipe.model.classes)
        prepared.append(scan if first is None else with_coarse(scan, inputs.store, first))
    return prepared


def grid_input(recipe: SegmenterRecipe, plan: SegmentationPlan) -> InputConfig:
    """Return the recipe's input with the plan's spacing in the plane."""
    return recipe.input.model_copy(update={"spacing_mm": plan.spacing_mm[1]})
