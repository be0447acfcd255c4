"""The files of `eval --fused --figures`: ROC curves of all rows, and the tables as Markdown."""

from dataclasses import replace
from pathlib import Path

from lnmdetect.io.figures_data import Curve, CurvePlot, EvaluationPlots
from lnmdetect.io.json_files import atomic_output, refuse_existing
from lnmdetect.stages.evaluation_fused_result import FusedResult, RowFigures
from lnmdetect.stages.evaluation_fused_tables import TABLES, fused_markdown
from lnmdetect.stages.readers_figure import plain_label, roc_paths, write_roc

MOST_CURVES = 8
"""More names fill a figure of one column."""
_MOST_LETTERS = 32


def fused_figure_paths(folder: Path) -> tuple[Path, ...]:
    """Return the files that `write_fused_figures` writes at most."""
    return (folder / TABLES, *roc_paths(folder))


def refuse_existing_figures(folder: Path, *, overwrite: bool) -> None:
    """Raise for a file that would be replaced.

    Raises:
        OutputError: one exists and `overwrite` is false.
    """
    for path in fused_figure_paths(folder):
        refuse_existing(path, overwrite=overwrite)


def write_fused_figures(
    result: FusedResult, folder: Path, *, overwrite: bool = False
) -> tuple[Path, ...]:
    """Return what was written into the folder: fused.md, and roc.svg and roc.png with a curve.

    Raises:
        OutputError: a file exists and `overwrite` is false, or the folder cannot be written.
    """
    with atomic_output(folder / TABLES, overwrite=overwrite) as stream:
        stream.write(fused_markdown(result).encode("utf-8"))
    return (folder / TABLES, *write_roc(fused_plots(result), folder, overwrite=overwrite))


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
