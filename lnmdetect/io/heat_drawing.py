"""Heat on matplotlib's axes: its colours and scale, and the dark ground that it stands on."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lnmdetect.io.figures import STYLE

HEAT_COLOURS = "magma"
"""Perceptually uniform and told apart by colour-blind readers; its dark end fades into the CT."""
OPACITY = 0.72
"""Of the hottest place: the node stays visible below it."""
GROUND, TEXT, DIM = "#111111", "#e4e4e4", "#a0a0a0"
RIGHT, WRONG = "#7fe0b0", "#ff8a5c"
HEAT_LOOK = STYLE | {
    "axes.grid": False,
    "axes.spines.bottom": False,
    "axes.spines.left": False,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.titlecolor": DIM,
    "axes.titlesize": 9,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
}

Extent = tuple[int, int, int, int]


def draw_heat(axes: Axes, heat: NDArray[np.float32], extent: Extent, *, aspect: float = 1) -> None:
    """Draw heat (h, w) in [0, 1] over what is there, opaque where it is hot."""
    axes.imshow(
        heat,
        cmap=HEAT_COLOURS,
        vmin=0,
        vmax=1,
        alpha=OPACITY * np.clip(heat, 0, 1) ** 0.7,  # so that half the heat is still seen
        extent=extent,
        aspect=aspect,
        interpolation="bilinear",
    )


def draw_bar(figure: Figure, axes: Axes) -> None:
    """Draw the scale of heat into axes of its own."""
    scale = ScalarMappable(Normalize(0, 1), HEAT_COLOURS)
    bar = figure.colorbar(scale, cax=axes, ticks=[0, 0.5, 1])
    bar.set_label("heat, share of the hottest place", fontsize=8)
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set_visible(False)


def verdict_colour(is_right: bool | None) -> str:
    """Return the colour of words on a call that is right or wrong; None: nobody knows."""
    if is_right is None:
        return TEXT
    return RIGHT if is_right else WRONG
