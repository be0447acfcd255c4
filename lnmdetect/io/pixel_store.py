"""Pixels by slice record: headers below a root are read once, a slice when it is asked for."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.neighbours import neighbour_indices
from lnmdetect.core.recent import Recent
from lnmdetect.core.records import ImageRecord, spacings_agree
from lnmdetect.io.dicom_geometry import is_axial, position_mm
from lnmdetect.io.dicom_header import SliceHeader
from lnmdetect.io.dicom_index import DicomIndex, Progress, index_dicom
from lnmdetect.io.dicom_pixels import read_hu
from lnmdetect.io.dicom_series import Series, group_series, image_records
from lnmdetect.io.input_files import FolderFiles
from lnmdetect.io.png_pixels import is_png, read_png_hu
from lnmdetect.io.pseudonym import load_key, pseudonymise_uid

SLICES_KEPT = 16
"""More than the neighbours of two slices: boxes in the order of slices read each slice once."""


class PixelStore:
    """The slices below a folder, file or zip: DICOM by SOP uid, PNG by file name.

    It can be sent to worker processes: it holds no open file that they would share.

    Args:
        root: `info.scan_root` of the file whose images are read.
        png_folder: where PNG file names start that are not found below `root`: the JSON's folder.
        progress: called with (files read, files in all) while headers are read.

    Raises:
        InputError: nothing is at `root`.
    """

    def __init__(
        self, root: Path, *, png_folder: Path | None = None, progress: Progress | None = None
    ) -> None:
        self._take(index_dicom(root, progress=progress), png_folder)

    def _take(self, index: DicomIndex, png_folder: Path | None) -> None:
        self.index = index
        self._png_files = None if png_folder is None else FolderFiles(png_folder, ())
        by_uid: dict[str, SliceHeader] = {}
        for header in self.index.slices:
            by_uid.setdefault(header.sop_uid, header)
        self._by_uid = by_uid
        self._series = group_series(by_uid.values())
        self._recent: Recent[str, NDArray[np.int16]] = Recent()

    @property
    def is_phantom(self) -> bool:
        """Whether any slice found is synthetic."""
        return any(header.is_phantom for header in self._by_uid.values())

    def dicom_images(self, key: bytes) -> tuple[ImageRecord, ...]:
        """Return a record for every axial CT slice found, by series, ids from 1.

        Args:
            key: of the patients' pseudonyms.
        """
        records: list[ImageRecord] = []
        for series in self._series.values():
            axial = tuple(filter(is_axial, series))
            if axial:
                records += image_records(axial, first_id=len(records) + 1, key=key)
        return tuple(records)

    def header_of(self, image: ImageRecord) -> SliceHeader | None:
        """Return the header of a slice; None for a PNG, and where none is below the root."""
        uid = image.sop_instance_uid
        return (self._by_uid.get(uid) or self._by_pseudonym.get(uid)) if uid else None

    def read(self, image: ImageRecord) -> NDArray[np.int16]:
        """Return the slice, (H, W) int16 HU.

        Raises:
            InputError: the slice is not below the root, has another size or pixel spacing, or is
                damaged.
        """
        if not image.sop_instance_uid and is_png(image.file_name):
            return self._png_pixels(image)
        return self._pixels(self._header(image))

    def read_stack(self, image: ImageRecord, offsets_mm: Sequence[float]) -> NDArray[np.int16]:
        """Return (len(offsets_mm), H, W) int16 HU: for every offset the slice nearest to it.

        Neighbours come from the same series; where none is near, the slice itself stands in
        (`core.neighbours` has the rule).

        Args:
            image: the slice in the middle.
            offsets_mm: signed distances along the normal, 0 for the slice itself.

        Raises:
            InputError: as `read`.
        """
        if not image.sop_instance_uid and is_png(image.file_name):
            return np.stack([self._png_pixels(image)] * len(offsets_mm))
        header = self._header(image)
        series = self._grid_of(header)
        places = [position_mm(member) for member in series]
        chosen = neighbour_indices(places, series.index(header), offsets_mm)
        return np.stack([self._recent_pixels(series[index]) for index in chosen])

    def _grid_of(self, header: SliceHeader) -> Series:
        """Return the slices of its series that lie on the same grid, one a position."""
        size, axes = (header.rows, header.columns), header.orientation
        return tuple(
            member
            for member in self._series[header.series_uid]
            if (member.rows, member.columns) == size
            and np.allclose(member.orientation, axes, atol=0.01)
        )

    def _header(self, image: ImageRecord) -> SliceHeader:
        header = self.header_of(image)
        if header is None:
            raise InputError(
                f"image {image.image_id}",
                expected="a slice with SOP instance uid "
                f"{image.sop_instance_uid} below the scan root",
                got=f"none among {len(self._by_uid)} CT slices",
                remedy="Point to the folder of the scans with --scan.",
            )
        check_agrees(image, header)
        return header

    def _png_pixels(self, image: ImageRecord) -> NDArray[np.int16]:
        below_root = image.file_name in self.index.files.names
        files = self.index.files if below_root else self._png_files
        if files is None:
            raise InputError(
                f"image {image.image_id}",
                expected="its PNG file below the scan root",
                got="no file of that name",
                remedy="Keep the PNGs where they lay when the file was made.",
            )
        with files.open(image.file_name) as stream:
            hu = read_png_hu(stream, image.file_name)
        _check_size(image, *hu.shape)
        return hu

    def _recent_pixels(self, header: SliceHeader) -> NDArray[np.int16]:
        """Return a slice, not read again while it is among the last few that were asked for."""
        return self._recent.recall(header.sop_uid, lambda: self._pixels(header), most=SLICES_KEPT)

    def _pixels(self, header: SliceHeader) -> NDArray[np.int16]:
        with self.index.files.open(header.file) as stream:
            return read_hu(stream, [header])[0]

    @cached_property
    def _by_pseudonym(self) -> dict[str, SliceHeader]:
        """The slices by the uid that `--pseudonymise-uids` writes for them."""
        key = load_key()
        return {pseudonymise_uid(uid, key): header for uid, header in self._by_uid.items()}


def check_agrees(image: ImageRecord, header: SliceHeader) -> None:
    """Do nothing for a slice that is what its record says.

    Raises:
        InputError: it has another size or pixel spacing: boxes would lie elsewhere in it.
    """
    _check_size(image, header.rows, header.columns)
    _check_spacing(image, header.spacing_mm)


def _check_size(image: ImageRecord, rows: int, columns: int) -> None:
    if (columns, rows) != (image.width, image.height):
        raise InputError(
            f"image {image.image_id}",
            expected=f"{image.width} x {image.height} px as the file says",
            got=f"{columns} x {rows} px in the slice",
            remedy="Use the scans from which the file was made.",
        )


def _check_spacing(image: ImageRecord, spacing_mm: tuple[float, float]) -> None:
    if not spacings_agree(image.spacing_mm, spacing_mm):
        raise InputError(
            f"image {image.image_id}",
            expected=f"a pixel spacing of {_in_mm(image.spacing_mm)} as the file says",
            got=f"{_in_mm(spacing_mm)} in the slice's header",
            remedy="Correct spacing_mm, which is [row, column], or use the scans from which the "
            "file was made.",
        )


def _in_mm(spacing_mm: tuple[float, float]) -> str:
    return " x ".join(f"{side:.4g}" for side in spacing_mm) + " mm"
