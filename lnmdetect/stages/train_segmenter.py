"""`lnmdetect train segmenter`: truth.json with masks in, a bundle out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lnmdetect.core.config_parts import InputConfig
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import CocoDataset, ImageRecord
from lnmdetect.core.segmenter_config import SegmentationPlan, SegmenterRecipe
from lnmdetect.datasets.label_cache import LabelledSeries, label_series
from lnmdetect.datasets.scan_windows import coarse_plane
from lnmdetect.datasets.segmentation_plan import ScanShape, plan_segmentation
from lnmdetect.datasets.segmenter_data import (
    TrainingPatches,
    ValidationPatches,
    collate_segmenter,
)
from lnmdetect.datasets.volume_cache import cache_series, group_series
from lnmdetect.io.bundles import Bundle, write_with_weights_of
from lnmdetect.io.json_files import write_json
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.recipes import read_recipe
from lnmdetect.io.run_files import save_array
from lnmdetect.stages.segment import COARSE, load_segmenter
from lnmdetect.stages.segment_scan import Segmenter, node_shares
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
    recipe = _unplanned_recipe(request.recipe)
    device = start_compute(request)
    first = None if request.coarse is None else load_segmenter(request.coarse, request.device)
    record = training_record(request, recipe)
    inputs = open_training(request, recipe)
    _require_volumes(inputs.truth)
    recipe = _planned(recipe, inputs, request, is_second_stage=first is not None)
    training, validation = (
        _prepare(part, inputs, recipe, request, first, progress=progress)
        for part in (inputs.training, inputs.validation)
    )
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
    segmenter = Segmenter(recipe, task, first[1] if first else None)
    threshold, figures = choose_voxel_threshold(
        inputs.validation, inputs.store, segmenter, progress
    )
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
    if first is not None:
        _keep_coarse(first[0], result.bundle / COARSE)
    return result


def _unplanned_recipe(name_or_path: str) -> SegmenterRecipe:
    recipe = read_recipe(name_or_path, "segmenter")
    assert isinstance(recipe, SegmenterRecipe)
    if recipe.plan is not None:
        raise UsageError(
            "--recipe",
            expected="a recipe without a plan, which is made from the data",
            got="one with a plan",
            remedy="Take plan out; planning: holds what it is to be held to.",
        )
    return recipe


def _planned(
    recipe: SegmenterRecipe, inputs: TrainingInputs, request: TrainRequest, *, is_second_stage: bool
) -> SegmenterRecipe:
    """Return the recipe with its plan, which is written beside the run."""
    plan = plan_segmentation(_shapes(inputs.training), recipe)
    write_json(plan.model_dump(mode="json"), request.output / PLAN, overwrite=True)
    model = recipe.model.model_copy(update={"coarse": is_second_stage})
    return recipe.model_copy(update={"plan": plan, "model": model})


def _keep_coarse(first: Bundle, folder: Path) -> None:
    """Copy the first stage's bundle into that of the second, which cannot do without it."""
    card = (
        f"# The first stage of a cascade: bundle `{first.name}`\n\n"
        "Its map of P(node) is an input of the second stage. Research software, not a medical "
        "device.\n"
    )
    write_with_weights_of(first, replace(first, folder=folder), card, overwrite=True)


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
    first: tuple[Bundle, Segmenter] | None,
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
        prepared.append(scan if first is None else _with_coarse(scan, inputs.store, *first))
    return prepared


def _with_coarse(
    scan: LabelledSeries, store: PixelStore, bundle: Bundle, segmenter: Segmenter
) -> LabelledSeries:
    """Return the series with P(node) of the first stage, written beside it unless it is there."""
    images, grid = scan.series.images, scan.series.grid
    path = scan.series.path.with_suffix(f".{bundle.sha256[:16]}.coarse.npy")
    if not path.is_file():
        shares = node_shares(images, lambda index: store.read(images[index]), segmenter)
        x1, y1, x2, y2 = grid.crop
        whole = replace(grid, crop=(0, 0, x2 - x1, y2 - y1))
        planes = [coarse_plane(share[y1:y2, x1:x2], whole) for share in shares]
        save_array(path, np.stack(planes))
    return replace(scan, coarse=path)


def grid_input(recipe: SegmenterRecipe, plan: SegmentationPlan) -> InputConfig:
    """Return the recipe's input with the plan's spacing in the plane."""
    return recipe.input.model_copy(update={"spacing_mm": plan.spacing_mm[1]})
