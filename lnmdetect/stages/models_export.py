"""`lnmdetect models export`: a whole model as one file for others' runtimes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe
from lnmdetect.core.errors import OutputError, UsageError
from lnmdetect.core.precision import Precision
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.quantised import INT8_BIN, INT8_XML
from lnmdetect.io.bundles import CARD, CONFIG, WEIGHTS, Bundle, read_bundle
from lnmdetect.io.export_files import sha256_of_files, write_files
from lnmdetect.io.json_files import sha256_of_file, write_json
from lnmdetect.io.onnx_engine import onnx_bytes
from lnmdetect.io.openvino_engine import converted, model_bytes
from lnmdetect.io.run_record import RUN, RunRecord
from lnmdetect.models.detector import NodeDetector
from lnmdetect.models.whole import WholeClassifier, WholeDetector
from lnmdetect.stages.bundle_output import refuse_output
from lnmdetect.stages.classify import load_classifier
from lnmdetect.stages.detect import load_detector
from lnmdetect.stages.detect_request import DEFAULT_MODEL
from lnmdetect.stages.models_export_info import classifier_info, detector_info
from lnmdetect.stages.models_quantise import Calibration, write_quantised_bundle

ExportArm = Literal["detector", "classifier"]
ExportFormat = Literal["onnx", "openvino"]
DESCRIPTION = "model.json"
IMAGE_PX = 256
"""Side of the image that a detector is traced with; any multiple of 32 may be given to it."""


@dataclass(frozen=True)
class ExportModelRequest:
    """Which model to write, and how.

    Attributes:
        arm: detector or classifier.
        format: onnx or openvino.
        output: folder.
        model: name or folder of the bundle.
        precision: fp32; or int8, of which a new bundle is made.
        calibration: on what, for int8 alone.
    """

    arm: ExportArm
    format: ExportFormat
    output: Path
    model: str = DEFAULT_MODEL
    precision: Precision = "fp32"
    calibration: Calibration | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class ExportModelResult:
    """What was written.

    Attributes:
        files: their names, in the folder `output`.
        megabytes: of all of them.
        bundle: whether the folder is a bundle of this package.
        slices: that calibrated an int8 form; 0 of others.
    """

    arm: ExportArm
    model: str
    precision: Precision
    output: Path
    files: tuple[str, ...]
    megabytes: float
    bundle: bool = False
    slices: int = 0


def export_model(request: ExportModelRequest, progress: Progress = SILENT) -> ExportModelResult:
    """Return what was written to the folder of a request.

    Args:
        request: which model, and how.
        progress: watches the slices of a calibration.

    Raises:
        InputError: the slices to calibrate on cannot be read.
        MissingExtraError: the format's library is not installed.
        ModelError: there is no such bundle, or it is damaged.
        OutputError: a file exists and `overwrite` is not set, or the disk refuses.
        UsageError: there is no such form, or the network cannot be exported.
    """
    _refuse_form(request)
    if request.precision == "int8":
        return _quantise(request, progress)
    names = _FILES[request.format]
    source = read_bundle(request.model, request.arm)
    refuse_output(request.output, source, overwrite=request.overwrite)
    _refuse_files(request.output, (*names, DESCRIPTION, RUN), overwrite=request.overwrite)
    record = _start_record(request, source)
    whole = _WHOLE[request.arm](request.model)
    files = dict(zip(names, _WRITERS[request.format](whole), strict=True))
    described = {
        **whole.info,
        "format": request.format,
        "precision": request.precision,
        "files": sha256_of_files(files),
    }
    write_files(request.output, files, overwrite=request.overwrite)
    write_json(described, request.output / DESCRIPTION, overwrite=request.overwrite)
    return _result(request, source, (*names, DESCRIPTION), record)


@dataclass(frozen=True)
class _Whole:
    """A network of one input, and what is to be said of it."""

    network: nn.Module
    shape: tuple[int, ...]
    example: Tensor
    names: tuple[str, ...]
    info: Mapping[str, Any]


def _whole_detector(model: str) -> _Whole:
    bundle, task = load_detector(model, "cpu", plain=True)
    assert isinstance(bundle.recipe, DetectorRecipe)
    network = task.module
    if not isinstance(network, NodeDetector) or bundle.recipe.model.roi != "align":
        raise UsageError(
            "models export",
            expected="Faster R-CNN on a feature pyramid, with RoIAlign",
            got=f"{bundle.recipe.model.architecture} of another kind",
            remedy="Choose another --model.",
        )
    channels = bundle.recipe.input.channels
    example = torch.rand(1, channels, IMAGE_PX, IMAGE_PX, generator=torch.Generator())
    shape = (1, channels, -1, -1)
    names = ("image", "boxes", "scores")
    info = detector_info(bundle, bundle.recipe)
    return _Whole(WholeDetector(network), shape, example, names, info)


def _whole_classifier(model: str) -> _Whole:
    bundle, task = load_classifier(model, "cpu", plain=True)
    assert isinstance(bundle.recipe, ClassifierRecipe)
    network = WholeClassifier(task.module, task.flips, task.temperature)
    names = ("crops", "probabilities")
    info = classifier_info(bundle, bundle.recipe)
    return _Whole(network, (-1, *task.crop), torch.zeros(2, *task.crop), names, info)


_WHOLE: Mapping[ExportArm, Callable[[str], _Whole]] = {
    "detector": _whole_detector,
    "classifier": _whole_classifier,
}


def _as_onnx(whole: _Whole) -> tuple[bytes, ...]:
    model = onnx_bytes(
        whole.network,
        whole.example,
        shape=whole.shape,
        where="models export onnx",
        names=whole.names,
    )
    return (model,)


def _as_openvino(whole: _Whole) -> tuple[bytes, ...]:
    model = converted(
        whole.network, whole.example, shape=whole.shape, where="models export openvino"
    )
    for port, name in zip((*model.inputs, *model.outputs), whole.names, strict=True):
        port.get_tensor().set_names({name})
    return model_bytes(model)


_WRITERS: Mapping[ExportFormat, Callable[[_Whole], tuple[bytes, ...]]] = {
    "onnx": _as_onnx,
    "openvino": _as_openvino,
}
_FILES: Mapping[ExportFormat, tuple[str, ...]] = {
    "onnx": ("model.onnx",),
    "openvino": ("model.xml", "model.bin"),
}


def _quantise(request: ExportModelRequest, progress: Progress) -> ExportModelResult:
    calibration = request.calibration
    assert calibration is not None
    loaded = load_detector(request.model, "cpu", plain=True)
    record = _start_record(request, loaded[0])
    written = write_quantised_bundle(
        loaded,
        calibration,
        request.output,
        overwrite=request.overwrite,
        progress=progress,
    )
    assert written.quantised is not None
    record.seed = calibration.seed
    record.config = {**record.config, "slices": written.quantised.slices}
    record.inputs[calibration.data.name] = sha256_of_file(calibration.data)
    names = (CONFIG, WEIGHTS, CARD, INT8_XML, INT8_BIN)
    result = _result(request, loaded[0], names, record)
    return ExportModelResult(**{**vars(result), "bundle": True, "slices": written.quantised.slices})


def _start_record(request: ExportModelRequest, bundle: Bundle) -> RunRecord:
    config = {"arm": request.arm, "format": request.format, "precision": request.precision}
    return RunRecord("models export", config, model={bundle.name: bundle.sha256})


def _result(
    request: ExportModelRequest, bundle: Bundle, written: tuple[str, ...], record: RunRecord
) -> ExportModelResult:
    """Return what was written, after adding the record of the run to it."""
    record.lap("export")
    record.write(request.output / RUN)
    names = (*written, RUN)
    size = sum((request.output / name).stat().st_size for name in names)
    return ExportModelResult(
        arm=request.arm,
        model=bundle.name,
        precision=request.precision,
        output=request.output,
        files=names,
        megabytes=round(size / 1e6, 2),
    )


def _refuse_form(request: ExportModelRequest) -> None:
    form = f"{request.precision} {request.arm} as {request.format}"
    if request.precision == "fp32" and request.calibration is None:
        return
    if request.precision == "int8" and (request.arm, request.format) == ("detector", "openvino"):
        if request.calibration is not None:
            return
        got, remedy = f"{form} without --data", "Give --data truth.json, slices to calibrate on."
    elif request.precision == "fp32":
        got, remedy = f"{form} with --data", "Leave --data out, or add --precision int8."
    else:
        got = form
        remedy = "Leave --precision out: a runtime that computes in bf16 does so from fp32 weights."
    raise UsageError(
        "models export",
        expected="fp32, or a detector as openvino in int8 with --data",
        got=got,
        remedy=remedy,
    )


def _refuse_files(folder: Path, names: tuple[str, ...], *, overwrite: bool) -> None:
    there = [name for name in names if (folder / name).exists()]
    if there and not overwrite:
        raise OutputError(
            folder.name,
            expected="a folder without an exported model",
            got=f"one that holds {there[0]}",
            remedy="Choose another --output, or add --overwrite.",
        )
