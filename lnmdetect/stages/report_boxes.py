"""The boxes that a report shows, what became of each, and which slices are the worst."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.columns import CocoColumns
from lnmdetect.core.geometry import Boxes, box_sizes
from lnmdetect.core.records import CATEGORY_NAMES
from lnmdetect.metrics.error_kinds import (
    BACKGROUND,
    BELOW,
    DUPLICATE,
    IGNORED,
    MISSED,
    POORLY_PLACED,
    WRONG_CLASS,
    ErrorKinds,
    error_kinds,
)
from lnmdetect.stages.evaluate import Evaluation
from lnmdetect.stages.evaluation_inputs import Predictions

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class BoxColumns:
    """N boxes of one side, truth or found.

    Attributes:
        image: (N,) place of the slice in the truth's images.
        boxes_xyxy: (N, 4) px.
        sides_mm: (N, 2) width and height.
        kind: (N,) what became of each, as `metrics.error_kinds` has it.
        category: (N,) COCO category ids.
        score, p_metastatic: (N,); NaN where there is none.
        severity: (N,) how bad an error each would be: of truth the shorter side, mm; of hits called
            the wrong class the probability of that class; of others the score.
    """

    image: NDArray[np.int64]
    boxes_xyxy: Boxes
    sides_mm: Numbers
    kind: NDArray[np.str_]
    category: NDArray[np.int64]
    score: Numbers
    p_metastatic: Numbers
    severity: Numbers

    def on(self, place: int) -> Iterator[int]:
        """Give the boxes of a slice, worst first."""
        rows = np.flatnonzero(self.image == place)
        yield from rows[np.argsort(-self.severity[rows], kind="stable")].tolist()

    def worst(self, kinds: Sequence[str], images: int) -> Numbers:
        """Return (I,) the worst severity among boxes of these kinds, -inf on a slice without."""
        worst = np.full(images, -np.inf)
        chosen = np.isin(self.kind, kinds)
        np.maximum.at(worst, self.image[chosen], self.severity[chosen])
        return worst

    def category_name(self, row: int) -> str:
        """Return the class of a box in words."""
        return CATEGORY_NAMES[int(self.category[row])].replace("_", " ")


@dataclass(frozen=True)
class ShownBoxes:
    """Truth and predictions at the operating threshold, and how many slices there are."""

    truth: BoxColumns
    found: BoxColumns
    images: int

    def places(self) -> list[int]:
        """Return the slices that have truth that counts or a prediction, worst first."""
        severities = (
            self.truth.worst([MISSED], self.images),
            self.found.worst([BACKGROUND], self.images),
            self.found.worst([WRONG_CLASS], self.images),
            self.found.worst([POORLY_PLACED, DUPLICATE], self.images),
        )
        shown = np.zeros(self.images, dtype=bool)
        shown[self.truth.image[self.truth.kind != IGNORED]] = True
        shown[self.found.image] = True
        return [place for place in worst_first(severities).tolist() if shown[place]]


def worst_first(severities: Sequence[Numbers]) -> NDArray[np.int64]:
    """Return (I,) places: the worst of each kind of error in turn, then the second worst of each.

    Args:
        severities: for each kind (I,), -inf where a slice has no such error; slices without any
            come last, in their own order.
    """
    turn = np.full(len(severities[0]), np.inf)
    for kind, severity in enumerate(severities):
        order = np.argsort(-severity, kind="stable")
        rank = np.empty(len(order))
        rank[order] = np.arange(len(order)) * len(severities) + kind
        turn = np.minimum(turn, np.where(np.isfinite(severity), rank, np.inf))
    return np.argsort(turn, kind="stable")


def shown_boxes(evaluation: Evaluation) -> ShownBoxes | None:
    """Return the boxes to show; None where no file has any that was found or classified.

    Where no operating threshold is known, all are shown.
    """
    inputs, kinds = evaluation.inputs, evaluation.kinds
    predictions = inputs.boxes or inputs.truth_boxes
    matches = inputs.boxes_matches or inputs.truth_box_matches
    if predictions is None or matches is None:
        return None
    if kinds is None:
        everything = np.ones(len(predictions.rows), dtype=bool)
        kinds = error_kinds(matches, everything, predictions.said)
    truth = evaluation.truth.columns
    return ShownBoxes(
        _truth_columns(truth, kinds), _found_columns(truth, predictions, kinds), len(truth.images)
    )


def _sides_mm(truth: CocoColumns, image: NDArray[np.int64], boxes_xyxy: Boxes) -> Numbers:
    return np.asarray(box_sizes(boxes_xyxy) * truth.images.spacing_mm[image][:, ::-1])


def _truth_columns(truth: CocoColumns, kinds: ErrorKinds) -> BoxColumns:
    nodes = truth.nodes
    sides_mm = _sides_mm(truth, nodes.image, nodes.boxes_xyxy)
    nothing = np.full(len(nodes), np.nan)
    return BoxColumns(
        image=nodes.image,
        boxes_xyxy=nodes.boxes_xyxy,
        sides_mm=sides_mm,
        kind=kinds.truth,
        category=nodes.category,
        score=nothing,
        p_metastatic=nothing,
        severity=sides_mm.min(axis=1, initial=np.inf),
    )


def _found_columns(truth: CocoColumns, predictions: Predictions, kinds: ErrorKinds) -> BoxColumns:
    kept = kinds.found != BELOW
    nodes, rows = predictions.columns.nodes, predictions.rows[kept]
    image = predictions.tables.found.image[kept]
    called = predictions.said.called_metastatic[kept]
    p_metastatic = nodes.p_metastatic[rows]
    score = nodes.score[rows]
    wrong = (kinds.found[kept] == WRONG_CLASS) & np.isfinite(p_metastatic)
    p_called = np.where(called, p_metastatic, 1 - p_metastatic)
    return BoxColumns(
        image=image,
        boxes_xyxy=nodes.boxes_xyxy[rows],
        sides_mm=_sides_mm(truth, image, nodes.boxes_xyxy[rows]),
        kind=kinds.found[kept],
        category=nodes.category[rows],
        score=score,
        p_metastatic=p_metastatic,
        severity=np.where(wrong, p_called, np.nan_to_num(score, nan=1.0)),
    )
