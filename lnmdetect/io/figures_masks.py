"""Nodes found by masks: over the least overlap, and by the short axis."""

import numpy as np
from matplotlib.axes import Axes

from lnmdetect.io.figures import COLOURS
from lnmdetect.io.figures_data import OverlapPlot, SizeRatesPlot

_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v")
_BAND_ALPHA = 0.2
_MARGIN = 0.04
"""Beyond 0 and 1, so that marks there are whole."""
_SPREAD = 0.7
"""Share of a group's width that its marks take."""


def draw_overlap(axes: Axes, plot: OverlapPlot) -> None:
    """Draw the share of nodes found against the overlap above which a node counts as found."""
    for place, curve in enumerate(plot.curves):
        colour = COLOURS[place % len(COLOURS)]
        line = _LINES[place % len(_LINES)]
        axes.plot(100 * curve.x, curve.y, color=colour, linestyle=line, label=curve.label)
        if curve.band is not None:
            band = curve.band
            axes.fill_between(
                100 * band.x, band.low, band.high, color=colour, alpha=_BAND_ALPHA, linewidth=0
            )
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("covered share of the node's mask, more than %")
    axes.set_ylabel("detection rate (recall over nodes)")
    axes.legend(loc="lower left")


def draw_size_rates(axes: Axes, plot: SizeRatesPlot) -> None:
    """Draw the share of nodes found in each group of the short axis, a mark a class."""
    groups = np.arange(len(plot.groups))
    step = _SPREAD / max(1, len(plot.series))
    for place, series in enumerate(plot.series):
        colour = COLOURS[place % len(COLOURS)]
        x = groups + (place - (len(plot.series) - 1) / 2) * step
        axes.vlines(x, series.low, series.high, color=colour, linewidth=0.8)
        axes.plot(
            x,
            series.rate,
            linestyle="none",
            marker=_MARKERS[place % len(_MARKERS)],
            markersize=4,
            color=colour,
            label=series.label,
        )
    axes.set_xticks(
        groups, [f"{name}\nn {n}" for name, n in zip(plot.groups, plot.nodes, strict=True)]
    )
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_ylim(-_MARGIN, 1 + _MARGIN)
    axes.set_xlabel("short axis of the node, mm")
    axes.set_ylabel("detection rate (any overlap)")
    # Below the axes: intervals of a few nodes may reach from 0 to 1, and leave no free place.
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.29), ncols=2, columnspacing=0.8)
