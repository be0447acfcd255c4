"""The figures of an evaluation as rich tables."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lnmdetect.core.wording import counted
from lnmdetect.metrics.end_to_end import EndToEnd
from lnmdetect.metrics.error_kinds import ErrorCounts
from lnmdetect.metrics.froc import Froc
from lnmdetect.metrics.groups import GroupFigures
from lnmdetect.stages.evaluation_info import over_patients_sentence
from lnmdetect.stages.evaluation_masks_tables import mask_tables
from lnmdetect.stages.evaluation_result import (
    ClassificationFigures,
    DetectionFigures,
    EvalResult,
)
from lnmdetect.stages.evaluation_thresholds import threshold_text
from lnmdetect.stages.figure_tables import Row, figure_table, short_text, two_lines


def result_tables(result: EvalResult) -> RenderableType:
    """Return all figures: detection, classification, both stages, with what they rest on."""
    parts: list[RenderableType] = [Text(scored_sentence(result))]
    if result.detection is not None:
        parts.append(_table(result, "Detection", list(_detection_rows(result.detection))))
    for classes in (
        result.classification,
        result.classification_of_all_boxes,
        result.classification_on_truth_boxes,
    ):
        if classes is not None:
            rows = list(_classification_rows(classes))
            parts.append(_table(result, classification_title(classes), rows))
            parts.append(Text(confusion_sentence(classes)))
    if result.end_to_end is not None:
        parts.append(_table(result, "Both stages", list(_both_rows(result.end_to_end))))
    parts += froc_tables(result)
    parts += _nodes_3d_parts(result)
    parts += mask_tables(result.masks, _suffix(result))
    if result.errors is not None:
        parts.append(Text(errors_sentence(result.errors)))
    parts += _group_tables(result, result.groups, "")
    parts += _group_tables(result, result.groups_of_truth_boxes, ", classified truth boxes")
    parts += [Text(line) for line in threshold_lines(result)]
    parts.append(Text(f"Intervals: {result.info.intervals}."))
    return Group(*parts, *_notes(result))


def ap50_table(result: EvalResult) -> RenderableType:
    """Return AP50 alone, in one row, with the notes that a reader of it must know."""
    table = _table(result, "Detection", [("AP50", result.ap50)])
    sentence = over_patients_sentence(result.info.resamples, result.info.seed)
    return Group(table, Text(f"Interval: {sentence}."), *_notes(result))


def _notes(result: EvalResult) -> list[Text]:
    return [Text(f"Note: {note}") for note in result.info.notes]


def scored_sentence(result: EvalResult) -> str:
    """Return what was scored, in one sentence."""
    info = result.info
    scored = (*info.detections_of, *info.classes_of, *info.truth_boxes_of)
    files = ", ".join(dict.fromkeys(stamp.file for stamp in scored))
    return (
        f"{counted(info.patients, 'patient')}, {counted(info.scans, 'scan')}, "
        f"{counted(info.images, 'image')}, "
        f"{counted(info.truth_boxes, 'truth box', 'truth boxes')} "
        f"({info.ignored_truth_boxes} more ignored), "
        f"{counted(info.detections, 'box', 'boxes')} of {files or 'no file'}"
    )


def classification_title(classification: ClassificationFigures) -> str:
    """Return on which boxes the classes are scored."""
    which = "truth boxes" if classification.boxes == "truth" else "all stored predicted boxes"
    if classification.at_threshold:
        which = "predicted boxes at their files' operating thresholds"
    if classification.score_min is not None:
        which = f"predicted boxes scored {classification.score_min:.4g} or more"
    return f"Classification on {which} (metastatic = positive)"


def confusion_sentence(classification: ClassificationFigures) -> str:
    """Return the four counts in words."""
    counts = classification.figures.confusion
    return (
        f"Of {counts.positives} boxes of metastatic nodes {counts.true_positive} are called "
        f"metastatic, of {counts.negatives} of benign nodes {counts.true_negative} benign."
    )


def errors_sentence(errors: ErrorCounts) -> str:
    """Return where errors arise at the operating thresholds, in words."""
    return (
        f"Errors: {counted(errors.missed, 'truth box', 'truth boxes')} missed, "
        f"{errors.poorly_placed_truth} with only poorly placed boxes on them, "
        f"{errors.wrong_class} found and called the other class; of the false positives "
        f"{errors.background} lie on no node, {errors.poorly_placed} are poorly placed, "
        f"{errors.duplicate} are duplicates."
    )


def threshold_lines(result: EvalResult) -> Iterator[str]:
    """Give a sentence a threshold: which was used and where it came from."""
    for name, threshold in (
        ("detector", result.thresholds.detector),
        ("classifier", result.thresholds.classifier),
    ):
        yield f"Operating threshold of the {name}: {threshold_text(threshold)}"


def _detection_rows(detection: DetectionFigures) -> Iterator[Row]:
    average = detection.average_precision
    yield from (("AP50", average.ap50), ("AP75", average.ap75), ("AP 50:95", average.ap))
    yield "AR (100 boxes an image)", average.ar100
    for name, figure in detection.ap50_by_size.items():
        yield f"AP50, shorter side {name}", figure
    if detection.operating_point is not None:
        point = detection.operating_point
        yield "Sensitivity at the operating threshold", point.sensitivity
        yield "Precision there", point.precision
        yield "False positives an image there", point.false_positives_per_image
        yield "False positives a scan there", point.false_positives_per_scan


def _classification_rows(classification: ClassificationFigures) -> Iterator[Row]:
    figures = classification.figures
    yield "AUC", figures.auc
    yield "Area under precision and recall", figures.pr_auc
    yield "Accuracy", figures.accuracy
    yield "Accuracy of always calling the commoner class", figures.majority_accuracy
    yield "Balanced accuracy", figures.balanced_accuracy
    yield "Sensitivity (TPR)", figures.tpr
    yield "Specificity (TNR)", figures.tnr
    yield "Positive predictive value", figures.ppv
    yield "Negative predictive value", figures.npv
    yield "Brier score", figures.calibration.brier
    yield "Expected calibration error", figures.calibration.ece
    yield "Calibration slope (1 is ideal)", figures.calibration.slope
    yield "Calibration intercept (0 is ideal)", figures.calibration.intercept


def _both_rows(both: EndToEnd) -> Iterator[Row]:
    for name, figure in both.ap50.items():
        yield f"AP50 {name}", figure
    for name, figure in both.found_and_called.items():
        yield f"Found and called {name}", figure
    yield "Patients: AUC for any metastatic node", both.patients.auc
    yield "Patients: sensitivity for any metastatic node", both.patients.sensitivity
    yield "Patients: specificity", both.patients.specificity


def _table(result: EvalResult, title: str, rows: list[Row]) -> Table:
    return figure_table(_titled(result, title), rows)


def _titled(result: EvalResult, title: str) -> str:
    return f"{title}{_suffix(result)}"


def _suffix(result: EvalResult) -> str:
    return ", phantom figures" if result.info.phantom else ""


def _nodes_3d_parts(result: EvalResult) -> Iterator[RenderableType]:
    if result.nodes_3d is None:
        return
    nodes, figures = result.nodes_3d, result.nodes_3d.figures
    rows: list[Row] = [
        ("Nodes found on two slices or more: all in one linked node", figures.in_one_node),
        ("In several (split)", figures.split),
        ("In one with another node (merged)", figures.merged),
    ]
    of_axes = [("plain box", figures.box_short_axis)]
    if nodes.outlined:
        of_axes.insert(0, ("outline", figures.short_axis))
    for name, errors in of_axes:
        rows.append((f"Short axis, {name}: mean error, mm", errors.mean_mm))
        rows.append(("Lower 95 % limit, mm", errors.lower_limit_mm))
        rows.append(("Upper 95 % limit, mm", errors.upper_limit_mm))
        rows.append(("Mean error, pixels", errors.mean_px))
    yield _table(result, f"Nodes in 3-D: {nodes.linked} linked, {nodes.truth} in truth", rows)
    if not nodes.outlined:
        yield Text("Short axes of refined outlines: give --linked-nodes, of `lnmdetect nodes`.")


def froc_tables(result: EvalResult) -> Iterator[Table]:
    """Give a table of sensitivities for false positives an image, and one a scan."""
    curves: list[tuple[str, Froc]] = []
    if result.detection is not None:
        found = result.detection
        curves += [("boxes", found.froc), ("boxes", found.froc_per_scan)]
        curves.append(("nodes, any of their boxes", found.nodes_per_scan))
    if result.nodes_3d is not None:
        curves.append(("linked nodes, centre in node", result.nodes_3d.figures.froc))
    if result.end_to_end is not None:
        both = result.end_to_end
        curves.append(("boxes found as metastatic", both.froc_metastatic))
        curves.append(("boxes found as metastatic", both.froc_metastatic_per_scan))
    for unit in ("image", "scan"):
        rows = [(name, curve) for name, curve in curves if curve.per == unit]
        if rows:
            yield _froc_table(result, f"FROC: sensitivity at false positives per {unit}", rows)


def _froc_table(result: EvalResult, title: str, rows: list[tuple[str, Froc]]) -> Table:
    table = Table(title=_titled(result, title), title_justify="left")
    table.add_column("of")
    for point in rows[0][1].points:
        table.add_column(f"{point.false_positives:g}", justify="right")
    table.add_column("mean", justify="right")
    table.add_column("n", justify="right")
    for name, curve in rows:
        if curve.mean.value is None:
            blanks = ["-"] * len(curve.points)
            table.add_row(f"{name}: {curve.mean.reason}", *blanks, "-", "")
            continue
        figures = (*(point.sensitivity for point in curve.points), curve.mean)
        table.add_row(name, *(two_lines(figure) for figure in figures), str(curve.mean.n))
    return table


_GROUP_COLUMNS: Mapping[str, str] = {
    "sensitivity": "Sensitivity",
    "ap50": "AP50",
    "false_positives_per_image": "FP an image",
    "auc": "AUC",
    "tpr": "TPR",
    "tnr": "TNR",
}


def _group_tables(
    result: EvalResult, groups: Mapping[str, Sequence[GroupFigures]], which: str
) -> Iterator[RenderableType]:
    for column, rows in groups.items():
        shown = [
            name for name in _GROUP_COLUMNS if any(getattr(row, name) is not None for row in rows)
        ]
        table = Table(title=_titled(result, f"By {column}{which}"), title_justify="left")
        table.add_column(column)
        for name in ("patients", "truth boxes", *(_GROUP_COLUMNS[name] for name in shown)):
            table.add_column(name, justify="right")
        for row in rows:
            cells = (short_text(getattr(row, name)) for name in shown)
            table.add_row(row.group, str(row.patients), str(row.truth_boxes), *cells)
        yield table
