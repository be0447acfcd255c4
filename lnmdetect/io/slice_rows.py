"""Chosen slices in three rows: result, truth and original (as figure 2 of Cancers 2023, 15, 5890).

A column a slice, all of one place; without truth there are two rows.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context

from lnmdetect.io.contact_sheet import LETTERS_AN_INCH, SHEET_DPI, place_text
from lnmdetect.io.figures import new_figure, save_png
from lnmdetect.io.slice_drawing import (
    DARK_STYLE,
    GROUND,
    Box,
    Tile,
    body_box,
    class_handles,
    draw_node,
    draw_slice,
    square_around,
)

RESULT, TRUTH, ORIGINAL = "result", "truth", "original"
NECK_MM = 130.0
"""Side of what is shown of a wide slice: at the shoulders the body is three times as wide as the
neck, and its nodes still lie in the middle."""
_TILE_IN = 2.4
_LEAST_WIDTH_IN = 5.0


def write_slice_rows(
    tiles: Sequence[Tile], path: Path, *, title: str, with_truth: bool, overwrite: bool = False
) -> None:
    """Write the tiles as columns of one PNG, with a legend of the classes.

    Args:
        tiles: one or more.
        path: of the PNG.
        title: above them.
        with_truth: whether there is a row of truth.
        overwrite: replace an existing file.

    Raises:
        InputError: the run lengths of a mask make none.
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    rows = [RESULT, TRUTH, ORIGINAL] if with_truth else [RESULT, ORIGINAL]
    width = max(_TILE_IN * len(tiles) + 0.3, _LEAST_WIDTH_IN)
    with rc_context(DARK_STYLE):
        figure = new_figure(width_in=width, height_in=_TILE_IN * len(rows) + 1.0)
        figure.set_facecolor(GROUND)
        grid = figure.subplots(len(rows), len(tiles), squeeze=False)
        for column, tile in enumerate(tiles):
            part = neck_part(tile)
            drawn = {RESULT: tile.found, TRUTH: tile.counted_truth}
            for row, name in enumerate(rows):
                axes = grid[row, column]
                draw_slice(axes, tile, part)
                for node in drawn.get(name, ()):
                    draw_node(axes, node)
                if column == 0:
                    axes.set_ylabel(name, fontsize=9, color=DARK_STYLE["text.color"])
            grid[0, column].set_title(place_text(tile), fontsize=6, pad=2)
        figure.suptitle(textwrap.fill(title, int(width * LETTERS_AN_INCH)), fontsize=10)
        nodes = [node for tile in tiles for node in (*tile.found, *tile.counted_truth)]
        handles = class_handles(nodes)
        if handles:
            figure.legend(
                handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7
            )
        save_png(figure, path, overwrite=overwrite, dpi=SHEET_DPI)


def neck_part(tile: Tile) -> Box:
    """Return the xyxy window, square in mm, with the middle of the body and all nodes in it, px."""
    height, width = tile.pixels_hu.shape
    x1, y1, x2, y2 = body_box(tile.pixels_hu) or (0, 0, width, height)
    row_mm, column_mm = tile.image.spacing_mm
    half_x = min(x2 - x1, NECK_MM / column_mm) / 2
    half_y = min(y2 - y1, NECK_MM / row_mm) / 2
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    middle = (x - half_x, y - half_y, x + half_x, y + half_y)
    nodes = (node.box_xyxy for node in (*tile.found, *tile.counted_truth))
    return square_around([middle, *nodes], tile.image.spacing_mm)
