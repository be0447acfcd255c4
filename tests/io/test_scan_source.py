import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

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


def test_a_cohort_gives_one_scan_a_study_with_ids_that_go_on(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series("scan/a", 3, study=1)
    write_series("scan/b", 2, study=2)
    source = open_source(tmp_path / "scan")
    assert depths(source) == [3, 2]
    assert [i.image_id for scan in source.scans for i in scan.images] == [1, 2, 3, 4, 5]
    assert len({scan.images[0].patient for scan in source.scans}) == 2


def test_patients_whose_study_uids_were_made_equal_stay_apart(
    tmp_path: Path, write_series: WriteSeries
) -> None:
    write_series("scan/a", 3, series=1, PatientID="A")
    write_series("scan/b", 2, series=2, PatientID="B")
    assert depths(open_source(tmp_path / "scan")) == [3, 2]


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
    assert "PixelSpacing of 0.01 to 99 mm" in str(source.failures[0])
    assert source.notes == ("2 images left out: faulty",)


def test_an_enhanced_ct_is_read_frame_by_position(
    tmp_path: Path, make_enhanced: MakeSlice, save_dicom: Save
) -> None:
    save_dicom(make_enhanced([6.0, 0.0, 3.0]), tmp_path / "scan" / "a")
    (handle,) = open_source(tmp_path / "scan").scans
    assert [i.sop_instance_uid for i in handle.images] == [f"1.2.1.1.1#{n}" for n in (2, 3, 1)]
    voxels = handle.load().voxels_hu
    assert np.array_equal(voxels, [HU_OF_SLICE_0 + 11 * frame for frame in (1, 2, 0)])


@pytest.mark.skipif(not REAL_SERIES.is_dir(), reason="shared/data/head_neck_ct is not here")
def test_the_real_series_is_read_whole() -> None:
    (handle,) = open_source(REAL_SERIES).scans
    scan = handle.load()
    assert scan.voxels_hu.shape == (90, 511, 511)
    assert scan.spacing_mm == (3.0, 1.0, 1.0)
    assert (scan.voxels_hu.min(), scan.voxels_hu.max()) == (-1024, 3844)


def test_a_scan_made_by_the_phantom_is_known_as_one(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    write_series("real", Manufacturer="lnmdetect")
    write_series("made", Manufacturer="lnmdetect", ManufacturerModelName="phantom")
    assert not open_source(tmp_path / "real").is_phantom
    assert open_source(tmp_path / "made").is_phantom
    assert open_source(tmp_path / "made", key_images=True).is_phantom
