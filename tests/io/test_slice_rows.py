"""Nodes drawn as contours of their masks, over slices and in rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from lnmdetect.core.errors import InputError, OutputError
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC, ImageRecord, NodeAnnotation
from lnmdetect.io.figures import new_figure
from lnmdetect.io.node_colours import EXTRANODAL_LOOK, LOOKS
from lnmdetect.io.slice_drawing import TRUTH_OUT_PX, Tile, draw_node
from lnmdetect.io.slice_rows import NECK_MM, neck_part, write_slice_rows

SIDE = 300
BOX = (120, 140, 150, 164)


def record(spacing_mm: tuple[float, float] = (0.5, 0.5)) -> ImageRecord:
    return ImageRecord(1, "1.2.3.dcm", SIDE, SIDE, "p1", "1.2", "1.2.3", 0, 0.0, spacing_mm)


def body(box: tuple[int, int, int, int] = (30, 60, 270, 240)) -> NDArray[np.int16]:
    x1, y1, x2, y2 = box
    pixels = np.full((SIDE, SIDE), -1000, dtype=np.int16)
    pixels[y1:y2, x1:x2] = 40
    return pixels


def masked(category: int, box: tuple[int, int, int, int] = BOX, **more: Any) -> NodeAnnotation:
    """A node whose mask fills its box."""
    x1, y1, x2, y2 = box
    plane = np.zeros((SIDE, SIDE), dtype=np.uint8, order="F")
    plane[y1:y2, x1:x2] = 1
    counts = coco_mask.encode(plane)["counts"].decode("ascii")
    rle = {"size": [SIDE, SIDE], "counts": counts}
    return NodeAnnotation(1, 1, category, box, segmentation=rle, **more)


def drawn(node: NodeAnnotation, *, dashed: bool = False) -> Any:
    """The axes on which it is drawn."""
    axes = new_figure(width_in=2, height_in=2).subplots()
    draw_node(axes, node, dashed=dashed)
    return axes


@pytest.mark.parametrize(("dashed", "out"), [(False, 0), (True, TRUTH_OUT_PX)])
def test_the_contour_of_a_mask_runs_along_its_edge(dashed: bool, out: int) -> None:
    line, *fill = drawn(masked(METASTATIC), dashed=dashed).collections
    corners = line.get_paths()[0].vertices
    x1, y1, x2, y2 = BOX
    assert tuple(corners.min(axis=0)) == pytest.approx((x1 - out, y1 - out))
    assert tuple(corners.max(axis=0)) == pytest.approx((x2 + out, y2 + out))
    assert len(fill) == (0 if dashed else 1)
    assert to_hex(line.get_edgecolor()[0]) == LOOKS[METASTATIC].colour


def test_extranodal_extension_has_its_colour_and_a_wider_line() -> None:
    other, own = (
        drawn(masked(METASTATIC, kind=kind)).collections[0] for kind in (None, "extranodal")
    )
    assert to_hex(own.get_edgecolor()[0]) == EXTRANODAL_LOOK.colour
    assert own.get_linewidth()[0] > 1.5 * other.get_linewidth()[0]


def test_a_node_without_a_mask_is_its_box_and_an_empty_mask_is_nothing() -> None:
    axes = drawn(NodeAnnotation(1, 1, BENIGN, BOX))
    (patch,) = axes.patches
    assert (patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height()) == (
        *BOX[:2],
        BOX[2] - BOX[0],
        BOX[3] - BOX[1],
    )
    empty = {"size": [SIDE, SIDE], "counts": [SIDE * SIDE]}
    blank = drawn(NodeAnnotation(1, 1, BENIGN, BOX, segmentation=empty))
    assert not (*blank.patches, *blank.collections)


def test_a_mask_that_is_none_is_refused() -> None:
    rle = {"size": [SIDE, SIDE], "counts": [5, 5]}
    with pytest.raises(InputError, match=r"annotation 1: segmentation: .* runs of 10 px"):
        drawn(NodeAnnotation(1, 1, BENIGN, BOX, segmentation=rle))


def coloured(picture: NDArray[np.int64], colour: tuple[int, int, int], rows: slice) -> int:
    """How many pixels of some rows have nearly this colour."""
    return int((np.abs(picture[rows] - colour).max(axis=-1) < 30).sum())


def test_result_truth_and_original_stand_below_each_other(tmp_path: Path) -> None:
    tile = Tile(
        record(),
        body(),
        truth=(masked(METASTATIC), masked(LYMPH_NODE, ignored=True)),
        found=(masked(BENIGN),),
    )
    write_slice_rows([tile, tile], tmp_path / "rows.png", title="a title", with_truth=True)
    with Image.open(tmp_path / "rows.png") as opened:
        picture = np.asarray(opened.convert("RGB")).astype(np.int64)
    height = len(picture)
    places = [slice(int(a * height), int(b * height)) for a, b in ((0.05, 0.3), (0.36, 0.62))]
    last = slice(int(0.68 * height), int(0.92 * height))
    blue, red, yellow = (LOOKS[c].rgb for c in (BENIGN, METASTATIC, LYMPH_NODE))
    assert coloured(picture, blue, places[0]) > 100
    assert coloured(picture, red, places[0]) == 0
    assert coloured(picture, red, places[1]) > 100
    assert coloured(picture, blue, places[1]) == 0
    assert coloured(picture, blue, last) == coloured(picture, red, last) == 0
    assert coloured(picture, yellow, slice(None)) == 0
    white = (picture[last] > 100).all(axis=-1)
    assert white.mean() > 0.2  # the slice itself

    write_slice_rows([tile], tmp_path / "two.png", title="", with_truth=False)
    with Image.open(tmp_path / "two.png") as opened:
        assert opened.height < 0.8 * height
    with pytest.raises(OutputError, match=r"two\.png"):
        write_slice_rows([tile], tmp_path / "two.png", title="", with_truth=False)


@pytest.mark.parametrize("spacing_mm", [(0.5, 0.5), (1.0, 2.0)])
def test_what_is_shown_is_the_middle_of_the_body_square_in_mm(
    spacing_mm: tuple[float, float],
) -> None:
    wide = Tile(record(spacing_mm), body())
    x1, y1, x2, y2 = neck_part(wide)
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((150, 150), abs=2)
    sides = (x2 - x1) * spacing_mm[1], (y2 - y1) * spacing_mm[0]
    assert sides[0] == pytest.approx(sides[1], abs=1)
    least = min(NECK_MM, 240 * spacing_mm[1])
    assert least <= sides[0] <= 1.2 * least


def test_a_node_at_the_edge_of_the_body_stays_in_view() -> None:
    far = masked(METASTATIC, (5, 100, 25, 120))
    for tile in (
        Tile(record((1.0, 1.0)), body(), found=(far,)),
        Tile(record((1.0, 1.0)), body(), truth=(far,)),
    ):
        assert neck_part(tile)[0] < 5
