"""Other libraries run the dense part of a detector, and classifiers, with the same answers."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lnmdetect.core.errors import MissingExtraError, ModelError, UsageError
from lnmdetect.core.precision import EXACT, Engine, InferenceForm, Precision
from lnmdetect.models.backbones import BACKBONES, ClassifierSizes
from lnmdetect.models.detector import NodeDetector
from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.detectors import DETECTORS
from lnmdetect.training.engines import classifier_in, detector_in
from tests.engines import needs_onnx, needs_openvino
from tests.models.test_folding import AREAS, seasoned
from tests.stages.test_detector_equality import assert_same

OPENVINO, ONNX = InferenceForm("fp32", "openvino"), InferenceForm("fp32", "onnx")
EXACT_FORMS = [
    pytest.param(OPENVINO, marks=needs_openvino),
    pytest.param(ONNX, marks=needs_onnx),
]
SIZES = ((96, 128), (128, 64), (96, 128))


@pytest.fixture(scope="module")
def detector() -> NodeDetector:
    sizes = DetectorSizes(AREAS, in_channels=5, width=0.125, proposals_test=200)
    torch.manual_seed(0)
    network = NodeDetector(sizes)
    seasoned(network)
    torch.nn.init.normal_(network.roi_heads.box_predictor.cls_score.weight, std=0.5)
    return network


def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(1, 5, *size, generator=generator) for size in SIZES]


def found(network: torch.nn.Module, image: Tensor) -> dict[str, Tensor]:
    with torch.inference_mode():
        (one,) = network(image.contiguous(memory_format=torch.channels_last))
    return dict(one)


@pytest.mark.parametrize("form", EXACT_FORMS)
def test_the_boxes_are_those_of_torch_on_images_of_any_size(
    detector: NodeDetector, form: InferenceForm
) -> None:
    exact, other = detector_in(EXACT, detector), detector_in(form, detector)
    for image in images():
        assert assert_same(found(other, image), found(exact, image)) > 5
    both = torch.cat([images()[0], images()[2]])
    with torch.inference_mode():
        for one, expected in zip(other(both), exact(both), strict=True):
            assert assert_same(one, expected) > 5


@pytest.mark.parametrize("form", EXACT_FORMS)
def test_the_layers_that_run_elsewhere_are_not_kept(
    detector: NodeDetector, form: InferenceForm
) -> None:
    before = [name for name, _ in detector.named_parameters()]
    kept = {name.split(".")[0] for name, _ in detector_in(form, detector).named_parameters()}
    assert kept == {"roi_heads"}
    assert [name for name, _ in detector.named_parameters()] == before


@needs_openvino
def test_answers_of_an_image_do_not_change_with_the_next_one(detector: NodeDetector) -> None:
    other = detector_in(OPENVINO, detector)
    first = found(other, images()[0])
    kept = {name: x.clone() for name, x in first.items()}
    found(other, images()[2])
    torch.testing.assert_close(first, kept, atol=0, rtol=0)
    classifier = seasoned(BACKBONES["resnet50"].build(ClassifierSizes(width=0.125)))
    elsewhere = classifier_in(OPENVINO, classifier, (3, 32, 32))
    with torch.inference_mode():
        answer = elsewhere(torch.rand(2, 3, 32, 32))
        before = answer.clone()
        elsewhere(torch.rand(2, 3, 32, 32))
    torch.testing.assert_close(answer, before, atol=0, rtol=0)


@needs_openvino
def test_in_bf16_scores_move_a_little_and_are_no_longer_the_same(detector: NodeDetector) -> None:
    exact = detector_in(EXACT, detector)
    other = detector_in(InferenceForm("bf16", "openvino"), detector)
    for image in images():
        expected, got = found(exact, image), found(other, image)
        assert got["boxes"].dtype == got["scores"].dtype == torch.float32
        torch.testing.assert_close(got["scores"][:3], expected["scores"][:3], atol=0.03, rtol=0)
        assert not torch.equal(got["boxes"][:3], expected["boxes"][:3])


@pytest.mark.parametrize("form", EXACT_FORMS)
@pytest.mark.parametrize("name", ["resnet50", "shufflenetv2"])
def test_classifiers_answer_the_same_for_any_number_of_crops(
    name: str, form: InferenceForm
) -> None:
    sizes = ClassifierSizes(4, 3, width=0.125, attention=True, factor=2)
    network = seasoned(BACKBONES[name].build(sizes))
    other = classifier_in(form, network, (4, 64, 64))
    with torch.inference_mode():
        for number in (1, 5, 2):
            crops = torch.rand(number, 4, 64, 64)
            torch.testing.assert_close(other(crops), network(crops), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("engine", "precision"), [("onnx", "bf16"), ("onnx", "int8"), ("torch", "int8")]
)
def test_a_precision_that_an_engine_lacks_is_refused(
    detector: NodeDetector, engine: Engine, precision: Precision
) -> None:
    form = InferenceForm(precision, engine)
    with pytest.raises(UsageError, match=f"bf16 on openvino.*got {precision} on {engine}"):
        detector_in(form, detector)
    with pytest.raises(UsageError, match=f"got {precision} on {engine}"):
        classifier_in(form, detector, (3, 32, 32))


def test_int8_without_calibration_names_the_command_that_calibrates(
    detector: NodeDetector,
) -> None:
    form = InferenceForm("int8", "openvino")
    with pytest.raises(ModelError, match="models export detector openvino --precision int8"):
        detector_in(form, detector)
    with pytest.raises(UsageError, match="expected fp32 or bf16 for a classifier, got int8"):
        classifier_in(form, seasoned(BACKBONES["resnet50"].build(ClassifierSizes(width=0.125))), ())


@pytest.mark.parametrize(
    ("form", "package", "extra"),
    [(OPENVINO, "openvino", "openvino"), (ONNX, "onnx", "onnx")],
)
def test_an_engine_that_is_not_installed_is_named_with_its_extra(
    detector: NodeDetector,
    monkeypatch: pytest.MonkeyPatch,
    form: InferenceForm,
    package: str,
    extra: str,
) -> None:
    spec_of = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else spec_of(name)
    )
    with pytest.raises(MissingExtraError, match=rf"--engine {form.engine}: .*lnmdetect\[{extra}\]"):
        detector_in(form, detector)


@pytest.mark.parametrize("name", ["retinanet", "fcos", "ssd", "yolov3"])
def test_detectors_of_another_kind_stay_with_torch(name: str) -> None:
    priors = tuple((float(side), float(side)) for side in range(6, 51, 5))
    sizes = DetectorSizes(AREAS, width=0.125, anchor_shapes_px=priors if name == "yolov3" else ())
    with pytest.raises(UsageError, match="expected Faster R-CNN on a feature pyramid"):
        detector_in(OPENVINO, DETECTORS[name](sizes))


def test_an_engine_of_the_cpu_is_not_given_a_network_on_another_device() -> None:
    with torch.device("meta"):
        network = NodeDetector(DetectorSizes(AREAS, width=0.125))
    with pytest.raises(UsageError, match="Add --device cpu"):
        detector_in(OPENVINO, network)


@pytest.mark.parametrize("form", EXACT_FORMS)
def test_an_engine_tells_nobody_that_it_is_used(form: InferenceForm, tmp_path: Path) -> None:
    code = (
        "import os, sys, torch\n"
        "from lnmdetect.core.precision import InferenceForm\n"
        "from lnmdetect.training.engines import classifier_in\n"
        "net = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.Flatten())\n"
        f"net = classifier_in(InferenceForm('fp32', '{form.engine}'), net, (1, 4, 4))\n"
        "net(torch.zeros(1, 1, 4, 4))\n"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry.')])\n"
        f"print({form.engine == 'onnx'} and os.environ.get('ORT_DISABLE_TELEMETRY'))\n"
    )
    environment = {"HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["[]", "1" if form.engine == "onnx" else "False"]
    assert list(tmp_path.rglob("*")) == []  # where they note who uses them, or who said no


def test_extras_are_not_imported_before_they_are_asked_for() -> None:
    code = (
        "import sys, lnmdetect.training.engines\n"
        "print([name for name in ('openvino', 'onnxruntime', 'nncf') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@needs_onnx
def test_a_network_that_onnx_has_no_words_for_is_refused_in_a_sentence() -> None:
    # From 2 x 2 to 7 x 7, as VGG pools crops below 224 px.
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.AdaptiveAvgPool2d(7))
    with pytest.raises(UsageError, match="--engine onnx: expected a network that ONNX can hold"):
        classifier_in(ONNX, network, (1, 2, 2))


@pytest.mark.parametrize("form", EXACT_FORMS)
def test_nothing_found_is_no_box(detector: NodeDetector, form: InferenceForm) -> None:
    predictor = detector.roi_heads.box_predictor.cls_score
    weight, bias = predictor.weight.data.clone(), predictor.bias.data.clone()
    try:
        predictor.weight.data.zero_()
        predictor.bias.data = torch.tensor([10.0, -10.0])
        blind = detector_in(form, detector)
    finally:
        predictor.weight.data, predictor.bias.data = weight, bias
    assert found(blind, images()[0])["boxes"].shape == (0, 4)
    assert np.isfinite(found(detector_in(form, detector), images()[0])["boxes"].numpy()).all()
