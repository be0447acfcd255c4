"""Batch norms taken into the convolutions before them: the same function in fewer steps.

Frozen ones too; group norms measure what they read and stay.
"""

import copy
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lnmdetect.models.coordinate_attention import CoordinateAttention
from lnmdetect.models.norms import FrozenNorm2d
from lnmdetect.models.resnet import BasicBlock, Bottleneck, ResNet

Network = TypeVar("Network", bound=nn.Module)

NORMED: Mapping[type[nn.Module], tuple[tuple[str, str], ...]] = {
    ResNet: (("conv1", "bn1"),),
    BasicBlock: (("conv1", "bn1"), ("conv2", "bn2")),
    Bottleneck: (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")),
    CoordinateAttention: (("conv1", "bn1"),),
}
"""Which norm of a module reads which convolution and nothing else.

That two stand side by side does not tell: DenseNet's norms come before its convolutions.
"""


def fold_batch_norms(network: Network) -> Network:
    """Return a copy for inference alone, with every known norm folded into its convolution.

    Args:
        network: of any kind; norms of which it is not known what they read stay as they are.
    """
    folded = copy.deepcopy(network).eval().requires_grad_(False)
    for part in list(folded.modules()):
        for first, second in _pairs(part):
            convolution, norm = part.get_submodule(first), part.get_submodule(second)
            # Not its subclasses, of which some also hold an activation.
            is_norm = type(norm) is nn.BatchNorm2d or type(norm) is FrozenNorm2d
            if type(convolution) is nn.Conv2d and is_norm:
                setattr(part, first, _fused(convolution, norm))
                setattr(part, second, nn.Identity())
    return folded.to(memory_format=torch.channels_last)


def _pairs(part: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield the names of a convolution and of what alone reads it."""
    if type(part) is nn.Sequential:
        yield from pairwise(name for name, _ in part.named_children())
    for kind, names in NORMED.items():
        if isinstance(part, kind):
            yield from names


def _fused(convolution: nn.Conv2d, norm: nn.Module) -> nn.Conv2d:
    """Return both as one; in double precision, so that weights are rounded only once."""
    kind = convolution.weight.dtype
    fused: nn.Conv2d = fuse_conv_bn_eval(convolution.double(), norm.double())  # type: ignore[arg-type]
    return fused.to(kind).requires_grad_(False)
