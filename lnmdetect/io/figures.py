"""Figures written as PNG: one look, no window, the same bytes for the same data."""

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lnmdetect.io.json_files import atomic_output

STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by colour-blind readers (Okabe and Ito 2008)."""
DPI = 150


def new_figure(*, width_in: float, height_in: float) -> Figure:
    """Return an empty figure that belongs to no window."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_png(
    figure: Figure, path: Path, *, overwrite: bool = False, dpi: int = DPI, style: Any = STYLE
) -> None:
    """Write the figure in the style it was drawn in; no date or version goes into the file.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    with rc_context(style), atomic_output(path, overwrite=overwrite) as stream:
        figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
