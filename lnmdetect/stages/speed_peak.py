"""What the cores can multiply at most, and how much of it a network has to."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lnmdetect.core.precision import Precision
from lnmdetect.stages.speed_rounds import Candidate, Rounds, Work

KINDS: Mapping[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIDE = 2048
OPERATIONS = 2 * SIDE**3
"""Of a product of two square matrices of that side: a multiplication and an addition each."""


def peak_candidates(precision: Precision) -> list[Candidate]:
    """Return one product both ways in which torch computes it, of which one is faster."""
    kind = KINDS[precision]
    return [
        Candidate(f"peak_product_{precision}", partial(_product, kind)),
        Candidate(f"peak_convolution_{precision}", partial(_convolution, kind)),
    ]


def peak_per_s(rounds: Rounds, precision: Precision) -> float | None:
    """Return the measured peak, operations a second: of the fastest round of the faster way."""
    names = [c.name for c in peak_candidates(precision)]
    fastest = [min(rounds.timings[name].seconds) for name in names if name in rounds.timings]
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


def _product(kind: torch.dtype) -> Work:
    a, b = torch.rand(SIDE, SIDE).to(kind), torch.rand(SIDE, SIDE).to(kind)
    return _silent(lambda: a @ b)


def _convolution(kind: torch.dtype) -> Work:
    """Return the product as a 1 x 1 convolution, which goes through another library."""
    image = torch.rand(1, SIDE, SIDE, 1).to(kind, memory_format=torch.channels_last)
    weight = torch.rand(SIDE, SIDE, 1, 1).to(kind)
    return _silent(lambda: F.conv2d(image, weight))


def _silent(product: Callable[[], Tensor]) -> Work:
    def work() -> None:
        with torch.inference_mode():
            product()

    return work
