"""What the cores can multiply at most, and how much of it a network has to."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lnmdetect.core.precision import Precision
from lnmdetect.stages.speed_result import Fact, Figure, SpeedRow
from lnmdetect.stages.speed_rounds import Candidate, Rounds, Work
from lnmdetect.stages.speed_rows import Comparison

KINDS: Mapping[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIDE = 2048
OPERATIONS = 2 * SIDE**3
"""Of a product of two square matrices of that side: a multiplication and an addition each."""
PROCESS = "peaks"
"""All products share it: they keep nothing, and none disturbs another."""


def peak_candidates(precisions: Iterable[Precision]) -> list[Candidate]:
    """Return one product a precision, in all ways in which torch computes it, one the fastest."""
    return [
        Candidate(name, prepare, process=PROCESS)
        for precision in precisions
        for name, prepare in _ways(precision).items()
    ]


def peak_per_s(rounds: Rounds, precision: Precision) -> float | None:
    """Return the measured peak, operations a second: of the fastest round of the fastest way."""
    names = _ways(precision)
    fastest = [min(rounds.timings[name].seconds) for name in names if name in rounds.timings]
    return OPERATIONS / min(fastest) if fastest else None


def operations_of(network: nn.Module, images: Tensor) -> int:
    """Return the additions and multiplications of a network's answer.

    Args:
        network: in eval mode, as it was trained: of other forms not every step is known.
        images: (N, C, H, W).
    """
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(images)
    return int(counter.get_total_flops())


@dataclass(frozen=True)
class PeakShare:
    """The share of the peak that a candidate reaches.

    Attributes:
        comparison: that it is a part of.
        candidate: its name.
        precision: that it computes in, mostly, and the peak's.
        label: of the candidate, for a reader.
    """

    comparison: Comparison
    candidate: str
    precision: Precision
    label: str

    def row(self, rounds: Rounds, operations: int, unit: str) -> SpeedRow:
        """Return the row.

        Args:
            rounds: that the candidate, its reference and the products were timed in.
            operations: additions and multiplications of the candidate's work.
            unit: what that work is on.
        """
        family = self.comparison.family
        timing, peak = rounds.timings.get(self.candidate), peak_per_s(rounds, self.precision)
        facts: dict[str, Fact] = {f"gflop_a_{unit}": operations / 1e9}
        names = (self.candidate, *_ways(self.precision))
        reasons = (rounds.reasons[name] for name in names if name in rounds.reasons)
        figure, reason = None, next(reasons, "it was not timed")
        if peak is not None:
            facts["peak_gflop_a_s"] = peak / 1e9
        if peak is not None and timing is not None:
            shares = [operations / second / peak for second in timing.seconds]
            figure = Figure(operations / timing.median_s / peak, min(shares), max(shares))
            facts[f"{family}_gflop_a_s"] = operations / timing.median_s / 1e9
            reference = rounds.timings.get(self.comparison.reference)
            if reference is not None:
                facts["times_faster_at_the_peak"] = reference.median_s * peak / operations
            reason = ""
        return SpeedRow(
            f"{family}_share_of_peak_{self.precision}",
            family,
            f"{self.label}: operations a second over those of the fastest product",
            "share of the measured peak",
            figure,
            reason=reason,
            timing=timing,
            facts=facts,
        )


def _ways(precision: Precision) -> dict[str, Callable[[], Work]]:
    """Return what prepares each way, by the name of its candidate."""
    if precision == "int8":
        return {"peak_product_int8": _product_int8}
    kind = KINDS[precision]
    return {
        f"peak_product_{precision}": partial(_product, kind),
        f"peak_convolution_{precision}": partial(_convolution, kind),
    }


def _product(kind: torch.dtype) -> Work:
    a, b = torch.rand(SIDE, SIDE).to(kind), torch.rand(SIDE, SIDE).to(kind)
    product = torch.empty(SIDE, SIDE, dtype=kind)
    return _silent(lambda: torch.mm(a, b, out=product))


def _product_int8() -> Work:
    """Return the product of signed bytes, whose sums have 32 bits."""
    a, b = (torch.randint(-128, 128, (SIDE, SIDE), dtype=torch.int8) for _ in range(2))
    product = torch.empty(SIDE, SIDE, dtype=torch.int32)
    return _silent(lambda: torch._int_mm(a, b, out=product))


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
