"""Networks as ONNX, and ONNX Runtime on a CPU; neither is imported before it is asked for.

Some builds of ONNX Runtime tell their maker over the network that they are used, from their import
on; a variable of the environment, read then, says no: see `import_onnxruntime`.
"""

import os
import tempfile
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from lnmdetect.core.errors import UsageError
from lnmdetect.core.extras import require_package
from lnmdetect.io.engine_errors import errors_of, told_as_ours

OPSET = 17
"""RoIAlign as detectors use it came with 16; runtimes of the last years know 17."""
WHERE = "--engine onnx"
TELLS_NOBODY = "ORT_DISABLE_TELEMETRY"


def require_onnx(where: str) -> None:
    """Return nothing where both packages are installed; neither is imported.

    Args:
        where: what asks for them.

    Raises:
        MissingExtraError: one is not.
    """
    require_package("onnx", where=where, package="onnx, which writes the format", extra="onnx")
    _require_runtime(where)


def _require_runtime(where: str) -> None:
    require_package("onnxruntime", where=where, package="onnxruntime, which runs it", extra="onnx")


def import_onnxruntime(where: str) -> ModuleType:
    """Return the module `onnxruntime`, which in this process sends nothing to anyone.

    Args:
        where: what asks for it.

    Raises:
        MissingExtraError: it is not installed.
    """
    _require_runtime(where)
    os.environ[TELLS_NOBODY] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    module: ModuleType = onnxruntime
    return module


def onnx_bytes(
    network: nn.Module,
    example: Tensor,
    *,
    shape: tuple[int, ...],
    where: str,
    names: Sequence[str] = ("input",),
) -> bytes:
    """Return a network of one input as the bytes of an ONNX file.

    Args:
        network: in eval mode, on the CPU.
        example: an input, with which it is traced.
        shape: of inputs; -1 stands for any number.
        where: what asks for it.
        names: of its input and of its outputs; outputs without one are numbered.

    Raises:
        MissingExtraError: the package onnx is not installed.
        UsageError: the network does something that ONNX has no operator for.
    """
    require_package("onnx", where=where, package="onnx, which writes the format", extra="onnx")
    with (
        tempfile.TemporaryDirectory(prefix="lnmdetect-") as folder,
        warnings.catch_warnings(),
        torch.inference_mode(),
    ):
        path = Path(folder) / "model.onnx"
        warnings.simplefilter("ignore")  # of the tracer, about shapes that do not vary
        answer = network.eval()(example)
        ranks = [x.ndim for x in ([answer] if isinstance(answer, Tensor) else answer)]
        outputs = [*names[1:], *(f"output_{n}" for n in range(len(names) - 1, len(ranks)))]
        free = {axis: f"axis_{axis}" for axis, size in enumerate(shape) if size < 0}
        of_outputs = (
            {axis: f"{name}_{axis}" for axis in range(rank)}
            for name, rank in zip(outputs, ranks, strict=True)
        )
        try:
            torch.onnx.export(
                network,
                (example,),
                path,
                input_names=list(names[:1]),
                output_names=outputs,
                dynamic_axes={names[0]: free, **dict(zip(outputs, of_outputs, strict=True))},
                opset_version=OPSET,
                dynamo=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise _unspeakable(where, error) from None
        return path.read_bytes()


def _unspeakable(where: str, error: Exception) -> UsageError:
    return UsageError(
        where,
        expected="a network that ONNX can hold",
        got=str(error).split("  [", maxsplit=1)[0].splitlines()[0].strip(" ."),
        remedy="Use torch or openvino for this model.",
    )


class OnnxNetwork:
    """A network in ONNX's form, run by ONNX Runtime with as many threads as torch now has.

    Args:
        model: bytes of an ONNX file of one input.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ModelError: ONNX Runtime cannot run it.
    """

    def __init__(self, model: bytes) -> None:
        onnxruntime = import_onnxruntime(WHERE)
        self._told = partial(
            told_as_ours,
            errors_of(onnxruntime.capi.onnxruntime_pybind11_state),
            WHERE,
            expected="a network and an input that ONNX Runtime can run here",
            remedy="Run it with --engine torch.",
            line=0,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # torch's turn
        options.log_severity_level = 3  # errors
        with self._told():
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        self._input = self._session.get_inputs()[0].name

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Return the outputs for an input.

        Args:
            x: float32, on the CPU.

        Raises:
            ModelError: ONNX Runtime cannot compute them.
        """
        given = {self._input: x.contiguous().numpy()}
        with self._told():
            found = self._session.run(None, given)
        return [torch.from_numpy(one) for one in found]
