"""The figures of an evaluation for a paper: one column wide, readable in grey, SVG and PNG."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lnmdetect.io.figures import STYLE, new_figure, save_png
from lnmdetect.io.figures_curves import draw_froc, draw_precision_recall, draw_roc
from lnmdetect.io.figures_data import EvaluationPlots
from lnmdetect.io.figures_masks import draw_overlap, draw_size_rates
from lnmdetect.io.figures_probability import draw_decision_curve, draw_reliability
from lnmdetect.io.figures_sizes import draw_sizes
from lnmdetect.io.json_files import atomic_output, refuse_existing

WIDTH_MM = 85.0
"""One column of most journals."""
HEIGHT_MM = 78.0
MM_AN_INCH = 25.4
PAPER_DPI = 300
PAPER_STYLE: Any = STYLE | {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "legend.frameon": True,  # letters stay readable where a curve runs below them
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "legend.borderaxespad": 0.2,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "grid.linewidth": 0.4,
    "font.family": "sans-serif",
    "svg.fonttype": "none",  # text stays text: it can be edited, searched and read out
    "svg.hashsalt": "lnmdetect",  # ids, and so bytes, are the same for the same data
}
_DRAW: dict[str, Callable[[Axes, Any], None]] = {
    "roc": draw_roc,
    "froc": draw_froc,
    "precision_recall": draw_precision_recall,
    "reliability": draw_reliability,
    "decision_curve": draw_decision_curve,
    "sizes": draw_sizes,
    "overlap": draw_overlap,
    "mask_sizes": draw_size_rates,
}


def draw(plots: EvaluationPlots, name: str) -> Figure:
    """Return the figure called `name`; to be called and saved within `PAPER_STYLE`."""
    figure = new_figure(width_in=WIDTH_MM / MM_AN_INCH, height_in=HEIGHT_MM / MM_AN_INCH)
    axes = figure.subplots()
    _DRAW[name](axes, getattr(plots, name))
    if plots.phantom:
        # Above the axes: there no curve can hide it and no legend lies over it.
        axes.set_title("phantom data", loc="right", fontsize=7, color="#555555", style="italic")
    return figure


def svg_bytes(plots: EvaluationPlots, name: str) -> bytes:
    """Return the figure as SVG, the same bytes for the same data."""
    with rc_context(PAPER_STYLE), io.BytesIO() as stream:
        metadata = {"Date": None, "Creator": None}
        draw(plots, name).savefig(stream, format="svg", metadata=metadata)
        return stream.getvalue()


def write_figures(
    plots: EvaluationPlots, folder: Path, *, overwrite: bool = False
) -> tuple[Path, ...]:
    """Return the SVG and PNG files written into `folder`, two a figure that can be drawn.

    Raises:
        OutputError: a file exists and `overwrite` is false, or the folder cannot be written.
    """
    paths = figure_paths(plots, folder)
    for path in paths:
        refuse_existing(path, overwrite=overwrite)
    for name in plots.names():
        with atomic_output(folder / f"{name}.svg", overwrite=overwrite) as stream:
            stream.write(svg_bytes(plots, name))
        with rc_context(PAPER_STYLE):
            figure = draw(plots, name)
        path = folder / f"{name}.png"
        save_png(figure, path, overwrite=overwrite, dpi=PAPER_DPI, style=PAPER_STYLE)
    return paths


def figure_paths(plots: EvaluationPlots, folder: Path) -> tuple[Path, ...]:
    """Return where `write_figures` puts its files."""
    return tuple(folder / f"{name}.{kind}" for name in plots.names() for kind in ("svg", "png"))
