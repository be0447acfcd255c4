"""What the cores can multiply at most, and how much of it a network has to."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lnmdetect.stages.speed_rounds import Candidate, Rounds, Work

SIDE = 2048
OPERATIONS = 2 * SIDE**3
"""Of a product of two square matrices of that side: a multiplication and an addition each."""


def peak_candidates() -> list[Candidate]:
    """Return the same fp32 product both ways in which torch computes it, of which one is faster."""
    return [Candidate("peak_product", _product), Candidate("peak_convolution", _convolution)]


def peak_per_s(rounds: Rounds) -> float | None:
    """Return the measured peak, operations a second: of the fastest round of the faster way."""
    fastest = [
        min(rounds.timings[c.name].seconds) for c in peak_candidates() if c.name in rounds.timings
    ]
    return OPERATIONS / min(fastest) if fastest else None


def operations_of(network: nn.Module, image: Tensor) -> int:
    """Return the additions and multiplications of a network's answer.

    Args:
        network: in eval mode, as it was trained: of other forms not every step is known.
        image: (1, C, H, W).
    """
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(image)
    return int(counter.get_total_flops())


def _product() -> Work:
    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    return _silent(lambda: a @ b)


def _convolution() -> Work:
    """Return the product as a 1 x 1 convolution, which goes through another library."""
    image = torch.rand(1, SIDE, SIDE, 1).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(SIDE, SIDE, 1, 1)
    return _silent(lambda: F.conv2d(image, weight))


def _silent(product: Callable[[], Tensor]) -> Work:
    def work() -> None:
        with torch.inference_mode():
            product()

    return work
