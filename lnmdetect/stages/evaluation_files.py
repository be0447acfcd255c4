"""The prediction files of an evaluation, and which of their boxes hit which truth box."""

from dataclasses import dataclass
from functools import cached_property

from lnmdetect.core.errors import InputError
from lnmdetect.metrics.matching import Matches, match_tables
from lnmdetect.stages.evaluation_inputs import Predictions, read_predictions
from lnmdetect.stages.evaluation_request import EvalFiles
from lnmdetect.stages.evaluation_truth import Truth


@dataclass(frozen=True)
class EvalInputs:
    """The files, whichever kind of boxes they hold.

    Attributes:
        detections: of --boxes, else of --nodes.
        labelled: of --nodes, else of --boxes; the very `detections` where one file is both.
        truth_nodes: of --truth-nodes, None without.
    """

    detections: Predictions
    labelled: Predictions
    truth_nodes: Predictions | None

    @property
    def found(self) -> Predictions | None:
        """The detections, None where the file holds truth boxes."""
        return None if self.detections.on_truth_boxes else self.detections

    @property
    def classes(self) -> Predictions | None:
        """The classified detections, None without."""
        usable = self.labelled.classified and not self.labelled.on_truth_boxes
        return self.labelled if usable else None

    @property
    def truth_boxes(self) -> Predictions | None:
        """The classified truth boxes, None without."""
        if self.truth_nodes is not None:
            return self.truth_nodes
        usable = self.labelled.classified and self.labelled.on_truth_boxes
        return self.labelled if usable else None

    @property
    def boxes(self) -> Predictions | None:
        """The boxes whose errors are told apart: the classified ones, else the detections."""
        return self.classes or self.found

    @cached_property
    def matches(self) -> Matches | None:
        """Of `found`."""
        return None if self.found is None else match_tables(self.found.tables)

    @cached_property
    def class_matches(self) -> Matches | None:
        """Of `classes`."""
        if self.classes is None or self.classes is self.found:
            return None if self.classes is None else self.matches
        return match_tables(self.classes.tables)

    @property
    def boxes_matches(self) -> Matches | None:
        """Of `boxes`."""
        return self.matches if self.classes is None else self.class_matches

    @cached_property
    def truth_box_matches(self) -> Matches | None:
        """Of `truth_boxes`."""
        return None if self.truth_boxes is None else match_tables(self.truth_boxes.tables)


def read_inputs(files: EvalFiles, truth: Truth, *, threshold: float | None) -> EvalInputs:
    """Return the prediction files; `threshold` stands in for the detector's in the files.

    Raises:
        InputError: a file cannot be used, or one of --truth-nodes does not hold truth boxes.
    """
    found = read_predictions(files.detections, truth, threshold=threshold)
    labelled = found
    if files.classes != files.detections:
        labelled = read_predictions(files.classes, truth, threshold=threshold)
    truth_nodes = None
    if files.truth_nodes:
        truth_nodes = labelled
        if files.truth_nodes != files.classes:
            truth_nodes = read_predictions(files.truth_nodes, truth)
        _require_truth_boxes(truth_nodes)
    return EvalInputs(found, labelled, truth_nodes)


def _require_truth_boxes(nodes: Predictions) -> None:
    if nodes.on_truth_boxes and nodes.classified:
        return
    raise InputError(
        nodes.files,
        expected="truth boxes with class probabilities",
        got="boxes with detection scores"
        if not nodes.on_truth_boxes
        else "boxes without probabilities",
        remedy="Give with --truth-nodes what `lnmdetect classify truth.json` writes.",
    )
