"""Where a classifier looks: CAM (Zhou et al. 2016) and Grad-CAM (Selvaraju et al. 2017).

What is explained is a class's logit minus the mean of the other classes' logits: softmax sees
differences alone, so a logit by itself means nothing. Of two classes it is the log odds.

All maps are signed; both papers show the positive part. Gradients come from `torch.autograd.grad`:
nothing is trained here, and no parameter receives one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lnmdetect.core.cell_grid import CellGrid

CELLS_MIN = 7
"""A coarser map tells no places apart; Zhou et al. 2016, section 3.1, refine theirs from 7 to 14
cells a side to locate better."""

Size = tuple[int, int]


@contextmanager
def recorded(module: nn.Module, layer: str) -> Iterator[list[Any]]:
    """Give the list that receives each output of the submodule `layer` within the block."""
    outputs: list[Any] = []
    hook = module.get_submodule(layer).register_forward_hook(
        lambda part, inputs, output: outputs.append(output)
    )
    try:
        yield outputs
    finally:
        hook.remove()


def margins(logits: Tensor, classes: Tensor) -> Tensor:
    """Return (N,) logits of the classes (N,) minus the mean of the others' of (N, K)."""
    chosen = logits.gather(1, classes[:, None])[:, 0]
    others = (logits.sum(dim=1) - chosen) / (logits.shape[1] - 1)
    return chosen - others


def class_activation(
    module: nn.Module, crops: Tensor, classes: Tensor, *, layer: str, head: str
) -> Tensor:
    """Return (N, h, w) CAM of the classes (N,): the mean of a map plus the bias is its margin.

    Args:
        module: in eval mode; its linear layer `head` reads the mean of the map of `layer` alone.
        crops: (N, C, S, S) in [0, 1].
        classes: what is explained, one a crop.
        layer: the submodule that gives the last map.
        head: the submodule that gives the logits.
    """
    with torch.no_grad(), recorded(module, layer) as maps:
        module(crops)
    weights = module.get_submodule(head).get_parameter("weight").detach()  # (K, C)
    return torch.einsum("nc,nchw->nhw", _margin_rows(weights)[classes], maps[-1])


def _margin_rows(weights: Tensor) -> Tensor:
    """Return (K, C) the weights of each class minus the mean of the others'."""
    others = (weights.sum(dim=0, keepdim=True) - weights) / (len(weights) - 1)
    return weights - others


def gradient_activation(module: nn.Module, crops: Tensor, classes: Tensor, *, layer: str) -> Tensor:
    """Return (N, h, w) Grad-CAM of the classes (N,): channels weighted by their mean gradient.

    Args:
        module: in eval mode, outside of torch's inference mode.
        crops: (N, C, S, S) in [0, 1].
        classes: what is explained, one a crop.
        layer: the submodule whose map (N, C', h, w) is shown.
    """
    with torch.enable_grad(), recorded(module, layer) as maps:
        logits = module(crops.detach().requires_grad_())
        (gradient,) = torch.autograd.grad(margins(logits, classes).sum(), maps[-1])
    return weighted_channels(maps[-1].detach(), gradient.mean(dim=(2, 3)))


def weighted_channels(values: Tensor, weights: Tensor) -> Tensor:
    """Return (N, h, w) sums of the channels of (N, C, h, w), each times its weight of (N, C)."""
    return torch.einsum("nc,nchw->nhw", weights, values)


def cell_grid(module: nn.Module, crops: Tensor, *, layer: str) -> CellGrid:
    """Return where the cells of a layer's map lie: the centres of their receptive fields.

    Followed from convolution to pooling by kernel, stride and padding (Araujo et al. 2019,
    "Computing receptive fields of convolutional neural networks", equation 2); branches of one
    size agree. A padded convolution of stride 2 keeps the first cell on the first pixel, so that
    to stretch a map over its crop would shift it by half a cell.
    """
    with torch.no_grad(), recorded(module, layer) as maps:
        grids = _grids(module, crops)
    return grids[_size(maps[-1])]


def _grids(module: nn.Module, crops: Tensor) -> dict[Size, CellGrid]:
    """Return where the cells of maps lie, by the maps' size."""
    grids: dict[Size, CellGrid] = {_size(crops): CellGrid()}

    def follow(part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        before = grids.get(_size(inputs[0]))
        if before is not None:
            grids.setdefault(_size(output), _after(before, part))

    sliding = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
    hooks = [
        part.register_forward_hook(follow) for part in module.modules() if isinstance(part, sliding)
    ]
    try:
        with torch.no_grad():
            module(crops[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return grids


def _size(values: Tensor) -> Size:
    return values.shape[-2], values.shape[-1]


def _after(grid: CellGrid, part: Any) -> CellGrid:
    """Return the grid behind a convolution or pooling."""
    starts, steps = [], []
    for axis in (1, 0):  # a module's settings are (y, x)
        kernel, stride, padding, dilation = (
            _along(getattr(part, name, 1), axis)
            for name in ("kernel_size", "stride", "padding", "dilation")
        )
        step = grid.step_px[1 - axis]
        starts.append(grid.start_px[1 - axis] + (dilation * (kernel - 1) / 2 - padding) * step)
        steps.append(step * stride)
    return CellGrid((starts[0], starts[1]), (steps[0], steps[1]))


def _along(setting: int | tuple[int, int], axis: int) -> int:
    return setting if isinstance(setting, int) else setting[axis]


@dataclass(frozen=True)
class Stage:
    """The last of a network's maps of one stride.

    Attributes:
        layer: the submodule that gives it.
        cells: its (h, w).
        number, of: which stage from the input on, from 1, and of how many.
    """

    layer: str
    cells: Size
    number: int
    of: int


def stages(module: nn.Module, crops: Tensor, *, last: str) -> list[Stage]:
    """Return the network's stages, from the input to the one that ends with the layer `last`.

    Args:
        module: in eval mode.
        crops: (N, C, S, S), of the size that the network is used at.
        last: the submodule of the last map.
    """
    finished: dict[str, Size] = {}

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and last not in finished:
            finished[name] = _size(output)

    hooks = [
        module.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: note(name, output)
        )
        for name in _parts_in_a_row(module, last)
    ]
    try:
        grids = _grids(module, crops)
    finally:
        for hook in hooks:
            hook.remove()
    ends = {grids[size].step_px: name for name, size in finished.items()}
    return [
        Stage(name, finished[name], number, len(ends))
        for number, name in enumerate(ends.values(), 1)
    ]


def _parts_in_a_row(module: nn.Module, last: str) -> list[str]:
    """Return the parts through which everything passes, not those side by side within a block.

    They are the network's own parts, and those of its sequences and of what holds `last`.
    """
    holder = last.rpartition(".")[0]
    names = []
    for name, part in module.named_children():
        names.append(name)
        if isinstance(part, nn.Sequential) or name == holder:
            names += [f"{name}.{inner}" for inner, _ in part.named_children()]
    return names


def locating_stage(found: Sequence[Stage], *, cells: int = CELLS_MIN) -> Stage:
    """Return the deepest stage whose map has `cells` a side or more; the last if there is none."""
    fine = [stage for stage in found if min(stage.cells) >= cells]
    return fine[-1] if fine else found[-1]
