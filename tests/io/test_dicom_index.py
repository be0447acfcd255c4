import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    RLELossless,
)

from lnmdetect.io.dicom_index import index_dicom

MakeSlice = Callable[..., Dataset]
Save = Callable[[Dataset, Path], Path]
WriteSeries = Callable[..., list[Path]]


def test_slices_are_found_in_a_nested_and_mixed_folder(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series("scan/a/b", 2, study=1)
    write_series("scan/c", 1, study=2)
    (tmp_path / "scan" / "notes.txt").write_text("hello")
    (tmp_path / "scan" / "empty.dcm").touch()
    index = index_dicom(tmp_path / "scan")
    assert [header.file for header in index.slices] == [
        "a/b/s1_IM001",
        "a/b/s1_IM002",
        "c/s1_IM001",
    ]
    assert index.unrelated == ("empty.dcm", "notes.txt")
    assert index.left_out == ()


def test_implicit_vr_is_read(tmp_path: Path, make_slice: MakeSlice, save_dicom: Save) -> None:
    dataset = make_slice()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    save_dicom(dataset, tmp_path / "scan" / "a")
    (header,) = index_dicom(tmp_path / "scan").slices
    assert (header.position, header.transfer_syntax) == ((-10, -20, 0), ImplicitVRLittleEndian)


def test_a_data_set_without_preamble_is_read(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save
) -> None:
    dataset = make_slice()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    path = save_dicom(dataset, tmp_path / "scan" / "a")
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"\x08\x00\x08\x00") :])
    (header,) = index_dicom(tmp_path / "scan").slices
    assert (header.sop_uid, header.transfer_syntax) == ("1.2.1.1.1", ImplicitVRLittleEndian)


def test_a_dicomdir_is_passed_over(tmp_path: Path, make_slice: MakeSlice, save_dicom: Save) -> None:
    directory = make_slice(SOPClassUID=MediaStorageDirectoryStorage)
    save_dicom(directory, tmp_path / "scan" / "DICOMDIR")
    index = index_dicom(tmp_path / "scan")
    assert (index.slices, index.left_out, index.unrelated) == ((), (), ("DICOMDIR",))


@pytest.mark.parametrize(
    ("kept", "got"),
    [
        (-1, "with 47 of 48 pixel data bytes"),
        (-48, "with 0 of 48 pixel data bytes"),
        (-60, "before its pixel data"),
    ],
)
def test_a_file_cut_short_is_faulty_before_its_pixels_are_read(
    tmp_path: Path, write_series: WriteSeries, kept: int, got: str
) -> None:
    (path,) = write_series(count=1)
    path.write_bytes(path.read_bytes()[:kept])
    (entry,) = index_dicom(tmp_path / "scan").left_out
    assert (entry.reason, entry.series_uid) == ("faulty", "1.2.1.1")
    assert entry.expected == "a complete file"
    assert got in entry.got


def test_a_file_of_zeros_behind_its_magic_word_is_not_read_through(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "a").write_bytes(bytes(128) + b"DICM" + bytes(30_000_000))
    started = time.monotonic()
    (entry,) = index_dicom(tmp_path / "scan").left_out
    assert entry.got == "an unreadable header"
    assert time.monotonic() - started < 1


def test_every_cut_of_a_file_is_either_faulty_or_no_dicom(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    (path,) = write_series(count=1)
    content = path.read_bytes()
    says_ct = content.index(CTImageStorage.encode() + b"\0") + 26
    for length in range(len(content)):
        path.write_bytes(content[:length])
        index = index_dicom(tmp_path / "scan")
        assert index.slices == ()
        reason = "faulty" if length >= says_ct else "unreadable"
        assert [entry.reason for entry in index.left_out] == [reason] * (length >= 132)
        assert bool(index.unrelated) is (length < 132)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless])
def test_every_cut_of_compressed_pixels_is_seen_before_they_are_read(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save, syntax: UID
) -> None:
    dataset = make_slice()
    dataset.compress(syntax, generate_instance_uid=False)
    path = save_dicom(dataset, tmp_path / "scan" / "a")
    assert len(index_dicom(tmp_path / "scan").slices) == 1
    content = path.read_bytes()
    start = content.index(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff") + 12
    for length in range(start, len(content) - 7):
        path.write_bytes(content[:length])
        index = index_dicom(tmp_path / "scan")
        assert [entry.reason for entry in index.left_out] == ["faulty"]
        assert index.left_out[0].got == "one cut short within its compressed pixel data"


def test_fragments_of_a_foreign_tag_or_beyond_the_end_are_faulty(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save
) -> None:
    dataset = make_slice()
    dataset.compress(RLELossless, generate_instance_uid=False)
    path = save_dicom(dataset, tmp_path / "scan" / "a")
    content = path.read_bytes()
    item = content.rindex(b"\xfe\xff\x00\xe0")
    for damaged in (b"\xfe\xff\x01\xe0", b"\xfe\xff\x00\xe0\xff\xff\xff\x7f"):
        path.write_bytes(content[:item] + damaged + content[item + len(damaged) :])
        (entry,) = index_dicom(tmp_path / "scan").left_out
        assert (entry.reason, entry.expected) == ("faulty", "a complete file")


def test_pixel_data_shorter_than_the_image_are_faulty_though_the_file_goes_on(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save
) -> None:
    dataset = make_slice(PixelData=bytes(40))
    dataset["PixelData"].VR = "OW"
    dataset.DataSetTrailingPadding = bytes(100)
    save_dicom(dataset, tmp_path / "scan" / "a")
    (entry,) = index_dicom(tmp_path / "scan").left_out
    assert entry.got == "one cut short, with 40 of 48 pixel data bytes"


def test_pixels_in_floating_point_are_faulty(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save
) -> None:
    dataset = make_slice(PixelData=None, BitsAllocated=32, BitsStored=32, HighBit=31)
    dataset.FloatPixelData = bytes(96)
    save_dicom(dataset, tmp_path / "scan" / "a")
    (entry,) = index_dicom(tmp_path / "scan").left_out
    assert entry.got == "one without pixel data in whole numbers"


def test_other_kinds_of_image_are_not_held_to_their_pixels(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save
) -> None:
    path = save_dicom(
        make_slice(SOPClassUID=MRImageStorage, Modality="MR"), tmp_path / "scan" / "a"
    )
    path.write_bytes(path.read_bytes()[:-40])
    assert [entry.reason for entry in index_dicom(tmp_path / "scan").left_out] == ["not CT"]


def test_progress_counts_the_files(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(count=3)
    seen: list[tuple[int, int]] = []
    index_dicom(tmp_path / "scan", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_reading_prints_and_warns_nothing_about_the_patient(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save, capfd: pytest.CaptureFixture[str]
) -> None:
    dataset = make_slice(SeriesInstanceUID="SECRET^UID", PatientID="SECRET" * 20)
    save_dicom(dataset, tmp_path / "scan" / "a")
    index_dicom(tmp_path / "scan")
    assert capfd.readouterr() == ("", "")
