"""The detector on one slice: torchvision's, ours in every form, and the share of the peak."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lnmdetect.core.geometry import as_boxes
from lnmdetect.core.precision import InferenceForm, Precision
from lnmdetect.core.quantised import INT8_BIN, INT8_XML
from lnmdetect.datasets.detector_data import DetectorBatch, DetectorItem, collate_detector
from lnmdetect.io.export_files import write_files
from lnmdetect.io.openvino_engine import model_bytes
from lnmdetect.models.detector import NodeDetector
from lnmdetect.stages.speed_peak import PeakShare, operations_of, peak_candidates
from lnmdetect.stages.speed_plan import SpeedPlan
from lnmdetect.stages.speed_request import SpeedRun
from lnmdetect.stages.speed_result import Bar, Fact, SpeedRow
from lnmdetect.stages.speed_rounds import Candidate, Work
from lnmdetect.stages.speed_rows import KEPT, Comparison, milliseconds
from lnmdetect.stages.speed_stock import default_detector, stock_detector
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict
from lnmdetect.training.engines import quantised_dense_part, refuse_unknown

REFERENCE, REFERENCE_KEPT, EXACT_ROW = "stock_at_size", "stock_at_size_kept", "torch_fp32"
PEAKS: Mapping[Precision, str] = {
    "fp32": EXACT_ROW,
    "bf16": "torch_bf16",
    "int8": "openvino_int8",
}
"""Rows whose share of the peak is told."""
STOCK = Comparison("detector", REFERENCE, "times faster than torchvision's stock detector")
CPU = torch.device("cpu")
SEED = 0
CALIBRATED_ON = 4
"""Slices of noise; more would change the ranges of int8, and not its speed."""


@dataclass(frozen=True)
class FormRow:
    """A form of a network to time.

    Attributes:
        at_least: how many times faster than the reference; None: no bar.
    """

    name: str
    form: InferenceForm
    at_least: float | None = None

    @property
    def bar(self) -> Bar | None:
        """The same as a bar."""
        return None if self.at_least is None else Bar(self.at_least, "at_least")

    def candidate(self, plan: SpeedPlan) -> Candidate:
        """Return the detector in this form; what quantises it is in no process that is timed."""
        first = partial(int8_file, plan, self.form) if self.form.precision == "int8" else None
        return Candidate(self.name, partial(form_work, plan, self.form), first=first)


FORMS = (
    FormRow(EXACT_ROW, InferenceForm(), 1.8),
    FormRow("torch_bf16", InferenceForm("bf16"), 3.3),
    FormRow("openvino_fp32", InferenceForm("fp32", "openvino")),
    FormRow("openvino_bf16", InferenceForm("bf16", "openvino"), 3.7),
    FormRow("openvino_int8", InferenceForm("int8", "openvino"), 5.0),
    FormRow("onnx_fp32", InferenceForm("fp32", "onnx")),
)


def detector_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield the rows of the detector, torchvision's first."""
    plan, host = run.plan, run.networks_host
    work = host.ask(partial(work_of_a_slice, plan))
    candidates = [
        Candidate(REFERENCE, partial(stock_work, plan), is_reference=True),
        Candidate(REFERENCE_KEPT, partial(stock_work, plan)),
        Candidate("stock_defaults", partial(_default_work, plan), is_reference=True),
        *(row.candidate(plan) for row in FORMS),
        *peak_candidates(PEAKS),
    ]
    rounds = run.timed(candidates, what="detector", host=host)
    labels = {
        REFERENCE: f"torchvision's fasterrcnn_resnet50_fpn at {plan.size_px} px, our anchors",
        REFERENCE_KEPT: KEPT,
        "stock_defaults": "torchvision's defaults: resized to 800 px, its own anchors",
        **{row.name: f"lnmdetect, {row.form.described}" for row in FORMS},
    }
    bars = {row.name: row.bar for row in FORMS}
    for name, label in labels.items():
        facts = milliseconds(rounds, name, "slice")
        if name == EXACT_ROW:
            facts |= work.facts
        yield STOCK.row(rounds, name, label, bar=bars.get(name), facts=facts)
    for precision, name in PEAKS.items():
        share = PeakShare(STOCK, name, precision, f"lnmdetect, {precision}")
        yield share.row(rounds, work.operations, "slice")


def detector_task(plan: SpeedPlan) -> DetectorTask:
    """Return the task of the untrained detector, of the same weights at every call."""
    torch.manual_seed(SEED)
    return DetectorTask(plan.detector, CPU)


def plain_detector(plan: SpeedPlan) -> NodeDetector:
    """Return the untrained detector, the same at every call, in eval mode."""
    module = detector_task(plan).module
    assert isinstance(module, NodeDetector)
    return module.eval()


def slice_batch(plan: SpeedPlan, images: int = 1) -> DetectorBatch:
    """Return slices of noise in [0, 1], which leave no fewer proposals than the recipe allows."""
    side, channels = plan.size_px, plan.detector.input.channels
    rng = np.random.default_rng(SEED)
    pixels = (rng.random((channels, side, side), dtype=np.float32) for _ in range(images))
    none = np.zeros(0, dtype=bool)
    return collate_detector([DetectorItem(each, as_boxes([]), none) for each in pixels])


def form_work(plan: SpeedPlan, form: InferenceForm) -> Work:
    """Return one answer of the detector in a form, boxes and all, as `detect` asks for it.

    Raises:
        LnmDetectError: the form cannot be had here.
    """
    task = detector_task(plan)
    task.module.eval()
    quantised = int8_file(plan, form) if form.precision == "int8" else None
    task.prepare_inference(form, quantised=quantised)
    return answer_of_task(plan, task)


def answer_of_task(plan: SpeedPlan, task: DetectorTask) -> Work:
    """Return one answer of a task that is prepared for inference."""
    batch = slice_batch(plan)

    def work() -> None:
        list(predict(task, [batch], Compute(CPU)))

    return work


def int8_file(plan: SpeedPlan, form: InferenceForm) -> Path:
    """Return the file of the detector's dense part in int8, on what hardly moves its speed.

    Raises:
        LnmDetectError: there is no such form, or a package that makes it is not installed.
    """
    refuse_unknown(form)
    folder = plan.folder / "int8"
    if not (folder / INT8_BIN).exists():
        images = slice_batch(plan, CALIBRATED_ON).images.numpy()
        each = [images[place : place + 1] for place in range(CALIBRATED_ON)]
        model = quantised_dense_part(plain_detector(plan), each, where=form.described)
        write_files(folder, dict(zip((INT8_XML, INT8_BIN), model_bytes(model), strict=True)))
    return folder / INT8_XML


def stock_work(plan: SpeedPlan) -> Work:
    """Return one answer of torchvision's detector of our weights and anchors."""
    model = stock_detector(plain_detector(plan), plan.size_px).eval()
    return _answer_of(model, slice_batch(plan).images)


def _default_work(plan: SpeedPlan) -> Work:
    torch.manual_seed(SEED)
    return _answer_of(default_detector().eval(), slice_batch(plan).images[:, :3])


def _answer_of(model: torch.nn.Module, images: Tensor) -> Work:
    def work() -> None:
        with torch.inference_mode():
            model(list(images))

    return work


@dataclass(frozen=True)
class SliceWork:
    """What one slice asks of the detector.

    Attributes:
        operations: additions and multiplications.
        facts: what the box heads are given, and how large the network is.
    """

    operations: int
    facts: Mapping[str, Fact]


def operations_of_a_slice(plan: SpeedPlan) -> int:
    """Return the additions and multiplications of the slice that is timed."""
    return operations_of(plain_detector(plan), slice_batch(plan).images)


def work_of_a_slice(plan: SpeedPlan) -> SliceWork:
    """Return what the slice that is timed asks of the detector."""
    plain, images = plain_detector(plan), slice_batch(plan).images
    proposals: list[int] = []
    hook = plain.rpn.register_forward_hook(lambda _, __, out: proposals.append(len(out[0][0])))
    with torch.inference_mode():
        (found,) = plain(images)
    hook.remove()
    parameters = sum(p.numel() for p in plain.parameters())
    facts = {"proposals": proposals[0], "boxes": len(found["boxes"]), "parameters": parameters}
    return SliceWork(operations_of(plain, images), facts)
