"""The files of `eval --fused --figures`: ROC and learning curves, and the tables as Markdown."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lnmdetect.io.figures_data import Curve, CurvePlot, EvaluationPlots
from lnmdetect.io.json_files import atomic_output, refuse_existing
from lnmdetect.io.learning_curves import load_curves
from lnmdetect.stages.evaluation_fused_request import RowFiles
from lnmdetect.stages.evaluation_fused_result import FusedResult, RowFigures
from lnmdetect.stages.evaluation_fused_tables import TABLES, fused_markdown
from lnmdetect.stages.readers_figure import plain_label, roc_paths, write_roc

CONVERGENCE = "convergence.png"
MOST_CURVES = 8
"""More names fill a figure of one column."""
_MOST_LETTERS = 32


def fused_figure_paths(folder: Path) -> tuple[Path, ...]:
    """Return the files that `write_fused_figures` writes at most."""
    return (folder / TABLES, *roc_paths(folder), folder / CONVERGENCE)


def refuse_existing_figures(folder: Path, *, overwrite: bool) -> None:
    """Raise for a file that would be replaced.

    Raises:
        OutputError: one exists and `overwrite` is false.
    """
    for path in fused_figure_paths(folder):
        refuse_existing(path, overwrite=overwrite)


def write_fused_figures(
    result: FusedResult,
    folder: Path,
    *,
    trainings: Sequence[RowFiles] = (),
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Return what was written into the folder: fused.md, figures of the ROC and of convergence.

    Each only where there is a curve.

    Raises:
        InputError: the curves of a training cannot be read.
        OutputError: a file exists and `overwrite` is false, or the folder cannot be written.
    """
    models = _learning_curves(trainings)
    with atomic_output(folder / TABLES, overwrite=overwrite) as stream:
        stream.write(fused_markdown(result).encode("utf-8"))
    drawn = write_roc(fused_plots(result), folder, overwrite=overwrite)
    if not models:
        return (folder / TABLES, *drawn)
    from lnmdetect.io.figures_training import plot_curves_of_models

    convergence = folder / CONVERGENCE
    plot_curves_of_models(models, convergence, title="Convergence", phantom=result.info.phantom)
    return (folder / TABLES, *drawn, convergence)


def _learning_curves(trainings: Sequence[RowFiles]) -> dict[str, list[list[dict[str, float]]]]:
    """Return the curves of each model's trainings, by its name or that of its folder."""
    models: dict[str, list[list[dict[str, float]]]] = {}
    for one in trainings:
        told = plain_label(one.name or one.paths[0].resolve().name, most=_MOST_LETTERS)
        label, number = told, 1
        while label in models:
            number += 1
            label = f"{told} ({number})"
        models[label] = [load_curves(folder) for folder in one.paths]
    return models


def fused_plots(result: FusedResult) -> EvaluationPlots:
    """Return the ROC curves: of one row with its band and the point of its calls; of several bare.

    No more are drawn than a legend of one column holds; the tables name them all.
    """
    # matplotlib, which this brings, takes half a second that a table does not need.
    from lnmdetect.stages.report_plots import roc_plot

    drawn = [
        (row, plot)
        for row in result.rows
        if (plot := roc_plot(row.figures, row.threshold.value)) is not None
    ][:MOST_CURVES]
    if len(drawn) < 2:
        return EvaluationPlots(result.info.phantom, roc=drawn[0][1] if drawn else None)
    first, *others = (_bare(row, plot) for row, plot in drawn)
    return EvaluationPlots(result.info.phantom, roc=CurvePlot(first, others=tuple(others)))


def _bare(row: RowFigures, plot: CurvePlot) -> Curve:
    label = f"{plain_label(row.name, most=_MOST_LETTERS)}, AUC {row.figures.auc.value:.3f}"
    return replace(plot.curve, label=label, band=None)
