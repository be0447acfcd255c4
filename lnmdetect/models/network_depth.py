"""The depth of a network: its longest chain of weighted layers, measured while it runs.

The rule of "16 weight layers" (Simonyan and Zisserman 2015): convolutions and fully connected
layers count, norms and activations do not, and of branches the longest counts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

WEIGHTED: frozenset[Callable[..., Any]] = frozenset(
    {
        *(torch.conv1d, torch.conv2d, torch.conv3d),
        *(torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d),
        F.linear,
    }
)


def network_depth(module: nn.Module, images: Tensor) -> int:
    """Return the largest number of weighted layers on a way from the input to an output.

    The network runs once, in evaluation mode and without gradients, and is left as it was. On the
    meta device nothing is computed, so that the largest network takes no time.

    Args:
        module: any network whose outputs are tensors, or sequences and mappings of them.
        images: its input, on the module's device.
    """
    modes = [(part, part.training) for part in module.modules()]
    depths = _Depths()
    module.eval()
    try:
        with torch.no_grad(), depths:
            outputs = module(images)
    finally:
        for part, mode in modes:
            part.training = mode
    return depths.of(outputs)


class _Depths(TorchFunctionMode):
    """Notes of every tensor how many weighted layers lie behind it at most."""

    def __init__(self) -> None:
        super().__init__()
        self._noted: dict[int, tuple[Tensor, int]] = {}  # held, so that no id is given twice

    def of(self, values: Any) -> int:
        """Return the largest depth among the tensors in some values; 0 of one never seen."""
        seen = [self._noted[id(t)][1] for t in tensors_in(values) if id(t) in self._noted]
        return max(seen, default=0)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return what a torch function gives, and note the depth of its tensors."""
        result = func(*args, **(kwargs or {}))
        depth = self.of((args, kwargs)) + (func in WEIGHTED)
        for tensor in tensors_in(result):
            self._noted[id(tensor)] = (tensor, depth)
        return result


def tensors_in(values: Any) -> Iterator[Tensor]:
    """Yield the tensors in a value, its items and their items."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from tensors_in(value)
    elif isinstance(values, Sequence) and not isinstance(values, str):
        for value in values:
            yield from tensors_in(value)
