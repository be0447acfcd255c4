from collections.abc import Callable
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.uid import MRImageStorage, SecondaryCaptureImageStorage

from lnmdetect.io.dicom_header import LeftOut, SliceHeader, looks_like_dicom
from lnmdetect.io.dicom_slices import slices_of
from lnmdetect.io.quiet import quiet_dicom

MakeSlice = Callable[..., Dataset]


def one(dataset: Dataset) -> SliceHeader | LeftOut:
    (entry,) = slices_of(dataset, "file")
    return entry


def header_of(dataset: Dataset) -> SliceHeader:
    entry = one(dataset)
    assert isinstance(entry, SliceHeader)
    return entry


def left_out(dataset: Dataset) -> LeftOut:
    entry = one(dataset)
    assert isinstance(entry, LeftOut)
    return entry


def test_a_ct_image_gives_one_slice(make_slice: MakeSlice) -> None:
    header = header_of(make_slice(2))
    assert (header.file, header.frame, header.sop_uid) == ("file", None, "1.2.1.1.3")
    assert (header.series_uid, header.study_uid) == ("1.2.1.1", "1.2.1")
    assert (header.rows, header.columns) == (4, 6)
    assert header.position == (-10.0, -20.0, 6.0)
    assert header.orientation == (1, 0, 0, 0, 1, 0)
    assert (header.spacing_mm, header.thickness_mm) == ((0.5, 0.4), 3.0)
    assert (header.slope, header.intercept, header.padding) == (1.0, -1024.0, None)


def test_a_header_does_not_show_the_patient(make_slice: MakeSlice) -> None:
    assert "SECRET" not in repr(header_of(make_slice()))


def test_optional_elements_may_be_absent(make_slice: MakeSlice) -> None:
    absent = dict.fromkeys(
        ("SliceThickness", "PatientID", "StudyInstanceUID", "ImageType", "Modality")
    )
    header = header_of(make_slice(**absent))
    assert (header.thickness_mm, header.patient_id) == (None, "")
    assert header.study_uid == header.series_uid


def test_a_thickness_of_zero_is_not_known(make_slice: MakeSlice) -> None:
    assert header_of(make_slice(SliceThickness=0)).thickness_mm is None


def test_a_patient_id_with_a_backslash_is_kept_whole(make_slice: MakeSlice) -> None:
    assert header_of(make_slice(PatientID="A\\B")).patient_id == "A\\B"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"SOPInstanceUID": None}, "SOPInstanceUID, got none"),
        ({"SeriesInstanceUID": None}, "SeriesInstanceUID, got none"),
        ({"Rows": 0}, "Rows of 1 to 8192, got an unusable value"),
        ({"Columns": None}, "Columns of 1 to 8192, got none"),
        ({"Rows": 65535, "Columns": 65535}, "Rows of 1 to 8192, got an unusable value"),
        ({"BitsAllocated": 1}, "BitsAllocated of 8, 16 or 32, got an unusable value"),
        ({"BitsStored": None}, "BitsStored of 1 to BitsAllocated, got none"),
        ({"BitsStored": 20}, "BitsStored of 1 to BitsAllocated, got an unusable value"),
        ({"PixelRepresentation": 2}, "PixelRepresentation of 0 or 1, got an unusable value"),
        ({"SamplesPerPixel": None}, "SamplesPerPixel, got none"),
        ({"PhotometricInterpretation": None}, "PhotometricInterpretation, got none"),
        ({"NumberOfFrames": 3}, "NumberOfFrames of 1 without a position for every frame, got an"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient with three finite mm values, got n"),
        ({"ImagePositionPatient": ""}, "ImagePositionPatient with three finite mm values, got non"),
        ({"ImagePositionPatient": [0, 0]}, "ImagePositionPatient with three finite mm values, go"),
        ({"ImagePositionPatient": [0, 0, "1e300"]}, "ImagePositionPatient with three finite mm va"),
        ({"ImageOrientationPatient": None}, "ImageOrientationPatient with two perpendicular unit"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "ImageOrientationPatient with two perp"),
        ({"ImageOrientationPatient": [2, 0, 0, 0, 2, 0]}, "ImageOrientationPatient with two perp"),
        ({"ImageOrientationPatient": [0] * 6}, "ImageOrientationPatient with two perpendicular"),
        ({"PixelSpacing": None}, "PixelSpacing of 0.01 to 99 mm, got none"),
        ({"PixelSpacing": [0.001, 0.4]}, "PixelSpacing of 0.01 to 99 mm, got an unusable"),
        ({"PixelSpacing": [0, 0.4]}, "PixelSpacing of 0.01 to 99 mm, got an unusable"),
        ({"PixelSpacing": [0.4, -0.4]}, "PixelSpacing of 0.01 to 99 mm, got an unusable"),
        ({"PixelSpacing": [0.4, 1e6]}, "PixelSpacing of 0.01 to 99 mm, got an unusable"),
        ({"RescaleSlope": None}, "RescaleSlope other than 0, at most 1000, got none"),
        ({"RescaleSlope": 0}, "RescaleSlope other than 0, at most 1000, got an unu"),
        ({"RescaleSlope": "1e30"}, "RescaleSlope other than 0, at most 1000, got an unusable"),
        ({"RescaleIntercept": None}, "RescaleIntercept of at most 100000, got none"),
        ({"RescaleIntercept": "-1e9"}, "RescaleIntercept of at most 100000, got an unusable"),
        ({"RescaleType": "MGML"}, "RescaleType of Hounsfield units, got an unusable value"),
    ],
)
def test_a_ct_image_that_lacks_what_a_slice_needs_is_faulty(
    make_slice: MakeSlice, changes: dict[str, Any], expected: str
) -> None:
    entry = left_out(make_slice(**changes))
    assert entry.reason == "faulty"
    assert f"{entry.expected}, got {entry.got}".startswith(expected)


@pytest.mark.parametrize("written", [b"1.5 ", b"two ", b"2 "])
def test_a_number_of_frames_that_is_not_one_is_faulty(
    make_slice: MakeSlice, written: bytes
) -> None:
    dataset = make_slice(NumberOfFrames=1)
    tag = dataset["NumberOfFrames"].tag
    dataset._dict[tag] = RawDataElement(tag, "IS", len(written), written, 0, False, True)
    with quiet_dicom():
        entry = left_out(dataset)
    assert entry.expected.startswith("NumberOfFrames of 1")


@pytest.mark.parametrize("written", [b"NaN\\0\\0 ", b"inf\\0\\0 ", b"DOE^JOHN", b"1e999\\0\\0"])
def test_a_position_that_is_no_number_is_faulty_and_not_quoted(
    make_slice: MakeSlice, written: bytes
) -> None:
    dataset = make_slice()
    element = dataset["ImagePositionPatient"]
    dataset._dict[element.tag] = RawDataElement(
        element.tag, "DS", len(written), written, 0, False, True
    )
    entry = left_out(dataset)
    assert "ImagePositionPatient" in entry.expected
    assert "DOE" not in str(entry)


@pytest.mark.parametrize(
    ("changes", "reason", "got"),
    [
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "secondary capture", "secondary capture"),
        ({"SOPClassUID": MRImageStorage, "Modality": "MR"}, "not CT", "modality MR"),
        ({"SOPClassUID": MRImageStorage, "Modality": "Ann Smith"}, "not CT", "modality unnamed"),
        ({"Modality": "PT"}, "not CT", "another modality in a CT object"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localiser", "a localiser"),
        (
            {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"},
            "colour",
            "a colour image",
        ),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour", "a colour image"),
    ],
)
def test_what_is_no_ct_slice_says_why(
    make_slice: MakeSlice, changes: dict[str, Any], reason: str, got: str
) -> None:
    entry = left_out(make_slice(**changes))
    assert entry.reason == reason
    assert got in entry.got
    assert entry.series_uid == "1.2.1.1"


@pytest.mark.parametrize(
    ("bits", "signed", "value", "limit", "expected"),
    [
        (16, 0, 0, None, (0, 0)),
        (16, 1, -2000, None, (-2000, -2000)),
        (16, 1, -32768, None, (-32768, -32768)),
        (16, 0, 10, 5, (5, 10)),
        (12, 0, 4095, None, (4095, 4095)),
    ],
)
def test_padding_is_what_the_pixels_hold(
    make_slice: MakeSlice,
    bits: int,
    signed: int,
    value: int,
    limit: int | None,
    expected: tuple[int, int],
) -> None:
    dataset = make_slice(BitsStored=bits, PixelRepresentation=signed)
    for keyword, number in (("PixelPaddingValue", value), ("PixelPaddingRangeLimit", limit)):
        if number is not None:
            dataset.add_new(keyword, "SS" if signed else "US", number)
    assert header_of(dataset).padding == expected


def test_signed_padding_written_as_unsigned_is_understood(make_slice: MakeSlice) -> None:
    dataset = make_slice(PixelRepresentation=1)
    dataset.add_new("PixelPaddingValue", "US", 63536)
    assert header_of(dataset).padding == (-2000, -2000)


def test_a_multi_frame_object_gives_a_slice_for_every_frame(make_enhanced: MakeSlice) -> None:
    entries = slices_of(make_enhanced([6.0, 3.0]), "file")
    headers = [entry for entry in entries if isinstance(entry, SliceHeader)]
    assert [header.frame for header in headers] == [0, 1]
    assert [header.sop_uid for header in headers] == ["1.2.1.1.1#1", "1.2.1.1.1#2"]
    assert [header.position[2] for header in headers] == [6.0, 3.0]
    assert [header.intercept for header in headers] == [-1024, -1023]
    assert {header.spacing_mm for header in headers} == {(0.5, 0.4)}


def test_a_frame_group_outweighs_the_shared_one(make_enhanced: MakeSlice) -> None:
    dataset = make_enhanced([0.0, 3.0])
    second = dataset.PerFrameFunctionalGroupsSequence[1]
    second.PixelMeasuresSequence = [Dataset()]
    second.PixelMeasuresSequence[0].PixelSpacing = [0.25, 0.25]
    headers = slices_of(dataset, "file")
    assert isinstance(headers[0], SliceHeader)
    assert isinstance(headers[1], SliceHeader)
    assert (headers[0].spacing_mm, headers[1].spacing_mm) == ((0.5, 0.4), (0.25, 0.25))


def test_a_localiser_frame_is_left_out(make_enhanced: MakeSlice) -> None:
    dataset = make_enhanced([0.0, 3.0])
    frame_type = Dataset()
    frame_type.FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
    dataset.PerFrameFunctionalGroupsSequence[0].CTImageFrameTypeSequence = [frame_type]
    first, second = slices_of(dataset, "file")
    assert isinstance(first, LeftOut)
    assert first.reason == "localiser"
    assert isinstance(second, SliceHeader)


def test_a_multi_frame_object_without_frame_groups_is_faulty(make_enhanced: MakeSlice) -> None:
    entry = left_out(make_enhanced([0.0, 3.0], PerFrameFunctionalGroupsSequence=None))
    assert (entry.reason, entry.got) == ("faulty", "1 of 2")


def test_a_multi_frame_object_with_too_few_groups_is_faulty(make_enhanced: MakeSlice) -> None:
    entry = left_out(make_enhanced([0.0, 3.0], NumberOfFrames=5))
    assert entry.expected == "a functional group for every frame"
    assert entry.got == "2 of 5"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (bytes(128) + b"DICM\x02\x00", True),
        (bytes(128) + b"DICM\x08\x00", True),
        (bytes(128) + b"DICM\x00\x00", False),
        (bytes(128) + b"DICM", False),
        (b"\x08\x00\x05\x00CS", True),
        (b"\x08\x00\x00\x00\x04\x00\x00\x00", True),
        (b"\x08\x00\x99\x00", False),
        (b"", False),
        (b"PK\x03\x04", False),
        (bytes(132), False),
    ],
)
def test_dicom_is_known_by_its_first_bytes(head: bytes, expected: bool) -> None:
    assert looks_like_dicom(head) is expected
