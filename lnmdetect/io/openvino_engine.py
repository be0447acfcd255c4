"""Networks run by OpenVINO on a CPU; nothing of it is imported before it is asked for.

Its tools, and those of NNCF, tell their maker over the network that they are used unless the user
has said no. They do without where the package that tells cannot be imported, and so it is made one
that cannot before either is: see `import_openvino`.
"""

import sys
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from lnmdetect.core.errors import ModelError, OutputError, UsageError
from lnmdetect.core.extras import require_package
from lnmdetect.core.precision import Precision
from lnmdetect.io.engine_errors import Kinds, errors_of, told_as_ours
from lnmdetect.io.openvino_axes import as_tensor, with_channels_last, without_last_moves

WHERE = "--engine openvino"
TELLS_ITS_MAKER = "openvino_telemetry"
HINTS: Mapping[Precision, str] = {"fp32": "f32", "bf16": "bf16"}
"""What layers that are not quantised compute in."""


def require_openvino(where: str) -> None:
    """Return nothing where OpenVINO is installed; it is not imported.

    Args:
        where: what asks for it.

    Raises:
        MissingExtraError: it is not.
    """
    require_package("openvino", where=where, package="openvino, which runs it", extra="openvino")


def import_openvino(where: str) -> ModuleType:
    """Return the module `openvino`, which in this process sends nothing to anyone.

    Args:
        where: what asks for it.

    Raises:
        MissingExtraError: it is not installed.
    """
    require_openvino(where)
    sys.modules.setdefault(TELLS_ITS_MAKER, None)  # type: ignore[arg-type]  # makes import fail
    import openvino

    module: ModuleType = openvino
    return module


def converted(network: nn.Module, example: Tensor, *, shape: tuple[int, ...], where: str) -> Any:
    """Return a network of one input as an `openvino.Model`.

    Args:
        network: in eval mode, on the CPU.
        example: an input, with which it is traced.
        shape: of inputs; -1 stands for any number.
        where: what asks for it.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        UsageError: the network does something that OpenVINO has no operator for.
        RuntimeError: torch cannot trace it with this example.
    """
    openvino = import_openvino(where)
    told = told_as_ours(
        _shown(),
        where,
        expected="a network that OpenVINO can hold",
        remedy="Use torch or onnx for this model.",
        error=UsageError,
    )
    with told, warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of the tracer, about shapes that do not vary
        return openvino.convert_model(
            network.eval(), example_input=example, input=openvino.PartialShape(list(shape))
        )


def read_model(path: Path) -> Any:
    """Return the `openvino.Model` of an .xml file with its .bin beside it.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        ModelError: the files are damaged.
    """
    core = import_openvino(path.name).Core()
    try:
        return core.read_model(path)
    except _errors():  # their text holds the path
        raise ModelError(
            path.name,
            expected="a model of OpenVINO, .xml with its .bin",
            got="files that it cannot read",
            remedy="Copy the bundle again.",
        ) from None


@dataclass(frozen=True)
class LayerTime:
    """What one layer of a network took.

    Attributes:
        kind: as OpenVINO has it, `Convolution`.
        seconds: of the last call.
        is_int8: whether it is computed in int8.
    """

    kind: str
    seconds: float
    is_int8: bool


class OpenVinoNetwork:
    """A converted network, compiled for this CPU with as many threads as torch now has.

    Threads are not bound to cores, so that processes side by side do not take the same ones.

    Args:
        model: an `openvino.Model` of one input.
        precision: fp32 or bf16, of the layers that are not quantised.
        tells_layers: whether it measures its layers, for `layers`.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        ModelError: OpenVINO cannot run it on this processor.
    """

    def __init__(self, model: Any, precision: Precision, *, tells_layers: bool = False) -> None:
        openvino = import_openvino(WHERE)
        self._told = partial(
            told_as_ours,
            _errors(),
            WHERE,
            expected="a network and an input that OpenVINO can run here",
            remedy="Run it with --engine torch.",
        )
        options = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
            # Of layers laid out for an image's shape; with each further one it would grow.
            "CPU_RUNTIME_CACHE_CAPACITY": "4",
            "PERF_COUNT": tells_layers,
        }
        with self._told():
            model, self._moved = without_last_moves(openvino, model, narrow=precision == "bf16")
            compiled = openvino.Core().compile_model(model, "CPU", options)
            self._request = compiled.create_infer_request()

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Return the outputs for an input; the next call overwrites them.

        Those whose channels the model moves last are in bfloat16 where the network is.

        Args:
            x: float32, on the CPU.

        Raises:
            ModelError: OpenVINO cannot compute them.
        """
        given = x.contiguous().numpy()
        with self._told():
            self._request.infer([given], share_inputs=True)
        answers = map(as_tensor, self._request.output_tensors)
        return [
            with_channels_last(answer) if number in self._moved else answer
            for number, answer in enumerate(answers)
        ]

    def layers(self) -> list[LayerTime]:
        """Return what each layer took in the last call; it was made with `tells_layers`."""
        return [
            LayerTime(
                layer.node_type, layer.real_time.total_seconds(), layer.exec_type.endswith("I8")
            )
            for layer in self._request.profiling_info
        ]


def _shown() -> Kinds:
    return errors_of(import_openvino(WHERE).frontend)


def _errors() -> Kinds:
    """Return all that calls of OpenVINO raise which run no code of torch."""
    return (*_shown(), RuntimeError)


def model_bytes(model: Any) -> tuple[bytes, bytes]:
    """Return the bytes of the .xml and the .bin file of an `openvino.Model`, numbers as they are.

    Args:
        model: converted or quantised.

    Raises:
        OutputError: the folder of temporary files does not take them.
    """
    openvino = import_openvino(WHERE)
    try:
        with tempfile.TemporaryDirectory(prefix="lnmdetect-") as folder:
            path = Path(folder) / "model.xml"
            try:
                openvino.save_model(model, path, compress_to_fp16=False)
            except RuntimeError:  # whatever the reason is; of the disk's, Python tells which
                _try_room(path.with_suffix(".room"), model)
                raise
            return path.read_bytes(), path.with_suffix(".bin").read_bytes()
    except OSError as error:
        raise OutputError(
            "the folder of temporary files",
            expected="room for the model",
            got=error.strerror or type(error).__name__,
            remedy="Free some, or let TMPDIR name another folder.",
        ) from None


def _try_room(path: Path, model: Any) -> None:
    """Write as many bytes as the numbers of a model; raises the OSError of a disk without room."""
    constants = (node for node in model.get_ops() if node.get_type_name() == "Constant")
    path.write_bytes(bytes(sum(node.get_byte_size() for node in constants)))
