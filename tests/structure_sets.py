"""RT Structure Sets written for tests, with a canary in what people write."""

from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, RTStructureSetStorage

from lnmdetect.io.dicom_write import derived_uid

Contours = Sequence[tuple[str, Sequence[Sequence[float]]]]
"""Names of structures and their contours, x, y, z of each point after the other."""


def write_rtstruct(
    path: Path, structures: Contours, *, series: str, kind: str = "CLOSED_PLANAR"
) -> Path:
    """Write a structure set of the series with contours of one kind and return its path."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = UID(derived_uid("rtstruct"))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stored = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    stored.SOPClassUID, stored.SOPInstanceUID = RTStructureSetStorage, derived_uid("rtstruct")
    stored.PatientName, stored.PatientID = "Canary^Yellow", "Canary 7"
    stored.StructureSetLabel = "Canary"
    referenced = Dataset()
    referenced.SeriesInstanceUID = series
    study = Dataset()
    study.RTReferencedSeriesSequence = [referenced]
    place = Dataset()
    place.RTReferencedStudySequence = [study]
    stored.ReferencedFrameOfReferenceSequence = [place]
    stored.StructureSetROISequence, stored.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(structures, start=1):
        roi = Dataset()
        roi.ROINumber, roi.ROIName = number, name
        stored.StructureSetROISequence.append(roi)
        drawn = Dataset()
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = [contour(points, kind) for points in contours]
        stored.ROIContourSequence.append(drawn)
    stored.save_as(path, enforce_file_format=True)
    return path


def contour(points: Sequence[float], kind: str) -> Dataset:
    made = Dataset()
    made.ContourGeometricType = kind
    made.NumberOfContourPoints = len(points) // 3
    made.ContourData = [f"{value:.6f}".rstrip("0").rstrip(".") or "0" for value in points]
    return made
