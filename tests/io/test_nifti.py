"""NIfTI: voxels where DICOM has them, read by nibabel; nothing of the patient, and same bytes."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread

from lnmdetect.core.errors import InputError, MissingExtraError
from lnmdetect.core.grid_match import match_grid
from lnmdetect.core.patient_space import PatientGrid, slice_plane
from lnmdetect.io.nifti import is_nifti, nifti_stem, open_nifti, write_nifti
from lnmdetect.io.scan_grid import patient_grid
from lnmdetect.io.scan_source import open_source
from tests.masked_scans import ORIENTATIONS, write_truth

nibabel = pytest.importorskip("nibabel")


@pytest.fixture
def grid() -> PatientGrid:
    affine = slice_plane((-10, 5, 30), (1.0, 0, 0, 0, 1, 0), (0.5, 0.4), (0, 0, 2))
    return PatientGrid((2, 3, 4), affine)


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
@pytest.mark.parametrize("place", ["scan", "truth.json"])
def test_each_voxel_lies_where_its_slice_s_header_has_it(
    tmp_path: Path, orientation: tuple[float, ...], place: str
) -> None:
    write_truth(tmp_path, orientation=orientation)
    scan = open_source(tmp_path / place).scans[0]
    path = tmp_path / "image.nii.gz"
    write_nifti(scan.load().voxels_hu, patient_grid(scan), path)
    image = nibabel.load(path)
    values = np.asarray(image.dataobj)
    assert values.dtype == np.int16
    headers = {str(h.SOPInstanceUID): h for h in map(dcmread, tmp_path.glob("scan/*.dcm"))}
    for index, record in enumerate(scan.images):
        header = headers[record.sop_instance_uid]
        row_mm, column_mm = map(float, header.PixelSpacing)
        position, axes = (
            np.array(header.ImagePositionPatient, float),
            np.array(header.ImageOrientationPatient, float),
        )
        for column, row in ((0, 0), (31, 0), (0, 23), (17, 5)):
            x, y, z = position + column * column_mm * axes[:3] + row * row_mm * axes[3:]
            ras = image.affine @ [column, row, index, 1]
            assert ras[:3] == pytest.approx([-x, -y, z], abs=1e-4)
            hu = header.pixel_array[row, column] * header.RescaleSlope + header.RescaleIntercept
            assert values[column, row, index] == hu
    assert image.header.get_zooms() == pytest.approx((0.7, 0.4, 2.5), rel=1e-5)
    assert np.allclose(image.get_qform(), image.get_sform(), atol=1e-4)


def test_the_header_holds_no_word_and_the_packing_neither_name_nor_time(
    tmp_path: Path, grid: PatientGrid
) -> None:
    path = tmp_path / "Canary.nii.gz"
    write_nifti(np.zeros(grid.shape, np.uint8), grid, path)
    header = nibabel.load(path).header
    for name in ("descrip", "aux_file", "intent_name", "db_name", "data_type"):
        assert bytes(header[name]).strip(b"\0") == b"", name
    packed = path.read_bytes()
    assert packed[3] == 0  # no file name follows (RFC 1952, 2.3.1)
    assert packed[4:8] == bytes(4)
    assert not nibabel.load(path).header.extensions
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)
    assert header.get_xyzt_units()[0] == "mm"


def test_a_tilted_gantry_s_grid_is_told_by_the_sform_alone(tmp_path: Path) -> None:
    affine = slice_plane((-10, 5, 30), (1.0, 0, 0, 0, 1, 0), (0.5, 0.4), (0, 0.9, 2))
    tilted = PatientGrid((2, 3, 4), affine)
    write_nifti(np.zeros(tilted.shape, np.uint8), tilted, tmp_path / "a.nii.gz")
    image = nibabel.load(tmp_path / "a.nii.gz")
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (0, 1)
    # Slice 1 begins 0.9 mm to the back of slice 0, which is -0.9 in NIfTI's axes.
    assert image.affine @ [0, 0, 1, 1] == pytest.approx([10, -5.9, 32, 1])
    found = open_nifti(tmp_path / "a.nii.gz")
    match = match_grid(tilted, found.sides, found.affine)
    assert match is not None
    assert match.covers(tilted)


def test_the_same_volume_gives_the_same_bytes(tmp_path: Path, grid: PatientGrid) -> None:
    volume = np.arange(24, dtype=np.int16).reshape(grid.shape)
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(volume, grid, tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_what_is_written_is_read_on_the_same_grid(tmp_path: Path, grid: PatientGrid) -> None:
    volume = np.arange(24, dtype=np.uint16).reshape(grid.shape)
    write_nifti(volume, grid, tmp_path / "a.nii.gz")
    found = open_nifti(tmp_path / "a.nii.gz")
    match = match_grid(grid, found.sides, found.affine)
    assert match is not None
    assert match.covers(grid)
    assert np.array_equal(match.turned(found.labels()), volume)


def test_a_volume_of_another_shape_is_refused(tmp_path: Path, grid: PatientGrid) -> None:
    with pytest.raises(ValueError, match=r"expected \(2, 3, 4\)"):
        write_nifti(np.zeros((4, 3, 2), np.uint8), grid, tmp_path / "a.nii.gz")


def as_nifti(path: Path, values: NDArray[Any]) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    return path


@pytest.mark.parametrize(
    ("value", "kind", "got"),
    [
        (0.5, "f4", "fractions"),
        (-1, "i2", "values from -1 to 0"),
        (65536, "i4", "values from 0 to 65536"),
        (float("nan"), "f4", "values from nan to nan"),
        (1j, "c8", "colours or complex numbers"),
        (7, [("R", "u1"), ("G", "u1"), ("B", "u1")], "colours or complex numbers"),
    ],
)
def test_what_is_no_label_is_refused(tmp_path: Path, value: float, kind: Any, got: str) -> None:
    volume = np.zeros((2, 2, 2), kind)
    volume[1, 1, 1] = value
    with pytest.raises(InputError, match=f"whole numbers from 0 to 65535, got {got}"):
        open_nifti(as_nifti(tmp_path / "a.nii", volume)).labels()


def test_labels_stored_as_floating_point_are_labels(tmp_path: Path) -> None:
    volume = np.array([[[0.0, 3.0]]])
    assert open_nifti(as_nifti(tmp_path / "a.nii", volume)).labels().tolist() == [[[0, 3]]]


def test_a_fourth_dimension_of_one_is_none_and_a_greater_one_is_refused(tmp_path: Path) -> None:
    one = as_nifti(tmp_path / "one.nii", np.zeros((2, 3, 4, 1), np.uint8))
    assert open_nifti(one).labels().shape == (2, 3, 4)
    more = as_nifti(tmp_path / "more.nii", np.zeros((2, 3, 4, 2), np.uint8))
    with pytest.raises(InputError, match="4 dimensions"):
        open_nifti(more)


def test_damaged_files_are_named_and_refused(tmp_path: Path, grid: PatientGrid) -> None:
    volume = np.random.default_rng(0).integers(0, 9, grid.shape).astype(np.uint8)
    write_nifti(volume, grid, tmp_path / "whole.nii.gz")
    packed = (tmp_path / "whole.nii.gz").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(packed[:-20])
    (tmp_path / "text.nii.gz").write_text("no NIfTI")
    (tmp_path / "short.nii").write_bytes(gzip.decompress(packed)[:-10])
    for name in ("cut.nii.gz", "text.nii.gz", "short.nii"):
        with pytest.raises(InputError, match=rf"{name}: expected a NIfTI file"):
            open_nifti(tmp_path / name).labels()


def test_without_nibabel_the_extra_is_named(
    tmp_path: Path, grid: PatientGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"nibabel.*lnmdetect\[segmentation\]"):
        write_nifti(np.zeros(grid.shape, np.uint8), grid, tmp_path / "a.nii.gz")


def test_names_of_nifti_files_are_known_with_and_without_packing() -> None:
    assert [is_nifti(Path(n)) for n in ("a.nii", "a.NII.gz", "a.gz", "nii")] == [1, 1, 0, 0]
    assert [nifti_stem(Path(n)) for n in ("a.b.nii.gz", "a.nii")] == ["a.b", "a"]
