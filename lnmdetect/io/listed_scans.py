"""The scans that a truth, boxes or nodes file lists slice by slice."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.records import ImageRecord, Scan
from lnmdetect.io.coco import read_coco
from lnmdetect.io.dicom_index import Progress
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.scan_handle import ScanHandle, ScanSource


@dataclass(frozen=True)
class ListedScan:
    """Slices of one series, in rising position; a single one is a key image.

    Attributes:
        images: their records.
    """

    images: tuple[ImageRecord, ...]
    store: PixelStore = field(repr=False)

    def load(self) -> Scan:
        """Return the slices as a scan; the z spacing of a single one is its thickness, else 1 mm.

        Raises:
            InputError: a file is damaged, or is not where the record says.
        """
        first, last = self.images[0], self.images[-1]
        steps = len(self.images) - 1
        step_mm = (last.position_mm - first.position_mm) / steps if steps else first.thickness_mm
        voxels = np.stack([self.store.read(image) for image in self.images])
        return Scan(voxels, (step_mm or 1.0, *first.spacing_mm), self.images)

    def read_slice(self, index: int) -> NDArray[np.int16]:
        """Return one slice, (H, W) int16 HU; no other is read.

        Raises:
            InputError: a file is damaged, or is not where the record says.
        """
        return self.store.read(self.images[index])


def open_listed(
    path: Path,
    *,
    key_images: bool = False,
    root: Path | None = None,
    progress: Progress | None = None,
) -> ScanSource:
    """Return the scans that a file lists: whole series, or slices by themselves.

    Args:
        path: a truth, boxes or nodes file.
        key_images: take slices by themselves also where the file's coverage is `all_slices`.
        root: where the pixels are, instead of the place that the file names.
        progress: called with (files read, files in all) while headers are read.

    Raises:
        InputError: the file, or the place of the pixels that it names, cannot be read.
    """
    dataset = read_coco(path)
    place = root or path.parent / str(dataset.info.get("scan_root", "."))
    store = PixelStore(place, png_folder=path.parent, progress=progress)
    alone = key_images or dataset.coverage == "key_images"
    groups = ((image,) for image in dataset.images) if alone else _series(dataset.images)
    scans: tuple[ScanHandle, ...] = tuple(ListedScan(images, store) for images in groups)
    return ScanSource(
        scans,
        (),
        (),
        dataset.is_phantom or store.is_phantom,
        coverage="key_images" if alone else "all_slices",
        fold=dataset.info.get("split"),
    )


def _series(images: Iterable[ImageRecord]) -> list[tuple[ImageRecord, ...]]:
    """Return the slices of each series in rising position; sizes and spacings never mix.

    Slices that share a position, as PNGs without one, cannot be neighbours: each is alone.
    """
    groups: dict[tuple[object, ...], list[ImageRecord]] = {}
    for image in images:
        key = (image.series, image.width, image.height, image.spacing_mm)
        groups.setdefault(key, []).append(image)
    found: list[tuple[ImageRecord, ...]] = []
    for group in groups.values():
        ordered = tuple(sorted(group, key=lambda image: image.position_mm))
        distinct = len({image.position_mm for image in ordered}) == len(ordered)
        found += [ordered] if distinct else [(image,) for image in group]
    return found
