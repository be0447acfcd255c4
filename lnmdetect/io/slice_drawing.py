"""A slice with the nodes on it, as contours of their masks or as boxes, on matplotlib's axes."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy import ndimage

from lnmdetect.core.geometry import square_crop_window
from lnmdetect.core.mask_errors import unreadable_mask
from lnmdetect.core.records import BENIGN, METASTATIC, ImageRecord, NodeAnnotation
from lnmdetect.core.run_lengths import cut_mask_of_runs
from lnmdetect.io.figures import STYLE
from lnmdetect.io.node_colours import look_of, looks_of

Box = tuple[float, float, float, float]
SOFT_TISSUE_HU = (-160.0, 240.0)
TRUTH_OUT_PX = 2
"""So far outside its edge truth is drawn where it lies over what was found."""
TEXT, GROUND = "#d8d8d8", "#111111"
DARK_STYLE = STYLE | {
    "axes.spines.bottom": False,
    "text.color": TEXT,
    "axes.grid": False,
    "axes.spines.left": False,
}
DASHES = (0, (2.5, 1.5))
_BODY_HU = -300
_MARGIN = 0.06
_STEP = 3
_LINE = 0.9
_FILL_ALPHA = 0.18
_HALO = (withStroke(linewidth=1.2, foreground="black"),)


@dataclass(frozen=True)
class Tile:
    """One slice to draw.

    Attributes:
        image: its record.
        pixels_hu: (H, W) int16 HU.
        truth: ignored cross-sections are left out.
        found: predicted nodes.
    """

    image: ImageRecord
    pixels_hu: NDArray[np.int16]
    truth: tuple[NodeAnnotation, ...] = ()
    found: tuple[NodeAnnotation, ...] = ()

    @property
    def counted_truth(self) -> tuple[NodeAnnotation, ...]:
        """Truth without what is ignored."""
        return tuple(node for node in self.truth if not node.ignored)


def draw_slice(axes: Axes, tile: Tile, part: Box) -> None:
    """Draw the pixels of a part (xyxy px) in a soft-tissue window, without ticks."""
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
    x1, y1, x2, y2 = part
    axes.set_xlim(x1, x2)
    axes.set_ylim(y2, y1)
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])


def shown_part(tile: Tile) -> Box:
    """Return the xyxy window, square in mm, with the body and all nodes in it, px."""
    height, width = tile.pixels_hu.shape
    corners = [node.box_xyxy for node in (*tile.truth, *tile.found)]
    corners.append(body_box(tile.pixels_hu) or (0, 0, width, height))
    return square_around(corners, tile.image.spacing_mm)


def square_around(boxes: Iterable[Box], spacing_mm: tuple[float, float]) -> Box:
    """Return the xyxy window, square in mm, that holds some boxes with a margin, px."""
    corners = np.asarray(list(boxes), dtype=np.float64)
    around = (*corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0))
    return square_crop_window(around, spacing_mm=spacing_mm, margin=_MARGIN)


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


def draw_node(axes: Axes, node: NodeAnnotation, *, dashed: bool = False) -> None:
    """Draw the contour of a node's mask, or where it has none its box.

    Args:
        axes: with the slice.
        node: on it.
        dashed: `TRUTH_OUT_PX` outside the edge, so that a solid line at it stays in view.

    Raises:
        InputError: the mask's run lengths make none.
    """
    if node.segmentation is None:
        _draw_box(axes, node, dashed=dashed)
    else:
        _draw_contour(axes, node, dashed=dashed)


def _draw_box(axes: Axes, node: NodeAnnotation, *, dashed: bool) -> None:
    x1, y1, x2, y2 = node.box_xyxy
    out = TRUTH_OUT_PX if dashed else 0
    look = look_of(node)
    axes.add_patch(
        Rectangle(
            (x1 - out, y1 - out),
            x2 - x1 + 2 * out,
            y2 - y1 + 2 * out,
            fill=False,
            edgecolor=look.colour,
            linestyle=DASHES if dashed else "-",
            linewidth=_LINE * look.line,
        )
    )


def _draw_contour(axes: Axes, node: NodeAnnotation, *, dashed: bool) -> None:
    (row, column), inside = _mask(node)
    if not inside.any():
        return
    edge = TRUTH_OUT_PX + 1
    padded = np.pad(inside, edge)
    if dashed:
        padded = ndimage.binary_dilation(padded, iterations=TRUTH_OUT_PX)
    # Pixel centres lie half a pixel from the corner that 0 stands for.
    x = np.arange(padded.shape[1]) + column - edge + 0.5
    y = np.arange(padded.shape[0]) + row - edge + 0.5
    look = look_of(node)
    axes.contour(
        x,
        y,
        padded.astype(float),
        levels=[0.5],
        colors=[look.colour],
        linewidths=_LINE * look.line,
        linestyles=[DASHES] if dashed else "solid",
    )
    if not dashed:
        axes.contourf(
            x, y, padded.astype(float), levels=[0.5, 2], colors=[look.colour], alpha=_FILL_ALPHA
        )


def _mask(node: NodeAnnotation) -> tuple[tuple[int, int], NDArray[np.bool_]]:
    rle = node.segmentation or {}
    height, width = rle["size"]
    try:
        return cut_mask_of_runs(rle["counts"], (height, width))
    except ValueError as error:
        raise unreadable_mask(f"annotation {node.annotation_id}: segmentation", error) from None


def draw_label(axes: Axes, node: NodeAnnotation) -> None:
    """Write class and number above the box of a node."""
    x1, y1, _, _ = node.box_xyxy
    axes.annotate(
        label_text(node),
        (x1, y1),
        xytext=(0, 1.5),
        textcoords="offset points",
        color=look_of(node).colour,
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


def class_handles(nodes: Iterable[NodeAnnotation]) -> list[Line2D]:
    """Return what a legend shows of the classes of some nodes."""
    return [
        Line2D([], [], color=look.colour, linewidth=1.5 * look.line, label=look.name)
        for look in looks_of(list(nodes))
    ]
