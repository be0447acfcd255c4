"""The part of a detector that looks at every place of an image, apart from what makes boxes of it.

It is a plain function of one tensor and most of the work, and so what other libraries than PyTorch
can take over.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lnmdetect.models.detector import DenseAnswers, NodeDetector
from lnmdetect.models.folding import fold_batch_norms
from lnmdetect.models.inference import convolve_box_heads
from lnmdetect.models.packing import pack_convolutions

ANSWERS_A_LEVEL = 3
"""A map, objectness and regression."""

RunDense = Callable[[Tensor], Sequence[Tensor]]
"""From images (N, C, H, W) in single precision to what `DensePart` returns."""


class DensePart(nn.Module):
    """Backbone, pyramid and the head of the proposals, as one function of the images.

    Args:
        detector: as it was trained; it is copied.
    """

    def __init__(self, detector: NodeDetector) -> None:
        super().__init__()
        self.detector = fold_batch_norms(detector)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return maps (N, H, W, C), objectness (N, A, H, W), regression (N, 4 A, H, W), P2 to P6.

        The channels of maps come last, as RoIAlign reads them.

        Args:
            images: (N, C, H, W) in [0, 1], H and W multiples of 32.
        """
        dense = self.detector.dense_answers(images)
        maps = (x.permute(0, 2, 3, 1) for x in dense.maps.values())
        return (*maps, *dense.objectness, *dense.regression)


def with_dense_part(
    detector: NodeDetector, run: RunDense, *, dtype: torch.dtype = torch.float32
) -> NodeDetector:
    """Return a copy for inference whose dense part is run by `run`; its own layers for it are gone.

    Args:
        detector: as it was trained.
        run: answers as the detector's `DensePart` does.
        dtype: in which the detector's other layers compute.
    """

    def answers(images: Tensor) -> DenseAnswers:
        found = run(images.float())
        levels = len(found) // ANSWERS_A_LEVEL
        maps = (x.to(dtype).permute(0, 3, 1, 2) for x in found[:levels])  # (N, C, H, W)
        return DenseAnswers(
            {str(level): x for level, x in enumerate(maps)},
            list(found[levels : 2 * levels]),
            list(found[2 * levels :]),
        )

    rest = fold_batch_norms(detector)
    for owner, name in ((rest, "body"), (rest, "fpn"), (rest.rpn, "head")):
        owner.register_module(name, nn.Identity())
    convolve_box_heads(rest)
    pack_convolutions(rest.to(dtype))
    rest.dense_elsewhere = answers
    return rest
