"""A scan that is known by its headers and read when it is asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import LnmDetectError
from lnmdetect.core.records import Coverage, ImageRecord, Scan
from lnmdetect.io.dicom_header import SliceHeader
from lnmdetect.io.dicom_pixels import read_hu
from lnmdetect.io.dicom_series import Series
from lnmdetect.io.input_files import InputFiles

ReadSlice = Callable[[int], NDArray[np.int16]]
"""Gives slice `index` of a scan, (H, W) int16 HU, as `ScanHandle.read_slice` does."""


class ScanHandle(Protocol):
    """One scan, or one key image, whose headers are read and sound."""

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """One record a slice, in the order of the voxels."""

    def load(self) -> Scan:
        """Return the voxels, (D, H, W) int16 HU.

        Raises:
            InputError: a file is damaged; the message names it.
        """

    def read_slice(self, index: int) -> NDArray[np.int16]:
        """Return one slice, (H, W) int16 HU; no other is read.

        Raises:
            InputError: its file is damaged; the message names it.
        """


@dataclass(frozen=True)
class ScanSource:
    """What a path holds.

    Attributes:
        scans: one a study, or one a key image, in order of first appearance.
        notes: what was left out or listed, as sentences without names or paths.
        failures: why studies of a cohort cannot be read; a lone study raises instead.
        is_phantom: whether any of the scans is synthetic.
        coverage: `key_images` where each slice is taken by itself.
        fold: where the slices are one fold of a data set, what `split` wrote of it.
    """

    scans: tuple[ScanHandle, ...]
    notes: tuple[str, ...]
    failures: tuple[LnmDetectError, ...]
    is_phantom: bool = False
    coverage: Coverage = "all_slices"
    fold: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class DicomScan:
    """A sound CT series.

    Attributes:
        images: one record a slice, in the order of the voxels.
        spacing_z_mm: step along the slice normal.
        tilt_degrees: of the gantry; above the tolerance only where tilt was allowed.
    """

    images: tuple[ImageRecord, ...]
    spacing_z_mm: float
    tilt_degrees: float
    files: InputFiles = field(repr=False)
    slices: Series = field(repr=False)

    def load(self) -> Scan:
        """Return the voxels, (D, H, W) int16 HU.

        Raises:
            InputError: a file is damaged; the message names it.
        """
        voxels = read_voxels(self.files, self.slices)
        return Scan(voxels, (self.spacing_z_mm, *self.slices[0].spacing_mm), self.images)

    def read_slice(self, index: int) -> NDArray[np.int16]:
        """Return one slice, (H, W) int16 HU; no other is read.

        Raises:
            InputError: its file is damaged; the message names it.
        """
        header = self.slices[index]
        with self.files.open(header.file) as stream:
            return read_hu(stream, [header])[0]


def read_voxels(files: InputFiles, slices: Sequence[SliceHeader]) -> NDArray[np.int16]:
    """Return (D, H, W) int16 HU of slices of one size.

    Raises:
        InputError: a file is damaged; the message names it.
    """
    voxels = np.empty((len(slices), slices[0].rows, slices[0].columns), dtype=np.int16)
    index = 0
    # A multi-frame file is opened once for all its frames.
    for file, members in groupby(slices, key=lambda header: header.file):
        with files.open(file) as stream:
            for hu in read_hu(stream, list(members)):
                voxels[index] = hu
                index += 1
    return voxels
