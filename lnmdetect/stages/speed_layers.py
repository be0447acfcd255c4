"""The detector in int8 on OpenVINO, whose layers tell their times."""

from pathlib import Path

import torch
from torch import Tensor

from lnmdetect.core.precision import InferenceForm, Precision
from lnmdetect.io.openvino_engine import HINTS, import_openvino, read_model
from lnmdetect.models.dense_part import DensePart, with_dense_part
from lnmdetect.models.detector import NodeDetector
from lnmdetect.stages.speed_detector import (
    CPU,
    answer_of_task,
    detector_task,
    int8_file,
    plain_detector,
    slice_batch,
)
from lnmdetect.stages.speed_operators import OperatorTime
from lnmdetect.stages.speed_peak import operations_of
from lnmdetect.stages.speed_plan import SpeedPlan
from lnmdetect.training.devices import computes_bf16

INT8 = InferenceForm("int8", "openvino")
LAYERS = "openvino::"
INFERENCE = f"{LAYERS}inference"
"""What the profiler calls the whole of it."""


class ToldNetwork:
    """A network compiled as `OpenVinoNetwork` is, which measures its layers.

    Args:
        path: its .xml file.
        precision: of the layers that are not quantised.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """

    def __init__(self, path: Path, precision: Precision) -> None:
        openvino = import_openvino("--rows profile")
        options = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
            "PERF_COUNT": True,
        }
        compiled = openvino.Core().compile_model(read_model(path), "CPU", options)
        self._request = compiled.create_infer_request()
        self._outputs = len(compiled.outputs)

    def __call__(self, x: Tensor) -> list[Tensor]:
        """Return the outputs for an input; the next call overwrites them.

        Args:
            x: float32, on the CPU.
        """
        with torch.profiler.record_function(INFERENCE):
            self._request.infer([x.contiguous().numpy()], share_inputs=True)
        numbers = range(self._outputs)
        return [torch.from_numpy(self._request.get_output_tensor(n).data) for n in numbers]

    def layers(self) -> list[OperatorTime]:
        """Return what the layers took in the last call."""
        return [
            OperatorTime(
                f"{LAYERS}{layer.node_type}",
                layer.real_time.total_seconds(),
                layer.exec_type.endswith("I8"),
            )
            for layer in self._request.profiling_info
        ]


class ToldAnswer:
    """One answer of the detector in int8, boxes and all; a `Work`.

    Args:
        plan: of the detector.

    Raises:
        LnmDetectError: the form cannot be had here.
    """

    def __init__(self, plan: SpeedPlan) -> None:
        precision: Precision = "bf16" if computes_bf16(CPU) else "fp32"
        self._network = ToldNetwork(int8_file(plan, INT8), precision)
        task = detector_task(plan)
        module = task.module.eval()
        assert isinstance(module, NodeDetector)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        task.module = with_dense_part(module, self._network, dtype=dtype)
        self._work = answer_of_task(plan, task)

    def __call__(self) -> None:
        """Answer once."""
        self._work()

    def layers(self) -> list[OperatorTime]:
        """Return what the layers of its dense part took in the last answer."""
        return self._network.layers()


def operations_of_the_dense_part(plan: SpeedPlan) -> int:
    """Return the additions and multiplications of a slice that OpenVINO computes."""
    return operations_of(DensePart(plain_detector(plan)), slice_batch(plan).images)
