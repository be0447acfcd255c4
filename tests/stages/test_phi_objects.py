"""Which of a scan's header DICOM results carry: an exact list, for each kind of object."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from lnmdetect.stages.export import ExportRequest, export
from tests.canary import (
    CANARY,
    DATE,
    FOREIGN,
    NAME,
    NUMBER,
    TIME,
    holders,
    identity_of,
    patient_id,
    plant_all,
)
from tests.dicom_results import write_nodes

pytest.importorskip("highdicom")

IDENTITY = {
    "PatientName": NAME,
    "PatientID": patient_id("P0"),
    "PatientBirthDate": DATE,
    "ReferringPhysicianName": NAME,
    "StudyDate": DATE,
    "StudyTime": TIME,
    "StudyID": f"{CANARY}N",
    "AccessionNumber": f"{CANARY}N",
}
"""What the modules Patient and General Study ask for, type 1 and 2 (PS3.3 C.7.1.1, C.7.2.1)."""
COMMON = {
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "Modality", "InstanceNumber"),
    *("StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription"),
    *("InstanceCreationDate", "InstanceCreationTime", "ContributingEquipmentSequence"),
    "PatientSex",
    *IDENTITY,
    *("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"),
}
REPORT = {
    *("CompletionFlag", "ConceptNameCodeSequence", "ContentSequence", "ContentTemplateSequence"),
    *("ContinuityOfContent", "CurrentRequestedProcedureEvidenceSequence", "PreliminaryFlag"),
    *("PerformedProcedureCodeSequence", "ReferencedPerformedProcedureStepSequence", "ValueType"),
    *("VerificationFlag", "ContentDate", "ContentTime"),
}
PICTURE = {
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"),
    *("Rows", "Columns", "PhotometricInterpretation", "ImageType", "PixelData"),
    *("ContentDate", "ContentTime", "SourceImageSequence"),
}
CARRIED: dict[str, set[str]] = {
    "sr": REPORT,
    "enhanced": REPORT,
    "seg": PICTURE
    | {
        *("ContentDescription", "ContentLabel", "DimensionIndexSequence", "NumberOfFrames"),
        *("DimensionOrganizationSequence", "FrameOfReferenceUID", "LossyImageCompression"),
        *("PerFrameFunctionalGroupsSequence", "PositionReferenceIndicator", "SegmentsOverlap"),
        *("PresentationLUTShape", "ReferencedSeriesSequence", "SegmentSequence"),
        *("SegmentationType", "SharedFunctionalGroupsSequence"),
    },
    "gsps": {
        *("BodyPartExamined", "ContentCreatorName", "ContentDescription", "ContentLabel"),
        *("DisplayedAreaSelectionSequence", "GraphicAnnotationSequence", "GraphicLayerSequence"),
        *("PresentationCreationDate", "PresentationCreationTime", "PresentationLUTShape"),
        *("ReferencedSeriesSequence", "RescaleIntercept", "RescaleSlope", "RescaleType"),
        "SoftcopyVOILUTSequence",
    },
    "sc": PICTURE
    | {
        *("BodyPartExamined", "BurnedInAnnotation", "ConversionType", "DateOfSecondaryCapture"),
        *("DerivationDescription", "PatientOrientation", "PlanarConfiguration"),
        "TimeOfSecondaryCapture",
    },
}
"""What each kind of object has at its top level beside `COMMON`."""
META = {
    *("FileMetaInformationGroupLength", "FileMetaInformationVersion", "MediaStorageSOPClassUID"),
    *("MediaStorageSOPInstanceUID", "TransferSyntaxUID", "ImplementationClassUID"),
    "ImplementationVersionName",
}


@pytest.fixture(scope="module")
def nodes(toy_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nodes file with masks over planted slices of one patient."""
    folder = tmp_path_factory.mktemp("objects")
    written = write_nodes(toy_data, folder, masks=True)
    shutil.copytree(toy_data / "scan" / "p0", folder / "scan" / "P0")
    plant_all(folder / "scan")
    data = json.loads(written.read_text())
    data["info"]["scan_root"] = "scan"
    written.write_text(json.dumps(data))
    return written


def exported(nodes: Path, kind: str, folder: Path) -> Path:
    arguments: dict[str, Any] = {"sr": "enhanced"} if kind == "enhanced" else {}
    name: Any = "sr" if kind == "enhanced" else kind
    return export(ExportRequest(nodes, name, folder / f"{kind}.dcm", **arguments)).outputs[0]


@pytest.mark.parametrize("kind", CARRIED)
def test_an_object_has_the_elements_of_its_kind_and_no_other(
    nodes: Path, tmp_path: Path, kind: str
) -> None:
    made = dcmread(exported(nodes, kind, tmp_path))
    assert {element.keyword for element in made} == COMMON | CARRIED[kind]
    assert {element.keyword for element in made.file_meta} == META
    assert made.preamble == bytes(128)
    assert [element.tag for element in made.iterall() if element.tag.is_private] == []


@pytest.mark.parametrize("kind", CARRIED)
def test_an_object_says_of_the_patient_and_the_study_who_they_are_and_no_more(
    nodes: Path, tmp_path: Path, kind: str
) -> None:
    path = exported(nodes, kind, tmp_path)
    assert identity_of(path) == IDENTITY
    raw = path.read_bytes()
    texts = [value for value in IDENTITY.values() if value.startswith(CANARY)]
    counts = [raw.count(secret.encode()) for secret in (CANARY, DATE, TIME)]
    assert counts == [len(texts), 2, 1]
    assert (NUMBER.encode() in raw, FOREIGN.encode() in raw) == (False, True)
    assert holders(tmp_path) == {}
