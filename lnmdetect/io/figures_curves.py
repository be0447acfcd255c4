"""ROC, precision-recall and FROC curves with their 95 % bands."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from lnmdetect.io.figures import COLOURS
from lnmdetect.io.figures_data import Curve, CurvePlot, NamedPoint

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("--", "-.", ":")
"""Of curves beside the first, so that they are told apart in grey too."""
FROC_LIMITS = (1 / 8, 8.0)
"""False positives per image or scan of the first and last of the seven points."""
_INK = "#222222"
_BAND_ALPHA = 0.2
_MAX_POINTS = 800
"""More cannot be told apart on 85 mm and only make the file larger."""


def draw_roc(axes: Axes, plot: CurvePlot) -> None:
    """Draw sensitivity against 1 - specificity."""
    _draw_curve(axes, plot.curve)
    _draw_others(axes, plot.others)
    axes.plot([0, 1], [0, 1], color="#777777", linewidth=0.8, linestyle=":", label="chance")
    _draw_points(axes, plot.points)
    _unit_square(axes)
    axes.set_xlabel("1 − specificity (false-positive rate)")
    axes.set_ylabel("sensitivity (true-positive rate)")
    axes.legend(loc="lower right")


def draw_precision_recall(axes: Axes, plot: CurvePlot) -> None:
    """Draw precision against recall."""
    _draw_curve(axes, plot.curve)
    if plot.baseline is not None:
        label = f"all called metastatic ({plot.baseline:.2f})"
        axes.axhline(plot.baseline, color="#777777", linewidth=0.8, linestyle=":", label=label)
    _draw_points(axes, plot.points)
    _unit_square(axes)
    axes.set_xlabel("recall (sensitivity)")
    axes.set_ylabel("precision (positive predictive value)")
    axes.legend(loc="lower left")


def draw_froc(axes: Axes, plot: CurvePlot) -> None:
    """Draw sensitivity against false positives per image or scan, from 1/8 to 8 at least."""
    _draw_curve(axes, plot.curve, step=True)
    # No false positive at all has no place on a logarithmic axis: it stands at its beginning.
    low = FROC_LIMITS[0]
    points = [NamedPoint((max(p.at[0], low), p.at[1]), p.label) for p in plot.points]
    _draw_points(axes, tuple(points))
    exponents = _froc_exponents(plot.points)
    axes.set_xscale("log", base=2)
    axes.set_xlim(2.0 ** exponents[0], 2.0 ** exponents[-1])
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(FixedLocator([2.0**k for k in exponents]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: fraction(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"false positives per {plot.per}")
    axes.set_ylabel("sensitivity")
    axes.legend(loc="best")


def _froc_exponents(points: tuple[NamedPoint, ...]) -> range:
    """Return the powers of two from 1/8 to 8, and as far on as a marked point lies."""
    high = max([FROC_LIMITS[1], *(point.at[0] for point in points)])
    return range(round(math.log2(FROC_LIMITS[0])), math.ceil(math.log2(high)) + 1)


def fraction(value: float) -> str:
    """Return 0.125 as 1/8 and 2.0 as 2."""
    return f"1/{1 / value:.0f}" if value < 1 else f"{value:g}"


def thinned(curve: Curve, most: int = _MAX_POINTS) -> Curve:
    """Return the curve with at most `most` points, its first and last among them."""
    if len(curve.x) <= most:
        return curve
    kept = np.unique(np.linspace(0, len(curve.x) - 1, most).round().astype(np.int64))
    return Curve(curve.x[kept], curve.y[kept], curve.label, curve.band)


def _draw_curve(axes: Axes, curve: Curve, *, step: bool = False) -> None:
    shown, blue = thinned(curve), COLOURS[0]
    style = "steps-post" if step else "default"
    axes.plot(shown.x, shown.y, color=blue, drawstyle=style, label=shown.label, zorder=3)
    band = curve.band
    if band is not None and len(band.x):
        axes.fill_between(
            band.x,
            band.low,
            band.high,
            step="post" if step else None,
            color=blue,
            alpha=_BAND_ALPHA,
            linewidth=0,
            label="95 % interval",
        )


def _draw_others(axes: Axes, curves: tuple[Curve, ...]) -> None:
    for place, curve in enumerate(curves):
        turn, colour = divmod(place, len(COLOURS) - 1)
        shown = thinned(curve)
        axes.plot(
            shown.x,
            shown.y,
            color=COLOURS[1 + colour],
            linestyle=LINES[(turn + colour) % len(LINES)],
            label=shown.label,
            zorder=3,
        )


def _draw_points(axes: Axes, points: tuple[NamedPoint, ...]) -> None:
    for place, point in enumerate(points):
        axes.plot(
            *point.at,
            marker=MARKERS[place % len(MARKERS)],
            markersize=5,
            color=COLOURS[1 + place % (len(COLOURS) - 1)],
            markeredgecolor=_INK,
            markeredgewidth=0.6,
            linestyle="none",
            label=point.label,
            zorder=4,
            clip_on=False,
        )


def _unit_square(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
