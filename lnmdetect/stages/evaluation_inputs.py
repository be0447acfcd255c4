"""Prediction files, joined to truth slice by slice; no torch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.column_pool import pooled
from lnmdetect.core.columns import CocoColumns, NodeColumns
from lnmdetect.core.errors import InputError
from lnmdetect.core.patient_digests import Overlap, seen_and_evaluated
from lnmdetect.core.records import BENIGN, METASTATIC
from lnmdetect.io.coco_columns import read_columns
from lnmdetect.io.slice_join import join_columns
from lnmdetect.metrics.end_to_end import BoxClasses
from lnmdetect.metrics.tables import BoxTables, FoundTable
from lnmdetect.stages.evaluation_thresholds import (
    Threshold,
    classifier_threshold,
    detector_threshold,
    one_threshold,
)
from lnmdetect.stages.evaluation_truth import FileStamp, Truth

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Predictions:
    """The prediction files beside their truth.

    Attributes:
        stamps: the files, in the order given.
        columns: all their records.
        rows: (D,) which of the records stand in `tables`, in the same order.
        tables: truth, and the detections on its slices.
        said: what the classifier said about the D detections.
        above: (D,) at or above the detector's threshold of their file; None where one has none.
        on_truth_boxes: the boxes carry no score: truth boxes that were classified.
        classified: some box carries probabilities, or there is no box that could.
        detector_threshold, classifier_threshold: as the files give them.
        unscored: detections on slices that truth, of key images, does not list.
        missing_images: truth images that no file lists; no detection is counted there.
        failed_studies: how many studies the files say could not be read.
        seen_before: for what patients that are scored were used before, file by file.
    """

    stamps: tuple[FileStamp, ...]
    columns: CocoColumns
    rows: NDArray[np.int64]
    tables: BoxTables
    said: BoxClasses
    above: Flags | None
    on_truth_boxes: bool
    classified: bool
    detector_threshold: Threshold
    classifier_threshold: Threshold
    unscored: int
    missing_images: int
    failed_studies: int
    seen_before: tuple[Overlap, ...] = ()

    @property
    def files(self) -> str:
        """The names of the files."""
        return ", ".join(stamp.file for stamp in self.stamps)


def read_predictions(
    paths: Sequence[Path], truth: Truth, *, threshold: float | None = None
) -> Predictions:
    """Return the predictions of boxes or nodes files, or of a bare COCO result list.

    Args:
        paths: the files.
        truth: what they are about.
        threshold: of the detector, in place of those in the files.

    Raises:
        InputError: a record cannot be used; a file shares no slice with truth; it has boxes on a
            slice that truth does not list although truth covers all slices; some boxes are scored
            and some are not; two files list the same slice.
    """
    ids = truth.columns.images if len(truth.stamps) == 1 else None
    parts = [read_columns(path, truth_images=ids) for path in paths]
    on_truth_boxes = _have_no_scores(paths, parts)
    columns = pooled(parts)
    places = join_columns(truth.columns.images, columns.images, place=_place_in(paths, parts))
    _check_overlap(paths, parts, truth, places)
    nodes = columns.nodes
    image = places[nodes.image]
    scored = image >= 0
    if on_truth_boxes:
        # The poles of a node, ignored in truth, are classified too; they are no test of anything.
        scored &= ~nodes.ignored
    rows = np.flatnonzero(scored)
    scores = np.where(np.isnan(nodes.score), 1.0, nodes.score)
    detector = _detector_thresholds(paths, parts, threshold)
    above = None
    if all(one.value is not None for one in detector):
        values = np.repeat([one.value for one in detector], [len(p.nodes) for p in parts])
        above = scores[rows] >= values.astype(np.float64)[rows]
    found = FoundTable(image[rows], nodes.boxes_xyxy[rows], scores[rows])
    return Predictions(
        stamps=tuple(FileStamp.of(path) for path in paths),
        columns=columns,
        rows=rows,
        tables=BoxTables(len(truth.columns.images), truth.table, found),
        said=_said(nodes, rows),
        above=above,
        on_truth_boxes=on_truth_boxes,
        classified=not len(rows) or bool(np.isfinite(nodes.p_metastatic[rows]).any()),
        detector_threshold=one_threshold(detector),
        classifier_threshold=one_threshold(
            [classifier_threshold(p.name, part) for p, part in zip(paths, parts, strict=True)]
        ),
        unscored=int((image < 0).sum()),
        missing_images=len(truth.columns.images) - len(np.unique(places[places >= 0])),
        failed_studies=sum(int(part.info.get("failed_studies") or 0) for part in parts),
        seen_before=tuple(_seen_before(parts, truth, places)),
    )


def _seen_before(
    parts: Sequence[CocoColumns], truth: Truth, places: NDArray[np.int64]
) -> Iterator[Overlap]:
    """Give for what each file's model has used patients of its own slices.

    Other files' models may have used them: in a cross-validation they are scored on others.
    """
    start = 0
    for part in parts:
        own = places[start : start + len(part.images)]
        start += len(part.images)
        scored = {truth.columns.images.patients[place] for place in own[own >= 0]}
        yield from seen_and_evaluated(part.info, scored)


def _place_in(paths: Sequence[Path], parts: Sequence[CocoColumns]) -> Callable[[int], str]:
    """Return what tells in which file, and where there, an image of the pooled files stands."""
    firsts = np.cumsum([0, *(len(part.images) for part in parts)])

    def place(row: int) -> str:
        file = int(np.searchsorted(firsts, row, side="right")) - 1
        return f"{paths[file].name}: images[{row - firsts[file]}]"

    return place


def _detector_thresholds(
    paths: Sequence[Path], parts: Sequence[CocoColumns], threshold: float | None
) -> list[Threshold]:
    if threshold is not None:
        return [Threshold(threshold, "--threshold")] * len(parts)
    return [
        detector_threshold(path.name, part.info) for path, part in zip(paths, parts, strict=True)
    ]


def _said(nodes: NodeColumns, rows: NDArray[np.int64]) -> BoxClasses:
    called = nodes.category[rows]
    p_metastatic = nodes.p_metastatic[rows]
    return BoxClasses(
        classified=np.isfinite(p_metastatic) & np.isin(called, (BENIGN, METASTATIC)),
        p_benign=np.nan_to_num(nodes.p_benign[rows]),
        p_metastatic=np.nan_to_num(p_metastatic),
        called_metastatic=np.asarray(called == METASTATIC),
    )


def _check_overlap(
    paths: Sequence[Path], parts: Sequence[CocoColumns], truth: Truth, places: NDArray[np.int64]
) -> None:
    """Raise for a file that shares no slice, or has boxes where an all-slices truth has none."""
    start = 0
    for path, part in zip(paths, parts, strict=True):
        own = places[start : start + len(part.images)]
        start += len(part.images)
        if len(truth.columns.images) and not (own >= 0).any():
            raise InputError(
                f"{path.name}: images",
                expected="slices that the truth file lists",
                got="none of them, by SOP uid or file name",
                remedy="Evaluate truth and predictions of the same scans.",
            )
        astray = np.flatnonzero(own[part.nodes.image] < 0)
        if len(astray) and truth.columns.coverage == "all_slices":
            image = int(part.nodes.image[astray[0]])
            raise InputError(
                f"{path.name}: annotations[{astray[0]}].image_id",
                expected="a slice that the truth file, which covers all slices, lists",
                got=f"images[{image}] ({part.images.join_keys[image]}), which it does not list",
                remedy="Evaluate files of the same scans; where truth holds only chosen slices, "
                'let its info say "coverage": "key_images".',
            )


def _have_no_scores(paths: Sequence[Path], parts: Sequence[CocoColumns]) -> bool:
    """Return whether the boxes are truth boxes: there are some, and none has a score."""
    without = [int(np.isnan(part.nodes.score).sum()) for part in parts]
    boxes = sum(len(part.nodes) for part in parts)
    if not sum(without) or sum(without) == boxes:
        return bool(sum(without))
    place = next(k for k, count in enumerate(without) if count)
    row = int(np.flatnonzero(np.isnan(parts[place].nodes.score))[0])
    raise InputError(
        f"{paths[place].name}: annotations[{row}].score",
        expected="a score on every box (detections) or on none (truth boxes)",
        got=f"none here, and {boxes - sum(without)} boxes with one",
        remedy="Evaluate detections and truth boxes as two files.",
    )
