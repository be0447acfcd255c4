"""The two layers that describe a proposal, as convolutions: a CPU's faster way to one product."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import TwoMLPHead


class ConvolutionHead(nn.Module):
    """Answers as torchvision's box head whose weights it takes, for inference alone.

    The first layer's weights are laid as RoIAlign leaves its cells, channels last, so that nothing
    is copied on the way.

    Args:
        head: of C * cells^2 inputs.
        cells: side of the grid of a proposal.
    """

    def __init__(self, head: TwoMLPHead, cells: int) -> None:
        super().__init__()
        by_channel = head.fc6.weight.unflatten(1, (-1, cells, cells))  # (O, C, 7, 7)
        self.fc6 = _as_convolution(by_channel.permute(0, 2, 3, 1).flatten(1), head.fc6.bias)
        self.fc7 = _as_convolution(head.fc7.weight, head.fc7.bias)
        self.described: int = head.fc7.out_features

    def forward(self, cells: Tensor) -> Tensor:
        """Return (R, O) for cells (R, C, 7, 7); free of copies where channels lie last."""
        rows = cells.permute(0, 2, 3, 1).flatten(1)  # (R, 49 * C)
        if len(rows) == 0:
            return rows.new_zeros((0, self.described))
        image = rows.t()[None, :, :, None]  # one image (1, 49 * C, R, 1), channels last
        answer: Tensor = F.relu(self.fc7(F.relu(self.fc6(image))))  # (1, O, R, 1)
        return answer[0, :, :, 0].t()


def _as_convolution(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """Return the 1 x 1 convolution of a product with `weight` (O, I)."""
    with torch.device("meta"):  # its first weights are never drawn
        layer = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
    layer.weight = nn.Parameter(weight.detach()[:, :, None, None].clone(), requires_grad=False)
    layer.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return layer
