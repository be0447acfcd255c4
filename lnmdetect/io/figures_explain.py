"""Pictures of where a model looks: heat over a node's crop and over the slice, for a person."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from lnmdetect.core.geometry import square_crop_window
from lnmdetect.io.figures import new_figure, save_png
from lnmdetect.io.heat_drawing import (
    DIM,
    GROUND,
    HEAT_LOOK,
    draw_bar,
    draw_heat,
    verdict_colour,
)
from lnmdetect.io.slice_drawing import SOFT_TISSUE_HU, body_box

MAX_COLUMNS = 6
_BOX, _NODE = "#56b4e9", "#7fe0b0"
_LEGEND = "blue: box · green: node in truth · words in green: the model is right, in orange: wrong"
_DPI = 150
_TILE_IN = 2.15
_CAPTION_IN = 0.52
_LETTERS_AN_INCH = 13
"""Of the sentences at their size, on average."""
Part = tuple[float, float, float, float]


@dataclass(frozen=True)
class HeatPicture:
    """One box with its heat.

    Attributes:
        crop_hu: (P, P) HU of the crop around the box.
        heat: (P, P) in [0, 1], the share of the hottest place.
        inside: (P, P) in [0, 1] the node's mask, None where truth has none.
        slice_hu: (H, W) HU.
        slice_heat: (H, W) the heat where it lies on the slice.
        spacing_mm: (row, column) of the slice.
        box_xyxy, crop_xyxy: the box and the crop's window, px of the slice.
        headline, caption, lines: what is said of the box: in a line, over a small picture, in full.
        is_right: whether truth agrees; None: it does not say.
    """

    crop_hu: NDArray[np.int16]
    heat: NDArray[np.float32]
    inside: NDArray[np.float32] | None
    slice_hu: NDArray[np.int16]
    slice_heat: NDArray[np.float32]
    spacing_mm: tuple[float, float]
    box_xyxy: Part
    crop_xyxy: Part
    headline: str
    caption: str
    lines: tuple[str, ...]
    is_right: bool | None = None


def write_heat_picture(
    picture: HeatPicture, path: Path, *, footer: str, overwrite: bool = False
) -> None:
    """Write a PNG: the crop, the crop under its heat, and both on the slice.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    with rc_context(HEAT_LOOK):
        figure = new_figure(width_in=12.4, height_in=5.1)
        figure.set_facecolor(GROUND)
        figure.set_layout_engine("none")
        plain, hot, bar, whole = (
            figure.add_axes(place)
            for place in (
                (0.012, 0.075, 0.293, 0.70),
                (0.315, 0.075, 0.293, 0.70),
                (0.616, 0.075, 0.009, 0.70),
                (0.695, 0.075, 0.293, 0.70),
            )
        )
        _draw_crop(plain, picture, with_heat=False)
        _draw_crop(hot, picture, with_heat=True)
        draw_bar(figure, bar)
        _draw_slice(whole, picture)
        for axes, title in ((plain, "crop"), (hot, "crop and heat"), (whole, "slice")):
            axes.set_title(title, loc="left", pad=4)
        _write_text(figure, picture, footer)
        save_png(figure, path, overwrite=overwrite, dpi=_DPI, style=HEAT_LOOK)


def write_heat_sheet(
    pictures: Sequence[HeatPicture],
    path: Path,
    *,
    title: str,
    findings: Sequence[str],
    overwrite: bool = False,
) -> None:
    """Write one PNG of all crops under their heat, with what was found at the top.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    columns = max(4, min(MAX_COLUMNS, len(pictures)))
    rows = max(1, math.ceil(len(pictures) / columns))
    with rc_context(HEAT_LOOK):
        width = _TILE_IN * columns + 0.7
        sentences = textwrap.wrap(" ".join(findings), int(width * _LETTERS_AN_INCH))
        head = 0.6 + 0.19 * len(sentences)
        height = head + rows * (_TILE_IN + _CAPTION_IN) + 0.08
        figure = new_figure(width_in=width, height_in=height)
        figure.set_facecolor(GROUND)
        figure.set_layout_engine("none")
        grid = figure.add_gridspec(
            *(rows, columns + 1),
            width_ratios=[1] * columns + [0.05],
            left=0.14 / width,
            right=1 - 0.56 / width,
            bottom=0.1 / height,
            top=1 - (head + _CAPTION_IN) / height,
            wspace=0.06,
            hspace=_CAPTION_IN / _TILE_IN + 0.03,
        )
        for number, picture in enumerate(pictures):
            axes = figure.add_subplot(grid[number // columns, number % columns])
            _draw_crop(axes, picture, with_heat=True)
            axes.set_title(
                picture.caption,
                fontsize=7.5,
                color=verdict_colour(picture.is_right),
                pad=4,
                loc="left",
            )
        draw_bar(figure, figure.add_subplot(grid[0, columns]))
        left, told = 0.14 / width, "\n".join(sentences)
        figure.text(left, 1 - 0.14 / height, title, fontsize=9, va="top", color=DIM)
        figure.text(left, 1 - 0.38 / height, told, fontsize=9.5, va="top", linespacing=1.3)
        below = 1 - (0.44 + 0.19 * len(sentences)) / height
        figure.text(left, below, _LEGEND, fontsize=8, va="top", color=DIM)
        save_png(figure, path, overwrite=overwrite, dpi=_DPI, style=HEAT_LOOK)


def _draw_crop(axes: Axes, picture: HeatPicture, *, with_heat: bool) -> None:
    size = len(picture.crop_hu)
    extent = (0, size, size, 0)
    _draw_ct(axes, picture.crop_hu, extent)
    if with_heat:
        draw_heat(axes, picture.heat, extent)
    x1, y1, x2, y2 = picture.crop_xyxy
    scale = np.array([size / (x2 - x1), size / (y2 - y1)] * 2)
    _draw_box(axes, (np.asarray(picture.box_xyxy) - (x1, y1, x1, y1)) * scale, linewidth=1.4)
    if picture.inside is not None and picture.inside.max() > 0.5:
        centres = np.arange(size) + 0.5
        axes.contour(centres, centres, picture.inside, levels=[0.5], colors=[_NODE], linewidths=1.3)
    axes.set_xlim(0, size)
    axes.set_ylim(size, 0)


def _draw_slice(axes: Axes, picture: HeatPicture) -> None:
    height, width = picture.slice_hu.shape
    extent = (0, width, height, 0)
    row_mm, column_mm = picture.spacing_mm
    _draw_ct(axes, picture.slice_hu, extent, aspect=row_mm / column_mm)
    draw_heat(axes, picture.slice_heat, extent, aspect=row_mm / column_mm)
    _draw_box(axes, np.asarray(picture.box_xyxy), linewidth=0.9)
    x1, y1, x2, y2 = picture.crop_xyxy
    window = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=DIM, linewidth=0.7)
    axes.add_patch(window)
    corners = np.array([body_box(picture.slice_hu) or (0, 0, width, height), picture.crop_xyxy])
    around = (*corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0))
    x1, y1, x2, y2 = square_crop_window(around, spacing_mm=picture.spacing_mm, margin=0.06)
    axes.set_xlim(x1, x2)
    axes.set_ylim(y2, y1)


def _draw_ct(
    axes: Axes, hu: NDArray[np.int16], extent: tuple[int, int, int, int], aspect: float = 1
) -> None:
    low, high = SOFT_TISSUE_HU
    axes.imshow(
        hu,
        cmap="gray",
        vmin=low,
        vmax=high,
        extent=extent,
        aspect=aspect,
        interpolation="bilinear",
    )
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_box(axes: Axes, box_xyxy: NDArray[np.float64], *, linewidth: float) -> None:
    x1, y1, x2, y2 = (float(value) for value in box_xyxy)
    axes.add_patch(
        Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=_BOX, linewidth=linewidth)
    )


def _write_text(figure: Figure, picture: HeatPicture, footer: str) -> None:
    figure.text(
        0.012,
        0.965,
        picture.headline,
        fontsize=13,
        fontweight="bold",
        va="top",
        color=verdict_colour(picture.is_right),
    )
    figure.text(0.012, 0.9, "\n".join(picture.lines), fontsize=9.5, va="top", linespacing=1.4)
    figure.text(0.012, 0.02, footer, fontsize=8, color=DIM)
    outlined = picture.inside is not None
    figure.text(0.988, 0.965, "box", color=_BOX, fontsize=9.5, ha="right", va="top")
    if outlined:
        figure.text(0.96, 0.965, "node in truth", color=_NODE, fontsize=9.5, ha="right", va="top")
