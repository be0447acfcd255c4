"""The contact sheet: slices with truth and predicted boxes, for a person to look at."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy import ndimage

from lnmdetect.core.geometry import square_crop_window
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC, ImageRecord, NodeAnnotation
from lnmdetect.io.figures import STYLE, new_figure, save_png

SOFT_TISSUE_HU = (-160.0, 240.0)
COLOURS = {BENIGN: "#56b4e9", METASTATIC: "#ff6a3d", LYMPH_NODE: "#f0e442"}
"""By category; light enough on a dark slice, told apart by colour-blind readers."""
NAMES = {BENIGN: "benign", METASTATIC: "metastatic", LYMPH_NODE: "node, not classified"}
MAX_COLUMNS = 6
_TILE_IN = 2.2
_LETTERS_AN_INCH = 11
"""Of the title at its size, on average; longer titles take another line."""
_SHEET_DPI = 200
_BODY_HU = -300
_MARGIN = 0.06
_STEP = 3
_TRUTH_OUT_PX = 2
_NAME_LENGTH = 16
_HALO = (withStroke(linewidth=1.2, foreground="black"),)
_TEXT = "#d8d8d8"
_GROUND = "#111111"


@dataclass(frozen=True)
class Tile:
    """One slice of the sheet.

    Attributes:
        image: its record.
        pixels_hu: (H, W) int16 HU.
        truth: drawn dashed; ignored cross-sections are left out.
        found: drawn solid, with class and score.
    """

    image: ImageRecord
    pixels_hu: NDArray[np.int16]
    truth: tuple[NodeAnnotation, ...] = ()
    found: tuple[NodeAnnotation, ...] = ()


def write_contact_sheet(
    tiles: Sequence[Tile], path: Path, *, title: str, overwrite: bool = False
) -> None:
    """Write the tiles in rows as one PNG, with a legend.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    columns = _columns(len(tiles))
    rows = max(1, math.ceil(len(tiles) / columns))
    with rc_context(
        STYLE
        | {
            "axes.spines.bottom": False,
            "text.color": _TEXT,
            "axes.grid": False,
            "axes.spines.left": False,
        }
    ):
        width = max(_TILE_IN * columns, 7.0)
        figure = new_figure(width_in=width, height_in=(_TILE_IN + 0.2) * rows + 0.9)
        figure.set_facecolor(_GROUND)
        grid = figure.subplots(rows, columns, squeeze=False).flat
        for axes, tile in zip(grid, tiles, strict=False):
            _draw_tile(axes, tile)
        for axes in list(figure.axes)[len(tiles) :]:
            axes.set_axis_off()
        figure.suptitle(textwrap.fill(title, int(width * _LETTERS_AN_INCH)), fontsize=10)
        _draw_legend(figure, tiles)
        save_png(figure, path, overwrite=overwrite, dpi=_SHEET_DPI)


def _columns(tiles: int) -> int:
    """Return how many columns make a landscape sheet with the fewest empty places."""
    about = math.ceil(math.sqrt(1.5 * tiles))
    choices = range(max(1, min(about, MAX_COLUMNS) - 1), min(about + 1, MAX_COLUMNS) + 1)
    return min(choices, key=lambda columns: (-tiles % columns, abs(columns - about)))


def _draw_tile(axes: Axes, tile: Tile) -> None:
    low, high = SOFT_TISSUE_HU
    row_mm, column_mm = tile.image.spacing_mm
    height, width = tile.pixels_hu.shape
    axes.imshow(
        tile.pixels_hu,
        cmap="gray",
        vmin=low,
        vmax=high,
        extent=(0, width, height, 0),
        aspect=row_mm / column_mm,
        interpolation="bilinear",
    )
    x1, y1, x2, y2 = shown_part(tile)
    axes.set_xlim(x1, x2)
    axes.set_ylim(y2, y1)
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(
        f"{tile.image.patient[:_NAME_LENGTH]} · slice {tile.image.slice_index + 1} · "
        f"{tile.image.position_mm:.1f} mm",
        fontsize=6,
        pad=2,
    )
    for node in tile.truth:
        if not node.ignored:
            _draw_box(axes, node, dashed=True)
    for node in tile.found:
        _draw_box(axes, node, dashed=False)
        _draw_label(axes, node)


def shown_part(tile: Tile) -> tuple[float, float, float, float]:
    """Return the xyxy window, square in mm, with the body and all boxes in it, px."""
    height, width = tile.pixels_hu.shape
    corners = [node.box_xyxy for node in (*tile.truth, *tile.found)]
    corners.append(body_box(tile.pixels_hu) or (0, 0, width, height))
    boxes = np.asarray(corners, dtype=np.float64)
    around = (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))
    return square_crop_window(around, spacing_mm=tile.image.spacing_mm, margin=_MARGIN)


def body_box(pixels_hu: NDArray[np.int16]) -> tuple[int, int, int, int] | None:
    """Return the xyxy box of the largest thing denser than air: the patient, not the couch."""
    solid = ndimage.binary_opening(pixels_hu[::_STEP, ::_STEP] > _BODY_HU)
    labels, count = ndimage.label(solid)
    if count == 0:
        return None
    largest = int(np.argmax(np.bincount(labels.ravel())[1:]))
    rows, columns = ndimage.find_objects(labels)[largest]
    return (
        columns.start * _STEP,
        rows.start * _STEP,
        columns.stop * _STEP,
        rows.stop * _STEP,
    )


def _draw_box(axes: Axes, node: NodeAnnotation, *, dashed: bool) -> None:
    x1, y1, x2, y2 = node.box_xyxy
    out = _TRUTH_OUT_PX if dashed else 0
    axes.add_patch(
        Rectangle(
            (x1 - out, y1 - out),
            x2 - x1 + 2 * out,
            y2 - y1 + 2 * out,
            fill=False,
            edgecolor=COLOURS[node.category_id],
            linestyle=(0, (2.5, 1.5)) if dashed else "-",
            linewidth=0.9,
        )
    )


def _draw_label(axes: Axes, node: NodeAnnotation) -> None:
    x1, y1, _, _ = node.box_xyxy
    axes.annotate(
        label_text(node),
        (x1, y1),
        xytext=(0, 1.5),
        textcoords="offset points",
        color=COLOURS[node.category_id],
        fontsize=5,
        annotation_clip=True,
        path_effects=list(_HALO),
    )


def label_text(node: NodeAnnotation) -> str:
    """Return class and number: P(metastasis) once classified, else the detector's score."""
    name = {BENIGN: "ben.", METASTATIC: "met."}.get(node.category_id, "node")
    if node.probabilities is not None and "metastatic" in node.probabilities:
        return f"{name} {node.probabilities['metastatic']:.2f}"
    return name if node.score is None else f"{name} {node.score:.2f}"


def _draw_legend(figure: Figure, tiles: Sequence[Tile]) -> None:
    truth = [node for tile in tiles for node in tile.truth if not node.ignored]
    found = [node for tile in tiles for node in tile.found]
    handles = [Line2D([], [], color=_TEXT, label="found")]
    if truth:
        label = f"truth, drawn {_TRUTH_OUT_PX} px outside"
        handles.append(Line2D([], [], color=_TEXT, linestyle="--", label=label))
    for category in sorted({node.category_id for node in (*truth, *found)}):
        handles.append(Line2D([], [], color=COLOURS[category], label=NAMES[category]))
    if any(node.score is not None for node in found):
        classified = any(node.probabilities is not None for node in found)
        number = "probability of metastasis" if classified else "detector's score"
        handles.append(Line2D([], [], linestyle="", label=f"number: {number}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7)
