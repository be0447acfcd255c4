"""Every row of every benchmark trains one step, tiny, through the one engine, and answers."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from lnmdetect.core.benchmark_config import BenchmarkChanges, BenchmarkRecipe, BenchmarkRow
from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe
from lnmdetect.core.config_parts import OptimiserConfig
from lnmdetect.datasets.classifier_data import (
    PlainCrops,
    TrainingCrops,
    collate_crops,
    labelled_boxes,
    store_crops,
)
from lnmdetect.datasets.detector_data import (
    TrainingWindows,
    WholeSlices,
    collate_detector,
    truth_slices,
)
from lnmdetect.datasets.volume_cache import cache_series, group_series
from lnmdetect.io.benchmark_recipes import benchmark_names, read_benchmark, row_recipe
from lnmdetect.io.coco import read_coco
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.models.network_depth import network_depth
from lnmdetect.training import engine, epoch_end
from lnmdetect.training.classifier_task import ClassifierTask
from lnmdetect.training.detector_task import DetectorTask, truth_boxes
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import fit
from lnmdetect.training.fit_settings import FitSettings
from lnmdetect.training.loaders import plain_batches, training_batches

CPU = torch.device("cpu")
BENCHMARKS = [read_benchmark(name) for name in benchmark_names()]
ROWS = [(found, row) for found in BENCHMARKS for row in found.rows]
COUNTED_OTHERWISE = ("inceptionv3",)
"""Its paper's 42 is not the longest chain of its layers."""


@pytest.fixture
def nothing_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two networks of VGG's size would take longer to write than to train."""
    for module, name in ((engine, "save_state"), (epoch_end, "write_epoch")):
        monkeypatch.setattr(module, name, lambda *_, **__: None)


def one_step(optimiser: OptimiserConfig) -> OptimiserConfig:
    small = {"steps_an_epoch": 1, "batch_size": 2, "epochs": 1, "warmup_steps": 0}
    return optimiser.model_copy(update=small)


def classifier_parts(recipe: ClassifierRecipe, data: Path, folder: Path) -> tuple[Any, ...]:
    """The task, its training items and validation batches, on one patient's boxes."""
    truth = read_coco(data / "truth.json").select_patients({"p0"})
    boxes = labelled_boxes(truth, recipe.model.classes)
    crops = store_crops(boxes, PixelStore(data / "scan"), recipe, folder / "crops.npy")
    task = ClassifierTask(recipe, CPU, [box.label for box in boxes[:2]])
    plain = plain_batches(PlainCrops(crops[:2], boxes[:2], recipe), collate_crops, batch_size=2)
    return task, TrainingCrops(crops, boxes, recipe), plain, collate_crops


def detector_parts(recipe: DetectorRecipe, data: Path, folder: Path) -> tuple[Any, ...]:
    """The task, its training items and validation batches, on one patient's slices."""
    truth = read_coco(data / "truth.json").select_patients({"p0"})
    store = PixelStore(data / "scan")
    series = [cache_series(g, store, recipe.input, folder) for g in group_series(truth.images)]
    slices = truth_slices(truth, series)
    task = DetectorTask(recipe, CPU, [truth_boxes(slices[1])])
    plain = plain_batches(WholeSlices(slices[1:2], recipe), collate_detector, batch_size=1)
    return task, TrainingWindows(slices, recipe), plain, collate_detector


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(("benchmark", "row"), ROWS, ids=lambda part: part.name)
def test_every_row_takes_a_step_and_answers(
    benchmark: BenchmarkRecipe, row: BenchmarkRow, toy_data: Path, tmp_path: Path
) -> None:
    recipe = row_recipe(benchmark, row, BenchmarkChanges(width=0.125, size_px=96))
    torch.manual_seed(0)
    if isinstance(recipe, ClassifierRecipe):
        task, data, validation, collate = classifier_parts(recipe, toy_data, tmp_path)
    else:
        task, data, validation, collate = detector_parts(recipe, toy_data, tmp_path)
    optimiser = one_step(recipe.optimiser)
    before = [p.detach().clone() for p in list(task.module.parameters())[:3]]
    source = training_batches(data, collate, optimiser, steps=1, seed=0)
    result = fit(task, source, validation, FitSettings(optimiser, Compute(CPU), 1, tmp_path))
    assert result.steps == 1
    assert all(math.isfinite(value) for value in result.rows[0].values())
    after = list(task.module.parameters())[:3]
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    channels = next(task.module.parameters()).shape[1]
    depth = network_depth(task.module, torch.rand(1, channels, 96, 96))
    published = row.network.get("depth")
    if published is not None and row.name not in COUNTED_OTHERWISE:
        assert depth == published
    assert depth >= 16
