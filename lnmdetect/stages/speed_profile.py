"""Where the time of a network goes, by groups of operators, and how near products are to the peak.

Profiled passes are slower than others, the more so the smaller the operators are: these are shares,
and no times to compare.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from torch.profiler import ProfilerActivity, profile, record_function

from lnmdetect.core.precision import InferenceForm, Precision
from lnmdetect.stages.speed_classifier import crops_work, eager_work, operations_of_a_batch
from lnmdetect.stages.speed_detector import (
    form_work,
    int8_file,
    operations_of_a_slice,
    stock_work,
)
from lnmdetect.stages.speed_layers import (
    INFERENCE,
    LAYERS,
    ToldAnswer,
    operations_of_the_dense_part,
)
from lnmdetect.stages.speed_operators import (
    PRODUCTS,
    OperatorTime,
    int8_share,
    largest,
    shares,
)
from lnmdetect.stages.speed_peak import peak_candidates, peak_per_s
from lnmdetect.stages.speed_plan import SpeedPlan
from lnmdetect.stages.speed_request import SpeedRun
from lnmdetect.stages.speed_result import Fact, Figure, SpeedRow, Timing
from lnmdetect.stages.speed_rounds import (
    CANNOT_RUN,
    ThisProcess,
    Work,
    interleaved,
    reason_of,
)
from lnmdetect.stages.speed_training import operations_of_a_step, our_step, stock_step

FAMILY = "profile"
UNIT = "share of the time in convolutions and products"
WARM_UPS, PASSES, PEAK_ROUNDS = 2, 2, 5
_PYTHON = "lnmdetect::python"
"""What the profiler calls the whole of a pass; what no operator takes of it is Python's."""

Operations = Callable[[SpeedPlan], int]


@dataclass(frozen=True)
class Subject:
    """A work to profile.

    Attributes:
        label: what it is, for a reader.
        prepare: gives it; can be pickled.
        operations: counts its additions and multiplications.
        precision: that most of it computes in.
        is_reference: whether it runs as PyTorch's users have it.
        layers_operations: counts those of the layers of another library; None where it has none.
        first: makes the files that `prepare` reads, in another process; None where there are none.
    """

    label: str
    prepare: Callable[[SpeedPlan], Work]
    operations: Operations
    precision: Precision
    is_reference: bool = False
    layers_operations: Operations | None = None
    first: Callable[[SpeedPlan], object] | None = None


@dataclass(frozen=True)
class Profile:
    """What was seen of a subject.

    Attributes:
        passes: its operators, pass by pass.
        seconds: that each pass took, profiled.
        operations: additions and multiplications of a pass.
        layers_operations: those of the layers of another library.
        peak_per_s: of the fastest product, just after.
    """

    passes: tuple[tuple[OperatorTime, ...], ...]
    seconds: tuple[float, ...]
    operations: int
    layers_operations: int
    peak_per_s: float

    @property
    def all_times(self) -> list[OperatorTime]:
        """The operators of all passes."""
        return [told for one in self.passes for told in one]

    def seconds_in_products(self, namespace: str) -> float:
        """Return the seconds a pass in products of a namespace; an empty one is all of them."""
        own = (t for t in self.all_times if t.group == PRODUCTS and t.name.startswith(namespace))
        return sum(told.seconds for told in own) / len(self.passes)


def profile_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield a row for each subject, in a process of its own that ends with it."""
    subjects = SUBJECTS.items()
    for name, subject in run.progress.track(subjects, description="profile", total=len(SUBJECTS)):
        row = SpeedRow(f"{FAMILY}_{name}", FAMILY, subject.label, UNIT, None)
        question = partial(seen, subject, run.plan)
        try:
            if subject.first is not None:
                run.networks_host.ask(partial(subject.first, run.plan))
            found = run.networks_host.ask(question, is_reference=subject.is_reference)
        except CANNOT_RUN as error:
            yield _without(row, reason_of(error))
            continue
        yield _with(row, found, subject.precision)


def seen(subject: Subject, plan: SpeedPlan) -> Profile:
    """Return what is to be seen of a subject in this process."""
    work = subject.prepare(plan)
    for _ in range(WARM_UPS):
        work()
    passes, seconds = zip(*(_pass(work) for _ in range(PASSES)), strict=True)
    products = peak_candidates((subject.precision,))
    rounds = interleaved(products, PEAK_ROUNDS, description="", host=ThisProcess())
    peak = peak_per_s(rounds, subject.precision)
    if peak is None:
        raise RuntimeError("the products that tell the peak could not run")
    count = subject.layers_operations
    return Profile(passes, seconds, subject.operations(plan), count(plan) if count else 0, peak)


def _pass(work: Work) -> tuple[tuple[OperatorTime, ...], float]:
    """Return the operators of one pass, and its seconds."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        begun = time.perf_counter()
        with record_function(_PYTHON):
            work()
        took = time.perf_counter() - begun
    told = [
        OperatorTime(event.key, event.self_cpu_time_total / 1e6)
        for event in profiler.key_averages()
    ]
    if isinstance(work, ToldAnswer):
        told = with_layers(told, work.layers())
    return tuple(told), took


def with_layers(told: list[OperatorTime], layers: list[OperatorTime]) -> list[OperatorTime]:
    """Return operators with the layers of another library in place of its whole.

    What the layers leave of the whole stays with it.

    Args:
        told: with `INFERENCE`, the whole.
        layers: of it.
    """
    whole = sum(one.seconds for one in told if one.name == INFERENCE)
    left = max(0.0, whole - sum(layer.seconds for layer in layers))
    others = [one for one in told if one.name != INFERENCE]
    return [*others, *layers, OperatorTime(INFERENCE, left)]


def _with(row: SpeedRow, found: Profile, precision: Precision) -> SpeedRow:
    told, timing = shares(found.all_times), Timing(found.seconds)
    facts: dict[str, Fact] = {
        **told,
        "largest": largest(found.all_times),
        "ms_a_profiled_pass": 1000 * timing.median_s,
        "peak_precision": precision,
        "peak_gflop_a_s": found.peak_per_s / 1e9,
    }
    facts |= _rates("products", found.operations, found.seconds_in_products(""), found.peak_per_s)
    if found.layers_operations:
        seconds = found.seconds_in_products(LAYERS)
        facts |= _rates("layers", found.layers_operations, seconds, found.peak_per_s)
    if not told[PRODUCTS]:
        return _without(row, "no convolution and no product was seen", facts)
    if precision == "int8":
        facts["products_in_int8"] = int8_share(found.all_times)
    each = [shares(one)[PRODUCTS] for one in found.passes]
    figure = Figure(told[PRODUCTS], min(each), max(each))
    return SpeedRow(row.name, FAMILY, row.label, UNIT, figure, timing=timing, facts=facts)


def _rates(name: str, operations: int, seconds: float, peak: float) -> dict[str, Fact]:
    """Return how fast products are computed, and which share of the peak that is."""
    if not seconds:
        return {}
    rate = operations / seconds
    return {
        f"gflop_of_{name}": operations / 1e9,
        f"{name}_gflop_a_s": rate / 1e9,
        f"{name}_share_of_peak": rate / peak,
    }


def _without(row: SpeedRow, reason: str, facts: Mapping[str, Fact] | None = None) -> SpeedRow:
    return SpeedRow(row.name, FAMILY, row.label, UNIT, None, reason=reason, facts=facts or {})


SLICE, STEP, CROPS = operations_of_a_slice, operations_of_a_step, operations_of_a_batch
FP32, BF16 = InferenceForm(), InferenceForm("bf16")
INT8 = InferenceForm("int8", "openvino")
SUBJECTS: Mapping[str, Subject] = {
    "detector_stock": Subject(
        "torchvision's detector, fp32", stock_work, SLICE, "fp32", is_reference=True
    ),
    "detector_torch_fp32": Subject(
        "lnmdetect's detector, fp32 on torch", partial(form_work, form=FP32), SLICE, "fp32"
    ),
    "detector_torch_bf16": Subject(
        "lnmdetect's detector, bf16 on torch", partial(form_work, form=BF16), SLICE, "bf16"
    ),
    "detector_openvino_bf16": Subject(
        "lnmdetect's detector, bf16 on openvino",
        partial(ToldAnswer, form=InferenceForm("bf16", "openvino")),
        SLICE,
        "bf16",
        layers_operations=operations_of_the_dense_part,
    ),
    "detector_openvino_int8": Subject(
        "lnmdetect's detector, int8 on openvino",
        partial(ToldAnswer, form=INT8),
        SLICE,
        "int8",
        layers_operations=operations_of_the_dense_part,
        first=partial(int8_file, form=INT8),
    ),
    "training_stock": Subject(
        "torchvision's training step, fp32", stock_step, STEP, "fp32", is_reference=True
    ),
    "training_ours": Subject("lnmdetect's training step, bf16 autocast", our_step, STEP, "bf16"),
    "classifier_eager": Subject(
        "classifier as PyTorch runs it, fp32", eager_work, CROPS, "fp32", is_reference=True
    ),
    "classifier_torch_bf16": Subject(
        "lnmdetect's classifier, bf16 on torch", partial(crops_work, form=BF16), CROPS, "bf16"
    ),
}
