"""The model's ROC curve with the readers' points on it (Wang 2023, figure 9)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lnmdetect.core.wording import counted
from lnmdetect.io.figures_data import Band, Curve, CurvePlot, EvaluationPlots, NamedPoint
from lnmdetect.metrics.readers import ReaderFigures
from lnmdetect.stages.readers_result import ReadersResult

MAX_NAMED, MAX_LETTERS = 7, 20
"""Readers that a legend of one column names, and letters of a name there."""


def roc_with_readers(result: ReadersResult) -> EvaluationPlots:
    """Return the figure; without its curve where the model answered on one class alone."""
    curve = result.model.roc
    if not curve.fpr:
        return EvaluationPlots(result.info.phantom)
    band = None
    if curve.band is not None:
        ends = (curve.band.fpr, curve.band.low, curve.band.high)
        band = Band(*(np.array(values) for values in ends))
    label = f"model, AUC {_number(result.model.auc.value)}"
    drawn = Curve(np.array(curve.fpr), np.array(curve.tpr), label, band)
    points = [point for reader in result.readers if (point := _point(reader)) is not None]
    return EvaluationPlots(result.info.phantom, roc=CurvePlot(drawn, _with_short_legend(points)))


def _point(reader: ReaderFigures) -> NamedPoint | None:
    """Return where a reader's calls stand; None for ratings alone, or where a class is missing."""
    specificity, sensitivity = reader.specificity.value, reader.sensitivity.value
    if specificity is None or sensitivity is None:
        return None
    label = f"{plain_label(reader.reader)}, AUC {_number(reader.auc.value)}"
    return NamedPoint((1 - specificity, sensitivity), label)


def _with_short_legend(points: Sequence[NamedPoint]) -> tuple[NamedPoint, ...]:
    """Return the points, of which no more are named than a legend of one column holds."""
    named, others = points[:MAX_NAMED], points[MAX_NAMED:]
    more = counted(len(others), "more reader")
    unnamed = (NamedPoint(p.at, "" if place else more) for place, p in enumerate(others))
    return (*named, *unnamed)


def plain_label(name: str, *, most: int = MAX_LETTERS) -> str:
    """Return a name that matplotlib neither sets as a formula nor hides, cut to `most` letters."""
    short = name if len(name) <= most else f"{name[: most - 1]}…"
    return short.replace("$", r"\$").lstrip("_ ") or "reader"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def roc_paths(folder: Path) -> tuple[Path, Path]:
    """Return the files that `write_roc` writes."""
    return folder / "roc.svg", folder / "roc.png"


def write_roc(plots: EvaluationPlots, folder: Path, *, overwrite: bool) -> tuple[Path, ...]:
    """Return what was written into the folder: roc.svg and roc.png, or nothing without a curve.

    Raises:
        OutputError: one exists and `overwrite` is false, or the folder cannot be written.
    """
    # matplotlib takes half a second to load, which a table does not need.
    from lnmdetect.io.figures_evaluation import write_figures

    return write_figures(plots, folder, overwrite=overwrite)
