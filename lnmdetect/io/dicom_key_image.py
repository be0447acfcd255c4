"""Key images: slices with boxes burnt in, as Secondary Capture objects that any viewer shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from highdicom import sc
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian

from lnmdetect.core.findings import Finding, Maker
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC
from lnmdetect.io.dicom_derived import (
    PRODUCT,
    RESEARCH_ONLY,
    SourceSlice,
    new_uid,
    series_values,
)
from lnmdetect.io.quiet import quiet_dicom

WINDOW_HU = (-160.0, 240.0)
COLOURS = {BENIGN: (86, 180, 233), METASTATIC: (255, 106, 61), LYMPH_NODE: (240, 228, 66)}
"""As the contact sheet's: told apart by colour-blind readers."""
SHORTER_SIDE_PX = 1024
_TEXT_SHARE = 48
"""The picture's height in lines of text."""
_LINE_SHARE = 500


@dataclass(frozen=True)
class KeyImage:
    """One slice to show: its pixels, (H, W) int16 HU, and what was found on it."""

    source: SourceSlice
    pixels_hu: NDArray[np.int16]
    findings: tuple[Finding, ...]


def build_key_images(images: Sequence[KeyImage], maker: Maker) -> list[Dataset]:
    """Return a Secondary Capture of each slice, of one study, in one series."""
    values = series_values(maker, "Lymph nodes", 4)
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
    """Return the slice as (H, W, 3) colours with square pixels, boxes, and what it is for."""
    low, high = WINDOW_HU
    grey = (np.clip((image.pixels_hu - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    row_mm, column_mm = image.source.header.spacing_mm
    rows, columns = grey.shape
    shape_mm = (columns * column_mm, rows * row_mm)
    scale = SHORTER_SIDE_PX / min(shape_mm)
    size = (round(shape_mm[0] * scale), round(shape_mm[1] * scale))
    picture = Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC).convert("RGB")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size[1] // _TEXT_SHARE)
    for finding in image.findings:
        _draw(pen, finding, image.source, (font, size[0] / columns, size[1] / rows))
    _write_banner(pen, image.source, maker, font)
    return np.asarray(picture, dtype=np.uint8)


def _draw(
    pen: ImageDraw.ImageDraw,
    finding: Finding,
    source: SourceSlice,
    scale: tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, float, float],
) -> None:
    font, across, down = scale
    colour = COLOURS[finding.category_id]
    width = max(1, SHORTER_SIDE_PX // _LINE_SHARE)
    for region in finding.regions:
        if region.image.join_key == source.image.join_key:
            x1, y1, x2, y2 = region.box_xyxy
            pen.rectangle(
                (x1 * across, y1 * down, x2 * across, y2 * down), outline=colour, width=width
            )
            _write(pen, (x2 * across + 2 * width, y1 * down), finding.short_text, (font, colour))


def _write_banner(
    pen: ImageDraw.ImageDraw,
    source: SourceSlice,
    maker: Maker,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    kind = "PHANTOM - " if maker.phantom else ""
    models = ", ".join(f"{one.role} {one.name}" for one in maker.algorithms)
    place = f"slice {source.image.slice_index + 1}, {source.image.position_mm:.1f} mm"
    made = f"{PRODUCT} {maker.version}" + f", {models}" * bool(models)
    white, red = (230, 230, 230), (255, 80, 80)
    line = SHORTER_SIDE_PX // _TEXT_SHARE * 5 // 4
    _write(pen, (8, 6), f"{kind}{RESEARCH_ONLY.upper()}", (font, red))
    _write(pen, (8, 6 + line), f"{place}. {made}", (font, white))


def _write(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    look: tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, tuple[int, int, int]],
) -> None:
    font, colour = look
    pen.text(place, text, fill=colour, font=font, stroke_width=2, stroke_fill=(0, 0, 0))
