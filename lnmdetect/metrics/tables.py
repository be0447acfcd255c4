"""Truth and detections of many images, image by image or as columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.geometry import Boxes, as_boxes


@dataclass(frozen=True)
class ImageBoxes:
    """The truth and the detections of one image.

    Attributes:
        truth_xyxy: (G, 4) px.
        truth_ignored: (G,) bool; COCO's `iscrowd`: neither hit nor miss.
        truth_classes: (G,) int category ids.
        boxes_xyxy: (D, 4) px.
        scores: (D,) any finite ranking, higher is more certain.
    """

    truth_xyxy: Boxes
    truth_ignored: NDArray[np.bool_]
    truth_classes: NDArray[np.int64]
    boxes_xyxy: Boxes
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        as_boxes(self.truth_xyxy)
        as_boxes(self.boxes_xyxy)
        truths, detections = len(self.truth_xyxy), len(self.boxes_xyxy)
        if not self.truth_ignored.shape == self.truth_classes.shape == (truths,):
            raise ValueError(f"truth: expected one flag and class for each of {truths} boxes")
        if self.scores.shape != (detections,) or not np.isfinite(self.scores).all():
            raise ValueError(f"scores: expected one finite score for each of {detections} boxes")


@dataclass(frozen=True)
class TruthTable:
    """G truth boxes of many images.

    Attributes:
        image: (G,) place of the image.
        boxes_xyxy: (G, 4) px.
        ignored: (G,) bool; COCO's `iscrowd`: neither hit nor miss.
        classes: (G,) category ids.
    """

    image: NDArray[np.int64]
    boxes_xyxy: Boxes
    ignored: NDArray[np.bool_]
    classes: NDArray[np.int64]

    def __post_init__(self) -> None:
        as_boxes(self.boxes_xyxy)
        count = len(self.boxes_xyxy)
        if not self.image.shape == self.ignored.shape == self.classes.shape == (count,):
            raise ValueError(f"truth: expected one image, flag and class for each of {count} boxes")

    def __len__(self) -> int:
        return len(self.image)

    def where(self, kept: NDArray[np.bool_]) -> "TruthTable":
        """Return the boxes for which (G,) `kept` holds."""
        return TruthTable(
            self.image[kept], self.boxes_xyxy[kept], self.ignored[kept], self.classes[kept]
        )


@dataclass(frozen=True)
class FoundTable:
    """D detections on many images.

    Attributes:
        image: (D,) place of the image.
        boxes_xyxy: (D, 4) px.
        scores: (D,) any finite ranking, higher is more certain.
    """

    image: NDArray[np.int64]
    boxes_xyxy: Boxes
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        as_boxes(self.boxes_xyxy)
        count = len(self.boxes_xyxy)
        if not self.image.shape == self.scores.shape == (count,):
            raise ValueError(f"detections: expected an image and a score for each of {count} boxes")
        if not np.isfinite(self.scores).all():
            raise ValueError("detections: expected finite scores")

    def __len__(self) -> int:
        return len(self.image)

    def ranked_by(self, scores: NDArray[np.float64], kept: NDArray[np.bool_]) -> "FoundTable":
        """Return the boxes for which (D,) `kept` holds, with other (D,) scores."""
        return FoundTable(self.image[kept], self.boxes_xyxy[kept], scores[kept])


@dataclass(frozen=True)
class BoxTables:
    """Truth and detections on the same images.

    Attributes:
        images: how many there are, those without boxes included.
    """

    images: int
    truth: TruthTable
    found: FoundTable

    def __post_init__(self) -> None:
        for places in (self.truth.image, self.found.image):
            if len(places) and not 0 <= places.min() <= places.max() < self.images:
                raise ValueError(f"image: expected a place in 0..{self.images - 1}")

    @classmethod
    def of_images(cls, images: Sequence[ImageBoxes]) -> "BoxTables":
        """Return the tables of boxes that come image by image, in the same order."""
        truths = [len(image.truth_ignored) for image in images]
        detections = [len(image.scores) for image in images]
        places = np.arange(len(images))
        return cls(
            len(images),
            TruthTable(
                np.repeat(places, truths),
                np.concatenate([np.zeros((0, 4)), *(image.truth_xyxy for image in images)]),
                np.concatenate([np.zeros(0, np.bool_), *(i.truth_ignored for i in images)]),
                np.concatenate([np.zeros(0, np.int64), *(i.truth_classes for i in images)]),
            ),
            FoundTable(
                np.repeat(places, detections),
                np.concatenate([np.zeros((0, 4)), *(image.boxes_xyxy for image in images)]),
                np.concatenate([np.zeros(0), *(image.scores for image in images)]),
            ),
        )
