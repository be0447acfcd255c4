"""Reliability diagram and decision curve: what P(metastatic) is worth as a probability."""

import numpy as np
from matplotlib.axes import Axes

from lnmdetect.io.figures import COLOURS
from lnmdetect.io.figures_data import DecisionPlot, ReliabilityPlot

_HISTOGRAM_HEIGHT = 0.16
"""Of the axes: room for how many boxes a bin holds, below the points."""
_GREY = "#777777"


def draw_reliability(axes: Axes, plot: ReliabilityPlot) -> None:
    """Draw the observed share of metastatic boxes against the predicted one, with counts."""
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle=":", label="perfect")
    _draw_counts(axes, plot)
    errors = np.nan_to_num(np.stack([plot.observed - plot.low, plot.high - plot.observed]))
    axes.errorbar(
        plot.predicted,
        plot.observed,
        yerr=np.clip(errors, 0, None),
        color=COLOURS[0],
        marker="o",
        markersize=4,
        linewidth=1.0,
        elinewidth=0.8,
        capsize=2,
        label="observed, 95 % interval",
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_xlabel("predicted probability of metastasis")
    axes.set_ylabel("observed share metastatic")
    axes.legend(loc="upper left")


def _draw_counts(axes: Axes, plot: ReliabilityPlot) -> None:
    """Draw a grey bar a bin; the fullest is as high as the room allows."""
    if not len(plot.counts) or plot.counts.max() <= 0:
        return
    axes.bar(
        plot.edges[:, 0],
        plot.counts / plot.counts.max() * _HISTOGRAM_HEIGHT,
        width=np.diff(plot.edges, axis=1)[:, 0],
        align="edge",
        color="#cccccc",
        edgecolor="white",
        linewidth=0.5,
        zorder=0,
        label=f"boxes a bin (fullest: {plot.counts.max():.0f})",
    )


def draw_decision_curve(axes: Axes, plot: DecisionPlot) -> None:
    """Draw the net benefit of the model, of treating all and of treating none."""
    blue = COLOURS[0]
    axes.plot(plot.model.x, plot.model.y, color=blue, label=plot.model.label, zorder=3)
    band = plot.model.band
    if band is not None:
        axes.fill_between(
            band.x, band.low, band.high, color=blue, alpha=0.2, linewidth=0, label="95 % interval"
        )
    everyone = plot.treat_all
    axes.plot(everyone.x, everyone.y, color=COLOURS[1], linestyle="--", label=everyone.label)
    axes.axhline(0, color=_GREY, linewidth=0.8, linestyle=":", label="none called metastatic")
    if plot.threshold is not None:
        label = f"threshold in use ({plot.threshold:.2f})"
        axes.axvline(plot.threshold, color="#222222", linewidth=0.8, linestyle="-.", label=label)
    top = max(float(np.nanmax(curve.y, initial=0.05)) for curve in (plot.model, plot.treat_all))
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.25 * top, 1.75 * top)  # room for the legend above the curves
    axes.set_xlabel("threshold probability of metastasis")
    axes.set_ylabel("net benefit (true positives per box)")
    axes.legend(loc="upper right")
