"""The grid of a scan: from headers, in the order of its slices; no scan without one."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from lnmdetect.core.errors import InputError
from lnmdetect.io.scan_grid import patient_grid, scan_slices
from lnmdetect.io.scan_handle import DicomScan
from lnmdetect.io.scan_source import open_source
from tests.masked_scans import COLUMNS, ROWS, write_truth


def tilt(folder: Path, by_mm: float) -> None:
    """Shift each slice sideways against the one before it."""
    for path in folder.glob("*.dcm"):
        stored = dcmread(path)
        x, y, z = map(float, stored.ImagePositionPatient)
        stored.ImagePositionPatient = [x, y + by_mm * int(stored.InstanceNumber), z]
        stored.save_as(path)


def test_a_scan_of_one_slice_goes_on_by_its_thickness(tmp_path: Path) -> None:
    write_truth(tmp_path, (), slices=1)
    grid = patient_grid(open_source(tmp_path / "scan").scans[0])
    assert grid.shape == (1, ROWS, COLUMNS)
    assert grid.affine[:3, 2] == pytest.approx([0, 0, 2.5])


def test_list_and_folder_give_the_same_grid(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    listed, found = (open_source(place).scans[0] for place in (truth, tmp_path / "scan"))
    assert isinstance(found, DicomScan)
    assert np.array_equal(patient_grid(listed).affine, patient_grid(found).affine)
    assert [s.sop_uid for s in scan_slices(listed)] == [s.sop_uid for s in found.slices]


def test_a_tilted_gantry_is_refused_unless_allowed_and_then_sheared(tmp_path: Path) -> None:
    write_truth(tmp_path)
    tilt(tmp_path / "scan", 0.5)
    scan = open_source(tmp_path / "scan", allow_tilt=True).scans[0]
    with pytest.raises(InputError, match=r"gantry tilt of 11\.3 degrees"):
        patient_grid(scan)
    assert patient_grid(scan, allow_tilt=True).affine[:3, 2] == pytest.approx([0, 0.5, 2.5])


def test_a_scan_whose_slices_are_of_another_size_is_refused(tmp_path: Path) -> None:
    truth = write_truth(tmp_path)
    text = truth.read_text().replace('"width": 32', '"width": 31')
    truth.write_text(text.replace('"size": [24, 32]', '"size": [24, 31]'))
    with pytest.raises(InputError, match=r"got one of 32 x 24 px\..*--scan"):
        patient_grid(open_source(truth).scans[0])
