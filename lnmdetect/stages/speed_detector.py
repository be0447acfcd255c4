"""The detector on one slice: torchvision's, ours in every form, and the share of the peak."""

from collections.abc import Iterator
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
from lnmdetect.stages.speed_peak import operations_of, peak_candidates, peak_per_s
from lnmdetect.stages.speed_request import SpeedRun
from lnmdetect.stages.speed_result import Bar, Fact, Figure, SpeedRow
from lnmdetect.stages.speed_rounds import Candidate, Rounds, Work
from lnmdetect.stages.speed_rows import Comparison, milliseconds
from lnmdetect.stages.speed_stock import default_detector, stock_detector
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict
from lnmdetect.training.engines import quantised_dense_part, refuse_unknown

REFERENCE, EXACT_ROW = "stock_at_size", "torch_fp32"
PEAKS: dict[Precision, str] = {"fp32": EXACT_ROW, "bf16": "torch_bf16"}
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


def detector_row(name: str, form: InferenceForm, at_least: float | None = None) -> FormRow:
    """Return the row of a form of the detector; one line below adds another engine."""
    return FormRow(name, form, at_least)


FORMS = (
    detector_row(EXACT_ROW, InferenceForm(), 1.8),
    detector_row("torch_bf16", InferenceForm("bf16"), 3.3),
    detector_row("openvino_fp32", InferenceForm("fp32", "openvino")),
    detector_row("openvino_bf16", InferenceForm("bf16", "openvino"), 3.7),
    detector_row("openvino_int8", InferenceForm("int8", "openvino"), 5.0),
    detector_row("onnx_fp32", InferenceForm("fp32", "onnx")),
)


def detector_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield the rows of the detector, torchvision's first."""
    batch = slice_batch(run)
    plain = plain_detector(run)
    candidates = [
        Candidate(REFERENCE, lambda: _stock_work(run, batch)),
        Candidate("stock_defaults", lambda: _default_work(batch)),
        *(Candidate(row.name, partial(form_work, run, row.form, batch)) for row in FORMS),
        *(product for precision in PEAKS for product in peak_candidates(precision)),
    ]
    rounds = run.timed(candidates, what="detector")
    size = run.request.size_px
    labels = {
        REFERENCE: f"torchvision's fasterrcnn_resnet50_fpn at {size} px, our anchors",
        "stock_defaults": "torchvision's defaults: resized to 800 px, its own anchors",
        **{row.name: f"lnmdetect, {row.form.described}" for row in FORMS},
    }
    bars = {row.name: row.bar for row in FORMS}
    for name, label in labels.items():
        facts = milliseconds(rounds, name, "slice")
        if name == EXACT_ROW:
            facts |= _work_of(plain, batch)
        yield STOCK.row(rounds, name, label, bar=bars.get(name), facts=facts)
    operations = operations_of(plain, batch.images)
    for precision in PEAKS:
        yield _peak_row(rounds, operations, precision)


def plain_detector(run: SpeedRun) -> NodeDetector:
    """Return the untrained detector, the same at every call, in eval mode."""
    torch.manual_seed(SEED)
    module = DetectorTask(run.detector, CPU).module
    assert isinstance(module, NodeDetector)
    return module.eval()


def slice_batch(run: SpeedRun, images: int = 1) -> DetectorBatch:
    """Return slices of noise in [0, 1], which leave no fewer proposals than the recipe allows."""
    side, channels = run.request.size_px, run.detector.input.channels
    rng = np.random.default_rng(SEED)
    pixels = (rng.random((channels, side, side), dtype=np.float32) for _ in range(images))
    none = np.zeros(0, dtype=bool)
    return collate_detector([DetectorItem(each, as_boxes([]), none) for each in pixels])


def form_work(run: SpeedRun, form: InferenceForm, batch: DetectorBatch) -> Work:
    """Return one answer of the detector in a form, boxes and all, as `detect` asks for it.

    Raises:
        LnmDetectError: the form cannot be had here.
    """
    torch.manual_seed(SEED)
    task = DetectorTask(run.detector, CPU)
    task.module.eval()
    quantised = _quantised(run, task, form) if form.precision == "int8" else None
    task.prepare_inference(form, quantised=quantised)

    def work() -> None:
        list(predict(task, [batch], Compute(CPU)))

    return work


def _quantised(run: SpeedRun, task: DetectorTask, form: InferenceForm) -> Path:
    """Return the file of a detector's dense part in int8; on what hardly moves its speed.

    Raises:
        LnmDetectError: there is no such form, or a package that makes it is not installed.
    """
    refuse_unknown(form)
    images = slice_batch(run, CALIBRATED_ON).images.numpy()
    each = [images[place : place + 1] for place in range(CALIBRATED_ON)]
    model = quantised_dense_part(task.module, each, where=form.described)
    folder = run.place("int8")
    write_files(folder, dict(zip((INT8_XML, INT8_BIN), model_bytes(model), strict=True)))
    return folder / INT8_XML


def _stock_work(run: SpeedRun, batch: DetectorBatch) -> Work:
    model = stock_detector(plain_detector(run), run.request.size_px).eval()
    return _answer_of(model, batch.images)


def _default_work(batch: DetectorBatch) -> Work:
    torch.manual_seed(SEED)
    return _answer_of(default_detector().eval(), batch.images[:, :3])


def _answer_of(model: torch.nn.Module, images: Tensor) -> Work:
    def work() -> None:
        with torch.inference_mode():
            model(list(images))

    return work


def _work_of(plain: NodeDetector, batch: DetectorBatch) -> dict[str, Fact]:
    """Return how much work the slice gives to the box heads."""
    proposals: list[int] = []
    hook = plain.rpn.register_forward_hook(lambda _, __, out: proposals.append(len(out[0][0])))
    with torch.inference_mode():
        (found,) = plain(batch.images)
    hook.remove()
    parameters = sum(p.numel() for p in plain.parameters())
    return {"proposals": proposals[0], "boxes": len(found["boxes"]), "parameters": parameters}


def _peak_row(rounds: Rounds, operations: int, precision: Precision) -> SpeedRow:
    """Return the share of the peak that the detector on torch reaches in a precision."""
    timing, peak = rounds.timings.get(PEAKS[precision]), peak_per_s(rounds, precision)
    facts: dict[str, Fact] = {"gflop_a_slice": operations / 1e9}
    figure, reason = None, "neither the detector nor the products could run"
    if peak is not None:
        facts["peak_gflop_a_s"] = peak / 1e9
    if peak is not None and timing is not None:
        shares = [operations / second / peak for second in timing.seconds]
        figure = Figure(operations / timing.median_s / peak, min(shares), max(shares))
        facts["detector_gflop_a_s"] = operations / timing.median_s / 1e9
        stock = rounds.timings.get(REFERENCE)
        if stock is not None:
            facts["times_faster_at_the_peak"] = stock.median_s * peak / operations
        reason = ""
    return SpeedRow(
        f"detector_share_of_peak_{precision}",
        STOCK.family,
        f"lnmdetect, {precision} on torch: operations a second over those of the fastest product",
        "share of the measured peak",
        figure,
        reason=reason,
        timing=timing,
        facts=facts,
    )
