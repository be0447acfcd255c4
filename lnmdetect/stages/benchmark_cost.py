"""What a network costs: parameters, depth, and the time of an answer."""

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from lnmdetect.core.config import ClassifierRecipe, TableRecipe
from lnmdetect.datasets.classifier_data import ClassifierBatch
from lnmdetect.datasets.detector_data import DetectorBatch
from lnmdetect.datasets.scan_slices import scan_batches
from lnmdetect.io.scan_source import open_source
from lnmdetect.models.network_depth import network_depth
from lnmdetect.stages.classify import NO_TRUTH, load_classifier
from lnmdetect.stages.detect import load_detector
from lnmdetect.training.classifier_task import ClassifierTask
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict

TIMED = 10
"""Answers that are timed, after two that are not."""
_WARM_UP = 2
_DEPTH_SIDE_PX = 128
"""Of the image a detector's depth is measured on: depth does not depend on it."""


@dataclass(frozen=True)
class NetworkCost:
    """What a trained network costs.

    Attributes:
        depth: weighted layers on the longest way from input to output.
        inference_ms: median time of an answer on one slice or crop, as `detect` and `classify` give
            it (fp32, over the flips where the recipe asks for them), without reading pixels.
    """

    parameters: int
    depth: int
    inference_ms: float


def network_cost(bundle: Path, recipe: TableRecipe, test: Path, device: str) -> NetworkCost:
    """Return the cost of a bundle's network.

    Args:
        bundle: its folder.
        recipe: of it.
        test: truth file whose slices a detector is timed on.
        device: where it runs.
    """
    task: DetectorTask | ClassifierTask
    batches: list[Any]
    if isinstance(recipe, ClassifierRecipe):
        _, task = load_classifier(str(bundle), device, plain=True)
        side = recipe.model.size_px
        batches = [_crop(task, recipe, side)] * (_WARM_UP + TIMED)
        image = batches[0].crops
    else:
        _, task = load_detector(str(bundle), device, plain=True)
        batches = list(islice(_slices(test, recipe), _WARM_UP + TIMED))
        image = torch.rand(1, recipe.input.channels, _DEPTH_SIDE_PX, _DEPTH_SIDE_PX)
    parameters = sum(p.numel() for p in task.module.parameters())
    depth = network_depth(task.module, image.to(task.device))
    task.prepare_inference()
    return NetworkCost(parameters, depth, inference_ms=_median_ms(task, batches))


def _crop(task: ClassifierTask, recipe: ClassifierRecipe, side: int) -> ClassifierBatch:
    channels = recipe.input.channels + recipe.model.size_channel
    return ClassifierBatch(torch.rand(1, channels, side, side), torch.tensor([NO_TRUTH]))


def _slices(test: Path, recipe: TableRecipe) -> Iterable[DetectorBatch]:
    for handle in open_source(test).scans:
        yield from scan_batches(handle.images, handle.read_slice, recipe.input)


def _median_ms(task: DetectorTask | ClassifierTask, batches: Iterable[Any]) -> float:
    times_ms = []
    for batch in batches:
        begun = time.perf_counter()
        list(predict(task, [batch], Compute(task.device)))  # the answer lies on the CPU then
        times_ms.append(1000 * (time.perf_counter() - begun))
    timed = times_ms[_WARM_UP:] or times_ms
    return round(statistics.median(timed), 2)
