"""The side of a box is the patient's, wherever the patient lies in the scanner."""

from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset

from lnmdetect.core.findings import Finding, Region
from lnmdetect.core.records import ImageRecord
from lnmdetect.io.dicom_derived import SourceSlice
from lnmdetect.io.dicom_header import SliceHeader
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.stages.export_sides import with_sides

AXIAL, FLIPPED = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SIZE = 64
Slice = NDArray[np.int16]


def body(first: int, last: int) -> Slice:
    """A slice of air with soft tissue from column `first` up to `last`."""
    hu = np.full((SIZE, SIZE), -1000, dtype=np.int16)
    hu[10:54, first:last] = 40
    return hu


class Pixels:
    """Slices by their place, as a PixelStore reads them."""

    def __init__(self, bodies: list[Slice]) -> None:
        self.bodies = bodies

    def read(self, image: ImageRecord) -> Slice:
        return self.bodies[image.slice_index]


def sides(
    columns: list[int],
    bodies: list[Slice],
    x_mm: float,
    orientation: tuple[float, ...] = AXIAL,
) -> list[str | None]:
    """Sides of boxes at these columns, one a slice, each slice with its own body."""
    images = [
        ImageRecord(k, f"{k}.dcm", SIZE, SIZE, "p", "s", f"1.2.{k}", k, 3.0 * k, (1.0, 2.0))
        for k in range(len(bodies))
    ]
    header: dict[str, Any] = {
        **dict.fromkeys(("file", "sop_uid", "series_uid", "study_uid", "patient_id"), "1"),
        **{"frame": None, "rows": SIZE, "columns": SIZE, "spacing_mm": (1.0, 2.0)},
        **{"thickness_mm": None, "slope": 1.0, "intercept": 0.0, "padding": None},
        **{"transfer_syntax": "", "orientation": orientation, "position": (x_mm, 0.0, 0.0)},
    }
    sources = {i.join_key: SourceSlice(i, SliceHeader(**header), Dataset()) for i in images}
    findings = [
        Finding(f"box {k}", (Region(image, (column, 20, column + 2, 24)),))
        for k, (column, image) in enumerate(zip(columns, images, strict=True))
    ]
    store = cast(PixelStore, Pixels(bodies))
    return [finding.laterality for finding in with_sides(findings, sources, store)]


# Columns are 2 mm wide, the body's middle is column 32: the strip of the midline is 5 mm, 2.5
# columns, to either side.
@pytest.mark.parametrize("x_mm", [-64, 0, 500, -900])
def test_the_middle_of_the_body_decides_and_not_the_scanners(x_mm: float) -> None:
    columns = [10, 28, 30, 33, 34, 50]
    found = sides(columns, [body(8, 56)] * 6, x_mm)
    assert found == ["right", "right", "midline", "midline", "left", "left"]


def test_a_row_that_runs_to_the_right_turns_the_sides() -> None:
    assert sides([10, 50], [body(8, 56)] * 2, 100, FLIPPED) == ["left", "right"]


def test_in_a_patient_turned_about_the_long_axis_the_box_is_held_against_its_own_row() -> None:
    turned = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0)
    # 22 rows down from the first, x is 13 mm further right at the same column.
    assert sides([10, 30, 50], [body(8, 56)] * 3, 100, turned) == ["right", "midline", "left"]
    assert sides([29, 34], [body(8, 56)] * 2, 100, turned) == ["midline", "midline"]
    assert sides([28, 35], [body(8, 56)] * 2, 100, turned) == ["midline", "left"]


def test_each_slice_has_a_middle_of_its_own() -> None:
    # Middles at columns 32 and 44, the box at 41.
    assert sides([40, 40], [body(8, 56), body(28, 60)], 500) == ["left", "right"]


def test_where_the_body_is_cut_off_the_other_slices_tell_its_middle() -> None:
    assert sides([10, 50, 50], [body(0, 56), body(0, 64), body(8, 56)], 500) == [
        "right",
        "left",
        "left",
    ]


def test_where_no_slice_shows_the_whole_body_x_decides() -> None:
    assert sides([10, 50], [body(0, 64)] * 2, -64) == ["right", "left"]
    assert sides([10, 50], [body(0, 64)] * 2, 500) == ["left", "left"]
