"""Whether three slices of a scan look as Hounsfield units do: air, fat and soft tissue."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import CocoDataset, ImageRecord
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.scan_handle import ScanHandle
from lnmdetect.transforms.tissue import TissueShares, tissue_shares

Sample = NDArray[np.int16]
"""(D, H, W) HU of up to three slices."""
LEAST_SHARE = 0.005
"""Of the pixels; a neck that fills a third of the slice has ten times as much fat or muscle."""
LEAST_AIR_SHARE = 0.001
"""An airway alone is more."""


def sample_places(depth: int) -> list[int]:
    """Return the three slices to look at, at a quarter, a half and three quarters of the scan."""
    return sorted({depth * quarter // 4 for quarter in (1, 2, 3)})


def check_listed(store: PixelStore, dataset: CocoDataset) -> None:
    """Do nothing where the scans that a file lists, and that have boxes, are in Hounsfield units.

    Key images are not looked at: a reader chose them.

    Raises:
        InputError: a scan is not, or three of its slices cannot be read.
    """
    if dataset.coverage != "all_slices":
        return
    boxed = {box.image_id for box in dataset.annotations}
    scans: dict[tuple[str, str, int, int], list[ImageRecord]] = defaultdict(list)
    for image in dataset.images:
        scans[image.patient, image.series, image.width, image.height].append(image)
    for images in scans.values():
        if any(image.image_id in boxed for image in images):
            ordered = sorted(images, key=lambda image: (image.position_mm, image.image_id))
            sample = [ordered[place] for place in sample_places(len(ordered))]
            check_hounsfield(np.stack([store.read(image) for image in sample]), images[0].series)


def check_scan(scan: ScanHandle) -> None:
    """Do nothing where three slices of a scan are in Hounsfield units; no other is read.

    Raises:
        InputError: they are not, or cannot be read.
    """
    sample = [scan.read_slice(place) for place in sample_places(len(scan.images))]
    check_hounsfield(np.stack(sample), scan.images[0].series)


def check_hounsfield(hu: Sample, series_uid: str) -> TissueShares:
    """Return the shares of tissues in (D, H, W) HU of a scan's sample.

    Raises:
        InputError: there is no soft tissue, or neither air nor fat: a rescale slope, intercept or
            number of bits is wrong, and boxes would be too.
    """
    shares = tissue_shares(hu)
    if shares.soft < LEAST_SHARE:
        got = "no soft tissue"
    elif shares.air < LEAST_AIR_SHARE and shares.fat < LEAST_SHARE:
        got = "neither air nor fat"
    else:
        return shares
    raise InputError(
        f"series {series_uid}",
        expected="a neck in Hounsfield units",
        got=f"{got} in three of its slices, HU {int(hu.min())} to {int(hu.max())}",
        remedy="Check slope, intercept and bits of the pixels, or export the series again; chosen "
        "slices are read unchecked with --key-images.",
    )
