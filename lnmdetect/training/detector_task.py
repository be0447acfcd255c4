"""The first stage as a task: losses of a batch, boxes of a batch, AP50 of a validation set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lnmdetect.core.config import STORED_SCORE_MIN, DetectorRecipe
from lnmdetect.core.geometry import as_boxes, box_sizes, clip_boxes
from lnmdetect.core.precision import EXACT, InferenceForm
from lnmdetect.core.records import LYMPH_NODE, Detections
from lnmdetect.datasets.detector_data import DetectorBatch, DetectorItem, TruthSlice
from lnmdetect.metrics.average_precision import ap50
from lnmdetect.metrics.matching import MAX_DETECTIONS
from lnmdetect.metrics.tables import ImageBoxes
from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.detectors import DETECTORS, Detector
from lnmdetect.models.norms import with_norm
from lnmdetect.models.shared_batch import padded_alike
from lnmdetect.training.engines import detector_in

MIN_SIDE_PX = 0.5
"""Thinner boxes, in pixels of the original image, are no cross-section of anything."""


def build_detector(recipe: DetectorRecipe) -> Detector:
    """Return the untrained network of a recipe."""
    model = recipe.model
    network = DETECTORS[model.architecture](
        DetectorSizes(
            anchor_areas_px2=model.anchor_areas_px2,
            anchor_ratios=model.anchor_ratios,
            in_channels=recipe.input.channels,
            width=model.width,
            fpn=model.fpn,
            roi=model.roi,
            anchor_shapes_px=model.anchor_shapes_px,
            proposals_train=model.proposals_train,
            proposals_test=model.proposals_test,
            roi_samples=model.roi_samples,
            nms_iou=model.nms_iou,
            score_min=STORED_SCORE_MIN,
            detections_max=MAX_DETECTIONS,
        )
    )
    return with_norm(network, model.norm, is_filled=lambda name: name.startswith("body."))


class DetectorTask:
    """Finds nodes; see `training.task.Task`.

    Args:
        recipe: of the detector.
        device: where it runs.
        validation: the validation items in the order they are predicted, for `score`.
    """

    monitor = "ap50"

    def __init__(
        self,
        recipe: DetectorRecipe,
        device: torch.device,
        validation: Sequence[ImageBoxes] = (),
    ) -> None:
        self.device = device
        self.form = EXACT
        self.validation = validation
        module = build_detector(recipe).to(device)
        self.module = module.to(memory_format=torch.channels_last)

    def losses(self, batch: DetectorBatch) -> dict[str, Tensor]:
        """Return the detector's own terms."""
        targets = [{k: v.to(self.device) for k, v in t.items()} for t in batch.targets]
        images = padded_alike(self._images(batch))
        terms: dict[str, Tensor] = self.module.losses(images, targets)
        return terms

    def prepare_inference(
        self, form: InferenceForm = EXACT, *, quantised: Path | None = None
    ) -> None:
        """Put a fast form of the network in its place, no more training.

        Args:
            form: in the default one the network gives the same boxes as it does now.
            quantised: file of its dense part in int8, where it has one.

        Raises:
            MissingExtraError: the form's engine is not installed.
            ModelError: the network was not calibrated for it.
            UsageError: there is no such form.
        """
        self.module = detector_in(form, self.module, quantised=quantised)
        self.form = form

    def predict(self, batch: DetectorBatch) -> list[Detections]:
        """Return each item's boxes in its original image, or in its own pixels without a grid."""
        found = self.module(self._images(batch))
        return [_detections(f, item) for f, item in zip(found, batch.items, strict=True)]

    def score(self, predictions: Sequence[Detections]) -> dict[str, float]:
        """Return AP50 over the validation items; 0 where they hold no node."""
        pairs = zip(self.validation, predictions, strict=True)
        return {"ap50": ap50([with_detections(truth, found) for truth, found in pairs]).value or 0}

    def _images(self, batch: DetectorBatch) -> Tensor:
        return batch.images.to(self.device, memory_format=torch.channels_last)


def with_detections(truth: ImageBoxes, found: Detections) -> ImageBoxes:
    """Return the truth of an image joined with what was found on it."""
    return ImageBoxes(
        truth.truth_xyxy, truth.truth_ignored, truth.truth_classes, found.boxes_xyxy, found.scores
    )


def truth_boxes(part: TruthSlice) -> ImageBoxes:
    """Return the truth of a slice in the pixels of its original image."""
    boxes = part.series.grid.to_original(part.boxes_xyxy)
    classes = np.full(len(boxes), LYMPH_NODE, dtype=np.int64)
    return ImageBoxes(boxes, part.ignored, classes, as_boxes([]), np.zeros(0))


def _detections(found: dict[str, Tensor], item: DetectorItem) -> Detections:
    boxes = found["boxes"].double().cpu().numpy()
    scores = found["scores"].double().cpu().numpy()
    height, width = item.channels.shape[1:]
    boxes = clip_boxes(boxes, width=width, height=height)  # the padding is no image
    if item.grid is not None:
        boxes = item.grid.to_original(boxes)
    kept = (box_sizes(boxes) > MIN_SIDE_PX).all(axis=1)
    return Detections(boxes[kept], np.clip(scores[kept], 0, 1))
