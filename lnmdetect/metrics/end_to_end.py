"""Both stages together: classes on predicted boxes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.records import BENIGN, METASTATIC
from lnmdetect.metrics.classification import Classification, classification
from lnmdetect.metrics.detection import ap50
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.intervals import share
from lnmdetect.metrics.matching import ImageBoxes, Matches

_CLASSES = {"benign": BENIGN, "metastatic": METASTATIC}


@dataclass(frozen=True)
class BoxClasses:
    """What the classifier said about the D detections of one image.

    Attributes:
        classified: (D,) bool; the other arrays mean nothing where it is false.
        p_benign, p_metastatic: (D,) in [0, 1].
        called_metastatic: (D,) bool, at the classifier's threshold.
    """

    classified: NDArray[np.bool_]
    p_benign: NDArray[np.float64]
    p_metastatic: NDArray[np.float64]
    called_metastatic: NDArray[np.bool_]

    def probability(self, category_id: int) -> NDArray[np.float64]:
        """Return (D,) probabilities of benign or metastatic."""
        return {BENIGN: self.p_benign, METASTATIC: self.p_metastatic}[category_id]


@dataclass(frozen=True)
class EndToEnd:
    """Boxes and classes as one result.

    Attributes:
        ap50: class to AP50 of its boxes, ranked by score x probability of the class.
        found_and_called: class to the share of its truth boxes that a detection at or above the
            operating threshold hits and that is called so.
    """

    ap50: Mapping[str, Figure]
    found_and_called: Mapping[str, Figure]


def classification_on_boxes(
    images: Sequence[ImageBoxes],
    classes: Sequence[BoxClasses],
    matches: Matches,
    *,
    score_min: float | None = None,
    patient: NDArray[np.int64] | None = None,
) -> Classification:
    """Return the figures over classified detections that hit a truth box of known status.

    Args:
        images: that were matched.
        classes: what was said about their detections.
        matches: of the images.
        score_min: detections below it are not counted; None counts all.
        patient: whose each image is, for intervals over patients.
    """
    truth = _truth_class(images, matches)
    said = _joined_classes(classes, matches)
    known = matches.hit & said.classified & np.isin(truth, list(_CLASSES.values()))
    if score_min is not None:
        known &= matches.scores >= score_min
    return classification(
        truth[known] == METASTATIC,
        said.p_metastatic[known],
        said.called_metastatic[known],
        patient=None if patient is None else patient[matches.image_index[known]],
    )


def end_to_end(
    images: Sequence[ImageBoxes],
    classes: Sequence[BoxClasses],
    matches: Matches,
    *,
    threshold: float | None,
) -> EndToEnd:
    """Return the figures of both stages; `threshold` is the detector's, None where unknown."""
    return EndToEnd(
        ap50={name: _class_ap50(images, classes, key) for name, key in _CLASSES.items()},
        found_and_called={
            name: undefined("no operating threshold of the detector is known")
            if threshold is None
            else _found_and_called(images, classes, matches, category_id=key, threshold=threshold)
            for name, key in _CLASSES.items()
        },
    )


def _class_ap50(
    images: Sequence[ImageBoxes], classes: Sequence[BoxClasses], category_id: int
) -> Figure:
    """Return AP50 of one class; truth of unknown status is ignored, of the other class absent."""
    ranked = []
    for image, said in zip(images, classes, strict=True):
        unknown = ~np.isin(image.truth_classes, list(_CLASSES.values()))
        kept = unknown | (image.truth_classes == category_id)
        ranking = image.scores * said.probability(category_id)
        ranked.append(
            replace(
                image,
                truth_xyxy=image.truth_xyxy[kept],
                truth_ignored=(image.truth_ignored | unknown)[kept],
                truth_classes=image.truth_classes[kept],
                boxes_xyxy=image.boxes_xyxy[said.classified],
                scores=ranking[said.classified],
            )
        )
    return ap50(ranked)


def _found_and_called(
    images: Sequence[ImageBoxes],
    classes: Sequence[BoxClasses],
    matches: Matches,
    *,
    category_id: int,
    threshold: float,
) -> Figure:
    said = _joined_classes(classes, matches)
    right_call = said.classified & (said.called_metastatic == (category_id == METASTATIC))
    of_class = matches.hit & (_truth_class(images, matches) == category_id)
    found = int((of_class & right_call & (matches.scores >= threshold)).sum())
    truths = sum(
        int(((image.truth_classes == category_id) & ~image.truth_ignored).sum()) for image in images
    )
    name = "metastatic" if category_id == METASTATIC else "benign"
    return share(found, truths, of=f"{name} truth box that counts")


def _truth_class(images: Sequence[ImageBoxes], matches: Matches) -> NDArray[np.int64]:
    """Return (N,) the category of the truth box each detection lies on, 0 for none."""
    places = zip(matches.image_index, matches.truth_index, strict=True)
    classes = (images[i].truth_classes[truth] if truth >= 0 else 0 for i, truth in places)
    return np.fromiter(classes, dtype=np.int64, count=len(matches.scores))


def _joined_classes(classes: Sequence[BoxClasses], matches: Matches) -> BoxClasses:
    """Return what was said about the N matched detections, in their order."""

    def joined(pick: Callable[[BoxClasses], NDArray[Any]], dtype: type) -> NDArray[Any]:
        places = zip(matches.image_index, matches.box_index, strict=True)
        values = (pick(classes[i])[box] for i, box in places)
        return np.fromiter(values, dtype=dtype, count=len(matches.scores))

    return BoxClasses(
        classified=joined(lambda said: said.classified, bool),
        p_benign=joined(lambda said: said.p_benign, float),
        p_metastatic=joined(lambda said: said.p_metastatic, float),
        called_metastatic=joined(lambda said: said.called_metastatic, bool),
    )
