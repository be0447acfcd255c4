"""What stands in the place of a network's batch norms: fixed statistics, or groups of channels.

Batch norms measure the batch that a process holds. Where batches are small or divided over
processes, norms that do not are wanted.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lnmdetect.core.config_parts import Norm

Network = TypeVar("Network", bound=nn.Module)

GROUPS = 32
"""Wu and He 2018, section 3.2."""


class FrozenNorm2d(nn.Module):
    """A batch norm whose statistics and affine map training leaves as they are.

    The same values as `torchvision.ops.FrozenBatchNorm2d`, under the same names; it keeps the
    precision and the memory layout of its input, also under autocast.

    Args:
        norm: whose values are taken.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.eps = norm.eps
        state = norm.state_dict()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, state[name].clone())

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised map, the shape of `x` (N, C, H, W)."""
        statistics = (self.running_mean, self.running_var, self.weight, self.bias)
        return F.batch_norm(x, *statistics, training=False, eps=self.eps)


def group_norm(norm: nn.BatchNorm2d) -> nn.GroupNorm:
    """Return a group norm over the channels of a batch norm, with its affine map.

    It has 32 groups; in narrow layers the largest divisor that leaves two channels a group.
    """
    channels = norm.num_features
    most = min(GROUPS, max(1, channels // 2))
    groups = next(count for count in range(most, 0, -1) if channels % count == 0)
    made = nn.GroupNorm(groups, channels, eps=norm.eps)
    with torch.no_grad():
        made.weight.copy_(norm.weight)
        made.bias.copy_(norm.bias)
    return made


def with_norm(
    network: Network, norm: Norm, *, is_filled: Callable[[str], bool] = lambda name: True
) -> Network:
    """Return the network after putting other norms in the place of all its batch norms.

    Args:
        network: changed in place; `batch` leaves it as it is, and so does having no batch norm.
        norm: which.
        is_filled: whether published first weights fill the submodule of that name. `frozen` puts
            group norms in the place of those they do not: statistics that nothing has measured and
            training leaves alone would normalise nothing.
    """
    if norm == "batch":
        return network
    for path, part in list(network.named_modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.BatchNorm2d):
                kind = norm if is_filled(f"{path}.{name}".removeprefix(".")) else "group"
                setattr(part, name, _in_place_of(child, kind))
    return network


def _in_place_of(norm: nn.BatchNorm2d, kind: Norm) -> nn.Module:
    made: nn.Module = FrozenNorm2d(norm) if kind == "frozen" else group_norm(norm)
    if type(norm) is nn.BatchNorm2d:
        return made
    # timm's norms that hold an activation
    return nn.Sequential(made, norm.get_submodule("drop"), norm.get_submodule("act"))
