"""The figures of an evaluation as rich tables."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lnmdetect.core.wording import counted
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.froc import Froc
from lnmdetect.stages.evaluation_inputs import Threshold
from lnmdetect.stages.evaluation_result import (
    ClassificationFigures,
    DetectionFigures,
    EvalResult,
)

Row = tuple[str, Figure]


def result_tables(result: EvalResult) -> RenderableType:
    """Return all figures: detection, classification, both stages, with what they rest on."""
    parts: list[RenderableType] = [Text(scored_sentence(result))]
    if result.detection is not None:
        parts.append(_table(result, "Detection", list(_detection_rows(result.detection))))
    for classes in (result.classification, result.classification_of_all_boxes):
        if classes is not None:
            rows = list(_classification_rows(classes))
            parts.append(_table(result, classification_title(classes), rows))
            parts.append(Text(confusion_sentence(classes)))
    if result.end_to_end is not None:
        both = result.end_to_end
        rows = [(f"AP50 {name}", figure) for name, figure in both.ap50.items()]
        rows += [(f"Found and called {n}", figure) for n, figure in both.found_and_called.items()]
        parts.append(_table(result, "Both stages", rows))
    parts += [Text(line) for line in threshold_lines(result)]
    parts.append(Text(f"Intervals: {result.info.intervals}."))
    return Group(*parts, *_notes(result))


def ap50_table(result: EvalResult) -> RenderableType:
    """Return AP50 alone, in one row, with the notes that a reader of it must know."""
    return Group(_table(result, "Detection", [("AP50", result.ap50)]), *_notes(result))


def _notes(result: EvalResult) -> list[Text]:
    return [Text(f"Note: {note}") for note in result.info.notes]


def scored_sentence(result: EvalResult) -> str:
    """Return what was scored, in one sentence."""
    info = result.info
    return (
        f"{counted(info.patients, 'patient')}, {counted(info.images, 'image')}, "
        f"{counted(info.truth_boxes, 'truth box', 'truth boxes')} "
        f"({info.ignored_truth_boxes} more ignored), "
        f"{counted(info.detections, 'box', 'boxes')} of {info.detections_of.file}"
    )


def classification_title(classification: ClassificationFigures) -> str:
    """Return on which boxes the classes are scored."""
    which = "truth boxes" if classification.boxes == "truth" else "all stored predicted boxes"
    if classification.score_min is not None:
        which = f"predicted boxes scored {classification.score_min:.4g} or more"
    return f"Classification on {which} (metastatic = positive)"


def confusion_sentence(classification: ClassificationFigures) -> str:
    """Return the four counts in words."""
    counts = classification.figures.confusion
    return (
        f"Of {counts.positives} metastatic nodes {counts.true_positive} are called metastatic, "
        f"of {counts.negatives} benign nodes {counts.true_negative} benign."
    )


def threshold_lines(result: EvalResult) -> Iterator[str]:
    """Give a sentence a threshold: which was used and where it came from."""
    for name, threshold in (
        ("detector", result.thresholds.detector),
        ("classifier", result.thresholds.classifier),
    ):
        yield f"Operating threshold of the {name}: {_threshold_text(threshold)}"


def _threshold_text(threshold: Threshold) -> str:
    if threshold.value is None:
        return f"none ({threshold.source})"
    return f"{threshold.value:.4g} ({threshold.source})"


def _detection_rows(detection: DetectionFigures) -> Iterator[Row]:
    average = detection.average_precision
    yield from (("AP50", average.ap50), ("AP75", average.ap75), ("AP 50:95", average.ap))
    yield "AR (100 boxes an image)", average.ar100
    yield from _froc_rows(detection.froc)
    if detection.operating_point is not None:
        point = detection.operating_point
        yield "Sensitivity at the operating threshold", point.sensitivity
        yield "Precision there", point.precision
        yield "False positives an image there", point.false_positives_per_image


def _froc_rows(curve: Froc) -> Iterator[Row]:
    for point in curve.points:
        yield (
            f"Sensitivity, up to {point.false_positives:g} FP an {curve.per}",
            point.sensitivity,
        )
    yield "Mean of these seven (FROC; FP: false positives)", curve.mean


def _classification_rows(classification: ClassificationFigures) -> Iterator[Row]:
    figures = classification.figures
    yield "AUC", figures.auc
    yield "Accuracy", figures.accuracy
    yield "Accuracy of always calling the commoner class", figures.majority_accuracy
    yield "Sensitivity (TPR)", figures.tpr
    yield "Specificity (TNR)", figures.tnr
    yield "Positive predictive value", figures.ppv
    yield "Negative predictive value", figures.npv


def _table(result: EvalResult, title: str, rows: list[Row]) -> Table:
    label = ", phantom figures" if result.info.phantom else ""
    table = Table(title=f"{title}{label}", title_justify="left")
    table.add_column("Figure")
    table.add_column("Value", justify="right")
    table.add_column("95 % interval or reason", justify="right")
    table.add_column("n", justify="right")
    for name, figure in rows:
        value, interval = _figure_text(figure)
        table.add_row(name, value, interval, "" if figure.n is None else str(figure.n))
    return table


def _figure_text(figure: Figure) -> tuple[str, str]:
    """Return the value and, beside it, the interval or the reason."""
    value = "undefined" if figure.value is None else f"{figure.value:.3f}"
    if figure.reason is not None:
        return value, figure.reason
    if figure.interval is None:
        return value, ""
    low, high = figure.interval
    return value, f"{low:.3f} to {high:.3f}"
