"""The detector on OpenVINO, whose layers tell their times."""

import torch
from torch import Tensor

from lnmdetect.core.precision import InferenceForm
from lnmdetect.models.dense_part import DensePart
from lnmdetect.models.detector import NodeDetector
from lnmdetect.stages.speed_detector import (
    answer_of_task,
    detector_task,
    int8_file,
    plain_detector,
    slice_batch,
)
from lnmdetect.stages.speed_operators import OperatorTime
from lnmdetect.stages.speed_peak import operations_of
from lnmdetect.stages.speed_plan import SpeedPlan
from lnmdetect.training.engines import dense_part_on_openvino, detector_in

LAYERS = "openvino::"
INFERENCE = f"{LAYERS}inference"
"""What the profiler calls the whole of it."""


class ToldAnswer:
    """One answer of the detector, boxes and all, of which OpenVINO's layers are told; a `Work`.

    Args:
        plan: of the detector.
        form: one of OpenVINO's.

    Raises:
        LnmDetectError: the form cannot be had here.
    """

    def __init__(self, plan: SpeedPlan, form: InferenceForm) -> None:
        task = detector_task(plan)
        plain = task.module.eval()
        assert isinstance(plain, NodeDetector)
        quantised = int8_file(plan, form) if form.precision == "int8" else None
        self._network = dense_part_on_openvino(form, plain, quantised=quantised, tells_layers=True)
        task.module = detector_in(form, plain, run=self._run)
        self._work = answer_of_task(plan, task)

    def __call__(self) -> None:
        """Answer once."""
        self._work()

    def layers(self) -> list[OperatorTime]:
        """Return what the layers of its dense part took in the last answer."""
        return [
            OperatorTime(f"{LAYERS}{layer.kind}", layer.seconds, layer.is_int8)
            for layer in self._network.layers()
        ]

    def _run(self, images: Tensor) -> list[Tensor]:
        with torch.profiler.record_function(INFERENCE):
            return self._network(images)


def operations_of_the_dense_part(plan: SpeedPlan) -> int:
    """Return the additions and multiplications of a slice that OpenVINO computes."""
    return operations_of(DensePart(plain_detector(plan)), slice_batch(plan).images)
