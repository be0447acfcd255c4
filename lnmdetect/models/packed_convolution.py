"""A convolution whose weights lie as the CPU's library reads them, for inference alone."""

from functools import cached_property

import torch
from torch import Tensor, nn

from lnmdetect.core.recent import Recent
from lnmdetect.models.winograd import WinogradConv2d, pays, suits

SHAPES_KEPT = 4
"""Crops of a scan have few sizes, each for many slices."""

Shape = tuple[int, ...]


class PackedConv2d(nn.Module):
    """Answers as the convolution whose weights it takes, which it packs for the shapes it meets.

    The answer to an image does not depend on the images before it, nor on those beside it.

    Args:
        convolution: on a CPU, with zeros around it.
        shapes: for how many of them the packed weights are kept.

    Attributes:
        relu: whether negative answers become 0.
    """

    def __init__(self, convolution: nn.Conv2d, shapes: int = SHAPES_KEPT) -> None:
        super().__init__()
        self.plain, self.shapes, self.relu = convolution, shapes, False
        self._packed: Recent[Shape, Tensor] = Recent()

    def forward(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        """Return (N, out channels, H', W') for (N, in channels, H, W).

        Args:
            x: the maps.
            plus: of the answer's shape, added to it before the ReLU.
        """
        if x.dtype != self.plain.weight.dtype:  # autocast casts the weights, too
            return self._finished(self.plain(x), plus)
        if suits(self.plain) and pays(self.plain, x.shape[-2], x.shape[-1]):
            return self._finished(self.by_winograd(x), plus)
        return self._packed_answer(x, plus)

    @cached_property
    def by_winograd(self) -> WinogradConv2d:
        """The same in fewer multiplications; its weights, four times as many, wait until asked."""
        return WinogradConv2d(self.plain)

    def _packed_answer(self, x: Tensor, plus: Tensor | None) -> Tensor:
        plain, after = self.plain, "relu" if self.relu else "none"
        weights = self._weights_for(tuple(x.shape))
        fixed = (plain.padding, plain.stride, plain.dilation, plain.groups)
        convolve = torch.ops.mkldnn._convolution_pointwise
        if plus is None:
            answer: Tensor = convolve(x, weights, plain.bias, *fixed, after, [], "")
            return answer
        then = after if self.relu else None
        summed: Tensor = convolve.binary(
            x, plus, weights, plain.bias, *fixed, "add", 1.0, then, [], ""
        )
        return summed

    def _finished(self, answer: Tensor, plus: Tensor | None) -> Tensor:
        """Return an answer, which is nobody else's, with what is still to be done to it."""
        if plus is not None:
            answer += plus
        return answer.relu_() if self.relu else answer

    def _weights_for(self, shape: Shape) -> Tensor:
        """Return the weights packed for images of a shape."""
        return self._packed.recall(shape, lambda: _packed(self.plain, shape), most=self.shapes)


def _packed(convolution: nn.Conv2d, shape: Shape) -> Tensor:
    weights: Tensor = torch.ops.aten.mkldnn_reorder_conv2d_weight(
        convolution.weight.to_mkldnn(),
        convolution.padding,
        convolution.stride,
        convolution.dilation,
        convolution.groups,
        list(shape),
    )
    return weights
