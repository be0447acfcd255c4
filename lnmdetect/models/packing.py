"""Convolutions whose weights lie in memory as the CPU's library reads them, for inference alone.

oneDNN reads weights in blocks that depend on the shape of the image, and PyTorch lays them out anew
at each call, which takes a fifth of the time of a full-width detector on one slice. The operators
that take weights laid out once are those that `torch.compile` calls; where they are absent, or the
network is not on a CPU, convolutions are PyTorch's own.
"""

import torch
from torch import Tensor, nn
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.rpn import RPNHead

from lnmdetect.core.recent import Recent

SHAPES_KEPT = 4
"""Crops of a scan have few sizes, each for many slices."""
LEVELS = 5
"""Of a pyramid: a head meets each image in so many shapes."""
HEADS = (RPNHead, RetinaNetHead, FCOSHead)
CAN_PACK = bool(torch._C._has_mkldnn) and all(
    hasattr(torch.ops.mkldnn, name)
    for name in ("_convolution_pointwise", "_is_mkldnn_bf16_supported")
)

Shape = tuple[int, ...]


def pack_convolutions(network: nn.Module) -> None:
    """Let the plain convolutions of a network on a CPU keep their weights packed; same answers."""
    if not CAN_PACK:
        return
    of_heads = {p for head in network.modules() if isinstance(head, HEADS) for p in head.modules()}
    for part in list(network.modules()):
        for name, child in part.named_children():
            if type(child) is nn.Conv2d and _is_plain(child):
                shapes = SHAPES_KEPT * LEVELS if child in of_heads else SHAPES_KEPT
                setattr(part, name, PackedConv2d(child, shapes=shapes))


class PackedConv2d(nn.Module):
    """Answers as the convolution whose weights it takes, which it packs for the shapes it meets.

    The answer to an image does not depend on the images before it.

    Args:
        convolution: on a CPU, with zeros around it.
        shapes: for how many of them the packed weights are kept.
    """

    def __init__(self, convolution: nn.Conv2d, shapes: int = SHAPES_KEPT) -> None:
        super().__init__()
        self.plain, self.shapes = convolution, shapes
        self._packed: Recent[Shape, Tensor] = Recent()

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out channels, H', W') for (N, in channels, H, W)."""
        plain = self.plain
        if x.dtype != plain.weight.dtype:  # autocast casts the weights, too
            answer: Tensor = plain(x)
            return answer
        fixed = (plain.padding, plain.stride, plain.dilation, plain.groups)
        answer = torch.ops.mkldnn._convolution_pointwise(
            x, self._weights_for(tuple(x.shape)), plain.bias, *fixed, "none", [], ""
        )
        return answer

    def _weights_for(self, shape: Shape) -> Tensor:
        """Return the weights packed for images of a shape."""
        return self._packed.recall(shape, lambda: _packed(self.plain, shape), most=self.shapes)


def _is_plain(convolution: nn.Conv2d) -> bool:
    weight = convolution.weight
    if weight.device.type != "cpu" or convolution.padding_mode != "zeros":
        return False
    if isinstance(convolution.padding, str):
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32


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
