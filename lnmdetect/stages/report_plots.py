"""The drawn figures of an evaluation: from its numbers to what `io` draws."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.geometry import box_sizes
from lnmdetect.io.figures_data import (
    Band,
    Curve,
    CurvePlot,
    DecisionPlot,
    EvaluationPlots,
    NamedPoint,
    ReliabilityPlot,
    SizesPlot,
)
from lnmdetect.io.figures_evaluation import write_figures
from lnmdetect.io.json_files import atomic_output, refuse_existing
from lnmdetect.metrics.calibration import Calibration
from lnmdetect.metrics.classification import Classification
from lnmdetect.metrics.error_kinds import FOUND, WRONG_CLASS
from lnmdetect.metrics.figure import Figure
from lnmdetect.metrics.froc import Froc, OperatingPoint
from lnmdetect.stages.evaluate import Evaluation
from lnmdetect.stages.evaluation_masks_tables import masks_markdown
from lnmdetect.stages.evaluation_result import ClassificationFigures, EvalResult
from lnmdetect.stages.report_masks import overlap_plot, size_rates_plot

Numbers = NDArray[np.float64]
MASKS = "masks.md"


def write_evaluation_figures(
    evaluation: Evaluation, folder: Path, *, overwrite: bool = False
) -> tuple[Path, ...]:
    """Return the SVG and PNG files that are written into `folder`, those that can be drawn.

    Where there are masks, masks.md holds their tables.

    Raises:
        OutputError: a file exists and `overwrite` is false, or the folder cannot be written.
    """
    result, tables = evaluation.result, folder / MASKS
    if result.masks is None:
        return write_figures(evaluation_plots(evaluation), folder, overwrite=overwrite)
    refuse_existing(tables, overwrite=overwrite)
    drawn = write_figures(evaluation_plots(evaluation), folder, overwrite=overwrite)
    suffix = ", phantom figures" if result.info.phantom else ""
    with atomic_output(tables, overwrite=overwrite) as stream:
        stream.write(masks_markdown(result.masks, suffix).encode("utf-8"))
    return (*drawn, tables)


def evaluation_plots(evaluation: Evaluation) -> EvaluationPlots:
    """Return what the figures are drawn from."""
    result = evaluation.result
    classes = drawn_classes(result)
    figures = None if classes is None else classes.figures
    threshold = result.thresholds.classifier.value
    detection = result.detection
    return EvaluationPlots(
        phantom=result.info.phantom,
        roc=None if figures is None else roc_plot(figures, threshold),
        froc=None if detection is None else _froc(detection.froc, detection.operating_point),
        precision_recall=None if figures is None else _precision_recall(figures, threshold),
        reliability=None if figures is None else _reliability(figures.calibration),
        decision_curve=None if figures is None else _decision(figures, threshold),
        sizes=_sizes(evaluation),
        overlap=None if result.masks is None else overlap_plot(result.masks),
        mask_sizes=None if result.masks is None else size_rates_plot(result.masks),
    )


def drawn_classes(result: EvalResult) -> ClassificationFigures | None:
    """Return the classes whose curves are drawn: of found boxes, else of truth boxes."""
    return result.classification or result.classification_on_truth_boxes


def labelled(name: str, figure: Figure) -> str:
    """Return the name with the value and interval, as "AUC 0.87 (0.83 to 0.90)"."""
    if figure.value is None:
        return name
    if figure.interval is None:
        return f"{name} {figure.value:.2f}"
    low, high = figure.interval
    return f"{name} {figure.value:.2f} ({low:.2f} to {high:.2f})"


def _numbers(values: Sequence[float | None]) -> Numbers:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _limits(figures: Sequence[Figure]) -> tuple[Numbers, Numbers]:
    """Return (N,) lower and upper ends, NaN where a figure has no interval."""
    ends = [figure.interval or (None, None) for figure in figures]
    return _numbers([low for low, _ in ends]), _numbers([high for _, high in ends])


def roc_plot(figures: Classification, threshold: float | None) -> CurvePlot | None:
    """Return the ROC curve with its band and the point of the calls; None without a curve."""
    curve = figures.roc
    if not curve.fpr:
        return None
    ends, band = curve.band, None
    if ends is not None:
        band = Band(_numbers(ends.fpr), _numbers(ends.low), _numbers(ends.high))
    points: tuple[NamedPoint, ...] = ()
    if figures.tpr.value is not None and figures.tnr.value is not None:
        points = (NamedPoint((1 - figures.tnr.value, figures.tpr.value), _in_use(threshold)),)
    label = labelled("AUC", figures.auc)
    return CurvePlot(Curve(_numbers(curve.fpr), _numbers(curve.tpr), label, band), points)


def _in_use(threshold: float | None) -> str:
    return "calls in the file" if threshold is None else f"threshold in use ({threshold:.2f})"


def _precision_recall(figures: Classification, threshold: float | None) -> CurvePlot | None:
    curve = figures.precision_recall
    if not curve.recall:
        return None
    points: tuple[NamedPoint, ...] = ()
    if figures.tpr.value is not None and figures.ppv.value is not None:
        points = (NamedPoint((figures.tpr.value, figures.ppv.value), _in_use(threshold)),)
    label = labelled("area", figures.pr_auc)
    drawn = Curve(_numbers(curve.recall), _numbers(curve.precision), label)
    return CurvePlot(drawn, points, baseline=curve.prevalence)


def _froc(froc: Froc, point: OperatingPoint | None) -> CurvePlot | None:
    curve = froc.curve
    if curve is None:
        return None
    x = _numbers(curve.false_positives)
    band = None
    if curve.low is not None and curve.high is not None:
        band = Band(x, _numbers(curve.low), _numbers(curve.high))
    points: tuple[NamedPoint, ...] = ()
    if point is not None:
        at = point.false_positives_per_image.value, point.sensitivity.value
        if at[0] is not None and at[1] is not None:
            points = (NamedPoint((at[0], at[1]), "operating threshold"),)
    label = labelled("mean", froc.mean)
    return CurvePlot(Curve(x, _numbers(curve.sensitivity), label, band), points, per=froc.per)


def _reliability(calibration: Calibration) -> ReliabilityPlot | None:
    filled = [b for b in calibration.reliability if b.n]
    if not filled:
        return None
    low, high = _limits([b.observed for b in filled])
    return ReliabilityPlot(
        predicted=_numbers([b.mean_probability for b in filled]),
        observed=_numbers([b.observed.value for b in filled]),
        low=low,
        high=high,
        counts=_numbers([float(b.n) for b in filled]),
        edges=np.array([(b.low, b.high) for b in filled]),
    )


def _decision(figures: Classification, threshold: float | None) -> DecisionPlot | None:
    points = figures.decision_curve
    if not points:
        return None
    x = _numbers([point.threshold for point in points])
    low, high = _limits([point.model for point in points])
    band = Band(x, low, high) if np.isfinite(low).any() else None
    return DecisionPlot(
        model=Curve(x, _numbers([point.model.value for point in points]), "by the model", band),
        treat_all=Curve(x, _numbers([p.treat_all for p in points]), "all called metastatic"),
        threshold=threshold,
    )


def _sizes(evaluation: Evaluation) -> SizesPlot | None:
    columns = evaluation.truth.columns
    kept = ~columns.nodes.ignored
    if not kept.any():
        return None
    sides = box_sizes(columns.nodes.boxes_xyxy[kept])
    images = columns.images.sizes_px[columns.nodes.image[kept]]
    found = None
    if evaluation.kinds is not None:
        found = np.isin(evaluation.kinds.truth[kept], (FOUND, WRONG_CLASS))
    return SizesPlot(
        area_percent=100 * sides.prod(axis=1) / images.prod(axis=1),
        aspect=sides[:, 0] / sides[:, 1],
        category=columns.nodes.category[kept],
        found=found,
    )
