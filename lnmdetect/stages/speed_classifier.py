"""The classifier on a batch of crops: ours in every form, against the network as it was built."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch

from lnmdetect.core.precision import InferenceForm
from lnmdetect.datasets.classifier_data import ClassifierBatch
from lnmdetect.stages.classify import NO_TRUTH
from lnmdetect.stages.speed_detector import CPU, SEED, FormRow
from lnmdetect.stages.speed_request import SpeedRun
from lnmdetect.stages.speed_result import Bar, SpeedRow
from lnmdetect.stages.speed_rounds import Candidate, Work
from lnmdetect.stages.speed_rows import Comparison, milliseconds
from lnmdetect.training.classifier_task import ClassifierTask, build_classifier
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict

CROPS = 8
EAGER = Comparison("classifier", "eager_fp32", "times faster than eager fp32")
BEST_BAR = Bar(2.7, "at_least")
FORMS = (
    FormRow("torch_fp32", InferenceForm()),
    FormRow("torch_bf16", InferenceForm("bf16")),
    FormRow("openvino_fp32", InferenceForm("fp32", "openvino")),
    FormRow("openvino_bf16", InferenceForm("bf16", "openvino")),
    FormRow("onnx_fp32", InferenceForm("fp32", "onnx")),
)


def classifier_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield the eager network, ours in every form, and the fastest of these."""
    batch = _crops(run)
    candidates = [
        Candidate("eager_fp32", lambda: _eager(run, batch)),
        *(Candidate(row.name, partial(_form_work, run, row, batch)) for row in FORMS),
    ]
    rounds = run.timed(candidates, what="classifier")
    side = run.classifier.model.size_px
    label = f"A-ResNet50-W as PyTorch runs it, {CROPS} crops of {side} px, fp32"
    facts = milliseconds(rounds, "eager_fp32", "crop", CROPS)
    yield EAGER.row(rounds, "eager_fp32", label, facts=facts)
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


def _crops(run: SpeedRun) -> ClassifierBatch:
    torch.manual_seed(SEED)
    recipe = run.classifier
    channels = recipe.input.channels + recipe.model.size_channel
    side = recipe.model.size_px
    crops = torch.rand(CROPS, channels, side, side)
    return ClassifierBatch(crops, torch.full((CROPS,), NO_TRUTH))


def _eager(run: SpeedRun, batch: ClassifierBatch) -> Work:
    torch.manual_seed(SEED)
    network = build_classifier(run.classifier).eval()

    def work() -> None:
        with torch.inference_mode():
            network(batch.crops)

    return work


def _form_work(run: SpeedRun, row: FormRow, batch: ClassifierBatch) -> Work:
    torch.manual_seed(SEED)
    task = ClassifierTask(run.classifier, CPU)
    task.module.eval()
    task.prepare_inference(row.form)

    def work() -> None:
        list(predict(task, [batch], Compute(CPU)))

    return work
