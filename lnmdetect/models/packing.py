"""Networks whose convolutions keep their weights as the CPU's library reads them.

oneDNN reads weights in blocks that depend on the shape of the image, and PyTorch lays them out anew
at each call, which takes a fifth of the time of a full-width detector on one slice. The operators
that take weights laid out once are those that `torch.compile` calls; where they are absent, or the
network is not on a CPU, convolutions are PyTorch's own.
"""

import torch
from torch import nn
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.rpn import RPNHead

from lnmdetect.models.packed_convolution import SHAPES_KEPT, PackedConv2d
from lnmdetect.models.packed_steps import take_in_steps

LEVELS = 5
"""Of a pyramid: a head meets each image in so many shapes."""
HEADS = (RPNHead, RetinaNetHead, FCOSHead)
CAN_PACK = bool(torch._C._has_mkldnn) and all(
    hasattr(torch.ops.mkldnn, name)
    for name in ("_convolution_pointwise", "_is_mkldnn_bf16_supported")
)


def pack_convolutions(network: nn.Module) -> None:
    """Let the plain convolutions of a network on a CPU keep their weights packed; same answers.

    What follows them is taken into them where that is known, see `take_in_steps`.
    """
    if not CAN_PACK:
        return
    of_heads = {p for head in network.modules() if isinstance(head, HEADS) for p in head.modules()}
    for part in list(network.modules()):
        for name, child in part.named_children():
            if type(child) is nn.Conv2d and _is_plain(child):
                shapes = SHAPES_KEPT * LEVELS if child in of_heads else SHAPES_KEPT
                setattr(part, name, PackedConv2d(child, shapes=shapes))
    take_in_steps(network)


def _is_plain(convolution: nn.Conv2d) -> bool:
    weight = convolution.weight
    if weight.device.type != "cpu" or convolution.padding_mode != "zeros":
        return False
    if isinstance(convolution.padding, str):
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32
