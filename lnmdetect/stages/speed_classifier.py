"""The classifier on a batch of crops: ours in every form, against the network as it was built."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from lnmdetect.core.precision import InferenceForm, Precision
from lnmdetect.datasets.classifier_data import ClassifierBatch
from lnmdetect.stages.classify import NO_TRUTH
from lnmdetect.stages.speed_detector import CPU, SEED, FormRow
from lnmdetect.stages.speed_peak import PeakShare, operations_of, peak_candidates
from lnmdetect.stages.speed_plan import SpeedPlan
from lnmdetect.stages.speed_request import SpeedRun
from lnmdetect.stages.speed_result import Bar, SpeedRow
from lnmdetect.stages.speed_rounds import Candidate, Work
from lnmdetect.stages.speed_rows import KEPT, Comparison, milliseconds
from lnmdetect.training.classifier_task import ClassifierTask, build_classifier
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict

CROPS = 8
EAGER = Comparison("classifier", "eager_fp32", "times faster than eager fp32")
REFERENCE_KEPT = "eager_fp32_kept"
BEST_BAR = Bar(2.7, "at_least")
PEAKS: Mapping[Precision, str] = {"fp32": "torch_fp32", "bf16": "torch_bf16"}
"""Forms whose share of the peak is told."""
FORMS = (
    FormRow("torch_fp32", InferenceForm()),
    FormRow("torch_bf16", InferenceForm("bf16")),
    FormRow("openvino_fp32", InferenceForm("fp32", "openvino")),
    FormRow("openvino_bf16", InferenceForm("bf16", "openvino")),
    FormRow("onnx_fp32", InferenceForm("fp32", "onnx")),
)


def classifier_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield the eager network, ours in every form, the fastest, and the shares of the peak."""
    plan, host = run.plan, run.networks_host
    operations = host.ask(partial(operations_of_a_batch, plan))
    candidates = [
        Candidate(EAGER.reference, partial(eager_work, plan), is_reference=True),
        Candidate(REFERENCE_KEPT, partial(eager_work, plan)),
        *(Candidate(row.name, partial(crops_work, plan, row.form)) for row in FORMS),
        *peak_candidates(PEAKS),
    ]
    rounds = run.timed(candidates, what="classifier", host=host)
    side = plan.classifier.model.size_px
    label = f"A-ResNet50-W as PyTorch runs it, {CROPS} crops of {side} px, fp32"
    facts = milliseconds(rounds, EAGER.reference, "crop", CROPS)
    yield EAGER.row(rounds, EAGER.reference, label, facts=facts)
    facts = milliseconds(rounds, REFERENCE_KEPT, "crop", CROPS)
    yield EAGER.row(rounds, REFERENCE_KEPT, KEPT, facts=facts)
    rows = [
        EAGER.row(
            rounds,
            row.name,
            f"lnmdetect, {row.form.described}",
            facts=milliseconds(rounds, row.name, "crop", CROPS),
        )
        for row in FORMS
    ]
    yield from rows
    yield best_of(rows)
    for precision, name in PEAKS.items():
        share = PeakShare(EAGER, name, precision, f"lnmdetect, {precision} on torch")
        yield share.row(rounds, operations, "batch")


def best_of(rows: list[SpeedRow]) -> SpeedRow:
    """Return the fastest of the forms that ran, to which the bar belongs."""
    ran = [row for row in rows if row.figure is not None]
    if not ran:
        reason = "no form could be compared"
        return SpeedRow(
            "classifier_best", "classifier", "the fastest", EAGER.unit, None, BEST_BAR, reason
        )
    best = max(ran, key=lambda row: row.figure.value if row.figure else 0)
    label = f"the fastest: {best.label}"
    return replace(best, name="classifier_best", label=label, bar=BEST_BAR)


def eager_work(plan: SpeedPlan) -> Work:
    """Return an answer of the network as it was built, as PyTorch runs it."""
    network, crops = _plain_classifier(plan), _crops(plan).crops

    def work() -> None:
        with torch.inference_mode():
            network(crops)

    return work


def crops_work(plan: SpeedPlan, form: InferenceForm) -> Work:
    """Return an answer of the network in a form, as `classify` asks for it.

    Raises:
        LnmDetectError: the form cannot be had here.
    """
    torch.manual_seed(SEED)
    task, batch = ClassifierTask(plan.classifier, CPU), _crops(plan)
    task.module.eval()
    task.prepare_inference(form)

    def work() -> None:
        list(predict(task, [batch], Compute(CPU)))

    return work


def operations_of_a_batch(plan: SpeedPlan) -> int:
    """Return the additions and multiplications of the crops that are timed."""
    return operations_of(_plain_classifier(plan), _crops(plan).crops)


def _plain_classifier(plan: SpeedPlan) -> nn.Module:
    torch.manual_seed(SEED)
    return build_classifier(plan.classifier).eval()


def _crops(plan: SpeedPlan) -> ClassifierBatch:
    torch.manual_seed(SEED)
    recipe = plan.classifier
    channels = recipe.input.channels + recipe.model.size_channel
    side = recipe.model.size_px
    crops = torch.rand(CROPS, channels, side, side)
    return ClassifierBatch(crops, torch.full((CROPS,), NO_TRUTH))
