"""Tiny real DICOM files: 4 rows, 6 columns, every value known."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

ROWS, COLUMNS, STEP_MM = 4, 6, 3.0
SECRET = "SECRET^PATIENT"
MakeSlice = Callable[..., Dataset]
WriteSeries = Callable[..., list[Path]]


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LNMDETECT_KEY_FILE", str(tmp_path / "key" / "pseudonym.key"))


def stored_values(index: int) -> ArrayLike:
    """0 .. 23 plus ten times the slice's index, so that every slice differs."""
    return np.arange(ROWS * COLUMNS, dtype=np.uint16).reshape(ROWS, COLUMNS) + 1000 + 10 * index


def ct_slice(index: int = 0, *, series: int = 1, study: int = 1, **changes: Any) -> Dataset:
    """One CT image at z = 3 mm x index; `changes` set elements, None deletes one."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"1.2.{study}.{series}.{index + 1}"
    dataset.SeriesInstanceUID = f"1.2.{study}.{series}"
    dataset.StudyInstanceUID = f"1.2.{study}"
    dataset.PatientID = f"{SECRET}-{study}"
    dataset.PatientName = SECRET
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 0
    dataset.PixelSpacing = [0.5, 0.4]
    dataset.SliceThickness = 3.0
    dataset.ImagePositionPatient = [-10.0, -20.0, STEP_MM * index]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    set_pixels(dataset, stored_values(index))
    change(dataset, changes)
    return dataset


def set_pixels(dataset: Dataset, values: ArrayLike) -> None:
    dataset.PixelData = np.ascontiguousarray(values).tobytes()
    dataset["PixelData"].VR = "OW"


def change(dataset: Dataset, changes: Mapping[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of the changes are invalid on purpose
        for keyword, value in changes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)


def enhanced_ct(positions_mm: Sequence[float], **changes: Any) -> Dataset:
    """One multi-frame CT object; frame i holds the values of slice i, in the order given."""
    dataset = ct_slice(0)
    dataset.SOPClassUID = EnhancedCTImageStorage
    dataset.NumberOfFrames = len(positions_mm)
    moved = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")
    for keyword in (*moved, "RescaleSlope", "RescaleIntercept"):
        delattr(dataset, keyword)
    shared = Dataset()
    shared.PixelMeasuresSequence = _one(PixelSpacing=[0.5, 0.4], SliceThickness=3.0)
    shared.PlaneOrientationSequence = _one(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    dataset.SharedFunctionalGroupsSequence = DicomSequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence(
        [_frame(index, position) for index, position in enumerate(positions_mm)]
    )
    set_pixels(dataset, np.stack([stored_values(i) for i in range(len(positions_mm))]))
    change(dataset, changes)
    return dataset


def _frame(index: int, position_mm: float) -> Dataset:
    groups = Dataset()
    groups.PlanePositionSequence = _one(ImagePositionPatient=[-10.0, -20.0, position_mm])
    groups.PixelValueTransformationSequence = _one(
        RescaleSlope=1, RescaleIntercept=-1024 + index, RescaleType="HU"
    )
    return groups


def _one(**elements: Any) -> DicomSequence:
    item = Dataset()
    change(item, elements)
    return DicomSequence([item])


def save(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    implicit = dataset.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=True)
    return path


@pytest.fixture
def make_slice() -> MakeSlice:
    return ct_slice


@pytest.fixture
def make_enhanced() -> MakeSlice:
    return enhanced_ct


@pytest.fixture
def save_dicom() -> Callable[[Dataset, Path], Path]:
    return save


@pytest.fixture
def write_series(tmp_path: Path) -> WriteSeries:
    """A function that writes slices 0 .. count - 1 under names in falling order."""

    def write(
        folder: str = "scan",
        count: int = 5,
        *,
        each: Mapping[int, Mapping[str, Any]] | None = None,
        **common: Any,
    ) -> list[Path]:
        series = common.get("series", 1)
        return [
            save(
                ct_slice(index, **{**common, **(each or {}).get(index, {})}),
                tmp_path / folder / f"s{series}_IM{count - index:03d}",
            )
            for index in range(count)
        ]

    return write
