"""ReLUs and residual sums taken into the packed convolutions before them: the same function.

Each pass over a map that is saved is time that the cores wait for memory.
"""

from torch import Tensor, nn

from lnmdetect.models.packed_convolution import PackedConv2d
from lnmdetect.models.resnet import BasicBlock, Bottleneck, ResNet


def take_in_steps(network: nn.Module) -> None:
    """Let the packed convolutions of a network, norms folded, do the known steps after them."""
    for part in list(network.modules()):
        if isinstance(part, nn.Sequential) and type(part).forward is nn.Sequential.forward:
            _take_in_sequence(part)
        elif isinstance(part, ResNet) and _is_alone(part.conv1, part.bn1):
            _packed(part.conv1).relu = True
            part.add_module("relu", nn.Identity())
        for name, child in part.named_children():
            if isinstance(child, BasicBlock | Bottleneck) and PackedBlock.suits(child):
                setattr(part, name, PackedBlock(child))


class PackedBlock(nn.Module):
    """Answers as the residual block whose packed convolutions it takes.

    Args:
        block: one that `suits`.
    """

    def __init__(self, block: BasicBlock | Bottleneck) -> None:
        super().__init__()
        *first, last = (_packed(convolution) for convolution, _ in _steps(block))
        self.first, self.last = nn.Sequential(*first), last
        self.downsample = block.downsample
        self.attention = block.attention if isinstance(block, Bottleneck) else None
        for convolution in first:
            convolution.relu = True
        self.last.relu = self.attention is None

    @staticmethod
    def suits(block: BasicBlock | Bottleneck) -> bool:
        """Return whether the convolutions of a block are packed, with nothing left of norms."""
        return all(_is_alone(*step) for step in _steps(block))

    def forward(self, x: Tensor) -> Tensor:
        """Return what the block returns for `x` (N, C, H, W)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.first(x)
        if self.attention is None:
            summed: Tensor = self.last(y, shortcut)
            return summed
        gated: Tensor = self.attention(self.last(y))
        return gated.add_(shortcut).relu_()


def _steps(block: BasicBlock | Bottleneck) -> list[tuple[nn.Module, nn.Module]]:
    """Return the convolutions of a block in their order, each with its norm."""
    steps: list[tuple[nn.Module, nn.Module]] = [(block.conv1, block.bn1), (block.conv2, block.bn2)]
    return [*steps, (block.conv3, block.bn3)] if isinstance(block, Bottleneck) else steps


def _is_alone(convolution: nn.Module, norm: nn.Module) -> bool:
    """Return whether what follows a convolution may be taken into it."""
    return isinstance(convolution, PackedConv2d) and type(norm) is nn.Identity


def _packed(convolution: nn.Module) -> PackedConv2d:
    assert isinstance(convolution, PackedConv2d)
    return convolution


def _take_in_sequence(sequence: nn.Sequential) -> None:
    """Take each ReLU into the convolution right before it."""
    before: nn.Module | None = None
    for place, step in enumerate(list(sequence)):
        if type(step) is nn.ReLU and isinstance(before, PackedConv2d):
            before.relu = True
            sequence[place] = nn.Identity()
        if type(step) is not nn.Identity:
            before = step
