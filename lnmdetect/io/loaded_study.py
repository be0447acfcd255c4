"""A study whose pixels are in memory: decoded in one process, analysed in another."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError, LnmDetectError
from lnmdetect.core.records import ImageRecord, Scan
from lnmdetect.io.dicom_header import SliceHeader
from lnmdetect.io.dicom_index import DicomIndex
from lnmdetect.io.dicom_series import Series
from lnmdetect.io.input_files import FolderFiles
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.scan_handle import DicomScan, ScanSource
from lnmdetect.io.scan_source import open_source


@dataclass(frozen=True)
class LoadedScan:
    """A scan in memory, as a `ScanHandle`.

    Attributes:
        scan: its voxels.
        slices: the headers they came with.
    """

    scan: Scan
    slices: Series = field(repr=False)

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """One record a slice, in the order of the voxels."""
        return self.scan.images

    def load(self) -> Scan:
        """Return the voxels, (D, H, W) int16 HU."""
        return self.scan

    def read_slice(self, index: int) -> NDArray[np.int16]:
        """Return one slice, (H, W) int16 HU."""
        hu: NDArray[np.int16] = self.scan.voxels_hu[index]
        return hu


class LoadedStore(PixelStore):
    """The slices of loaded scans, found as those of a folder are.

    Args:
        scans: in memory.
    """

    def __init__(self, scans: tuple[LoadedScan, ...]) -> None:
        headers = tuple(header for loaded in scans for header in loaded.slices)
        self._take(DicomIndex(FolderFiles(Path(), ()), headers, (), ()), None)
        self._hu: dict[str, NDArray[np.int16]] = {
            header.sop_uid: hu
            for loaded in scans
            for header, hu in zip(loaded.slices, loaded.scan.voxels_hu, strict=True)
        }

    def _pixels(self, header: SliceHeader) -> NDArray[np.int16]:
        return self._hu[header.sop_uid]


@dataclass(frozen=True)
class LoadedStudy:
    """What `open_source` tells of a study, its scans in memory; it can be sent to a process."""

    source: ScanSource
    scans: tuple[LoadedScan, ...]

    def store(self) -> LoadedStore:
        """Return the slices by their records."""
        return LoadedStore(self.scans)


def load_study(path: Path, *, allow_tilt: bool = False) -> LoadedStudy:
    """Return a study with its voxels; a scan of several that cannot be read joins the failures.

    Raises:
        InputError: nothing there can be read as an axial CT scan.
        OutputError: the pseudonym key can neither be read nor made.
    """
    source = open_source(path, allow_tilt=allow_tilt)
    scans: list[LoadedScan] = []
    failures: list[LnmDetectError] = list(source.failures)
    for handle in source.scans:
        assert isinstance(handle, DicomScan)  # neither key images nor a list were asked for
        try:
            scans.append(LoadedScan(handle.load(), handle.slices))
        except InputError as error:
            failures.append(error)
    if not scans:
        raise failures[0]
    loaded = tuple(scans)
    opened = ScanSource(loaded, source.notes, tuple(failures), source.is_phantom)
    return LoadedStudy(opened, loaded)
