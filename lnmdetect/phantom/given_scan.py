"""What a given CT scan is like: its tissues' HU, contrast, sharpness and noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

AIR_EDGE_HU = -500.0
"""Half way between air and soft tissue: where the skin's edge is."""
EDGE_REACH_PX = 6
EDGE_SLICES = 12
FEWEST_EDGES = 50
USUAL_PSF_PX = 0.6
"""Deviation taken where no skin edge lies inside the image."""
QUIET_SHARE = 0.4
NOISE_WINDOW_MM = 7.0
FAR_PX = 2
USUAL_NOISE_HU = 10.0
SHARP_SHARE = 0.25

UNENHANCED_VESSEL_HU = 45.0
FULL_ENHANCEMENT_HU = 155.0
"""Blood without contrast, and what the venous phase adds to neck veins (design, section 7)."""
ENHANCED_ABOVE_MUSCLE_HU = 60.0
FEWEST_ENHANCED_MM2, ENHANCED_QUANTILE = 60.0, 0.25
"""Carotids and jugulars show 100 mm^2 or more on every slice, plaques and the thyroid on few."""


@dataclass(frozen=True)
class GivenScan:
    """A scan that nodes are put into, its slices from the feet up, its rows from front to back.

    Attributes:
        voxels_hu: (slices, rows, columns) int16.
        spacing_mm: (z, row, column). thickness_mm: nominal slice thickness.
    """

    voxels_hu: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]
    thickness_mm: float


@dataclass(frozen=True)
class Tissue:
    """The scan's typical HU, and the share of full venous contrast (0 without, about 1 with)."""

    muscle_hu: float
    fat_hu: float
    phase: float


@dataclass(frozen=True)
class Sharpness:
    """The in-plane point spread: deviation of a Gaussian, px along (x, y), without the pixel's."""

    psf_px: tuple[float, float]


@dataclass(frozen=True)
class Noise:
    """Noise in soft tissue.

    Attributes:
        deviation_hu: (slices,). grain_px: deviation of the blur that makes white noise alike.
    """

    deviation_hu: Floats
    grain_px: float


def most_frequent_hu(values: Floats, low: float, high: float) -> float:
    """Return the mode of the values between `low` and `high`, the middle where there are none."""
    counts, edges = np.histogram(values, bins=int((high - low) / 2), range=(low, high))
    if counts.sum() == 0:
        return (low + high) / 2
    smooth = np.convolve(counts, np.ones(5), mode="same")
    index = int(np.argmax(smooth))
    return float((edges[index] + edges[index + 1]) / 2)


def measure_tissue(hu: Floats, soft: Mask, away_from_bone: Mask) -> Tissue:
    """Return typical HU and contrast of a neck.

    Contrast is what fills vessels: voxels clearly above muscle, neither bone nor next to it. Faint
    contrast (below about 0.4 of the venous phase) counts as none.

    Args:
        hu: (slices, rows, columns), 1 mm pixels.
        soft: inside the body, below the skin.
        away_from_bone: far from bone and from the airway with its cartilage.
    """
    muscle = most_frequent_hu(hu[soft], 5, 105)
    fat = most_frequent_hu(hu[soft], -140, -50)
    enhanced = soft & away_from_bone & enhanced_voxels(hu, muscle)
    area_mm2 = float(np.quantile(enhanced.sum((1, 2)), ENHANCED_QUANTILE))
    phase = 0.0
    if area_mm2 >= FEWEST_ENHANCED_MM2:
        rise = float(np.median(hu[enhanced])) - UNENHANCED_VESSEL_HU
        phase = float(np.clip(rise / FULL_ENHANCEMENT_HU, 0.25, 1.25))
    return Tissue(muscle, fat, phase)


def enhanced_voxels(hu: Floats, muscle_hu: float) -> Mask:
    """Return where HU are those of an enhanced vessel, in patches of 3 px or more."""
    bright = (hu > muscle_hu + ENHANCED_ABOVE_MUSCLE_HU) & (hu < 450)
    kernel = np.ones((3, 3), dtype=np.uint8)
    return np.stack(
        [cv2.morphologyEx(b.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0 for b in bright]
    )


def measure_noise(scan: GivenScan, slices: Sequence[int]) -> Noise:
    """Return the noise of every slice: the deviation in the quieter part of its soft tissue.

    `slices` are those the correlation is measured on.
    """
    rows, columns = (max(3, round(NOISE_WINDOW_MM / step) | 1) for step in scan.spacing_mm[1:])
    variances = np.full(len(scan.voxels_hu), np.nan)
    correlations = []
    for index, slice_hu in enumerate(scan.voxels_hu):
        image = slice_hu.astype(np.float32)
        # Values are taken from near their mean, so that the squares keep their precision.
        mean = cv2.blur(image - 40, (columns, rows))
        variance = np.maximum(cv2.blur((image - 40) ** 2, (columns, rows)) - mean**2, 0)
        soft = _wholly_soft(image, (rows, columns + 2 * FAR_PX))
        if not soft.any():
            continue
        variances[index] = np.quantile(variance[soft], QUIET_SHARE)
        quiet = soft & (variance <= variances[index])
        if index in slices:
            correlations.append(_neighbour_correlation(image, quiet, (columns, rows)))
    grain_px = _grain_px(correlations)
    deviation = np.sqrt(variances / (1 - _mean_correlation(grain_px, rows, columns)))
    known = deviation[np.isfinite(deviation)]
    usual = float(np.median(known)) if len(known) else USUAL_NOISE_HU
    return Noise(np.nan_to_num(deviation, nan=usual).astype(np.float32), grain_px)


def _mean_correlation(grain_px: float, rows: int, columns: int) -> float:
    """Return the share of the noise's variance that a window's mean takes away."""
    share = 1.0
    for side in (rows, columns):
        steps = np.subtract.outer(np.arange(side), np.arange(side))
        share *= float(np.exp(-(steps**2) / (4 * grain_px**2)).mean())
    return share


def _wholly_soft(image: Floats, window: tuple[int, int]) -> Mask:
    """Return the pixels whose whole window is soft tissue, apart from noise."""
    calm = cv2.GaussianBlur(image, (0, 0), 1.0)
    soft = ((calm > 0) & (calm < 110)).astype(np.uint8)
    return np.asarray(cv2.erode(soft, np.ones(window, dtype=np.uint8)) > 0)


def _neighbour_correlation(image: Floats, where: Mask, window: tuple[int, int]) -> float:
    """Return the correlation r of neighbours from mean squared steps over one and two pixels.

    With r at one pixel a Gaussian has r^4 at two, so near / far = (1 - r) / (1 - r^4).
    """
    near, far = (
        cv2.blur((image[:, lag:] - image[:, :-lag]) ** 2, window)[where[:, lag:]].mean()
        for lag in (1, FAR_PX)
    )
    correlation = np.linspace(0.01, 0.95, 95)
    ratio = (1 - correlation) / (1 - correlation**4)
    return float(np.interp(near / max(far, 1e-6), ratio[::-1], correlation[::-1]))


def _grain_px(correlations: Sequence[float]) -> float:
    """Return s where neighbours correlate as white noise blurred by s px: exp(-1 / (4 s^2))."""
    if not correlations:
        return 0.5
    return float(1 / (2 * np.sqrt(-np.log(np.median(correlations)))))


def measure_sharpness(scan: GivenScan, slices: Sequence[int]) -> Sharpness:
    """Return the point spread from the skin's edge against air, at the front of the body.

    An edge seen through a Gaussian of deviation s has the slope contrast / (s sqrt(2 pi)). The
    sharpest quarter of the edges counts: hair, cloth and slanting skin only widen one.
    """
    chosen = list(slices)[:: max(1, len(slices) // EDGE_SLICES)]
    widths = np.concatenate(
        [np.empty(0), *(_edge_widths_px(scan.voxels_hu[index]) for index in chosen)]
    )
    row_mm, column_mm = scan.spacing_mm[1:]
    total = USUAL_PSF_PX
    if len(widths) >= FEWEST_EDGES:
        total = float(np.quantile(widths, SHARP_SHARE))
    psf_mm = np.sqrt(max(total**2 - 1 / 12, 0.0)) * column_mm
    return Sharpness((float(psf_mm / column_mm), float(psf_mm / row_mm)))


def _edge_widths_px(slice_hu: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the Gaussian deviations, px, of the skin's edges that face the front."""
    image = slice_hu.astype(np.float32)
    inside = (cv2.medianBlur(image, 3) > AIR_EDGE_HU).astype(np.uint8)
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return np.empty(0)
    points = max(contours, key=cv2.contourArea)[:, 0].astype(int)
    rows, columns = image.shape
    front = points[:, 1] < points[:, 1].mean()
    framed = EDGE_REACH_PX + 1
    whole = (points >= framed).all(1) & (points < np.array([columns, rows]) - framed).all(1)
    points = points[front & whole]
    if len(points) == 0:
        return np.empty(0)
    soft = cv2.GaussianBlur(image, (0, 0), 1.0)
    gradient = np.stack([cv2.Sobel(soft, -1, 1, 0), cv2.Sobel(soft, -1, 0, 1)], -1)
    normals = gradient[points[:, 1], points[:, 0]]
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    return _profile_widths(image, points, normals)


def _profile_widths(
    image: Floats, points: NDArray[np.int_], normals: Floats
) -> NDArray[np.float64]:
    step = 0.25
    along = np.arange(-EDGE_REACH_PX, EDGE_REACH_PX + step, step)
    x = (points[:, :1] + normals[:, :1] * along).astype(np.float32)
    y = (points[:, 1:] + normals[:, 1:] * along).astype(np.float32)
    profiles = cv2.remap(image, x, y, cv2.INTER_CUBIC)
    contrast = profiles.max(1) - profiles.min(1)
    slope = np.diff(profiles, axis=1).max(1) / step
    clear = contrast > 500
    return np.asarray(contrast[clear] / (slope[clear] * np.sqrt(2 * np.pi)), dtype=np.float64)
