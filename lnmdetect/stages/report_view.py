"""An evaluation as the page that shows it."""

from collections.abc import Iterator
from pathlib import Path

from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.io.figures_data import CurvePlot, DecisionPlot, EvaluationPlots
from lnmdetect.io.figures_evaluation import svg_bytes
from lnmdetect.io.figures_inline import inline_svg
from lnmdetect.io.report_view import Plot, ReportView, Section
from lnmdetect.stages.evaluate import Evaluation
from lnmdetect.stages.evaluation_result import ClassificationFigures, EvalResult
from lnmdetect.stages.evaluation_tables import scored_sentence
from lnmdetect.stages.report_checklist import checklist
from lnmdetect.stages.report_explained import explained_section
from lnmdetect.stages.report_facts import facts
from lnmdetect.stages.report_masks import CAPTIONS, MISSING, masks_section
from lnmdetect.stages.report_nodes import nodes_section
from lnmdetect.stages.report_plots import drawn_classes, evaluation_plots
from lnmdetect.stages.report_slices import browser
from lnmdetect.stages.report_tables import (
    boxes_told,
    classification_table,
    confusion_table,
    detection_froc,
    detection_tables,
    end_to_end_froc,
    end_to_end_tables,
    error_table,
    group_tables,
    headline_table,
    in_brackets,
)

TITLE = "Lymph nodes on neck CT: evaluation of detection and classification"
BAND = "Band: 95 % interval over patients, point by point."
NO_BAND = "No band: too few patients, or no resamples."


def report_view(
    evaluation: Evaluation,
    *,
    scan: Path | None = None,
    explained: Path | None = None,
    progress: Progress = SILENT,
) -> ReportView:
    """Return all that the page shows.

    Args:
        evaluation: its figures and boxes.
        scan: where the pixels are; None takes the place that truth names.
        explained: a folder of `explain`, shown too.
        progress: of the reading of slices.

    Raises:
        InputError: nothing is at `scan`, or the folder cannot be used.
    """
    result = evaluation.result
    plots = evaluation_plots(evaluation)
    sections = list(_sections(result, plots))
    if explained is not None:
        sections.append(explained_section(explained, result.info))
    return ReportView(
        title=TITLE,
        lead=f"{scored_sentence(result)}.",
        phantom=result.info.phantom,
        facts=facts(evaluation),
        notes=result.info.notes,
        headline=headline_table(result),
        sections=tuple(sections),
        browser=browser(evaluation, scan=scan, progress=progress),
        checklist=checklist(evaluation),
    )


def _sections(result: EvalResult, plots: EvaluationPlots) -> Iterator[Section]:
    yield _detection(result, plots)
    yield _classification(result, plots)
    if result.end_to_end is not None:
        yield Section(
            "both",
            "Both stages",
            "Metastatic boxes are ranked by score × P(metastatic); one on a benign node is a false "
            "positive.",
            figures=tuple(end_to_end_tables(result.end_to_end)),
            tables=tuple(end_to_end_froc(result.end_to_end)),
        )
    if result.masks is not None:
        drawn = tuple(
            _plot(plots, name, title=title, caption=caption, missing=MISSING)
            for name, title, caption in CAPTIONS
        )
        yield masks_section(result.masks, drawn)
    if result.nodes_3d is not None:
        yield nodes_section(result.nodes_3d)
    if result.errors is not None:
        yield Section("errors", "Errors", tables=(error_table(result.errors),))
    tables = (
        *group_tables(result.groups, "boxes found"),
        *group_tables(result.groups_of_truth_boxes, "classified truth boxes"),
    )
    if tables:
        yield Section("groups", "Groups", tables=tables)


def _detection(result: EvalResult, plots: EvaluationPlots) -> Section:
    detection = result.detection
    missing = "" if detection else "no file has boxes with a score"
    mean = "" if detection is None else in_brackets(detection.froc.mean)
    return Section(
        "detection",
        "Detection",
        "Boxes as one class, whatever their status.",
        plots=(
            _plot(
                plots,
                "froc",
                title="FROC: sensitivity against false positives an image",
                caption=f"Mean sensitivity at 1/8 to 8 false positives an image: {mean}. "
                f"{_band_told(plots.froc)}",
                missing=missing or "no truth box counts",
            ),
            _plot(
                plots,
                "sizes",
                title="Size and shape of the truth boxes",
                caption="As figure 2 of Wang et al. 2023: area as a share of the image and aspect "
                "ratio of each box, by class and by whether it was found at the operating "
                "threshold.",
                missing="no truth box counts",
            ),
        ),
        figures=() if detection is None else tuple(detection_tables(detection)),
        tables=() if detection is None else tuple(detection_froc(detection)),
    )


def _classification(result: EvalResult, plots: EvaluationPlots) -> Section:
    drawn = drawn_classes(result)
    all_classes = (
        result.classification,
        result.classification_of_all_boxes,
        result.classification_on_truth_boxes,
    )
    told = [one for one in all_classes if one is not None]
    missing = "no box has class probabilities" if drawn is None else drawn.figures.auc.reason
    return Section(
        "classification",
        "Classification",
        "Benign against metastatic; metastatic is the positive class."
        + ("" if drawn is None else f" Curves: {boxes_told(drawn)}."),
        plots=tuple(
            _plot(plots, name, title=title, caption=caption, missing=missing or "no box")
            for name, title, caption in _class_captions(drawn, plots)
        ),
        figures=tuple(classification_table(one) for one in told),
        tables=tuple(confusion_table(one) for one in told),
    )


def _class_captions(
    drawn: ClassificationFigures | None, plots: EvaluationPlots
) -> Iterator[tuple[str, str, str]]:
    """Give name, title and caption of each figure of the classes."""
    auc = "" if drawn is None else in_brackets(drawn.figures.auc)
    area = "" if drawn is None else in_brackets(drawn.figures.pr_auc)
    yield "roc", "ROC curve", f"Area under the curve: {auc}. {_band_told(plots.roc)}"
    yield "precision_recall", "Precision against recall", f"Area under the steps: {area}."
    yield (
        "reliability",
        "Reliability",
        "Observed share of metastatic boxes against P(metastatic), in ten bins of equal width; "
        "bars: boxes a bin.",
    )
    yield (
        "decision_curve",
        "Decision curve",
        "Net benefit of acting on P(metastatic) at each threshold probability (Vickers and Elkin "
        f"2006). {_band_told(plots.decision_curve)}",
    )


def _band_told(plot: CurvePlot | DecisionPlot | None) -> str:
    """Return what the band of a curve is, or why there is none; nothing without a curve."""
    if plot is None:
        return ""
    curve = plot.model if isinstance(plot, DecisionPlot) else plot.curve
    return NO_BAND if curve.band is None else BAND


def _plot(plots: EvaluationPlots, name: str, *, title: str, caption: str, missing: str) -> Plot:
    """Return the figure of that name, or why it is not drawn."""
    if name not in plots.names():
        return Plot(title, "", "", missing)
    description = f"{title}. {caption}"
    svg = inline_svg(svg_bytes(plots, name), name=name, description=description)
    return Plot(title, svg, caption)
