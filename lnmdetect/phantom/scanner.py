"""What a scanner does to a noise-free slice: blur, noise, shoulder and metal streaks."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lnmdetect.phantom.scan_plan import ScanPlan

Floats = NDArray[np.float32]

WIDE_BODY_MM = 190.0
"""Width above which photons run short and streaks begin."""
BODY_ABOVE_HU = -300.0
METAL_REACH_MM = 45.0


def blurred(image: Floats, plan: ScanPlan) -> Floats:
    """Return the slice as the kernel shows it: blurred, then edges raised for sharp kernels."""
    soft = cv2.GaussianBlur(image, (0, 0), max(plan.psf_mm / plan.pixel_mm, 0.3))
    if plan.overshoot:
        wider = cv2.GaussianBlur(soft, (0, 0), 0.9 / plan.pixel_mm)
        soft += np.float32(plan.overshoot) * np.clip(soft - wider, -150, 150)
    return np.asarray(soft, dtype=np.float32)


def correlated_noise(
    shape: tuple[int, int], sigma_px: tuple[float, float], rng: np.random.Generator
) -> Floats:
    """Return noise of unit deviation, blurred by (x, y) deviations in px."""
    white = rng.standard_normal(shape, dtype=np.float32)
    noise = cv2.GaussianBlur(white, (0, 0), max(sigma_px[0], 0.2), sigmaY=max(sigma_px[1], 0.2))
    return np.asarray(noise / max(float(noise.std()), 1e-6), dtype=np.float32)


def _depth_in_body(image: Floats, pixel_mm: float) -> Floats:
    """Return 0..1, how deep each pixel lies in the body: noise grows to the middle."""
    rows, columns = image.shape
    small = cv2.resize(
        (image > BODY_ABOVE_HU).astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA
    )
    sigma = 45 / pixel_mm * 64 / columns
    return np.asarray(
        cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma), (columns, rows)), dtype=np.float32
    )


def noisy(image: Floats, plan: ScanPlan, rng: np.random.Generator) -> Floats:
    """Return the slice with noise: correlated, stronger deep in the body and at wide levels."""
    grain = plan.grain_mm / plan.pixel_mm
    depth = _depth_in_body(image, plan.pixel_mm)
    width_mm = float((image > BODY_ABOVE_HU).any(0).sum()) * plan.pixel_mm
    seen_mm = plan.matrix[1] * plan.pixel_mm
    wide = max(width_mm - WIDE_BODY_MM, 0.0) if seen_mm > WIDE_BODY_MM else 0.0
    strength = plan.noise_hu * (1 + wide / 250)
    noise = correlated_noise(image.shape, (grain, grain), rng) * strength * (0.55 + 0.65 * depth)
    if wide > 0 and plan.streak_hu > 0:
        lines = correlated_noise(image.shape, (14 / plan.pixel_mm, 0.5 / plan.pixel_mm), rng)
        noise += lines * depth * np.float32(plan.streak_hu * min(wide / 80, 1.5))
    return np.asarray(image + noise, dtype=np.float32)


def metal_streaks(
    shape: tuple[int, int],
    spots_px: Sequence[tuple[float, float]],
    plan: ScanPlan,
    rng: np.random.Generator,
) -> Floats:
    """Return HU to add for metal at (column, row) spots of this slice."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    total = np.zeros(shape, dtype=np.float32)
    for column, row in spots_px:
        dx, dy = x - np.float32(column), y - np.float32(row)
        angle = cv2.phase(dx, dy) * np.float32(359 / (2 * np.pi))
        rays = np.convolve(rng.standard_normal(368), np.hanning(9) / 4, mode="valid").astype(
            np.float32
        )
        reach = np.exp(-cv2.magnitude(dx, dy) * np.float32(plan.pixel_mm / METAL_REACH_MM))
        total += rays[angle.astype(np.int32) % 360] * reach * np.float32(rng.uniform(120, 420))
    return total


def finished(image: Floats, plan: ScanPlan) -> NDArray[np.int16]:
    """Return int16 HU within 12 bits, air outside a round field of view."""
    limited = np.clip(np.rint(image), -1024, 3071).astype(np.int16)
    if plan.round_field:
        rows, columns = image.shape
        y, x = np.ogrid[:rows, :columns]
        outside = (x - columns / 2 + 0.5) ** 2 + (y - rows / 2 + 0.5) ** 2 > (
            min(rows, columns) / 2
        ) ** 2
        limited[outside] = -1024
    return limited
