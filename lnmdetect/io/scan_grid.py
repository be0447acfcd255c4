"""Where a scan's voxels lie in the patient, from the headers of its slices."""

from typing import NoReturn

import numpy as np

from lnmdetect.core.errors import InputError
from lnmdetect.core.patient_space import PatientGrid, slice_plane
from lnmdetect.io.dicom_geometry import check_geometry, slice_normal, slice_spacing_mm
from lnmdetect.io.dicom_header import SliceHeader
from lnmdetect.io.dicom_series import Series
from lnmdetect.io.listed_scans import ListedScan
from lnmdetect.io.scan_handle import DicomScan, ScanHandle


def patient_grid(scan: ScanHandle, *, allow_tilt: bool = False) -> PatientGrid:
    """Return the grid of a scan; its slices stand in the order of `scan.images`.

    Raises:
        InputError: the slices are no DICOM, are not where the file says, or form no sound scan.
    """
    slices = scan_slices(scan)
    check_geometry(slices, allow_tilt=allow_tilt, unread=())
    first, last = slices[0], slices[-1]
    if len(slices) > 1:
        step_mm = np.subtract(last.position, first.position) / (len(slices) - 1)
    else:
        step_mm = np.multiply(slice_normal(first.orientation), slice_spacing_mm(slices))
    affine = slice_plane(first.position, first.orientation, first.spacing_mm, tuple(step_mm))
    return PatientGrid((len(slices), first.rows, first.columns), affine)


def scan_slices(scan: ScanHandle) -> Series:
    """Return the header of each slice of a scan, in the order of `scan.images`.

    Raises:
        InputError: a slice is no DICOM, or is not where the file says, or has another size.
    """
    if isinstance(scan, DicomScan):
        return scan.slices
    if not isinstance(scan, ListedScan):
        _refuse("images", "none")
    return tuple(_listed(scan, index) for index in range(len(scan.images)))


def _listed(scan: ListedScan, index: int) -> SliceHeader:
    image = scan.images[index]
    header = scan.store.header_of(image)
    where = f"image {image.image_id}"
    if header is None:
        _refuse(where, "none" if image.sop_instance_uid else "a picture that is no DICOM")
    if (header.rows, header.columns) != (image.height, image.width):
        _refuse(where, f"one of {header.columns} x {header.rows} px")
    return header


def _refuse(where: str, got: str) -> NoReturn:
    raise InputError(
        where,
        expected="a DICOM slice of the size the file says below the scan root, which says where "
        "its pixels lie in the patient",
        got=got,
        remedy="Point to the folder of the scans with --scan.",
    )
