"""Structured reports that others wrote, well or badly."""

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import LYMPH_NODE
from lnmdetect.io.coco import read_coco
from lnmdetect.io.dicom_sr_read import ReadFinding, ReadRegion, ReadSlice, read_report
from lnmdetect.stages.export_coco import CocoRequest, export_coco

SQUARE = [10.0, 20.0, 14.0, 20.0, 14.0, 26.0, 10.0, 26.0, 10.0, 20.0]


def content(kind: str, code: str, *children: Dataset, **values: Any) -> Dataset:
    made = Dataset()
    made.ValueType = kind
    name = Dataset()
    name.CodeValue = code
    made.ConceptNameCodeSequence = DicomSequence([name])
    for keyword, value in values.items():
        setattr(made, keyword, value)
    if children:
        made.ContentSequence = DicomSequence(children)
    return made


def image(uid: str = "1.2.3", frame: int | None = None, *children: Dataset) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPInstanceUID = uid
    if frame is not None:
        reference.ReferencedFrameNumber = frame
    return content("IMAGE", "121112", *children, ReferencedSOPSequence=DicomSequence([reference]))


def number(code: str, value: float) -> Dataset:
    measured = Dataset()
    measured.NumericValue = str(value)
    return content("NUM", code, MeasuredValueSequence=DicomSequence([measured]))


def region(points: list[float], kind: str = "POLYLINE", source: Dataset | None = None) -> Dataset:
    return content("SCOORD", "111030", source or image(), GraphicType=kind, GraphicData=points)


def write(path: Path, *groups: Dataset, library: Dataset | None = None, **values: Any) -> Path:
    report = Dataset()
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    report.SOPInstanceUID, report.StudyInstanceUID = "1.2.9", "1.2.8"
    report.PatientID = "4711"
    parts = [content("CONTAINER", "126010", *groups)]
    report.ContentSequence = DicomSequence([*([library] if library else []), *parts])
    for keyword, value in values.items():
        setattr(report, keyword, value)
    report.save_as(path, enforce_file_format=True)
    return path


def group(*children: Dataset) -> Dataset:
    return content("CONTAINER", "125007", *children)


def library(*values: Dataset) -> Dataset:
    size = (number("110910", 64), number("110911", 48), number("111066", 0.5))
    described = image("1.2.3", None, *size, *values)
    return content("CONTAINER", "111028", content("CONTAINER", "126200", described))


def test_a_group_with_an_outline_alone_is_a_box_of_unknown_status(tmp_path: Path) -> None:
    triangle = [10.0, 20.0, 14.0, 22.0, 9.5, 26.0, 10.0, 20.0]
    report = read_report(write(tmp_path / "sr.dcm", group(region(triangle))))
    box = ReadRegion("1.2.3", (9.5, 20.0, 14.0, 26.0))
    assert report.findings == (ReadFinding("", "", (box,), LYMPH_NODE, None, None, None),)
    assert (report.slices, report.algorithms, report.unread_regions) == ({}, (), 0)


def test_a_frame_is_named_with_its_number(tmp_path: Path) -> None:
    path = write(tmp_path / "sr.dcm", group(region(SQUARE, source=image("1.2.3", 7))))
    assert read_report(path).findings[0].regions[0].sop_uid == "1.2.3#7"


@pytest.mark.parametrize(
    "graphic",
    [
        region([10.0, 20.0], "POINT"),
        region(SQUARE[:8], "ELLIPSE"),
        region([10.0, 20.0, 14.0, 20.0]),
        region([float("nan")] * 10),
        content("SCOORD3D", "111030", GraphicType="POLYGON", GraphicData=[1.0] * 12),
        content("SCOORD", "111030", GraphicType="POLYLINE", GraphicData=SQUARE),
        content("SCOORD", "111030", image()),
    ],
    ids=["point", "ellipse", "flat", "not a number", "3-D", "no image", "no points"],
)
def test_graphics_that_enclose_nothing_on_a_slice_are_counted(
    tmp_path: Path, graphic: Dataset
) -> None:
    report = read_report(write(tmp_path / "sr.dcm", group(graphic), group(region(SQUARE))))
    assert len(report.findings) == 1
    assert report.unread_regions == 1


def test_values_out_of_range_are_not_known(tmp_path: Path) -> None:
    odd = group(region(SQUARE), number("111012", 140), number("111047", -1), number("103340004", 0))
    (finding,) = read_report(write(tmp_path / "sr.dcm", odd)).findings
    assert (finding.score, finding.p_metastatic, finding.short_axis_mm) == (None, None, None)


def test_the_image_library_gives_size_spacing_and_place(tmp_path: Path) -> None:
    place = [number(f"11090{k}", v) for k, v in ((1, -5), (2, -7), (3, 12.5))]
    axes = [number(f"11090{4 + k}", v) for k, v in enumerate((1, 0, 0, 0, 1, 0))]
    shelf = library(number("111026", 0.4), number("112225", 3), *place, *axes)
    report = read_report(write(tmp_path / "sr.dcm", group(region(SQUARE)), library=shelf))
    assert report.slices == {"1.2.3": ReadSlice(64, 48, (0.5, 0.4), 3.0, 12.5)}


@pytest.mark.parametrize("shelf", [None, library(), library(number("111026", 0))])
def test_slices_that_are_not_described_need_the_scan(tmp_path: Path, shelf: Dataset | None) -> None:
    path = write(tmp_path / "sr.dcm", group(region(SQUARE)), library=shelf)
    with pytest.raises(InputError, match=r"sr\.dcm: expected the size .* with --scan"):
        export_coco(CocoRequest((path,), tmp_path / "nodes.json"))


def test_a_box_beyond_its_slice_is_left_out_with_a_note(tmp_path: Path) -> None:
    beyond = [40.0, 20.0, 60.0, 20.0, 60.0, 30.0, 40.0, 30.0, 40.0, 20.0]
    path = write(
        tmp_path / "sr.dcm",
        group(region(SQUARE)),
        group(region(beyond)),
        library=library(number("111026", 0.4)),
    )
    result = export_coco(CocoRequest((path,), tmp_path / "nodes.json"))
    assert (result.boxes, result.images) == (1, 1)
    assert result.notes == ("1 graphic left out: no polyline within a slice",)
    (box,) = read_coco(tmp_path / "nodes.json").annotations
    assert box.box_xyxy == (10, 20, 14, 26)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_group_on_several_slices_is_one_node(tmp_path: Path) -> None:
    size = (number("110910", 64), number("110911", 48), number("111066", 1), number("111026", 1))
    shelf = content(
        "CONTAINER",
        "111028",
        content("CONTAINER", "126200", image("1.2.3", None, *size), image("1.2.4", None, *size)),
    )
    label = content("TEXT", "112039", TextValue="n1")
    node = group(
        label, number("103340004", 8), region(SQUARE), region(SQUARE, "POLYLINE", image("1.2.4"))
    )
    for maker, uid, name in (
        ("lnmdetect", "1.2.77", "n1"),
        ("another", "1.2.77", "1.2.77"),
        ("another", "DOE^JANE", "finding 1"),
    ):
        tracked = group(*node.ContentSequence, content("UIDREF", "112040", UID=uid))
        path = write(tmp_path / "sr.dcm", tracked, library=shelf, Manufacturer=maker)
        export_coco(CocoRequest((path,), tmp_path / "nodes.json", overwrite=True))
        boxes = read_coco(tmp_path / "nodes.json").annotations
        assert [(box.node_id, box.short_axis_mm) for box in boxes] == [(name, 8.0)] * 2


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_the_words_of_another_maker_are_not_taken(tmp_path: Path) -> None:
    said = "lnmdetect detector DOE^JANE"
    words = [content("TEXT", code, TextValue=said) for code in ("112039", "111001", "111002")]
    node = group(*words, content("UIDREF", "112040", UID="DOE^JANE"), region(SQUARE))
    report = read_report(
        write(tmp_path / "sr.dcm", node, group(region(SQUARE, source=image("DOE^JANE"))))
    )
    assert (report.algorithms, report.unread_regions) == ((), 1)
    assert [(one.label, one.tracking_uid) for one in report.findings] == [("", "")]
    assert "DOE" not in repr(report)


def test_what_is_no_report_is_refused_without_its_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("DOE^JANE")
    write(tmp_path / "ct.dcm", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    for name in ("a.txt", "ct.dcm", "missing.dcm"):
        with pytest.raises(InputError, match=r"expected a DICOM structured report") as caught:
            read_report(tmp_path / name)
        assert "DOE" not in str(caught.value)


def test_a_report_without_groups_holds_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "sr.dcm")
    export_coco(CocoRequest((path,), tmp_path / "nodes.json"))
    assert read_coco(tmp_path / "nodes.json").annotations == ()
