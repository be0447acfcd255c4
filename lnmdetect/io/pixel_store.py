"""Pixels by slice record: headers below a root are read once, a slice when it is asked for."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.neighbours import neighbour_indices
from lnmdetect.core.records import ImageRecord
from lnmdetect.io.dicom_geometry import position_mm
from lnmdetect.io.dicom_header import SliceHeader
from lnmdetect.io.dicom_index import Progress, index_dicom
from lnmdetect.io.dicom_pixels import read_hu
from lnmdetect.io.dicom_series import Series, group_series
from lnmdetect.io.pseudonym import load_key, pseudonymise_uid


class PixelStore:
    """The slices below a folder, file or zip, found by SOP uid; holds no open file.

    Args:
        root: `info.scan_root` of the file whose images are read.
        progress: called with (files read, files in all) while headers are read.

    Raises:
        InputError: nothing is at `root`.
    """

    def __init__(self, root: Path, *, progress: Progress | None = None) -> None:
        index = index_dicom(root, progress=progress)
        self._files = index.files
        self._by_uid = {header.sop_uid: header for header in reversed(index.slices)}
        self._series = group_series(self._by_uid.values())

    def read(self, image: ImageRecord) -> NDArray[np.int16]:
        """Return the slice, (H, W) int16 HU.

        Raises:
            InputError: the slice is not below the root, has another size, or is damaged.
        """
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
        header = self._header(image)
        series = self._grid_of(header)
        places = [position_mm(member) for member in series]
        chosen = neighbour_indices(places, series.index(header), offsets_mm)
        read = {index: self._pixels(series[index]) for index in set(chosen)}
        return np.stack([read[index] for index in chosen])

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
        uid = image.sop_instance_uid
        header = self._by_uid.get(uid) or self._by_pseudonym.get(uid)
        if header is None:
            raise InputError(
                f"image {image.image_id}",
                expected=f"a slice with SOP instance uid {uid} below the scan root",
                got=f"none among {len(self._by_uid)} CT slices",
                remedy="Point to the folder of the scans with --scan.",
            )
        if (header.columns, header.rows) != (image.width, image.height):
            raise InputError(
                f"image {image.image_id}",
                expected=f"{image.width} x {image.height} px as the file says",
                got=f"{header.columns} x {header.rows} px in the slice with that uid",
                remedy="Use the scans from which the file was made.",
            )
        return header

    def _pixels(self, header: SliceHeader) -> NDArray[np.int16]:
        with self._files.open(header.file) as stream:
            return read_hu(stream, [header])[0]

    @cached_property
    def _by_pseudonym(self) -> dict[str, SliceHeader]:
        """The slices by the uid that `--pseudonymise-uids` writes for them."""
        key = load_key()
        return {pseudonymise_uid(uid, key): header for uid, header in self._by_uid.items()}
