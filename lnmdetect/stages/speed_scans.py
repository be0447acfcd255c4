"""The scans that are timed: a phantom's neck of any length, and a body that is alike everywhere."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.phantom.scan import make_scan

SEED = 9800
"""Of a patient that no bundled model has seen."""
BODY_SPACING_MM = (2.0, 0.5, 0.5)


@dataclass(frozen=True)
class Volume:
    """A neck in HU.

    Attributes:
        voxels_hu: (D, H, W) int16.
        spacing_mm: (z, row, column).
    """

    voxels_hu: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]


def phantom_volume(size_px: int) -> Volume:
    """Return a lifelike phantom on `size_px` squared pixels, nearest ones of the phantom's own."""
    scan = make_scan(SEED, 0, "lifelike")
    side = scan.voxels_hu.shape[1]
    chosen = np.arange(size_px) * side // size_px
    pixel_mm = scan.plan.pixel_mm * side / size_px
    voxels = scan.voxels_hu[:, chosen[:, None], chosen]
    return Volume(np.ascontiguousarray(voxels), (scan.plan.spacing_mm, pixel_mm, pixel_mm))


def write_scan(volume: Volume, folder: Path, slices: int, *, seed: str = "speed") -> list[Path]:
    """Return the files of a series of any length: up the neck, down again, and so on.

    Args:
        volume: of at least two slices.
        folder: made if absent.
        slices: how many.
        seed: of the uids, and the patient's name.
    """
    depth = len(volume.voxels_hu)
    step = np.arange(slices) % (2 * depth - 2)
    order = np.where(step < depth, step, 2 * depth - 2 - step)
    meta = CtSeriesMeta(seed, seed, seed, volume.spacing_mm, volume.spacing_mm[0], (0.0, 0.0, 0.0))
    written = write_ct_series(volume.voxels_hu[order], folder, meta)
    return [file.path for file in written]


def write_body(folder: Path, slices: int, side_px: int) -> None:
    """Write a series that shows the same body, fat around muscle, on all slices."""
    y, x = np.mgrid[:side_px, :side_px]
    radius = np.hypot(x - side_px / 2, y - side_px / 2)
    inner = np.where(radius > side_px / 4, -100, 50)
    plane = np.where(radius < side_px / 3, inner, -1000).astype(np.int16)
    meta = CtSeriesMeta("memory", "p", "p", BODY_SPACING_MM, BODY_SPACING_MM[0], (0.0, 0.0, 0.0))
    write_ct_series(np.broadcast_to(plane, (slices, side_px, side_px)), folder, meta)
