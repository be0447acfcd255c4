import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import JPEGLSLossless, SecondaryCaptureImageStorage

from lnmdetect.core.errors import InputError, MissingExtraError
from lnmdetect.io import dicom_pixels
from lnmdetect.io.pseudonym import load_key, patient_pseudonym
from lnmdetect.io.scan_source import ScanSource, open_source

MakeSlice = Callable[..., Dataset]
Save = Callable[[Dataset, Path], Path]
WriteSeries = Callable[..., list[Path]]

REAL_SERIES = Path(__file__).parents[3] / "shared" / "data" / "head_neck_ct"
HU_OF_SLICE_0 = np.arange(24).reshape(4, 6) - 24


def depths(source: ScanSource) -> list[int]:
    return [len(scan.images) for scan in source.scans]


def test_a_series_is_read_in_order_of_position(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(count=5)
    source = open_source(tmp_path / "scan")
    (handle,) = source.scans
    scan = handle.load()
    assert (source.notes, source.failures) == ((), ())
    assert scan.spacing_mm == (3.0, 0.5, 0.4)
    expected = [HU_OF_SLICE_0 + 10 * index for index in range(5)]
    assert np.array_equal(scan.voxels_hu, expected)


def test_every_slice_has_its_record(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(count=3)
    (handle,) = open_source(tmp_path / "scan").scans
    image = handle.images[1]
    assert (image.image_id, image.slice_index, image.position_mm) == (2, 1, 3.0)
    assert (image.width, image.height) == (6, 4)
    assert (image.file_name, image.sop_instance_uid) == ("1.2.1.1.2.dcm", "1.2.1.1.2")
    assert (image.series, image.spacing_mm, image.thickness_mm) == ("1.2.1.1", (0.5, 0.4), 3.0)
    assert image.patient == patient_pseudonym("SECRET^PATIENT-1", "1.2.1", load_key())


def test_slopes_may_differ_from_slice_to_slice(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(count=2, each={1: {"RescaleSlope": "0.5", "RescaleIntercept": "-500"}})
    voxels = open_source(tmp_path / "scan").scans[0].load().voxels_hu
    assert voxels[0, 0, 0] == 1000 - 1024
    assert voxels[1, 0, 0] == 1010 / 2 - 500


def test_junk_beside_the_series_is_counted(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(count=3)
    (tmp_path / "scan" / "readme.txt").write_text("x")
    (tmp_path / "scan" / "Thumbs.db").write_bytes(bytes(500))
    source = open_source(tmp_path / "scan")
    assert depths(source) == [3]
    assert source.notes == ("2 files passed over: not DICOM images",)


def test_one_file_is_a_scan_of_one_slice(write_series: WriteSeries) -> None:
    first, *_ = write_series(count=3)
    (handle,) = open_source(first).scans
    assert handle.load().voxels_hu.shape == (1, 4, 6)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_gives_what_its_folder_gives(
    tmp_path: Path, write_series: WriteSeries, compression: int
) -> None:
    write_series(count=4)
    with zipfile.ZipFile(tmp_path / "scan.zip", "w", compression) as archive:
        for path in sorted((tmp_path / "scan").iterdir()):
            archive.write(path, f"deep/{path.name}")
    (from_zip,) = open_source(tmp_path / "scan.zip").scans
    (from_folder,) = open_source(tmp_path / "scan").scans
    assert from_zip.images == from_folder.images
    assert np.array_equal(from_zip.load().voxels_hu, from_folder.load().voxels_hu)


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
    with pytest.raises(InputError, match=r"deep/a: .*damaged pixel data \(BadZipFile\)"):
        handle.load()


def test_the_axial_series_with_most_slices_is_read_and_the_others_listed(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    coronal = [1, 0, 0, 0, 0, -1]
    write_series(count=3, series=1)
    write_series(count=5, series=2)
    write_series(count=9, series=3, ImageOrientationPatient=coronal)
    source = open_source(tmp_path / "scan")
    assert [image.series for image in source.scans[0].images] == ["1.2.1.2"] * 5
    assert source.notes == (
        "series not read, choose with --series: 1.2.1.1 (3 axial slices, 4 x 6); "
        "1.2.1.3 (9 non-axial slices, 4 x 6)",
    )


def test_of_equal_series_the_first_by_uid_is_read(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    for series in (3, 2, 4):
        write_series(count=3, series=series)
    assert open_source(tmp_path / "scan").scans[0].images[0].series == "1.2.1.2"


def test_a_series_is_picked_by_its_uid(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(count=3, series=1)
    write_series(count=5, series=2)
    source = open_source(tmp_path / "scan", series="1.2.1.1")
    assert depths(source) == [3]


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


def test_a_cohort_gives_one_scan_a_study_with_ids_that_go_on(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series("scan/a", 3, study=1)
    write_series("scan/b", 2, study=2)
    source = open_source(tmp_path / "scan")
    assert depths(source) == [3, 2]
    assert [i.image_id for scan in source.scans for i in scan.images] == [1, 2, 3, 4, 5]
    assert len({scan.images[0].patient for scan in source.scans}) == 2


def test_a_bad_study_of_a_cohort_is_a_failure_beside_the_others(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series("scan/a", 3, study=1)
    write_series("scan/b", 5, study=2)[2].unlink()
    source = open_source(tmp_path / "scan")
    assert depths(source) == [3]
    (failure,) = source.failures
    assert "series 1.2.2.1: expected one slice every 3.00 mm" in str(failure)
    assert failure.exit_code == 3


def test_a_study_whose_ct_is_all_faulty_is_a_failure(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series("scan/a", 3, study=1)
    write_series("scan/b", 2, study=2, PixelSpacing=None)
    source = open_source(tmp_path / "scan")
    assert depths(source) == [3]
    assert len(source.failures) == 1
    assert "PixelSpacing above 0" in str(source.failures[0])
    assert source.notes == ("2 images left out: faulty",)


def test_a_cohort_without_a_sound_study_is_refused(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    for study in (1, 2):
        write_series(f"scan/{study}", 5, study=study)[2].unlink()
    with pytest.raises(InputError, match="got 2 studies, none of them sound; the first: series"):
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
    assert depths(source) == [4]
    assert source.notes == ("1 image left out: faulty",)


def test_an_unreadable_file_is_named_where_a_slice_is_missing(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    middle = write_series(count=5)[2]
    middle.write_bytes(middle.read_bytes()[:150])
    with pytest.raises(
        InputError, match=r"1 slice is missing, at 6\.00 mm first \(1 files could .* s1_IM003\)"
    ):
        open_source(tmp_path / "scan")


def test_a_single_truncated_file_is_refused_by_name(write_series: WriteSeries) -> None:
    (path,) = write_series(count=1)
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(InputError, match="s1_IM001: expected a complete DICOM file, got an unread"):
        open_source(path)


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


def test_an_enhanced_ct_is_read_frame_by_position(
    tmp_path: Path, make_enhanced: MakeSlice, save_dicom: Save
) -> None:
    save_dicom(make_enhanced([6.0, 0.0, 3.0]), tmp_path / "scan" / "a")
    (handle,) = open_source(tmp_path / "scan").scans
    assert [i.sop_instance_uid for i in handle.images] == [f"1.2.1.1.1#{n}" for n in (2, 3, 1)]
    voxels = handle.load().voxels_hu
    assert np.array_equal(voxels, [HU_OF_SLICE_0 + 11 * frame for frame in (1, 2, 0)])


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


@pytest.mark.skipif(not REAL_SERIES.is_dir(), reason="shared/data/head_neck_ct is not here")
def test_the_real_series_is_read_whole() -> None:
    (handle,) = open_source(REAL_SERIES).scans
    scan = handle.load()
    assert scan.voxels_hu.shape == (90, 511, 511)
    assert scan.spacing_mm == (3.0, 1.0, 1.0)
    assert (scan.voxels_hu.min(), scan.voxels_hu.max()) == (-1024, 3844)
