"""The DICOM series we write: read back by pydicom, and judged by dicom3tools' dciodvfy."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from lnmdetect.core.errors import OutputError
from lnmdetect.io.dicom_write import CtSeriesMeta, derived_uid, write_ct_series

META = CtSeriesMeta(
    seed="test/series",
    patient_id="phantom-1-000",
    patient_name="Phantom^000",
    spacing_mm=(2.5, 0.5, 0.75),
    thickness_mm=2.0,
    origin_mm=(-10.0, -20.0, 30.0),
)


def volume() -> np.ndarray:
    return np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5) * 40 - 1024


def test_hounsfield_units_come_back_exactly(tmp_path: Path) -> None:
    written = write_ct_series(volume(), tmp_path, META)
    for slice_hu, file in zip(volume(), written, strict=True):
        dataset = pydicom.dcmread(file.path)
        shown = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        np.testing.assert_array_equal(shown, slice_hu)


def test_slices_follow_each_other_along_the_normal(tmp_path: Path) -> None:
    written = write_ct_series(volume(), tmp_path, META)
    assert [file.position_mm for file in written] == [30.0, 32.5, 35.0]
    positions = [pydicom.dcmread(file.path).ImagePositionPatient for file in written]
    assert [list(p) for p in positions] == [[-10, -20, 30], [-10, -20, 32.5], [-10, -20, 35]]


def test_spacing_is_written_rows_first(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(write_ct_series(volume(), tmp_path, META)[0].path)
    assert list(dataset.PixelSpacing) == [0.5, 0.75]
    assert dataset.SliceThickness == 2.0
    assert (dataset.Rows, dataset.Columns) == (4, 5)


def test_files_numbered_from_the_head_run_against_z(tmp_path: Path) -> None:
    meta = CtSeriesMeta(**{**META.__dict__, "head_first_files": True})
    write_ct_series(volume(), tmp_path, meta)
    first = pydicom.dcmread(tmp_path / "IM0001.dcm")
    assert first.InstanceNumber == 1
    assert first.ImagePositionPatient[2] == 35


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    one = write_ct_series(volume(), tmp_path / "one", META)
    two = write_ct_series(volume(), tmp_path / "two", META)
    assert [f.path.read_bytes() for f in one] == [f.path.read_bytes() for f in two]


def test_uids_are_distinct_and_valid(tmp_path: Path) -> None:
    written = write_ct_series(volume(), tmp_path, META)
    uids = [file.sop_instance_uid for file in written]
    assert len(set(uids)) == 3
    assert all(pydicom.uid.UID(uid).is_valid for uid in [*uids, derived_uid("x")])


def test_a_value_below_air_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"HU of -1024 or more, got -1025"):
        write_ct_series(np.full((1, 2, 2), -1025, dtype=np.int16), tmp_path, META)


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match=r"phantom-0: expected a folder that can be written"):
        write_ct_series(volume(), tmp_path / "taken" / "phantom-0", META)


def test_a_single_slice_without_depth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected \(slices, rows, columns\) int16, got \(2, 2\)"):
        write_ct_series(np.zeros((2, 2), dtype=np.int16), tmp_path, META)


@pytest.mark.server
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is absent")
def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    path = write_ct_series(volume(), tmp_path, META)[0].path
    verdict = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True)
    assert "CTImage" in verdict.stderr
    assert "Error" not in verdict.stderr, verdict.stderr
