"""The contact sheet: slices with true and predicted nodes, for a person to look at."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lnmdetect.io.figures import new_figure, save_png
from lnmdetect.io.slice_drawing import (
    DARK_STYLE,
    GROUND,
    TEXT,
    TRUTH_OUT_PX,
    Tile,
    class_handles,
    draw_label,
    draw_node,
    draw_slice,
    shown_part,
)

MAX_COLUMNS = 6
LETTERS_AN_INCH = 11
"""Of a title at its size, on average; longer titles take another line."""
SHEET_DPI = 200
_TILE_IN = 2.2
_NAME_LENGTH = 16


def write_contact_sheet(
    tiles: Sequence[Tile], path: Path, *, title: str, overwrite: bool = False
) -> None:
    """Write the tiles in rows as one PNG, with a legend; truth is dashed.

    Raises:
        InputError: the run lengths of a mask make none.
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    columns = _columns(len(tiles))
    rows = max(1, math.ceil(len(tiles) / columns))
    with rc_context(DARK_STYLE):
        width = max(_TILE_IN * columns, 7.0)
        figure = new_figure(width_in=width, height_in=(_TILE_IN + 0.2) * rows + 0.9)
        figure.set_facecolor(GROUND)
        grid = figure.subplots(rows, columns, squeeze=False).flat
        for axes, tile in zip(grid, tiles, strict=False):
            _draw_tile(axes, tile)
        for axes in list(figure.axes)[len(tiles) :]:
            axes.set_axis_off()
        figure.suptitle(textwrap.fill(title, int(width * LETTERS_AN_INCH)), fontsize=10)
        _draw_legend(figure, tiles)
        save_png(figure, path, overwrite=overwrite, dpi=SHEET_DPI)


def _columns(tiles: int) -> int:
    """Return how many columns make a landscape sheet with the fewest empty places."""
    about = math.ceil(math.sqrt(1.5 * tiles))
    choices = range(max(1, min(about, MAX_COLUMNS) - 1), min(about + 1, MAX_COLUMNS) + 1)
    return min(choices, key=lambda columns: (-tiles % columns, abs(columns - about)))


def _draw_tile(axes: Axes, tile: Tile) -> None:
    draw_slice(axes, tile, shown_part(tile))
    axes.set_title(place_text(tile), fontsize=6, pad=2)
    for node in tile.counted_truth:
        draw_node(axes, node, dashed=True)
    for node in tile.found:
        draw_node(axes, node)
        draw_label(axes, node)


def place_text(tile: Tile) -> str:
    """Return the patient's pseudonym, the slice from 1, and where it lies."""
    image = tile.image
    return (
        f"{image.patient[:_NAME_LENGTH]} · slice {image.slice_index + 1} · "
        f"{image.position_mm:.1f} mm"
    )


def _draw_legend(figure: Figure, tiles: Sequence[Tile]) -> None:
    truth = [node for tile in tiles for node in tile.counted_truth]
    found = [node for tile in tiles for node in tile.found]
    handles = [Line2D([], [], color=TEXT, label="found")]
    if truth:
        label = f"truth, drawn {TRUTH_OUT_PX} px outside"
        handles.append(Line2D([], [], color=TEXT, linestyle="--", label=label))
    handles += class_handles([*truth, *found])
    if any(node.score is not None for node in found):
        classified = any(node.probabilities is not None for node in found)
        number = "probability of metastasis" if classified else "detector's score"
        handles.append(Line2D([], [], linestyle="", label=f"number: {number}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7)
