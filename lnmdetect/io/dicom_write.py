"""CT series written as DICOM, one CT Image Storage file a slice: same input, same bytes."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from lnmdetect.core.errors import OutputError
from lnmdetect.io.dicom_header import PHANTOM_MAKER

IMPLEMENTATION_UID = UID("2.25.186523794115012733409961238471238821")
RESCALE_INTERCEPT_HU = -1024
FIXED_DATE, FIXED_TIME = "20000101", "120000"
"""Series made here carry no real date, so that the same input gives the same bytes."""


@dataclass(frozen=True)
class CtSeriesMeta:
    """What a series needs besides its voxels.

    Attributes:
        seed: text that all UIDs are derived from; two series need two seeds.
        patient_id, patient_name: of a phantom or a pseudonym, never of a person.
        spacing_mm: (z, row, column). thickness_mm: nominal slice thickness.
        origin_mm: ImagePositionPatient of the first slice: x, y, z of its first voxel's centre.
        orientation: ImageOrientationPatient.
        normal: direction in which the slices follow each other.
        head_first_files: number the files from the head down instead of from the feet up.
    """

    seed: str
    patient_id: str
    patient_name: str
    spacing_mm: tuple[float, float, float]
    thickness_mm: float
    origin_mm: tuple[float, float, float]
    description: str = "Phantom neck"
    study_seed: str | None = None
    orientation: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    head_first_files: bool = False

    @property
    def normal(self) -> NDArray[np.float64]:
        """The unit vector along which slices follow each other."""
        return np.cross(self.orientation[:3], self.orientation[3:])


@dataclass(frozen=True)
class WrittenSlice:
    """One file of a written series: its SOP instance uid, position along the normal, and path."""

    sop_instance_uid: str
    position_mm: float
    path: Path


def derived_uid(text: str) -> str:
    """Return a UID made from `text` (PS3.5 B.2: 2.25 and a 128-bit integer)."""
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"


def write_ct_series(
    voxels_hu: NDArray[np.int16],
    folder: Path,
    meta: CtSeriesMeta,
    *,
    only: Collection[int] | None = None,
) -> tuple[WrittenSlice, ...]:
    """Return the files written for a series, in the order of the voxels.

    Args:
        voxels_hu: (slices, rows, columns) int16 HU of -1024 or more, ordered along the normal.
        folder: made if absent; files are named IM0001.dcm and on.
        meta: geometry, identity and the seed of the UIDs.
        only: indices of the slices to write; None writes all.

    Raises:
        ValueError: the voxels are not a volume of int16, or lie below -1024 HU.
        OutputError: the folder cannot be written.
    """
    if voxels_hu.ndim != 3 or voxels_hu.dtype != np.int16:
        raise ValueError(
            "voxels: expected (slices, rows, columns) int16, "
            f"got {voxels_hu.shape} {voxels_hu.dtype}"
        )
    if voxels_hu.size and int(voxels_hu.min()) < RESCALE_INTERCEPT_HU:
        raise ValueError(f"voxels: expected HU of -1024 or more, got {int(voxels_hu.min())}")
    try:
        chosen = range(len(voxels_hu)) if only is None else sorted(only)
        return tuple(_written(voxels_hu, folder, meta, chosen))
    except OSError as error:
        raise OutputError(
            folder.name,
            expected="a folder that can be written",
            got=error.strerror or type(error).__name__,
            remedy="Choose another --output, or free the disk.",
        ) from None


def _written(
    voxels_hu: NDArray[np.int16], folder: Path, meta: CtSeriesMeta, chosen: Iterable[int]
) -> Iterator[WrittenSlice]:
    folder.mkdir(parents=True, exist_ok=True)
    for index in chosen:
        number = len(voxels_hu) - index if meta.head_first_files else index + 1
        position = np.asarray(meta.origin_mm) + index * meta.spacing_mm[0] * meta.normal
        dataset = _slice_dataset(voxels_hu[index], meta, number, position)
        path = folder / f"IM{number:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        yield WrittenSlice(str(dataset.SOPInstanceUID), float(position @ meta.normal), path)


def _slice_dataset(
    slice_hu: NDArray[np.int16], meta: CtSeriesMeta, number: int, position: NDArray[np.float64]
) -> FileDataset:
    sop_uid = derived_uid(f"{meta.seed}/image/{number}")
    dataset = FileDataset("", {}, file_meta=_file_meta(sop_uid), preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, sop_uid
    _add_patient_and_study(dataset, meta)
    _add_series_and_frame(dataset, meta)
    _add_plane(dataset, meta, number, position)
    _add_pixels(dataset, slice_hu)
    return dataset


def _file_meta(sop_uid: str) -> FileMetaDataset:
    header = FileMetaDataset()
    header.MediaStorageSOPClassUID = CTImageStorage
    header.MediaStorageSOPInstanceUID = UID(sop_uid)
    header.TransferSyntaxUID = ExplicitVRLittleEndian
    header.ImplementationClassUID = IMPLEMENTATION_UID
    return header


def _add_patient_and_study(dataset: Dataset, meta: CtSeriesMeta) -> None:
    """Add PS3.3 C.7.1.1 and C.7.2.1; type 2 attributes that nobody knows stay empty."""
    dataset.PatientName, dataset.PatientID = meta.patient_name, meta.patient_id
    dataset.PatientBirthDate, dataset.PatientSex = "", ""
    dataset.StudyInstanceUID = derived_uid(f"{meta.study_seed or meta.seed}/study")
    dataset.StudyDate, dataset.StudyTime = FIXED_DATE, FIXED_TIME
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "", ""
    dataset.StudyID = "1"


def _add_series_and_frame(dataset: Dataset, meta: CtSeriesMeta) -> None:
    """Add PS3.3 C.7.3.1, C.7.4.1 and C.7.5.1."""
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = derived_uid(f"{meta.seed}/series")
    dataset.SeriesNumber, dataset.SeriesDescription = 1, meta.description
    dataset.SeriesDate, dataset.SeriesTime = FIXED_DATE, FIXED_TIME
    dataset.PatientPosition, dataset.BodyPartExamined = "HFS", "NECK"
    dataset.FrameOfReferenceUID = derived_uid(f"{meta.study_seed or meta.seed}/frame")
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer, dataset.ManufacturerModelName = PHANTOM_MAKER


def _decimals(values: Sequence[float]) -> list[str]:
    return [f"{float(value):.6f}".rstrip("0").rstrip(".") or "0" for value in values]


def _add_plane(
    dataset: Dataset, meta: CtSeriesMeta, number: int, position: NDArray[np.float64]
) -> None:
    """Add PS3.3 C.7.6.1, C.7.6.2 and C.8.2.1."""
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    dataset.InstanceNumber, dataset.AcquisitionNumber = number, 1
    dataset.ContentDate, dataset.ContentTime = FIXED_DATE, FIXED_TIME
    dataset.PatientOrientation = (
        ["L", "P"] if np.allclose(meta.orientation, (1, 0, 0, 0, 1, 0)) else ""
    )
    dataset.PixelSpacing = _decimals(meta.spacing_mm[1:])
    dataset.ImageOrientationPatient = _decimals(meta.orientation)
    dataset.ImagePositionPatient = _decimals(position.tolist())
    dataset.SliceThickness = _decimals([meta.thickness_mm])[0]
    dataset.SliceLocation = _decimals([float(position @ meta.normal)])[0]
    dataset.KVP = ""


def _add_pixels(dataset: Dataset, slice_hu: NDArray[np.int16]) -> None:
    """Add PS3.3 C.7.6.3 and the rescale of C.8.2.1."""
    stored = (slice_hu.astype(np.int32) - RESCALE_INTERCEPT_HU).astype("<i2")
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = slice_hu.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = (
        str(RESCALE_INTERCEPT_HU),
        "1",
        "HU",
    )
    dataset.WindowCenter, dataset.WindowWidth = "40", "400"
    dataset.PixelData = stored.tobytes()
