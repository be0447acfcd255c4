"""Learning curves as a picture."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lnmdetect.core.node_classes import CLASS_SETS
from lnmdetect.io.figures import COLOURS, STYLE, new_figure, save_png

NOT_DRAWN = frozenset({"epoch", "learning_rate", "seconds", "loader_wait_share"})
_DICE = ("dice", *(f"dice_{name}" for classes in CLASS_SETS for name in classes))
VALIDATION_FIGURES = tuple(dict.fromkeys(("ap50", "auc", "accuracy", *_DICE)))
"""Higher is better."""


def plot_learning_curves(
    rows: Sequence[Mapping[str, float]],
    path: Path,
    *,
    watched: str | None = None,
    kept_epoch: int | None = None,
    title: str = "",
    overwrite: bool = False,
) -> None:
    """Write a PNG with the training losses on the left and the validation figures on the right.

    Args:
        rows: one an epoch, with `epoch`, loss terms and validation figures.
        path: of the PNG.
        watched: the validation figure that is marked; None takes the first.
        kept_epoch: whose weights are kept, which is marked; None marks the best.
        title: of the picture.
        overwrite: whether an existing file is replaced.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    epochs = np.array([row["epoch"] for row in rows])
    losses, shown = losses_and_figures(rows[0] if rows else (), watched)
    with rc_context(STYLE):
        figure = new_figure(width_in=9, height_in=3.8)
        left, right = figure.subplots(1, 2)
        _draw(left, epochs, {key: _column(rows, key) for key in losses}, "training loss")
        _draw(right, epochs, {key: _column(rows, key) for key in shown}, "validation")
        if shown:
            _mark(right, epochs, _column(rows, shown[0]), shown[0], kept_epoch)
        figure.suptitle(title)
        save_png(figure, path, overwrite=overwrite)


def losses_and_figures(
    keys: Iterable[str], watched: str | None = None
) -> tuple[list[str], list[str]]:
    """Return which columns of the curves are losses, and which validation figures.

    Args:
        keys: of a row, one an epoch.
        watched: the figure that comes first; None leaves their order.
    """
    drawn = [key for key in keys if key not in NOT_DRAWN]
    figures = [key for key in drawn if key in VALIDATION_FIGURES]
    losses = [key for key in drawn if key not in figures]
    return losses, sorted(figures, key=lambda key: key != watched)


def plot_curves_of_models(
    models: Mapping[str, Sequence[Sequence[Mapping[str, float]]]],
    path: Path,
    *,
    title: str,
    phantom: bool,
) -> None:
    """Write a PNG with one small picture a model: total training loss and validation figure.

    Args:
        models: label to trainings (one a fold), each a row an epoch as `plot_learning_curves` has.
        path: of the PNG; replaced where it is there.
        title: of the picture.
        phantom: the picture says that the data are synthetic.

    Raises:
        OutputError: the folder cannot be written.
    """
    across = min(4, max(1, len(models)))
    down = -(-len(models) // across)
    with rc_context(STYLE):
        figure = new_figure(width_in=2.6 * across + 0.6, height_in=2.1 * down + 0.5)
        grid = figure.subplots(down, across, squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place >= len(models):
                axes.set_axis_off()
        for axes, (label, trainings) in zip(grid.flat, models.items(), strict=False):
            _draw_model(axes, label, trainings)
        told = f"{title}: training loss (blue, left) and validation (orange, right) over epochs"
        figure.suptitle(told + (", phantom data" if phantom else ""), fontsize=10)
        save_png(figure, path, overwrite=True, dpi=100)


def _draw_model(axes: Axes, label: str, trainings: Sequence[Sequence[Mapping[str, float]]]) -> None:
    """Draw the curves of one model; both axes start at 0, the validation figure ends at 1."""
    right = axes.twinx()
    axes.set_title(label, fontsize=9)
    for rows in trainings:
        losses, shown = losses_and_figures(rows[0] if rows else ())
        epochs = [row["epoch"] for row in rows]
        total = [sum(row[key] for key in losses) for row in rows]
        axes.plot(epochs, total, color=COLOURS[0], marker="o", markersize=2.5)
        if shown:
            values = _column(rows, shown[0])
            right.plot(epochs, values, color=COLOURS[1], marker="s", markersize=2.5)
            right.set_ylabel(shown[0].upper(), fontsize=8)
    axes.set_ylim(0, 1.08 * axes.dataLim.y1 if any(trainings) else 1)
    right.set_ylim(0, 1)
    right.grid(visible=False)
    right.spines["right"].set_visible(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _column(rows: Sequence[Mapping[str, float]], key: str) -> list[float]:
    return [row.get(key, float("nan")) for row in rows]


def _draw(axes: Axes, epochs: np.ndarray, curves: Mapping[str, list[float]], title: str) -> None:
    for colour, (name, values) in zip(COLOURS, curves.items(), strict=False):
        label = name.replace("_", " ")
        axes.plot(epochs, values, color=colour, marker="o", markersize=3, label=label)
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if curves:
        axes.legend()


def _mark(
    axes: Axes, epochs: np.ndarray, values: list[float], name: str, kept_epoch: int | None
) -> None:
    """Draw a line at the epoch that is kept, else at the best, and name it in the title."""
    place = int(np.nanargmax(values)) if kept_epoch is None else list(epochs).index(kept_epoch)
    axes.axvline(epochs[place], color="grey", linewidth=0.8, linestyle="--")
    what = "best" if kept_epoch is None else "kept"
    axes.set_title(f"validation: {what} {name} {values[place]:.3f} in epoch {epochs[place]:g}")
