"""The figures of each part of an evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from lnmdetect.metrics.average_precision import ap50_by_size, average_precision
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.end_to_end import EndToEnd, classification_on_boxes, end_to_end
from lnmdetect.metrics.froc import Froc, froc, operating_point, undefined_froc
from lnmdetect.metrics.groups import GroupFigures, GroupInputs
from lnmdetect.metrics.matching import Matches
from lnmdetect.metrics.nodes import NO_NODE, node_curve
from lnmdetect.metrics.ranking import Curve
from lnmdetect.stages.evaluation_files import EvalInputs
from lnmdetect.stages.evaluation_groups import groups_by
from lnmdetect.stages.evaluation_inputs import Predictions
from lnmdetect.stages.evaluation_result import ClassificationFigures, DetectionFigures
from lnmdetect.stages.evaluation_truth import Truth, node_numbers, shorter_sides_mm

NO_NODE_IDS = "truth does not say which boxes are of one node (node_id)"

Groups = Mapping[str, tuple[GroupFigures, ...]]


def detection_figures(
    found: Predictions, matches: Matches, truth: Truth, *, scan_rates: Sequence[float]
) -> DetectionFigures:
    """Return the figures of boxes as one class; `scan_rates` are false positives a scan."""
    cohort, tables = truth.cohort, found.tables
    spacing_mm = truth.columns.images.spacing_mm
    boxes = Curve.of_matches(matches, cohort)
    return DetectionFigures(
        average_precision=average_precision(tables, cohort),
        ap50_by_size=ap50_by_size(
            tables,
            cohort,
            truth_side_mm=shorter_sides_mm(tables.truth.boxes_xyxy, spacing_mm[tables.truth.image]),
            found_side_mm=shorter_sides_mm(tables.found.boxes_xyxy, spacing_mm[tables.found.image]),
        ),
        froc=froc(boxes, cohort, per="image"),
        froc_per_scan=froc(boxes, cohort, per="scan", rates=scan_rates),
        nodes_per_scan=_nodes_per_scan(matches, truth, scan_rates),
        operating_point=None
        if found.above is None
        else operating_point(matches, found.above, cohort),
    )


def _nodes_per_scan(matches: Matches, truth: Truth, rates: Sequence[float]) -> Froc:
    node = node_numbers(truth)
    if not (node != NO_NODE).any():
        return undefined_froc(NO_NODE_IDS, per="scan", of="node", rates=rates)
    curve = node_curve(matches, node, truth.cohort)
    return froc(curve, truth.cohort, per="scan", of="node", rates=rates)


@dataclass(frozen=True)
class ClassesFigures:
    """The figures of classes; see `EvalResult`."""

    shown: ClassificationFigures | None
    of_all: ClassificationFigures | None
    on_truth_boxes: ClassificationFigures | None


def class_figures(inputs: EvalInputs, cohort: Cohort) -> ClassesFigures:
    """Return the figures of the classes of predicted boxes and of truth boxes."""
    shown = of_all = on_truth = None
    if inputs.classes is not None and inputs.class_matches is not None:
        above = inputs.classes.above
        score = partial(_on_predicted, inputs.classes, inputs.class_matches, cohort)
        shown = score(at_threshold=above is not None)
        if above is not None and not above.all():
            of_all = score(at_threshold=False)
    if inputs.truth_boxes is not None and inputs.truth_box_matches is not None:
        figures = classification_on_boxes(inputs.truth_box_matches, inputs.truth_boxes.said, cohort)
        on_truth = ClassificationFigures("truth", None, False, figures)
    return ClassesFigures(shown, of_all, on_truth)


def _on_predicted(
    classes: Predictions, matches: Matches, cohort: Cohort, *, at_threshold: bool
) -> ClassificationFigures:
    chosen = classes.above if at_threshold else None
    score_min = classes.detector_threshold.value if at_threshold else None
    figures = classification_on_boxes(matches, classes.said, cohort, chosen=chosen)
    return ClassificationFigures("predicted", score_min, at_threshold, figures)


def both_stages(
    inputs: EvalInputs, cohort: Cohort, *, scan_rates: Sequence[float]
) -> EndToEnd | None:
    """Return the figures of boxes and classes as one result, None without classified detections."""
    if inputs.classes is None or inputs.class_matches is None:
        return None
    classes = inputs.classes
    return end_to_end(
        inputs.class_matches, classes.said, cohort, chosen=classes.above, scan_rates=scan_rates
    )


def figures_by_group(
    columns: Sequence[str], inputs: EvalInputs, truth: Truth
) -> tuple[Groups, Groups]:
    """Return the groups of the detections, and of classified truth boxes."""
    found: Groups = {}
    of_truth: Groups = {}
    boxes, matches = inputs.boxes, inputs.boxes_matches
    if boxes is not None and matches is not None:
        said = boxes.said if boxes.classified else None
        part = GroupInputs(matches, truth.cohort, boxes.above, said, detects=True)
        found = groups_by(columns, truth, part)
    boxes, matches = inputs.truth_boxes, inputs.truth_box_matches
    if boxes is not None and matches is not None:
        part = GroupInputs(matches, truth.cohort, None, boxes.said, detects=False)
        of_truth = groups_by(columns, truth, part)
    return found, of_truth
