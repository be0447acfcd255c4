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

from lnmdetect.io.figures_inline import inline_svg
from lnmdetect.io.report_pictures import picture_uri
from lnmdetect.io.report_view import (
    Browser,
    ChecklistItem,
    Fact,
    FigureRow,
    FigureTable,
    Plot,
    ReportView,
    Section,
    SliceBox,
    SliceView,
    Table,
)

SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" width="9pt" height="9pt">
<path d="M 0 0 L 9 9" style="fill: none; stroke: #000000"/></svg>"""
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


@pytest.fixture
def report_view() -> ReportView:
    """A whole report: two patients, six slices, a figure, tables, and text that must be escaped."""
    rows = (
        FigureRow("AP50", "0.742", "0.701 to 0.781", n="219"),
        FigureRow("AUC", "0.871", "", "0.83 to 0.90 (DeLong)", "195", "none: a single patient"),
        FigureRow("Specificity", "undefined", reason="no patient without a metastatic node"),
    )
    table = FigureTable("Headline <figures>", rows)
    levels = Table("By level", ("Level", "n"), (("II", "40"), ("IV", "10")))
    drawn = Plot("ROC", inline_svg(SVG, name="roc", description="A curve"), "Band: 95 %.")
    missing = Plot("FROC", "", "", "the boxes carry no score")
    return ReportView(
        title="Evaluation of lymph nodes",
        lead="2 patients & 6 slices.",
        phantom=True,
        facts=(Fact("Truth", "truth.json, SHA-256 " + "ab" * 32),),
        notes=("A note.",),
        headline=table,
        sections=(
            Section("detection", "Detection", "In words.", (drawn, missing), (table,)),
            Section("groups", "Groups", tables=(levels,)),
        ),
        browser=Browser(tuple(report_slice(k) for k in range(6)), available=9),
        checklist=(
            ChecklistItem("1", "1", "Title"),
            ChecklistItem("10", "19", "Sample size", "Two."),
            ChecklistItem("12e", "", "Measures", "AP50", complete=False),
        ),
    )


def report_slice(index: int) -> SliceView:
    """Slice `index`: a missed node 10 + index mm long, and one false positive or a hit."""
    grey = np.full((40, 60), 40 * index, np.uint8)
    kind = ("background", "hit", "duplicate")[index % 3]
    boxes = (
        SliceBox(5.0, 6.0, 7.0, 8.0, "truth", "missed", "benign", None, None, "", 10.0 + index),
        SliceBox(9.0, 9.0, 4.0, 4.0, "found", kind, "metastatic", 0.9, 0.8, "4 x 4 mm", 0.9),
    )
    picture = picture_uri(grey, (0.5, 0.5))
    patient = f"p-{index % 2}"
    return SliceView(patient, f"1.2.{index}", f"slice {index}", -index, picture, 30, 20, boxes)
