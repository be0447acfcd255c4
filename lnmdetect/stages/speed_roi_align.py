"""RoIAlign on one pyramid: ours against torchvision's op, forward, and with the gradient."""

from collections import OrderedDict
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign

from lnmdetect.models.detector_sizes import FPN_CHANNELS
from lnmdetect.models.resnet import scaled
from lnmdetect.models.roi_align import PyramidRoIAlign
from lnmdetect.models.two_stage import ROI_CELLS
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
    size = run.request.size_px
    ways: dict[str, Align] = {"stock": _stock(size), "ours": _ours}
    for step, boxes, bar in (
        ("forward", FORWARD_BOXES, FORWARD_BAR),
        ("forward_backward", TRAINED_BOXES, BOTH_BAR),
    ):
        is_trained = step != "forward"
        candidates = [
            Candidate(f"{step}_{way}", _prepare(run, way, align, boxes, is_trained=is_trained))
            for way, align in ways.items()
        ]
        rounds = run.timed(candidates, what=f"RoIAlign, {step.replace('_', ' + ')}")
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


def _prepare(
    run: SpeedRun, way: str, align: Align, boxes: int, *, is_trained: bool
) -> Callable[[], Work]:
    """Return what gives the work; each way gets its maps as they lie in memory in its detector."""

    def prepare() -> Work:
        maps = pyramid(run, is_channels_last=way == "ours")
        places = random_boxes(boxes, run.request.size_px)
        return _trained(align, maps, places) if is_trained else _forward(align, maps, places)

    return prepare


def _forward(align: Align, maps: list[Tensor], boxes: Tensor) -> Work:
    def work() -> None:
        with torch.inference_mode():
            align(maps, boxes)

    return work


def _trained(align: Align, maps: list[Tensor], boxes: Tensor) -> Work:
    for level in maps:
        level.requires_grad_()
    pull = torch.rand_like(align(maps, boxes))

    def work() -> None:
        torch.autograd.grad(align(maps, boxes), maps, pull)

    return work


def pyramid(run: SpeedRun, *, is_channels_last: bool) -> list[Tensor]:
    """Return P2 to P5 of one slice, (1, C, H, W), the same values at every call."""
    torch.manual_seed(SEED)
    channels = scaled(FPN_CHANNELS, run.request.width)
    layout = torch.channels_last if is_channels_last else torch.contiguous_format
    sides = [run.request.size_px // stride for stride in STRIDES]
    return [torch.rand(1, channels, s, s).contiguous(memory_format=layout) for s in sides]


def random_boxes(count: int, size_px: int) -> Tensor:
    """Return boxes (R, 4) px from 10 px to half the slice, most of them small."""
    draw = torch.Generator().manual_seed(SEED)
    sides = 10 + torch.rand(count, 2, generator=draw) ** 3 * (size_px / 2 - 10)
    corner = torch.rand(count, 2, generator=draw) * (size_px - sides)
    return torch.cat([corner, corner + sides], dim=1)
