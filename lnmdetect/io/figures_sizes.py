"""Size and shape of the truth boxes, by class and by whether they were found."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator
from numpy.typing import NDArray

from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC
from lnmdetect.io.figures import COLOURS
from lnmdetect.io.figures_data import SizesPlot

_LOOKS = {
    BENIGN: ("benign", COLOURS[0], "o"),
    METASTATIC: ("metastatic", COLOURS[1], "^"),
    LYMPH_NODE: ("status unknown", COLOURS[2], "s"),
}
MAX_MARKS = 4000
"""More cannot be told apart on 85 mm: of more boxes every second, third, ... is drawn."""
_RASTER_ABOVE = 1500
"""So many marks make an SVG that editors cannot open: they become one picture within it."""


def draw_sizes(axes: Axes, plot: SizesPlot) -> None:
    """Draw aspect ratio against area share: class by colour and marker, missed boxes hollow."""
    for category, (name, colour, marker) in _LOOKS.items():
        of_class = plot.category == category
        for hollow in (False, True):
            shown = of_class & _is_missed(plot, hollow)
            if shown.any():
                label = _label(plot, name, hollow, int(shown.sum()))
                _draw_marks(axes, plot, shown, look=(colour, marker, hollow), label=label)
    if _step(plot) > 1:
        axes.set_title(f"one in {_step(plot)} boxes is drawn", loc="left", fontsize=7)
    axes.set_xscale("log")
    axes.set_yscale("log", base=2)
    _set_limits(axes, plot)
    axes.set_xlabel("box area, % of the image")
    axes.set_ylabel("aspect ratio, width / height")
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(loc="upper left", ncols=2, handletextpad=0.2, columnspacing=0.8)


def _step(plot: SizesPlot) -> int:
    return max(1, math.ceil(len(plot.aspect) / MAX_MARKS))


def _is_missed(plot: SizesPlot, hollow: bool) -> NDArray[np.bool_]:
    """Return which boxes are drawn filled or hollow: all are filled where none was looked for."""
    if plot.found is None:
        return np.full(len(plot.aspect), not hollow)
    return ~plot.found if hollow else plot.found


def _label(plot: SizesPlot, name: str, hollow: bool, count: int) -> str:
    if plot.found is None:
        return f"{name} ({count})"
    return f"{name}, {'missed' if hollow else 'found'} ({count})"


def _draw_marks(
    axes: Axes,
    plot: SizesPlot,
    shown: NDArray[np.bool_],
    *,
    look: tuple[str, str, bool],
    label: str,
) -> None:
    colour, marker, hollow = look
    shown = shown & (np.arange(len(shown)) % _step(plot) == 0)
    axes.plot(
        plot.area_percent[shown],
        plot.aspect[shown],
        linestyle="none",
        marker=marker,
        markersize=4 if hollow else 3,
        color=colour,
        markerfacecolor="none" if hollow else colour,
        markeredgecolor=colour,
        markeredgewidth=0.8 if hollow else 0,
        alpha=1.0 if hollow else 0.55,
        rasterized=len(plot.aspect) > _RASTER_ABOVE,
        label=label,
    )


def _set_limits(axes: Axes, plot: SizesPlot) -> None:
    """Show 1:3 to 3:1 and 0.01 to 1 % at least; room above for the legend."""
    aspects = np.concatenate([plot.aspect, [1 / 3, 3.0]])
    areas = np.concatenate([plot.area_percent, [0.02, 1.0]])
    axes.set_ylim(aspects.min() / 1.1, aspects.max() * 1.9)
    axes.set_xlim(areas.min() / 1.2, areas.max() * 1.2)
    axes.set_yticks([1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4])
    axes.set_ylim(aspects.min() / 1.1, aspects.max() * 1.9)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
