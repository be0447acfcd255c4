"""Key images: slices with boxes burnt in, as Secondary Capture objects that any viewer shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from highdicom import sc
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian

from lnmdetect.core.errors import InputError
from lnmdetect.core.findings import Finding, Maker
from lnmdetect.core.label_places import place_banner, place_labels
from lnmdetect.core.linked_nodes import BoxXyxy
from lnmdetect.io.dicom_derived import (
    PRODUCT,
    RESEARCH_ONLY,
    SourceSlice,
    new_uid,
    series_values,
)
from lnmdetect.io.node_colours import LOOKS
from lnmdetect.io.quiet import quiet_dicom

WINDOW_HU = (-160.0, 240.0)
SHORTER_SIDE_PX = 1024
_TEXT_SHARE = 48
"""The shorter side in lines of text."""
_NAME_LETTERS = 20
"""Of a model's name; more would leave the picture."""
_LINE_PX, _STROKE_PX, _EDGE_PX = 2, 2, 8
MAX_ASPECT = 4
"""Of a slice's sides in mm; a header that says more would make a picture of any size."""


@dataclass(frozen=True)
class KeyImage:
    """One slice to show: its pixels, (H, W) int16 HU, and what was found on it."""

    source: SourceSlice
    pixels_hu: NDArray[np.int16]
    findings: tuple[Finding, ...]


def build_key_images(images: Sequence[KeyImage], maker: Maker) -> list[Dataset]:
    """Return a Secondary Capture of each slice, of one study, in one series."""
    values = series_values(maker, "Lymph node images", 4)
    with quiet_dicom():
        return [
            _capture(image, draw_key_image(image, maker), number, values)
            for number, image in enumerate(images, start=1)
        ]


def _capture(
    image: KeyImage, picture: NDArray[np.uint8], number: int, values: dict[str, Any]
) -> Dataset:
    identity = image.source.identity
    made: Dataset = sc.SCImage.from_ref_dataset(
        identity,
        pixel_array=picture,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=patient_orientation(image.source.header.orientation),
        sop_instance_uid=new_uid(),
        instance_number=number,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **values,
    )
    made.BodyPartExamined = "NECK"  # not paired, so that no laterality is asked, C.7.3.1
    made.ConversionType = "WSD"  # workstation, PS3.3 C.8.6.1
    made.BurnedInAnnotation = "NO"  # "YES" would mean that it names the patient, C.7.6.1.1.1
    made.DerivationDescription = f"CT slice with boxes burnt in. {RESEARCH_ONLY}"
    made.SourceImageSequence = DicomSequence([_reference(image.source)])
    return made


def patient_orientation(orientation: Sequence[float]) -> tuple[str, str]:
    """Return where rows and columns point, by their main direction (PS3.3 C.7.6.1.1.1)."""
    ways = ("LR", "PA", "HF")
    letters = []
    for axis in (orientation[:3], orientation[3:]):
        main = max(range(3), key=lambda at: abs(axis[at]))
        letters.append(ways[main][axis[main] < 0])
    return letters[0], letters[1]


def _reference(source: SourceSlice) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source.identity.SOPClassUID
    item.ReferencedSOPInstanceUID = source.identity.SOPInstanceUID
    if source.frame_numbers:
        item.ReferencedFrameNumber = source.frame_numbers
    return item


def draw_key_image(image: KeyImage, maker: Maker) -> NDArray[np.uint8]:
    """Return the slice as (H, W, 3) colours with square pixels, boxes, and what it is for.

    Raises:
        InputError: its sides differ so much that no legible picture of it can be made.
    """
    low, high = WINDOW_HU
    grey = (np.clip((image.pixels_hu - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    rows, columns = grey.shape
    size = _picture_size(image.source)
    picture = Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC).convert("RGB")
    pen = ImageDraw.Draw(picture)
    pen.font = ImageFont.load_default(SHORTER_SIDE_PX // _TEXT_SHARE)
    scale = (size[0] / columns, size[1] / rows) * 2
    drawn = [
        (finding, cast(BoxXyxy, tuple(np.multiply(region.box_xyxy, scale).tolist())))
        for finding in image.findings
        for region in finding.regions
        if region.image.join_key == image.source.image.join_key
    ]
    for finding, box in drawn:
        pen.rectangle(box, outline=LOOKS[finding.category_id].rgb, width=_LINE_PX)
    banner = _write_banner(pen, image.source, maker, [box for _, box in drawn])
    places = place_labels(
        [box for _, box in drawn],
        [_text_size(pen, finding.drawn_text) for finding, _ in drawn],
        size,
        gap=2 * _LINE_PX,
        reserved=[banner],
    )
    for (finding, _), place in zip(drawn, places, strict=True):
        _write(pen, place[:2], finding.drawn_text, LOOKS[finding.category_id].rgb)
    return np.asarray(picture, dtype=np.uint8)


def _picture_size(source: SourceSlice) -> tuple[int, int]:
    row_mm, column_mm = source.header.spacing_mm
    width_mm, height_mm = source.header.columns * column_mm, source.header.rows * row_mm
    if max(width_mm, height_mm) > MAX_ASPECT * min(width_mm, height_mm):
        raise InputError(
            f"image {source.image.image_id}",
            expected=f"a slice no more than {MAX_ASPECT} times as long as wide",
            got=f"{width_mm:g} x {height_mm:g} mm",
            remedy="Check its PixelSpacing; export sr or gsps instead.",
        )
    scale = SHORTER_SIDE_PX / min(width_mm, height_mm)
    return round(width_mm * scale), round(height_mm * scale)


def _write_banner(
    pen: ImageDraw.ImageDraw, source: SourceSlice, maker: Maker, boxes: Sequence[BoxXyxy]
) -> BoxXyxy:
    """Write what the picture is for where no box is, and return that place."""
    kind = "PHANTOM - " if maker.phantom else ""
    models = ", ".join(f"{one.role} {one.name[:_NAME_LETTERS]}" for one in maker.algorithms)
    where = f"slice {source.image.slice_index + 1}, {source.image.position_mm:.1f} mm"
    made = f"{PRODUCT} {maker.version}" + f", {models}" * bool(models)
    lines = (f"{kind}{RESEARCH_ONLY.upper()}", f"{where}. {made}")
    line = SHORTER_SIDE_PX // _TEXT_SHARE * 5 // 4
    size = max(_text_size(pen, text)[0] for text in lines), 2.0 * line
    place = place_banner(boxes, size, pen.im.size, edge=_EDGE_PX)
    for text, colour, at in zip(lines, ((255, 80, 80), (230, 230, 230)), (0, line), strict=True):
        _write(pen, (place[0], place[1] + at), text, colour)
    return place


def _text_size(pen: ImageDraw.ImageDraw, text: str) -> tuple[float, float]:
    left, top, right, bottom = pen.textbbox((0, 0), text, stroke_width=_STROKE_PX)
    return right - min(left, 0), bottom - min(top, 0)


def _write(
    pen: ImageDraw.ImageDraw,
    place: Sequence[float],
    text: str,
    colour: tuple[int, int, int],
) -> None:
    pen.text(
        (place[0], place[1]), text, fill=colour, stroke_width=_STROKE_PX, stroke_fill=(0, 0, 0)
    )
