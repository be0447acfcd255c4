"""A training step of the detector: ours as `train` takes it, against torchvision's in fp32."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lnmdetect.datasets.detector_data import DetectorBatch
from lnmdetect.stages.speed_detector import CPU, detector_task, plain_detector, slice_batch
from lnmdetect.stages.speed_peak import PeakShare, peak_candidates
from lnmdetect.stages.speed_plan import SpeedPlan
from lnmdetect.stages.speed_request import SpeedRun
from lnmdetect.stages.speed_result import Bar, SpeedRow
from lnmdetect.stages.speed_roi_align import random_boxes
from lnmdetect.stages.speed_rounds import Candidate, Work
from lnmdetect.stages.speed_rows import KEPT, Comparison, milliseconds
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
    plan, host = run.plan, run.networks_host
    operations = host.ask(partial(operations_of_a_step, plan))
    candidates = [
        Candidate("stock", partial(stock_step, plan), is_reference=True),
        Candidate("stock_kept", partial(stock_step, plan)),
        Candidate("ours", partial(our_step, plan)),
        *peak_candidates(("bf16",)),
    ]
    rounds = run.timed(candidates, what="training step", most=ROUNDS, host=host)
    labels = {
        "stock": "torchvision's fasterrcnn_resnet50_fpn, fp32, channels last",
        "stock_kept": KEPT,
        "ours": "lnmdetect, bf16 autocast, channels last, its RoIAlign",
    }
    for name, label in labels.items():
        facts = {**milliseconds(rounds, name, "slice", SLICES), "slices_a_step": SLICES}
        bar = BAR if name == "ours" else None
        yield STEPS.row(rounds, name, label, bar=bar, facts=facts)
    share = PeakShare(STEPS, "ours", "bf16", "lnmdetect, bf16 autocast")
    yield share.row(rounds, operations, "step")


def step_batch(plan: SpeedPlan) -> DetectorBatch:
    """Return slices of noise with nodes on them."""
    batch = slice_batch(plan, SLICES)
    target = {
        "boxes": random_boxes(NODES, plan.size_px),
        "ignored": torch.zeros(0, 4),
        "labels": torch.ones(NODES, dtype=torch.long),
    }
    return DetectorBatch(batch.images, [dict(target) for _ in batch.items], batch.items)


def stock_step(plan: SpeedPlan) -> Work:
    """Return a step of torchvision's detector, from the weights from which ours starts."""
    model = stock_detector(plain_detector(plan), plan.size_px).train()
    model = model.to(memory_format=torch.channels_last)
    batch = step_batch(plan)
    images = list(batch.images)
    return _step(plan, model, lambda: model(images, batch.targets))


def our_step(plan: SpeedPlan) -> Work:
    """Return a step as `train detector` takes it."""
    task, losses = _our_losses(plan)
    return _step(plan, task.module, losses)


def operations_of_a_step(plan: SpeedPlan) -> int:
    """Return the additions and multiplications of a step, forward and backward."""
    task, losses = _our_losses(plan)
    with FlopCounterMode(display=False) as counter:
        _gradients(losses(), _trained(task.module))
    return int(counter.get_total_flops())


def _our_losses(plan: SpeedPlan) -> tuple[DetectorTask, Losses]:
    task, batch = detector_task(plan), step_batch(plan)
    task.module.train()
    compute = training_compute(CPU)

    def losses() -> Mapping[str, Tensor]:
        with compute.autocast():
            return task.losses(batch)

    return task, losses


def _step(plan: SpeedPlan, network: nn.Module, losses: Losses) -> Work:
    """Return one step; both networks take the recipe's optimiser."""
    weights = _trained(network)
    optimiser = build_optimiser(weights, plan.detector.optimiser)

    def work() -> None:
        for weight, pull in zip(weights, _gradients(losses(), weights), strict=True):
            weight.grad = pull
        optimiser.step()

    return work


def _trained(network: nn.Module) -> list[nn.Parameter]:
    return [p for p in network.parameters() if p.requires_grad]


def _gradients(terms: Mapping[str, Tensor], weights: list[nn.Parameter]) -> tuple[Tensor, ...]:
    total = torch.stack([term.float() for term in terms.values()]).sum()
    return torch.autograd.grad(total, weights)
