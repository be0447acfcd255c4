"""Networks in the form in which they answer fastest, no more training."""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads

from lnmdetect.core.precision import Precision
from lnmdetect.models.box_head import ConvolutionHead
from lnmdetect.models.folding import fold_batch_norms
from lnmdetect.models.packing import pack_convolutions
from lnmdetect.models.two_stage import ROI_CELLS

Network = TypeVar("Network", bound=nn.Module)


def inference_form(network: Network, precision: Precision = "fp32") -> Network:
    """Return a copy with norms folded, box heads as convolutions, and weights laid out for them.

    Args:
        network: takes images or crops alone.
        precision: of weights and maps: fp32, the same answers, or bf16. Boxes and scores are
            computed in fp32 from either.

    Raises:
        ValueError: another precision, for which weights alone are not enough.
    """
    fast = fold_batch_norms(network)
    convolve_box_heads(fast)
    if precision == "bf16":
        fast = fast.to(torch.bfloat16)
        fast.register_forward_pre_hook(_in_bf16)
    elif precision != "fp32":
        raise ValueError(f"precision: expected fp32 or bf16, got {precision}")
    pack_convolutions(fast)
    return fast


def convolve_box_heads(network: nn.Module) -> None:
    """Let the box heads of a network compute by convolutions: the same answers."""
    for part in network.modules():
        if isinstance(part, RoIHeads) and isinstance(part.box_head, TwoMLPHead):
            part.box_head = ConvolutionHead(part.box_head, ROI_CELLS)


def _in_bf16(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what a network is given with images in bf16."""
    return tuple(x.to(torch.bfloat16) if isinstance(x, Tensor) else x for x in given)
