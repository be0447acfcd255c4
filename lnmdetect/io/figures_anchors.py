"""The picture of an anchor fit: the boxes' sizes and shapes, and how well anchors cover them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator
from numpy.typing import NDArray

from lnmdetect.io.figures import COLOURS, STYLE, new_figure, save_png

_CURVE_BINS = 12
_MIN_BOXES_A_BIN = 5


@dataclass(frozen=True)
class AnchorCurve:
    """How well one anchor set covers the boxes.

    Attributes:
        name: of the set.
        by_shape: (N,) best IoU with an anchor at the same centre.
        on_grid: (N,) best IoU with an anchor where the pyramid has one.
    """

    name: str
    by_shape: NDArray[np.float64]
    on_grid: NDArray[np.float64]


@dataclass(frozen=True)
class BoxShapes:
    """The boxes of a truth file, N of them.

    Attributes:
        area_percent: box area as a share of the image's, %.
        aspect: width / height.
        side_mm: shorter side.
    """

    area_percent: NDArray[np.float64]
    aspect: NDArray[np.float64]
    side_mm: NDArray[np.float64]


def plot_anchors(
    boxes: BoxShapes,
    curves: Sequence[AnchorCurve],
    path: Path,
    *,
    title: str,
    overwrite: bool = False,
) -> None:
    """Write a PNG: the joint histogram of size and aspect, and coverage against node size.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    with rc_context(STYLE):
        figure = new_figure(width_in=10.5, height_in=4.4)
        left, right = figure.subplots(1, 2)
        _draw_histogram(left, boxes)
        _draw_coverage(right, boxes.side_mm, curves)
        figure.suptitle(title)
        save_png(figure, path, overwrite=overwrite)


def _draw_histogram(axes: Axes, boxes: BoxShapes) -> None:
    """Size and aspect on one plane, as figure 2 of Wang et al. 2023."""
    top = float(np.quantile(boxes.area_percent, 0.995)) if len(boxes.area_percent) else 1.0
    area_edges = np.linspace(0, max(top, 1e-3), 26)
    aspect_edges = np.geomspace(1 / 3, 3, 26)
    counts, _, _ = np.histogram2d(boxes.area_percent, boxes.aspect, bins=(area_edges, aspect_edges))
    shown = np.ma.masked_equal(counts.T, 0)
    mesh = axes.pcolormesh(area_edges, aspect_edges, shown, cmap="viridis_r", rasterized=True)
    axes.figure.colorbar(mesh, ax=axes, label="boxes")
    axes.set_yscale("log", base=2)
    axes.set_yticks([1 / 3, 1 / 2, 1, 2, 3])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("box area, % of the image")
    axes.set_ylabel("width / height")
    axes.set_title(f"size and aspect of {len(boxes.aspect)} boxes")


def _draw_coverage(axes: Axes, side_mm: NDArray[np.float64], curves: Sequence[AnchorCurve]) -> None:
    for colour, curve in zip(COLOURS, curves, strict=False):
        middle, mean = binned_means(side_mm, curve.on_grid)
        axes.plot(middle, mean, color=colour, marker="o", markersize=3, label=curve.name)
        axes.plot(*binned_means(side_mm, curve.by_shape), color=colour, linestyle=":")
    axes.plot([], [], color="grey", linestyle=":", label="by shape alone")
    axes.axhline(0.5, color="grey", linewidth=0.8)
    axes.set_ylim(0, 1)
    axes.set_xlabel("shorter side of the box, mm")
    axes.set_ylabel("mean best IoU with an anchor on the grid")
    axes.set_title("coverage by node size")
    axes.legend(loc="lower right")


def binned_means(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean x and mean y of equal-width bins of x that hold five points or more."""
    if len(x) == 0:
        return np.zeros(0), np.zeros(0)
    edges = np.linspace(x.min(), x.max() + 1e-9, _CURVE_BINS + 1)
    place = np.digitize(x, edges) - 1
    kept = [b for b in range(_CURVE_BINS) if (place == b).sum() >= _MIN_BOXES_A_BIN]
    return (
        np.array([x[place == b].mean() for b in kept]),
        np.array([y[place == b].mean() for b in kept]),
    )
