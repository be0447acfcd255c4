"""A training step of the detector: ours as `train` takes it, against torchvision's in fp32."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from lnmdetect.datasets.detector_data import DetectorBatch
from lnmdetect.stages.speed_detector import CPU, plain_detector, slice_batch
from lnmdetect.stages.speed_request import SpeedRun
from lnmdetect.stages.speed_result import Bar, SpeedRow
from lnmdetect.stages.speed_roi_align import random_boxes
from lnmdetect.stages.speed_rounds import Candidate, Work
from lnmdetect.stages.speed_rows import Comparison, milliseconds
from lnmdetect.stages.speed_stock import stock_detector
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.training.devices import training_compute
from lnmdetect.training.optimisers import build_optimiser

ROUNDS = 4
"""A step takes seconds."""
SLICES, NODES = 2, 6
"""Of a batch, and on each of its slices."""
BAR = Bar(2.5, "at_least")
STEPS = Comparison("training", "stock", "times faster than torchvision's detector in fp32")

Losses = Callable[[], Mapping[str, Tensor]]


def training_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield torchvision's step and ours: losses, gradient, and the optimiser's step."""
    batch = _with_nodes(slice_batch(run, SLICES), run.request.size_px)
    candidates = [
        Candidate("stock", lambda: _stock_step(run, batch)),
        Candidate("ours", lambda: _our_step(run, batch)),
    ]
    rounds = run.timed(candidates, what="training step", most=ROUNDS)
    labels = {
        "stock": "torchvision's fasterrcnn_resnet50_fpn, fp32, channels last",
        "ours": "lnmdetect, bf16 autocast, channels last, its RoIAlign",
    }
    for name, label in labels.items():
        facts = {**milliseconds(rounds, name, "slice", SLICES), "slices_a_step": SLICES}
        bar = BAR if name == "ours" else None
        yield STEPS.row(rounds, name, label, bar=bar, facts=facts)


def _with_nodes(batch: DetectorBatch, size_px: int) -> DetectorBatch:
    target = {
        "boxes": random_boxes(NODES, size_px),
        "ignored": torch.zeros(0, 4),
        "labels": torch.ones(NODES, dtype=torch.long),
    }
    return DetectorBatch(batch.images, [dict(target) for _ in batch.items], batch.items)


def _stock_step(run: SpeedRun, batch: DetectorBatch) -> Work:
    model = stock_detector(plain_detector(run), run.request.size_px).train()
    model = model.to(memory_format=torch.channels_last)
    images = list(batch.images)
    return _step(run, model, lambda: model(images, batch.targets))


def _our_step(run: SpeedRun, batch: DetectorBatch) -> Work:
    task = DetectorTask(run.detector, CPU)
    task.module.train()
    compute = training_compute(CPU)

    def losses() -> Mapping[str, Tensor]:
        with compute.autocast():
            return task.losses(batch)

    return _step(run, task.module, losses)


def _step(run: SpeedRun, network: nn.Module, losses: Losses) -> Work:
    """Return one step; both networks take the recipe's optimiser."""
    weights = [p for p in network.parameters() if p.requires_grad]
    optimiser = build_optimiser(weights, run.detector.optimiser)

    def work() -> None:
        total = torch.stack([term.float() for term in losses().values()]).sum()
        for weight, pull in zip(weights, torch.autograd.grad(total, weights), strict=True):
            weight.grad = pull
        optimiser.step()

    return work
