"""Key images: right grey, right place, right colour, and what they are for in words."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageDraw
from pydicom import Dataset

from lnmdetect.core.errors import InputError
from lnmdetect.core.findings import Algorithm, Finding, Maker, Region
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC, ImageRecord
from lnmdetect.io.dicom_derived import SourceSlice
from lnmdetect.io.dicom_header import SliceHeader
from lnmdetect.io.dicom_key_image import KeyImage, draw_key_image, patient_orientation

SIZE, SPACING_MM = 64, (2.0, 1.0)
IMAGE = ImageRecord(1, "1.dcm", SIZE, SIZE, "p", "s", "1.2", 3, 12.0, SPACING_MM)
HEADER = SliceHeader(
    file="1",
    sop_uid="1.2",
    series_uid="1.1",
    study_uid="1",
    patient_id="1",
    frame=None,
    rows=SIZE,
    columns=SIZE,
    position=(0.0, 0.0, 0.0),
    orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    spacing_mm=SPACING_MM,
    thickness_mm=None,
    slope=1.0,
    intercept=0.0,
    padding=None,
    transfer_syntax="",
)
SOURCE = SourceSlice(IMAGE, HEADER, Dataset())
BOX = (20.0, 30.0, 28.0, 40.0)
MAKER = Maker("9.9", (Algorithm("detector", "tiny", "a"), Algorithm("classifier", "small", "b")))


def picture(
    hu: int = 40,
    category_id: int = BENIGN,
    maker: Maker = MAKER,
    source: SourceSlice = SOURCE,
) -> NDArray[np.uint8]:
    pixels = np.full((SIZE, SIZE), hu, dtype=np.int16)
    pixels[:, SIZE // 2 :] = -160
    finding = Finding("box 7", (Region(source.image, BOX),), category_id=category_id)
    return draw_key_image(KeyImage(source, pixels, (finding,)), maker)


# The soft-tissue window runs from -160 HU, black, to 240 HU, white.
@pytest.mark.parametrize(("hu", "grey"), [(-900, 0), (-160, 0), (-60, 63), (40, 127), (240, 255)])
def test_hu_become_grey_by_the_soft_tissue_window(hu: int, grey: int) -> None:
    assert picture(hu)[1800, 300].tolist() == [grey] * 3
    assert picture(hu)[1800, 900].tolist() == [0] * 3


# 64 mm across and 128 mm down: 16 px a column, 32 px a row.
def test_pixels_of_2_by_1_mm_make_a_picture_twice_as_high_with_the_box_in_its_place() -> None:
    drawn = picture()
    assert drawn.shape == (2048, 1024, 3)
    blue = (drawn == (86, 180, 233)).all(axis=2)[:, :449]
    rows, columns = np.nonzero(blue)
    assert (columns.min(), columns.max()) == (20 * 16, 28 * 16)
    assert (rows.min(), rows.max()) == (30 * 32, 40 * 32)
    assert not blue[1100, 400]


@pytest.mark.parametrize(
    ("category_id", "colour"),
    [(BENIGN, (86, 180, 233)), (METASTATIC, (255, 106, 61)), (LYMPH_NODE, (240, 228, 66))],
)
def test_each_class_has_its_colour(category_id: int, colour: tuple[int, int, int]) -> None:
    assert tuple(picture(category_id=category_id)[960, 330]) == colour


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[float, float]]:
    """Every text that is drawn, and its upper left corner."""
    places = {}
    write = ImageDraw.ImageDraw.text

    def noted(self: ImageDraw.ImageDraw, xy: Any, text: str, *args: Any, **options: Any) -> None:
        places[text] = xy
        write(self, xy, text, *args, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", noted)
    return places


def test_neither_a_box_nor_a_label_lies_on_the_research_only_line(
    written: dict[str, tuple[float, float]],
) -> None:
    boxes = [(0.0, 0.0, 64.0, 3.0), (2.0, 61.8, 6.0, 62.0)]
    finding, other = (Finding(f"box {k}", (Region(IMAGE, box),)) for k, box in enumerate(boxes))
    labelled = replace(other, category_id=METASTATIC)
    pixels = np.zeros((SIZE, SIZE), dtype=np.int16)
    draw_key_image(KeyImage(SOURCE, pixels, (finding, labelled)), MAKER)
    top = written["RESEARCH ONLY, NOT FOR DIAGNOSIS"][1]
    # The upper box takes both upper corners; the lower one ends at 1984 px, just above the line.
    assert 1984 < top < 2000
    assert written["metastatic"][1] + 20 <= top


@pytest.mark.parametrize(("phantom", "kind"), [(True, "PHANTOM - "), (False, "")])
def test_the_picture_says_what_it_is_for_and_what_made_it(
    written: dict[str, tuple[float, float]], phantom: bool, kind: str
) -> None:
    picture(maker=replace(MAKER, phantom=phantom))
    assert list(written) == [
        f"{kind}RESEARCH ONLY, NOT FOR DIAGNOSIS",
        "slice 4, 12.0 mm. lnmdetect 9.9, detector tiny, classifier small",
        "benign",
    ]


def test_a_slice_far_longer_than_wide_is_refused_and_not_drawn_at_any_size() -> None:
    long = replace(SOURCE, header=replace(HEADER, spacing_mm=(4.1, 1.0)))
    with pytest.raises(
        InputError, match=r"no more than 4 times as long as wide, got 64 x 262\.4 mm"
    ):
        picture(source=long)
    assert picture(source=replace(SOURCE, header=replace(HEADER, spacing_mm=(4.0, 1.0)))).size


@pytest.mark.parametrize(
    ("orientation", "letters"),
    [
        ((1, 0, 0, 0, 1, 0), ("L", "P")),
        ((-1, 0, 0, 0, -1, 0), ("R", "A")),
        ((0, 1, 0, 0, 0, -1), ("P", "F")),
        ((0.9, 0.1, -0.4, 0, 0.2, 0.98), ("L", "H")),
    ],
)
def test_rows_and_columns_point_where_the_patient_lies(
    orientation: tuple[float, ...], letters: tuple[str, str]
) -> None:
    assert patient_orientation(orientation) == letters
