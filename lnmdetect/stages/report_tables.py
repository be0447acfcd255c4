"""The figures of an evaluation as the tables of a report."""

from collections.abc import Iterator, Mapping

from lnmdetect.io.report_view import FigureRow, FigureTable, Table
from lnmdetect.metrics.end_to_end import EndToEnd
from lnmdetect.metrics.error_kinds import ErrorCounts
from lnmdetect.metrics.figure import OVER_PATIENTS, Figure, Interval
from lnmdetect.metrics.froc import Froc
from lnmdetect.metrics.groups import GroupFigures
from lnmdetect.stages.evaluation_result import (
    ClassificationFigures,
    DetectionFigures,
    EvalResult,
)

UNDEFINED = "undefined"
Named = tuple[str, Figure]
_GROUP_COLUMNS = (
    ("AP50", "ap50"),
    ("Sensitivity", "sensitivity"),
    ("False positives an image", "false_positives_per_image"),
    ("AUC", "auc"),
    ("TPR", "tpr"),
    ("TNR", "tnr"),
)


def figure_row(name: str, figure: Figure) -> FigureRow:
    """Return the figure in words, with why it is undefined or has another interval than usual."""
    method = figure.interval_method
    reasons = (figure.reason, None if method == OVER_PATIENTS else method)
    independent = interval_text(figure.independent_interval)
    if independent and figure.independent_method:
        independent += f" ({figure.independent_method})"
    return FigureRow(
        name=name,
        value=value_text(figure),
        interval=interval_text(figure.interval),
        independent=independent,
        n="" if figure.n is None else str(figure.n),
        reason="; ".join(filter(None, reasons)),
    )


def value_text(figure: Figure) -> str:
    """Return the value with three decimals, or "undefined"."""
    return UNDEFINED if figure.value is None else f"{figure.value:.3f}"


def interval_text(interval: Interval | None) -> str:
    """Return "0.701 to 0.781"; nothing for None."""
    return "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def in_brackets(figure: Figure) -> str:
    """Return the value with its interval in brackets, or why there is no value."""
    if figure.value is None:
        return f"{UNDEFINED}: {figure.reason}"
    interval = interval_text(figure.interval)
    return f"{figure.value:.3f} ({interval})" if interval else f"{figure.value:.3f}"


def figure_table(caption: str, rows: Iterator[Named]) -> FigureTable:
    """Return the table of the named figures."""
    return FigureTable(caption, tuple(figure_row(*row) for row in rows))


def headline_table(result: EvalResult) -> FigureTable:
    """Return the few figures that are read first."""
    return figure_table("What the two stages are worth", _headline_rows(result))


def _headline_rows(result: EvalResult) -> Iterator[Named]:
    yield "AP50 of the boxes", result.ap50
    detection, classes, both = result.detection, result.classification, result.end_to_end
    if detection is not None:
        yield "Mean sensitivity of the FROC curve, 1/8 to 8 an image", detection.froc.mean
        if detection.operating_point is not None:
            point = detection.operating_point
            yield "Sensitivity for boxes at the operating threshold", point.sensitivity
            yield "False positives an image there", point.false_positives_per_image
    if classes is not None:
        which = "found boxes" if classes.boxes == "predicted" else "truth boxes"
        yield f"AUC, benign against metastatic, on {which}", classes.figures.auc
        yield f"Sensitivity for metastasis on {which}", classes.figures.tpr
        yield f"Specificity on {which}", classes.figures.tnr
    on_truth = result.classification_on_truth_boxes
    if on_truth is not None and on_truth is not classes:
        yield "AUC, benign against metastatic, on truth boxes", on_truth.figures.auc
    if both is not None:
        yield "Metastatic boxes found and called so", both.found_and_called["metastatic"]
        yield "Patients with a metastatic node called so", both.patients.sensitivity
        yield "Patients without one called so", both.patients.specificity


def detection_tables(detection: DetectionFigures) -> Iterator[FigureTable]:
    """Give the tables of the boxes as one class."""
    average = detection.average_precision
    rows: list[Named] = [
        ("AP50", average.ap50),
        ("AP75", average.ap75),
        ("AP 50:95", average.ap),
        ("AR, 100 boxes an image", average.ar100),
    ]
    if detection.operating_point is not None:
        point = detection.operating_point
        rows += [
            ("Sensitivity at the operating threshold", point.sensitivity),
            ("Precision there", point.precision),
            ("False positives an image there", point.false_positives_per_image),
            ("False positives a scan there", point.false_positives_per_scan),
        ]
    yield figure_table("Boxes, whatever their class", iter(rows))
    sizes = ((f"AP50, {name}", figure) for name, figure in detection.ap50_by_size.items())
    yield figure_table("By shorter side of the box", sizes)


def froc_tables(caption: str, curves: Iterator[tuple[str, Froc]]) -> Iterator[Table]:
    """Give the readings of FROC curves; curves that are read at the same rates share a table.

    Args:
        caption: of the tables.
        curves: what is found, as "boxes", and its curve.
    """
    by_rates: dict[tuple[float, ...], dict[str, Froc]] = {}
    for name, curve in curves:
        rates = tuple(point.false_positives for point in curve.points)
        by_rates.setdefault(rates, {})[f"{name}, per {curve.per}"] = curve
    for rates, members in by_rates.items():
        rows = [
            (f"{rate:g}", *(in_brackets(curve.points[k].sensitivity) for curve in members.values()))
            for k, rate in enumerate(rates)
        ]
        rows.append(("mean", *(in_brackets(curve.mean) for curve in members.values())))
        yield Table(caption, ("False positives, at most", *members), tuple(rows))


def detection_froc(detection: DetectionFigures) -> Iterator[Table]:
    """Give the FROC readings of boxes and of nodes, which any of their boxes finds."""
    curves = (
        ("boxes", detection.froc),
        ("boxes", detection.froc_per_scan),
        ("nodes, found on any slice", detection.nodes_per_scan),
    )
    yield from froc_tables("FROC: sensitivity by false positives", iter(curves))


def classification_table(classes: ClassificationFigures) -> FigureTable:
    """Return the table of the classes, metastatic as the positive one."""
    figures, calibrated = classes.figures, classes.figures.calibration
    rows: list[Named] = [
        ("AUC", figures.auc),
        ("Area under precision and recall", figures.pr_auc),
        ("Accuracy", figures.accuracy),
        ("Accuracy of always calling the commoner class", figures.majority_accuracy),
        ("Balanced accuracy", figures.balanced_accuracy),
        ("Sensitivity (TPR)", figures.tpr),
        ("Specificity (TNR)", figures.tnr),
        ("Positive predictive value", figures.ppv),
        ("Negative predictive value", figures.npv),
        ("Brier score (0 is best)", calibrated.brier),
        ("Expected calibration error (0 is best)", calibrated.ece),
        ("Calibration intercept (0 is best)", calibrated.intercept),
        ("Calibration slope (1 is best)", calibrated.slope),
    ]
    return figure_table(f"Classes on {boxes_told(classes)}", iter(rows))


def boxes_told(classes: ClassificationFigures) -> str:
    """Return on which boxes classes are scored."""
    if classes.boxes == "truth":
        return "truth boxes"
    if classes.score_min is not None:
        return f"predicted boxes scored {classes.score_min:.3g} or more that hit a node"
    at = "at the operating thresholds" if classes.at_threshold else "of any score"
    return f"predicted boxes {at} that hit a node"


def confusion_table(classes: ClassificationFigures) -> Table:
    """Return the four counts."""
    counts = classes.figures.confusion
    return Table(
        f"Confusion matrix on {boxes_told(classes)}",
        ("In truth", "called metastatic", "called benign", "all"),
        (
            ("metastatic", *_counts(counts.true_positive, counts.false_negative)),
            ("benign", *_counts(counts.false_positive, counts.true_negative)),
        ),
    )


def _counts(*numbers: int) -> tuple[str, ...]:
    return (*map(str, numbers), str(sum(numbers)))


def error_table(errors: ErrorCounts) -> Table:
    """Return where errors arise."""
    rows = (
        ("Truth boxes with no box on them (missed)", errors.missed),
        ("Truth boxes with only poorly placed boxes on them", errors.poorly_placed_truth),
        ("Truth boxes hit and called the wrong class", errors.wrong_class),
        ("False positives: poorly placed (IoU 0.1 to 0.5)", errors.poorly_placed),
        ("False positives: duplicates of a hit", errors.duplicate),
        ("False positives: background", errors.background),
    )
    return Table(
        "Errors at the operating thresholds",
        ("Error", "boxes"),
        tuple((name, str(count)) for name, count in rows),
    )


def end_to_end_tables(both: EndToEnd) -> Iterator[FigureTable]:
    """Give the tables of both stages as one."""
    patients = both.patients
    rows: list[Named] = [(f"AP50 of {name} boxes", figure) for name, figure in both.ap50.items()]
    rows += [
        (f"{name.capitalize()} boxes found and called so", figure)
        for name, figure in both.found_and_called.items()
    ]
    yield figure_table("Boxes and classes together", iter(rows))
    of_patients: list[Named] = [
        ("Sensitivity", patients.sensitivity),
        ("Specificity", patients.specificity),
        ("AUC of the highest score × P(metastatic)", patients.auc),
    ]
    caption = f"Any metastatic node? {patients.n} patients, {patients.positives} of them with one"
    yield figure_table(caption, iter(of_patients))


def end_to_end_froc(both: EndToEnd) -> Iterator[Table]:
    """Give the FROC readings of metastatic boxes."""
    curves = (both.froc_metastatic, both.froc_metastatic_per_scan)
    named = (("metastatic boxes", curve) for curve in curves)
    yield from froc_tables("FROC: sensitivity by false positives", named)


def group_tables(groups: Mapping[str, tuple[GroupFigures, ...]], of: str) -> Iterator[Table]:
    """Give a table a column of truth; `of` says which boxes they are."""
    for column, members in groups.items():
        shown = [
            (title, name)
            for title, name in _GROUP_COLUMNS
            if any(getattr(group, name) is not None for group in members)
        ]
        yield Table(
            f"By {column_name(column)}: {of}",
            ("Group", "patients", "truth boxes", *(title for title, _ in shown)),
            tuple(_group_row(group, [name for _, name in shown]) for group in members),
        )


def column_name(column: str) -> str:
    """Return a column of truth in words: "short axis, mm" for short_axis_mm."""
    unit = ", mm" if column.endswith("_mm") else ""
    return column.removesuffix("_mm").replace("_", " ") + unit


def _group_row(group: GroupFigures, names: list[str]) -> tuple[str, ...]:
    figures = (getattr(group, name) for name in names)
    cells = ("" if figure is None else in_brackets(figure) for figure in figures)
    return (group.group, str(group.patients), str(group.truth_boxes), *cells)
