"""NIfTI-1 files: volumes with the place of their voxels, and nothing about the patient."""

import gzip
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.extras import require_package
from lnmdetect.core.grid_match import Sides
from lnmdetect.core.patient_space import LPS_TO_RAS, PatientGrid
from lnmdetect.io.input_files import printable
from lnmdetect.io.json_files import atomic_output

SUFFIXES = (".nii.gz", ".nii")
_COMPRESSION = 1
"""Masks shrink a thousandfold at the least effort, and HU hardly more at the greatest."""
_SCANNER_SPACE = 1  # NIFTI_XFORM_SCANNER_ANAT, nifti1.h
_QFORM_TOLERANCE_MM = 1e-3
"""In the step from a voxel to the next, and in the place of the first."""
_LARGEST_LABEL = 65535


def require_nibabel(where: str = "convert") -> None:
    """Do nothing where nibabel is installed.

    Args:
        where: the command or option that asks for it.

    Raises:
        MissingExtraError: it is not; the message names the extra.
    """
    require_package(
        "nibabel",
        where=where,
        package="nibabel, which reads and writes NIfTI",
        extra="segmentation",
    )


def is_nifti(path: Path) -> bool:
    """Return whether a file's name is that of a NIfTI file."""
    return path.name.lower().endswith(SUFFIXES)


def nifti_stem(path: Path) -> str:
    """Return the file's name without .nii or .nii.gz."""
    name = path.name
    return next((name[: -len(end)] for end in SUFFIXES if name.lower().endswith(end)), name)


def write_nifti(
    voxels: NDArray[Any], grid: PatientGrid, path: Path, *, overwrite: bool = False
) -> None:
    """Write a volume of a scan's grid as .nii.gz; the same volume gives the same bytes.

    Args:
        voxels: (slices, rows, columns), of int16 or an unsigned type.
        grid: of the scan.
        path: ends with .nii.gz.
        overwrite: replace an existing file.

    Raises:
        ValueError: the volume has another shape than the grid.
        MissingExtraError: nibabel is not installed.
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    require_nibabel()
    import nibabel

    if voxels.shape != grid.shape:
        raise ValueError(f"volume: expected {grid.shape}, got {voxels.shape}")
    image: Any = nibabel.Nifti1Image(voxels.T, grid.affine_ras)  # type: ignore[no-untyped-call]
    image.set_sform(grid.affine_ras, _SCANNER_SPACE)
    image.set_qform(grid.affine_ras, _SCANNER_SPACE)
    if not np.allclose(image.get_qform(), grid.affine_ras, atol=_QFORM_TOLERANCE_MM):
        # A tilted gantry shears the grid, which no quaternion can say: the sform alone says it.
        image.set_qform(None, 0)
    image.header.set_xyzt_units("mm")
    with (
        atomic_output(path, overwrite=overwrite) as stream,
        # Without name and time, which the format would keep.
        gzip.GzipFile("", "wb", _COMPRESSION, stream, mtime=0) as packed,
    ):
        image.to_stream(packed)


@dataclass(frozen=True)
class NiftiFile:
    """A NIfTI file whose header is read.

    Attributes:
        name: of the file, for messages.
        sides: of the volume, in the file's own order.
        affine: (4, 4) from the volume's indices to mm along DICOM's axes.
    """

    name: str
    sides: Sides
    affine: NDArray[np.float64]
    _image: Any = field(repr=False)

    def labels(self) -> NDArray[np.uint16]:
        """Return the label map, in the file's own order.

        Raises:
            InputError: the file is damaged, or holds other than whole numbers from 0 to 65535.
        """
        try:
            values = np.asanyarray(self._image.dataobj).reshape(self.sides)
        except (OSError, EOFError, zlib.error, ValueError, MemoryError) as error:
            raise _unreadable(self.name, type(error).__name__) from None
        if values.dtype.kind not in "iuf":
            raise self._no_label_map("colours or complex numbers")
        lowest, highest = values.min(), values.max()
        if not (lowest >= 0 and highest <= _LARGEST_LABEL):
            raise self._no_label_map(f"values from {lowest:g} to {highest:g}")
        if not _whole(values):
            raise self._no_label_map("fractions")
        return np.asarray(values, dtype=np.uint16)

    def _no_label_map(self, got: str) -> InputError:
        return InputError(
            self.name,
            expected=f"a label map, whole numbers from 0 to {_LARGEST_LABEL}",
            got=got,
            remedy="Give the label map, not the image or the probabilities.",
        )


def _whole(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "iu" or all(bool((part % 1 == 0).all()) for part in values)


def open_nifti(path: Path) -> NiftiFile:
    """Return a three-dimensional NIfTI file; its voxels are read when they are asked for.

    Raises:
        InputError: it cannot be read, or is not three-dimensional.
        MissingExtraError: nibabel is not installed.
    """
    require_nibabel()
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    name = printable(path.name)
    try:
        image: Any = nibabel.load(path)
        shape = tuple(int(side) for side in image.shape)
        affine = np.asarray(image.affine, dtype=np.float64)
    except (ImageFileError, OSError, EOFError, zlib.error, ValueError, AttributeError) as error:
        raise _unreadable(name, type(error).__name__) from None
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    sound = len(shape) == 3 and min(shape) > 0 and affine.shape == (4, 4)
    if not (sound and np.isfinite(affine).all()):
        raise InputError(
            name,
            expected="a NIfTI volume of three dimensions that says where it lies",
            got=f"one of {len(shape)} dimensions",
            remedy="Give one label map a scan.",
        )
    return NiftiFile(name, (shape[0], shape[1], shape[2]), LPS_TO_RAS @ affine, image)


def _unreadable(name: str, kind: str) -> InputError:
    return InputError(
        name,
        expected="a NIfTI file (.nii or .nii.gz)",
        got=f"one that cannot be read ({kind})",
        remedy="Write or copy the file again.",
    )
