"""RoIAlign on one pyramid: ours against torchvision's op, forward, and with the gradient."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign

from lnmdetect.models.detector_sizes import FPN_CHANNELS
from lnmdetect.models.resnet import scaled
from lnmdetect.models.roi_align import PyramidRoIAlign
from lnmdetect.models.two_stage import ROI_CELLS
from lnmdetect.stages.speed_plan import SpeedPlan
from lnmdetect.stages.speed_request import SpeedRun
from lnmdetect.stages.speed_result import Bar, SpeedRow
from lnmdetect.stages.speed_rounds import Candidate, Work
from lnmdetect.stages.speed_rows import Comparison, milliseconds

FAMILY = "roi_align"
UNIT = "times faster than torchvision's MultiScaleRoIAlign"
STRIDES = (4, 8, 16, 32)
SAMPLES = 2
"""Bilinear samples a cell and axis, torchvision's default for this detector."""
FORWARD_BOXES, TRAINED_BOXES = 1000, 512
"""Proposals of a slice when boxes are found, and those of an image that enter the loss."""
FORWARD_BAR, BOTH_BAR = Bar(7, "at_least"), Bar(12, "at_least")
SEED = 0

Align = Callable[[list[Tensor], Tensor], Tensor]
"""Maps (1, C, H, W) of P2 to P5 and boxes (R, 4) px to (R, C, 7, 7)."""


def roi_align_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield torchvision's and ours, forward; then both with the gradient of the maps."""
    for step, boxes, bar in (
        ("forward", FORWARD_BOXES, FORWARD_BAR),
        ("forward_backward", TRAINED_BOXES, BOTH_BAR),
    ):
        prepare = partial(_trained if step != "forward" else _forward, run.plan, boxes=boxes)
        candidates = [
            Candidate(f"{step}_stock", partial(prepare, is_stock=True), is_reference=True),
            Candidate(f"{step}_ours", partial(prepare, is_stock=False)),
        ]
        what = f"RoIAlign, {step.replace('_', ' + ')}"
        rounds = run.timed(candidates, what=what, host=run.networks_host)
        comparison = Comparison(FAMILY, f"{step}_stock", UNIT)
        for way, name in (("stock", "torchvision"), ("ours", "lnmdetect")):
            key = f"{step}_{way}"
            yield comparison.row(
                rounds,
                key,
                f"{name}, {step.replace('_', ' and ')}, {boxes} boxes, fp32",
                bar=bar if way == "ours" else None,
                facts=milliseconds(rounds, key, "slice"),
            )


def _stock(size_px: int) -> Align:
    names = [str(level) for level in range(len(STRIDES))]
    pool = MultiScaleRoIAlign(names, ROI_CELLS, SAMPLES)

    def align(maps: list[Tensor], boxes: Tensor) -> Tensor:
        named = OrderedDict(zip(names, maps, strict=True))
        cells: Tensor = pool(named, [boxes], [(size_px, size_px)])
        return cells

    return align


def _ours(maps: list[Tensor], boxes: Tensor) -> Tensor:
    cells: Tensor = PyramidRoIAlign(cells=ROI_CELLS, ratio=SAMPLES)(maps, [boxes])
    return cells


def _given(plan: SpeedPlan, boxes: int, *, is_stock: bool) -> tuple[Align, list[Tensor], Tensor]:
    """Return a way and what it is given: maps as they lie in memory in its detector."""
    align = _stock(plan.size_px) if is_stock else _ours
    maps = pyramid(plan, is_channels_last=not is_stock)
    return align, maps, random_boxes(boxes, plan.size_px)


def _forward(plan: SpeedPlan, *, boxes: int, is_stock: bool) -> Work:
    align, maps, places = _given(plan, boxes, is_stock=is_stock)

    def work() -> None:
        with torch.inference_mode():
            align(maps, places)

    return work


def _trained(plan: SpeedPlan, *, boxes: int, is_stock: bool) -> Work:
    align, maps, places = _given(plan, boxes, is_stock=is_stock)
    for level in maps:
        level.requires_grad_()
    pull = torch.rand_like(align(maps, places))

    def work() -> None:
        torch.autograd.grad(align(maps, places), maps, pull)

    return work


def pyramid(plan: SpeedPlan, *, is_channels_last: bool) -> list[Tensor]:
    """Return P2 to P5 of one slice, (1, C, H, W), the same values at every call."""
    torch.manual_seed(SEED)
    channels = scaled(FPN_CHANNELS, plan.width)
    layout = torch.channels_last if is_channels_last else torch.contiguous_format
    sides = [plan.size_px // stride for stride in STRIDES]
    return [torch.rand(1, channels, s, s).contiguous(memory_format=layout) for s in sides]


def random_boxes(count: int, size_px: int) -> Tensor:
    """Return boxes (R, 4) px from 10 px to half the slice, most of them small."""
    draw = torch.Generator().manual_seed(SEED)
    sides = 10 + torch.rand(count, 2, generator=draw) ** 3 * (size_px / 2 - 10)
    corner = torch.rand(count, 2, generator=draw) * (size_px - sides)
    return torch.cat([corner, corner + sides], dim=1)
