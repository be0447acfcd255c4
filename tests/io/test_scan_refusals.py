import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import JPEGLSLossless, SecondaryCaptureImageStorage

from lnmdetect.core.errors import InputError, MissingExtraError
from lnmdetect.io import dicom_pixels, scan_checks
from lnmdetect.io.scan_source import ScanSource, open_source

MakeSlice = Callable[..., Dataset]
Save = Callable[[Dataset, Path], Path]
WriteSeries = Callable[..., list[Path]]


def depths(source: ScanSource) -> list[int]:
    return [len(scan.images) for scan in source.scans]


def test_a_damaged_zip_entry_is_refused_by_name(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save
) -> None:
    dataset = make_slice(Rows=200, Columns=100)
    dataset.PixelData = bytes(39_000) + b"\xab" * 1000
    save_dicom(dataset, tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        archive.write(tmp_path / "a", "deep/a")
    content = (tmp_path / "scan.zip").read_bytes()
    (tmp_path / "scan.zip").write_bytes(content.replace(b"\xab" * 1000, b"\xac" * 1000))
    (handle,) = open_source(tmp_path / "scan.zip").scans
    with pytest.raises(InputError, match=r"deep/a: .*cannot be decoded \(BadZipFile\)"):
        handle.load()


def test_an_unknown_series_is_refused_with_those_there_are(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series(count=3, series=1)
    write_series(count=1, series=2)
    with pytest.raises(
        InputError,
        match=r"--series: expected the uid of one of the 2 CT series found, got 9\.9\. "
        r"Choose from: 1\.2\.1\.1 \(3 axial slices, 4 x 6\); 1\.2\.1\.2 \(1 axial slice",
    ):
        open_source(tmp_path / "scan", series="9.9")


def test_a_cohort_without_a_sound_study_is_refused(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    for study in (1, 2):
        write_series(f"scan/{study}", 5, study=study)[2].unlink()
    with pytest.raises(
        InputError, match=r"got 2 studies, none of them sound; the first: series 1\.2\.1\.1"
    ):
        open_source(tmp_path / "scan")


def test_studies_that_share_sop_uids_are_refused(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series("scan/a", 2, study=1)
    write_series("scan/b", 1, study=2, each={0: {"SOPInstanceUID": "1.2.1.1.1"}})
    source = open_source(tmp_path / "scan")
    assert depths(source) == [2]
    assert "expected a SOP instance uid of its own" in str(source.failures[0])


def test_slices_that_share_a_sop_uid_are_refused(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(count=3, SOPInstanceUID="1.2.3")
    with pytest.raises(InputError, match="got one that another slice has too"):
        open_source(tmp_path / "scan")


def test_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "a.txt").write_text("x")
    with pytest.raises(InputError, match="input: expected DICOM files, got none among 1 files"):
        open_source(tmp_path / "scan")
    with pytest.raises(InputError, match="got none among 1 files"):
        open_source(tmp_path / "scan" / "a.txt")


def test_what_is_not_ct_is_refused_with_its_kind(tmp_path: Path, write_series: WriteSeries) -> None:
    mr = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4", "Modality": "MR"}
    write_series(count=3, **mr)
    with pytest.raises(
        InputError, match=r"expected an axial CT series, got not CT \(modality MR, 3 images\)"
    ):
        open_source(tmp_path / "scan")


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, r"localiser \(a localiser, 2 images"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "secondary capture"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, r"colour \(a colour image"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "coronal or sagittal slices only"),
    ],
)
def test_images_that_are_no_axial_ct_are_refused(
    tmp_path: Path, write_series: WriteSeries, changes: dict[str, object], got: str
) -> None:
    write_series(count=2, **changes)
    with pytest.raises(InputError, match=f"expected an axial CT series, got {got}"):
        open_source(tmp_path / "scan")


def test_a_localiser_within_the_series_is_left_out(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "Rows": 2}
    write_series(count=4, each={3: scout})
    source = open_source(tmp_path / "scan")
    assert depths(source) == [3]
    assert source.notes == ("1 image left out: localiser",)


def test_a_series_that_is_no_scan_is_refused_when_picked(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series(count=4)
    write_series(count=1, series=2, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_series(count=1, series=3, PixelSpacing=None)
    with pytest.raises(InputError, match="expected an axial CT series, got localiser"):
        open_source(tmp_path / "scan", series="1.2.1.2")
    with pytest.raises(InputError, match="s3_IM001: expected PixelSpacing"):
        open_source(tmp_path / "scan", series="1.2.1.3")


def test_a_tilt_is_refused_and_read_when_allowed(tmp_path: Path, write_series: WriteSeries) -> None:
    cosine, sine = "0.9396926", "0.3420201"
    write_series(count=4, ImageOrientationPatient=[1, 0, 0, 0, cosine, sine])
    with pytest.raises(InputError, match=r"got a gantry tilt of 20\.0 degrees"):
        open_source(tmp_path / "scan")
    source = open_source(tmp_path / "scan", allow_tilt=True)
    assert source.notes == ("series 1.2.1.1: read with a tilt of 20.0 degrees",)
    assert source.scans[0].load().spacing_mm[0] == pytest.approx(3 * 0.9396926, abs=1e-6)


def test_a_truncated_file_of_the_series_is_refused_by_name(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    last = write_series(count=4)[3]
    last.write_bytes(last.read_bytes()[:-20])
    with pytest.raises(
        InputError, match=r"s1_IM001: expected a complete file, got one cut short, with 28 of 48"
    ):
        open_source(tmp_path / "scan")


def test_a_truncated_file_of_another_series_does_no_harm(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series(count=4)
    (other,) = write_series(count=1, series=2)
    other.write_bytes(other.read_bytes()[:-20])
    source = open_source(tmp_path / "scan")
    assert (depths(source), source.failures) == ([4], ())
    assert source.notes == ("1 image left out: faulty",)


def test_an_unreadable_file_is_named_where_a_slice_is_missing(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    middle = write_series(count=5)[2]
    middle.write_bytes(b"no longer DICOM")
    middle.rename(middle.with_name("s1_IM003.dcm"))
    with pytest.raises(
        InputError,
        match=r"1 slice is missing, at 6\.00 mm first; 1 file could .* read: s1_IM003\.dcm\.",
    ):
        open_source(tmp_path / "scan")


def test_a_slice_that_may_not_be_opened_is_refused_by_name(
    tmp_path: Path, write_series: WriteSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = write_series(count=5)[4]
    opened: Any = Path.open

    def forbidden(path: Path, *args: Any, **options: Any) -> Any:
        if path.name == last.name:
            raise PermissionError(13, "SECRET")
        return opened(path, *args, **options)

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(
        InputError, match=f"{last.name}: expected a file that can be read, got Perm"
    ):
        open_source(tmp_path / "scan")


@pytest.mark.parametrize("length", [300, 400, 500])
def test_a_slice_cut_before_it_names_its_series_is_refused_by_name(
    tmp_path: Path, write_series: WriteSeries, length: int
) -> None:
    last = write_series(count=5)[4]
    last.write_bytes(last.read_bytes()[:length])
    with pytest.raises(InputError, match="s1_IM001: expected a complete"):
        open_source(tmp_path / "scan")


def test_a_cut_slice_among_several_studies_does_not_stop_them(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series(count=3, study=1, series=1)
    write_series(count=3, study=2, series=2)
    (other,) = write_series(count=1, study=3, series=3)
    other.write_bytes(other.read_bytes()[:400])
    source = open_source(tmp_path / "scan")
    assert depths(source) == [3, 3]
    assert source.notes == ("1 image left out: faulty",)


def test_rubbish_behind_a_magic_word_is_counted_and_left_out(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series(count=3)
    (tmp_path / "scan" / "junk.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\x00junk" * 50)
    source = open_source(tmp_path / "scan")
    assert depths(source) == [3]
    assert source.notes == ("1 image left out: unreadable",)


def test_a_single_truncated_file_is_refused_by_name(write_series: WriteSeries) -> None:
    (path,) = write_series(count=1)
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(InputError, match="s1_IM001: expected a complete DICOM file, got an unread"):
        open_source(path)


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"PatientID": "SECRET-9"}, "2 patient ids and 1 study uids"),
        ({"StudyInstanceUID": "1.2.9"}, "1 patient ids and 2 study uids"),
    ],
)
def test_a_series_of_two_patients_or_studies_is_refused_without_their_names(
    tmp_path: Path, write_series: WriteSeries, changes: dict[str, str], got: str
) -> None:
    write_series(count=4, each={2: changes})
    with pytest.raises(InputError, match=f"slices of one patient and study, got {got}") as told:
        open_source(tmp_path / "scan")
    assert "SECRET" not in str(told.value)


@pytest.mark.parametrize(("present", "is_refused"), [(191, True), (192, False), (0, False)])
def test_voxels_that_do_not_fit_into_memory_are_refused_before_they_are_read(
    write_series: WriteSeries, monkeypatch: pytest.MonkeyPatch, present: int, is_refused: bool
) -> None:
    scan = write_series(count=4)[0].parent  # of 4 x 6 px, 2 bytes each: 192 bytes
    monkeypatch.setattr(scan_checks, "physical_memory_bytes", lambda: present)
    if is_refused:
        with pytest.raises(InputError, match=r"got 4 slices of 4 x 6, 0\.0 GiB"):
            open_source(scan)
    else:
        assert depths(open_source(scan)) == [4]


def test_a_slice_without_a_patient_id_is_nobody_elses(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series(count=4, each={2: {"PatientID": ""}})
    assert depths(open_source(tmp_path / "scan")) == [4]


def test_a_missing_codec_is_said_before_anything_is_read(
    tmp_path: Path, make_slice: MakeSlice, save_dicom: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_slice()
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    save_dicom(dataset, tmp_path / "scan" / "a")

    class NoPlugin:
        is_available = False

    monkeypatch.setattr(dicom_pixels, "get_decoder", lambda syntax: NoPlugin)
    with pytest.raises(MissingExtraError, match=r"lnmdetect\[codecs\]"):
        open_source(tmp_path / "scan")


def test_an_enhanced_ct_with_a_gap_is_refused(
    tmp_path: Path, make_enhanced: MakeSlice, save_dicom: Save
) -> None:
    save_dicom(make_enhanced([0.0, 3.0, 9.0]), tmp_path / "scan" / "a")
    with pytest.raises(InputError, match="1 slice is missing"):
        open_source(tmp_path / "scan")


def test_no_message_tells_who_the_patient_is(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series("scan/a", 5, study=1)[2].unlink()
    write_series("scan/b", 3, study=2, RescaleSlope=None)
    write_series("scan/c", 3, study=3)
    source = open_source(tmp_path / "scan")
    assert len(source.failures) == 2
    said = " ".join([*source.notes, *map(str, source.failures), repr(source)])
    assert "SECRET" not in said
    assert str(tmp_path) not in " ".join([*source.notes, *map(str, source.failures)])
