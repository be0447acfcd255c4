"""What engines of other libraries cannot do is said as our errors: a sentence, without paths."""

import errno
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lnmdetect.core.errors import LnmDetectError, ModelError, OutputError, UsageError
from lnmdetect.io import openvino_engine
from lnmdetect.io.engine_errors import LONGEST, errors_of, told_as_ours
from lnmdetect.io.onnx_engine import OnnxNetwork, onnx_bytes
from lnmdetect.io.openvino_engine import OpenVinoNetwork, converted, model_bytes
from lnmdetect.io.quantise import quantised_model
from tests.engines import needs_nncf, needs_onnx, needs_openvino

SHAPE = (-1, 1, -1, -1)
EXAMPLE = torch.zeros(1, 1, 8, 8)


class EngineError(Exception):
    """An engine's own."""


class Strange(nn.Module):
    """A network of an operator that no engine has."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a Bessel function."""
        answer: Tensor = torch.special.bessel_j0(x)
        return answer


def test_the_errors_of_a_module_are_those_of_its_own_that_it_shows() -> None:
    module = ModuleType("engine")
    vars(module).update(EngineError=EngineError, ValueError=ValueError, size=3, Strange=Strange)
    assert errors_of(module) == (EngineError,)


@pytest.mark.parametrize(
    ("text", "line", "got"),
    [
        ("Exception from a.cpp\n  Sizes differ. \n\n", -1, "EngineError: Sizes differ"),
        ("Sizes differ\nPlease mend it.", 0, "EngineError: Sizes differ"),
        ('No "/data/DOE^JANE/x.xml"', -1, "EngineError"),
        ("Can't open /data/Jane Doe/int8.bin for reading", -1, "EngineError"),
        (r"No C:\Users\doe\x", -1, "EngineError"),
        ("No C:/Users/doe", -1, "EngineError"),
        ("No D:doe.bin", -1, "EngineError"),
        (r"No \\server\Jane Doe", -1, "EngineError"),
        ("No Jane/x.bin", -1, "EngineError"),
        ("Sizes differ: 3 / 4\nNo /data/x", 0, "EngineError: Sizes differ: 3 / 4"),
        ("", -1, "EngineError"),
        ("x" * 999, -1, f"EngineError: {'x' * LONGEST}"),
    ],
)
def test_a_line_of_an_engines_words_is_passed_on_unless_it_holds_a_path(
    text: str, line: int, got: str
) -> None:
    told = told_as_ours((EngineError,), "--here", expected="better", remedy="Do.", line=line)
    with pytest.raises(ModelError) as said, told:
        raise EngineError(text)
    assert str(said.value) == f"--here: expected better, got {got}. Do."


def test_an_error_of_another_kind_stays_what_it_is() -> None:
    with (
        pytest.raises(KeyError),
        told_as_ours((EngineError,), "--here", expected="better", remedy="Do."),
    ):
        raise KeyError("a bug")


def refused(error: type[LnmDetectError], match: str, work: Callable[[], object]) -> None:
    with pytest.raises(error, match=match) as said:
        work()
    assert len(str(said.value).splitlines()) == 1


@needs_onnx
def test_onnx_runtime_refuses_in_a_sentence() -> None:
    refused(ModelError, "ONNX Runtime can run here, got Invalid", lambda: OnnxNetwork(b"rubbish"))
    model = onnx_bytes(nn.Conv2d(1, 1, 3), EXAMPLE, shape=SHAPE, where="a test")
    run = OnnxNetwork(model)
    refused(
        ModelError,
        "--engine onnx: expected .* got InvalidArgument: .* invalid dimensions",
        lambda: run(torch.zeros(1, 2, 8, 8)),
    )
    assert run(EXAMPLE)[0].shape == (1, 1, 6, 6)


@needs_openvino
def test_openvino_refuses_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(
        UsageError,
        "a test: expected a network that OpenVINO can hold, got OpConversionFailure: .*bessel",
        lambda: converted(Strange(), EXAMPLE, shape=SHAPE, where="a test"),
    )
    model = converted(nn.Conv2d(1, 1, 3), EXAMPLE, shape=SHAPE, where="a test")
    run = OpenVinoNetwork(model, "fp32")
    refused(
        ModelError,
        "--engine openvino: expected .* got RuntimeError: .*incompatible",
        lambda: run(torch.zeros(1, 2, 8, 8)),
    )
    monkeypatch.setattr(openvino_engine, "HINTS", {"fp32": "f99"})
    refused(ModelError, "OpenVINO can run here, got", lambda: OpenVinoNetwork(model, "fp32"))


@needs_openvino
def test_a_disk_that_takes_no_temporary_file_is_an_error_of_the_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = converted(nn.Conv2d(1, 1, 3), EXAMPLE, shape=SHAPE, where="a test")
    openvino, wrote = openvino_engine.import_openvino("a test"), Path.write_bytes
    tried: list[int] = []

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")

    def full(_: Path, data: bytes) -> int:
        tried.append(len(data))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(openvino, "save_model", fail)
    monkeypatch.setattr(Path, "write_bytes", full)
    match = r"temporary files: expected room for the model, got No space left on device\. Free some"
    refused(OutputError, match, lambda: model_bytes(model))
    assert 4 * (9 + 1) <= tried[0] < 1000  # its weights and its bias, and shapes
    monkeypatch.setattr(Path, "write_bytes", wrote)
    with pytest.raises(RuntimeError, match="iostream"):  # there is room: it is another fault
        model_bytes(model)


@needs_openvino
def test_a_network_that_torch_cannot_trace_is_no_limit_of_openvino() -> None:
    wide = torch.zeros(1, 2, 8, 8)
    with pytest.raises(RuntimeError, match="to have 1 channels, but got 2"):
        converted(nn.Conv2d(1, 1, 3), wide, shape=SHAPE, where="a test")
    gradients = torch.zeros(1, 1, 8, 8, requires_grad=True)
    run = OpenVinoNetwork(
        converted(nn.Conv2d(1, 1, 3), EXAMPLE, shape=SHAPE, where="a test"), "fp32"
    )
    with pytest.raises(RuntimeError, match="requires grad"):
        run(gradients)


@needs_nncf
def test_nncf_refuses_in_a_sentence() -> None:
    model = converted(nn.Conv2d(1, 1, 3), EXAMPLE, shape=SHAPE, where="a test")
    wrong = np.zeros((1, 2, 8, 8), dtype=np.float32)
    for inputs, got in (([], "ValidationError: "), ([wrong], "RuntimeError: ")):
        refused(
            ModelError,
            f"a test: expected a network and inputs that NNCF can measure, got {got}",
            lambda inputs=inputs: quantised_model(model, inputs, where="a test"),  # type: ignore[misc]
        )
