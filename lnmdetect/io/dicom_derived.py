"""What all DICOM objects made here share: the slices they refer to, who made them, how they are
written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.uid import UID, generate_uid
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

from lnmdetect.core.errors import InputError
from lnmdetect.core.extras import require_package
from lnmdetect.core.findings import Finding, Maker
from lnmdetect.core.records import ImageRecord
from lnmdetect.io.dicom_header import MULTI_FRAME_CLASSES, SliceHeader
from lnmdetect.io.dicom_identity import UTF8, read_identity
from lnmdetect.io.dicom_write import derived_uid
from lnmdetect.io.json_files import atomic_output
from lnmdetect.io.pixel_store import PixelStore, check_agrees
from lnmdetect.io.quiet import quiet_dicom

PRODUCT = "lnmdetect"
RESEARCH_ONLY = "Research only, not for diagnosis"
FIRST_SERIES_NUMBER = 9100
"""High, so that made series stand behind the scanner's in a viewer."""
_BOX_DIGITS = 3


@dataclass(frozen=True)
class SourceSlice:
    """A slice that results refer to.

    Attributes:
        image: its record in the file.
        header: as found below the scan root; sop_uid is the scanner's also where the file's is
            keyed.
        identity: what objects made from it carry; the patient's name is in it.
    """

    image: ImageRecord
    header: SliceHeader
    identity: Dataset = field(repr=False)

    @property
    def frame_numbers(self) -> list[int] | None:
        """The frame in its file, from 1; None of a single-frame file."""
        return None if self.header.frame is None else [self.header.frame + 1]

    @property
    def is_frame(self) -> bool:
        """Whether it is a frame of a multi-frame object."""
        return str(self.identity.SOPClassUID) in MULTI_FRAME_CLASSES


Sources = Mapping[str, SourceSlice]
"""Slices by `ImageRecord.join_key`."""


def require_highdicom() -> None:
    """Do nothing where highdicom is installed.

    Raises:
        MissingExtraError: it is not; the message names the extra.
    """
    require_package(
        "highdicom",
        where="export",
        package="highdicom, which writes and reads DICOM results",
        extra="dicom",
    )


def source_slices(store: PixelStore, images: Iterable[ImageRecord]) -> dict[str, SourceSlice]:
    """Return the slices of `images` with what results must carry of their headers.

    Raises:
        InputError: an image is no DICOM slice below the scan root, has another size or spacing,
            or it lacks a uid.
    """
    found: dict[str, SourceSlice] = {}
    for image in images:
        header = store.header_of(image)
        if header is None:
            raise _no_slice(image)
        check_agrees(image, header)
        identity = read_identity(store.index.files, header)
        found[image.join_key] = SourceSlice(image, header, identity)
    return found


def series_of(sources: Sources) -> dict[tuple[str, ...], dict[str, SourceSlice]]:
    """Return the slices of each series of each study, in order of first appearance."""
    return _grouped(sources, with_series=True)


def studies_of(sources: Sources) -> dict[tuple[str, ...], dict[str, SourceSlice]]:
    """Return the slices of each study; patients whose study uids were made equal stay apart."""
    return _grouped(sources, with_series=False)


def _grouped(
    sources: Sources, *, with_series: bool
) -> dict[tuple[str, ...], dict[str, SourceSlice]]:
    grouped: dict[tuple[str, ...], dict[str, SourceSlice]] = {}
    for key, source in sources.items():
        header = source.header
        place: tuple[str, ...] = (header.study_uid, header.patient_id)
        place += (header.series_uid,) if with_series else ()
        grouped.setdefault(place, {})[key] = source
    return grouped


def tracking_uid(finding: Finding, sources: Sources, maker: Maker) -> str:
    """Return the uid of a finding: the same in every object made of the same boxes and models."""
    places = [
        (sources[region.image.join_key].header.sop_uid, _rounded(region.box_xyxy))
        for region in finding.regions
    ]
    models = [algorithm.sha256 for algorithm in maker.algorithms]
    return derived_uid(f"tracking/{models}/{places}")


def _rounded(box_xyxy: tuple[float, ...]) -> list[float]:
    return [round(float(side), _BOX_DIGITS) for side in box_xyxy]


def device_uid(maker: Maker) -> str:
    """Return the uid of this version with these models, as a device."""
    models = [(one.role, one.sha256) for one in maker.algorithms]
    return derived_uid(f"device/{PRODUCT}/{maker.version}/{models}")


def serial_number(maker: Maker) -> str:
    """Return 16 hex digits that stand for the models' weights, as a device's serial number."""
    models = "".join(algorithm.sha256 for algorithm in maker.algorithms)
    return sha256(models.encode()).hexdigest()[:16] if models else maker.version


def new_uid() -> UID:
    """Return a uid that nothing else has (PS3.5 B.2)."""
    return generate_uid(prefix=None)


def series_values(maker: Maker, description: str, number: int) -> dict[str, Any]:
    """Return what highdicom's classes take for a new series made by lnmdetect.

    Args:
        maker: names version and models.
        description: what the series shows, ASCII, at most 20 characters: LO has 64, PS3.5 6.2.
        number: added to `FIRST_SERIES_NUMBER`.
    """
    kind = "phantom, " if maker.phantom else ""
    return {
        "series_instance_uid": new_uid(),
        "series_number": FIRST_SERIES_NUMBER + number,
        "manufacturer": PRODUCT,
        "manufacturer_model_name": PRODUCT,
        "software_versions": maker.version,
        "device_serial_number": serial_number(maker),
        "series_description": f"{description} ({kind}{RESEARCH_ONLY.lower()})",
    }


def write_object(made: Dataset, path: Path, *, overwrite: bool = False) -> None:
    """Write a DICOM object under a temporary name and rename it to `path`.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    buffer = BytesIO()
    with quiet_dicom():
        if not all(str(element.value).isascii() for element in made.iterall() if _is_text(element)):
            made.SpecificCharacterSet = UTF8
        made.save_as(buffer, enforce_file_format=True)
    with atomic_output(path, overwrite=overwrite) as stream:
        stream.write(buffer.getbuffer())


def _is_text(element: DataElement) -> bool:
    return element.VR in CUSTOMIZABLE_CHARSET_VR


def _no_slice(image: ImageRecord) -> InputError:
    return InputError(
        f"image {image.image_id}",
        expected="a DICOM slice below the scan root, to which results can refer",
        got="none" if image.sop_instance_uid else "a picture that is no DICOM",
        remedy="Point to the folder of the scans with --scan; for pictures only csv is possible.",
    )
