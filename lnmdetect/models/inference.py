"""Networks in the form in which they answer fastest; the same answers, no more training."""

from typing import TypeVar

from torch import nn
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads

from lnmdetect.models.box_head import ConvolutionHead
from lnmdetect.models.folding import fold_batch_norms
from lnmdetect.models.packing import pack_convolutions
from lnmdetect.models.two_stage import ROI_CELLS

Network = TypeVar("Network", bound=nn.Module)


def inference_form(network: Network) -> Network:
    """Return a copy with norms folded, box heads as convolutions, and weights laid out for them."""
    fast = fold_batch_norms(network)
    for part in fast.modules():
        if isinstance(part, RoIHeads) and isinstance(part.box_head, TwoMLPHead):
            part.box_head = ConvolutionHead(part.box_head, ROI_CELLS)
    pack_convolutions(fast)
    return fast
