"""What results take from a slice's header, and results on frames of multi-frame objects."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import pytest
from pydicom import Dataset, dcmread

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import CocoDataset, NodeAnnotation
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.dicom_derived import source_slices
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.stages.export import ExportRequest, export
from lnmdetect.stages.export_coco import CocoRequest, export_coco
from tests.dicom_results import INFO, errors_of, needs_dciodvfy

MakeSlice = Callable[..., Dataset]
Save = Callable[[Dataset, Path], Path]
KINDS = ("sr", "gsps", "sc")


def identity(folder: Path) -> Dataset:
    store = PixelStore(folder)
    images = store.dicom_images(b"a key of sixteen")
    return next(iter(source_slices(store, images).values())).identity


def test_only_the_named_elements_are_taken(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save
) -> None:
    made = make_slice(FrameOfReferenceUID="1.2.7", StudyDescription="x", InstitutionName="y")
    save_dicom(made, tmp_path / "1.dcm")
    taken = identity(tmp_path)
    assert {element.keyword for element in taken} == {
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "ReferringPhysicianName"),
        *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
        *("SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID", "Modality"),
        *("FrameOfReferenceUID", "PositionReferenceIndicator", "Rows", "Columns", "PixelSpacing"),
        *("ImagePositionPatient", "ImageOrientationPatient", "SliceThickness"),
        *("RescaleSlope", "RescaleIntercept", "RescaleType"),
        *("SamplesPerPixel", "PhotometricInterpretation"),
    }
    assert (taken.PixelSpacing, taken.SliceThickness) == ([0.5, 0.4], 3)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"PatientBirthDate": "19570230"}, ""),
        ({"PatientBirthDate": "19570228"}, "19570228"),
        ({"StudyTime": "2460"}, ""),
        ({"StudyTime": "235959.123456"}, "235959.123456"),
        ({"StudyTime": "07"}, "07"),
        ({"PatientSex": "f"}, "F"),
        ({"PatientSex": "X"}, ""),
        ({"StudyID": "S" * 16}, "S" * 16),
        ({"StudyID": "S" * 17}, ""),
        ({"AccessionNumber": "A\x1b\x07B"}, "AB"),
    ],
)
def test_values_are_kept_where_their_kind_allows_them(
    tmp_path: Path,
    make_slice: MakeSlice,
    save_dicom: Save,
    values: dict[str, str],
    expected: str,
) -> None:
    save_dicom(make_slice(**values), tmp_path / "1.dcm")
    (keyword,) = values
    assert str(identity(tmp_path)[keyword].value or "") == expected


@pytest.mark.parametrize("patient_id", ["P" * 65, "PPP\n1", "PPP\\1"])
def test_a_patient_id_that_no_object_may_carry_is_refused_unnamed(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save, patient_id: str
) -> None:
    save_dicom(make_slice(PatientID=patient_id), tmp_path / "1.dcm")
    with pytest.raises(InputError, match="expected a PatientID of at most 64") as caught:
        identity(tmp_path)
    assert "PPP" not in str(caught.value)


@pytest.fixture
def frames(tmp_path: Path, make_enhanced: MakeSlice, save_dicom: Save) -> Path:
    """Boxes on two frames of a multi-frame CT object."""
    save_dicom(make_enhanced([0.0, 3.0, 6.0], FrameOfReferenceUID="1.2.7"), tmp_path / "scan" / "1")
    images = PixelStore(tmp_path / "scan").dicom_images(b"a key of sixteen")
    nodes = tuple(NodeAnnotation(k, k, 1, (0.5, 0.5, 4.5, 3.5), score=0.9) for k in (1, 3))
    write_coco(CocoDataset({**INFO, "scan_root": "scan"}, images, nodes), tmp_path / "nodes.json")
    return tmp_path / "nodes.json"


def exported(nodes: Path, kind: Any) -> tuple[Path, ...]:
    return export(ExportRequest(nodes, kind, nodes.with_name(f"{kind}.dcm"))).outputs


def test_results_refer_to_the_frames(frames: Path) -> None:
    groups: Any = highdicom.sr.srread(exported(frames, "sr")[0]).content
    references = [
        group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber
        for group in groups.get_planar_roi_measurement_groups()
    ]
    # The frames differ in their intercept: one presentation state cannot show both.
    states = [dcmread(path) for path in exported(frames, "gsps")]
    assert [state.RescaleIntercept for state in states] == [-1024, -1022]
    drawn = [
        part.ReferencedImageSequence[0].ReferencedFrameNumber
        for state in states
        for part in state.GraphicAnnotationSequence
    ]
    pictures = [dcmread(path) for path in exported(frames, "sc")]
    shown = [made.SourceImageSequence[0].ReferencedFrameNumber for made in pictures]
    assert references == drawn == shown == [1, 3]


def test_boxes_on_frames_come_back_without_the_scan(frames: Path, tmp_path: Path) -> None:
    export_coco(CocoRequest(exported(frames, "sr"), tmp_path / "back.json"))
    back, original = read_coco(tmp_path / "back.json"), read_coco(frames)
    marked = [image for image in original.images if image.image_id in (1, 3)]
    assert [image.sop_instance_uid for image in back.images] == [
        image.sop_instance_uid for image in marked
    ]
    for image, expected in zip(back.images, marked, strict=True):
        assert image.sop_instance_uid.endswith(("#1", "#3"))
        for name in ("width", "height", "spacing_mm", "thickness_mm", "position_mm", "series"):
            assert getattr(image, name) == getattr(expected, name)
    assert {box.box_xyxy for box in back.annotations} == {(0.5, 0.5, 4.5, 3.5)}


def test_boxes_on_frames_come_back_with_the_scan(frames: Path, tmp_path: Path) -> None:
    reports = exported(frames, "sr")
    export_coco(CocoRequest(reports, tmp_path / "back.json", scan=tmp_path / "scan"))
    back = read_coco(tmp_path / "back.json")
    assert [image.slice_index for image in back.images] == [0, 2]
    assert {box.box_xyxy for box in back.annotations} == {(0.5, 0.5, 4.5, 3.5)}


@pytest.mark.server
@needs_dciodvfy
@pytest.mark.parametrize("kind", KINDS)
def test_dciodvfy_finds_no_error_in_results_on_frames(frames: Path, kind: str) -> None:
    assert errors_of(exported(frames, kind)[0]) == ""
