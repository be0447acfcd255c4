"""Networks in the form that is asked for, by the library that runs them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lnmdetect.core.errors import ModelError, UsageError
from lnmdetect.core.precision import Engine, InferenceForm, Precision
from lnmdetect.io.onnx_engine import OnnxNetwork, onnx_bytes, require_onnx
from lnmdetect.io.openvino_engine import (
    OpenVinoNetwork,
    converted,
    read_model,
    require_openvino,
)
from lnmdetect.io.quantise import quantised_model
from lnmdetect.models.dense_part import DensePart, with_dense_part
from lnmdetect.models.detector import NodeDetector
from lnmdetect.models.detectors import Detector
from lnmdetect.models.folding import fold_batch_norms
from lnmdetect.models.inference import inference_form
from lnmdetect.training.devices import fastest_precision

PRECISIONS: Mapping[Engine, tuple[Precision, ...]] = {
    "torch": ("fp32", "bf16"),
    "openvino": ("fp32", "bf16", "int8"),
    "onnx": ("fp32",),
}
"""What each engine can compute in."""
REQUIRED: Mapping[Engine, Callable[[str], None]] = {
    "openvino": require_openvino,
    "onnx": require_onnx,
}
"""What asks whether an engine is installed; torch is."""
TRACED_PX = 64
"""Side of the image a detector is traced with; what comes out holds for all."""

Shape = tuple[int, ...]
"""Of a network's input; -1 stands for any number."""
Run = Callable[[Tensor], Sequence[Tensor]]


def detector_in(
    form: InferenceForm,
    network: Detector,
    *,
    quantised: Path | None = None,
    run: Run | None = None,
) -> Detector:
    """Return a copy of a detector for inference alone, in a form.

    Args:
        form: one of `PRECISIONS`.
        network: as it was trained.
        quantised: file of its dense part in int8; None where it has none.
        run: what runs that part, on another engine than torch; None: it is made here.

    Raises:
        MissingExtraError: the engine is not installed.
        ModelError: the detector has no such form.
        UsageError: the engine is not known, cannot compute in this precision, or not there.
    """
    refuse_unknown(form)
    if form.engine == "torch":
        return inference_form(network, form.precision)
    _require_cpu(form, network)
    detector = _with_dense_part(network, f"--engine {form.engine}")
    if run is None and form.engine == "openvino":
        run = dense_part_on_openvino(form, detector, quantised=quantised)
    elif run is None:
        shape = _shape_of_images(detector)
        run = RUNNERS[form.engine](DensePart(detector), shape, form.precision)
    dtype = torch.bfloat16 if _unquantised(form.precision) == "bf16" else torch.float32
    return with_dense_part(detector, run, dtype=dtype)


def dense_part_on_openvino(
    form: InferenceForm,
    detector: NodeDetector,
    *,
    quantised: Path | None = None,
    tells_layers: bool = False,
) -> OpenVinoNetwork:
    """Return the dense part of a detector as OpenVINO runs it in a form.

    Args:
        form: one of OpenVINO's.
        detector: as it was trained.
        quantised: file of the part in int8; None where it has none.
        tells_layers: whether it measures its layers.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        ModelError: the detector has no such form.
    """
    if form.precision == "int8":
        model = read_model(calibrated(quantised))
        return OpenVinoNetwork(model, _unquantised(form.precision), tells_layers=tells_layers)
    part, shape = DensePart(detector), _shape_of_images(detector)
    return _on_openvino(part, shape, form.precision, tells_layers=tells_layers)


def quantised_dense_part(
    network: Detector, images: Sequence[NDArray[np.float32]], *, where: str
) -> Any:
    """Return the dense part of a detector in int8, an `openvino.Model`.

    Args:
        network: as it was trained, on the CPU.
        images: (1, C, H, W) each, on which the ranges of its numbers are measured.
        where: what asks for it.

    Raises:
        MissingExtraError: NNCF or OpenVINO is not installed.
        UsageError: the detector has no such part.
    """
    detector = _with_dense_part(network, where)
    shape = _shape_of_images(detector)
    model = converted(DensePart(detector), _example(shape), shape=shape, where=where)
    return quantised_model(model, images, where=where)


def classifier_in(form: InferenceForm, network: nn.Module, crop: Shape) -> nn.Module:
    """Return a copy of a classifier for inference alone, in a form.

    Args:
        form: one of `PRECISIONS`, but not int8.
        network: as it was trained.
        crop: shape of a crop, (C, S, S).

    Raises:
        MissingExtraError: the engine is not installed.
        UsageError: the engine is not known, cannot compute in this precision, or not there.
    """
    refuse_unknown(form)
    if form.engine == "torch":
        return inference_form(network, form.precision)
    _require_cpu(form, network)
    refuse_quantised_classifier(form)
    run = RUNNERS[form.engine](fold_batch_norms(network), (-1, *crop), form.precision)
    return ElsewhereNetwork(run)


class ElsewhereNetwork(nn.Module):
    """A network of one input and one output that another library runs.

    Args:
        run: what runs it.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for an input."""
        return self.run(x.float())[0].clone()  # the next call may write where this one did


def refuse_unknown(form: InferenceForm) -> None:
    """Return nothing where a form can be had.

    Raises:
        UsageError: it cannot.
    """
    known = PRECISIONS.get(form.engine, ())
    if form.precision not in known:
        forms = [f"{p} on {engine}" for engine, ps in PRECISIONS.items() for p in ps]
        raise UsageError(
            "--precision, --engine",
            expected=f"one of {', '.join(forms)}",
            got=form.described,
            remedy="Use one of these, or leave both out.",
        )


def refuse_absent(engine: Engine) -> None:
    """Return nothing where an engine is installed.

    Raises:
        MissingExtraError: it is not.
    """
    if engine in REQUIRED:
        REQUIRED[engine](f"--engine {engine}")


def refuse_quantised_classifier(form: InferenceForm) -> None:
    """Return nothing where a classifier can be had in a form that its engine knows.

    Raises:
        UsageError: it cannot.
    """
    if form.precision == "int8":
        raise UsageError(
            "--precision",
            expected="fp32 or bf16 for a classifier",
            got="int8",
            remedy="Only detectors can be calibrated for int8.",
        )


def _with_dense_part(network: Detector, where: str) -> NodeDetector:
    if not isinstance(network, NodeDetector):
        raise UsageError(
            where,
            expected="Faster R-CNN on a feature pyramid",
            got="a detector of another architecture",
            remedy="Run it with --engine torch.",
        )
    return network


def _shape_of_images(detector: NodeDetector) -> Shape:
    return (-1, detector.sizes.in_channels, -1, -1)


def _unquantised(precision: Precision) -> Precision:
    """Return what the layers compute in that are not, or cannot be, quantised."""
    if precision != "int8":
        return precision
    return fastest_precision(torch.device("cpu"))


def _on_openvino(
    network: nn.Module, shape: Shape, precision: Precision, *, tells_layers: bool = False
) -> OpenVinoNetwork:
    model = converted(network, _example(shape), shape=shape, where="--engine openvino")
    return OpenVinoNetwork(model, precision, tells_layers=tells_layers)


def _on_onnx(network: nn.Module, shape: Shape, _: Precision) -> Run:
    model = onnx_bytes(network, _example(shape), shape=shape, where="--engine onnx")
    return OnnxNetwork(model)


RUNNERS: Mapping[Engine, Callable[[nn.Module, Shape, Precision], Run]] = {
    "openvino": _on_openvino,
    "onnx": _on_onnx,
}


def _example(shape: Shape) -> Tensor:
    """Return an input to trace with: two crops, or images, of any content."""
    sides = (TRACED_PX if side < 0 else side for side in shape[1:])
    return torch.zeros(2, *sides)


def _require_cpu(form: InferenceForm, network: nn.Module) -> None:
    device = next(network.parameters()).device
    if device.type != "cpu":
        raise UsageError(
            "--engine",
            expected="torch on a GPU",
            got=f"{form.engine} on {device.type}",
            remedy="Add --device cpu, or leave --engine out.",
        )


def calibrated(quantised: Path | None) -> Path:
    """Return the file of a detector's int8 form.

    Raises:
        ModelError: there is none.
    """
    if quantised is None:
        raise ModelError(
            "--precision int8",
            expected="a bundle that was calibrated for it",
            got="one without an int8 form",
            remedy="Make one with: lnmdetect models export detector openvino --precision int8 "
            "--model BUNDLE --data truth.json -o NEW_BUNDLE",
        )
    return quantised
