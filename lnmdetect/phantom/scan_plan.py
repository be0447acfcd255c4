"""How a scan is taken: pixel, thickness, range, noise, kernel; lifelike or far wider."""

from dataclasses import dataclass

import numpy as np

from lnmdetect.core.scan_ranges import Range, ScanRanges
from lnmdetect.phantom.appearance import Setting

MOST_SLICES = 120
LIFELIKE_PIXEL_MM, TRAINING_PIXEL_MM = (0.44, 0.6), (0.3, 1.0)
LIFELIKE_STEPS_MM = (2.0, 2.5)
TRAINING_STEPS_MM = (1.0, 1.25, 1.5, 2.0, 2.0, 2.5, 3.0, 3.0, 4.0, 5.0)
LIFELIKE_SIDE_PX = 512
TRAINING_SIDES_PX = (512, 512, 512, 512, 512, 512, 511, 480, 400, 568)


@dataclass(frozen=True)
class ScanPlan:
    """The acquisition of one scan.

    Attributes:
        matrix: (rows, columns). pixel_mm: square pixels.
        z_low_mm, slices, spacing_mm, thickness_mm: levels of the slices, from the feet up.
        offset_mm: (x, y) of the middle of the image.
        psf_mm: deviation of the in-plane blur. overshoot: edge enhancement of sharp kernels.
        noise_hu, grain_mm: deviation and correlation length of the noise.
        streak_hu: deviation of the horizontal noise at the shoulders.
        metal: how many teeth are metal.
        feet_first_files: whether the files run against z.
    """

    matrix: tuple[int, int]
    pixel_mm: float
    z_low_mm: float
    slices: int
    spacing_mm: float
    thickness_mm: float
    offset_mm: tuple[float, float]
    psf_mm: float
    overshoot: float
    noise_hu: float
    grain_mm: float
    streak_hu: float
    metal: int
    round_field: bool

    @property
    def levels_mm(self) -> tuple[float, ...]:
        """The z of every slice, rising."""
        return tuple(self.z_low_mm + self.spacing_mm * index for index in range(self.slices))


def draw_plan(setting: Setting, rng: np.random.Generator) -> ScanPlan:
    """Return a random acquisition."""
    return _training_plan(rng) if setting == "training" else _lifelike_plan(rng)


def _lifelike_plan(rng: np.random.Generator) -> ScanPlan:
    low, high = rng.uniform(-112, -92), rng.uniform(70, 92)
    spacing = LIFELIKE_STEPS_MM[0] if rng.random() < 0.8 else LIFELIKE_STEPS_MM[1]
    return ScanPlan(
        matrix=(LIFELIKE_SIDE_PX, LIFELIKE_SIDE_PX),
        pixel_mm=round(float(rng.uniform(*LIFELIKE_PIXEL_MM)), 4),
        z_low_mm=round(float(low), 2),
        slices=int((high - low) / spacing),
        spacing_mm=spacing,
        thickness_mm=spacing,
        offset_mm=(float(rng.normal(0, 4)), float(rng.normal(4, 4))),
        psf_mm=float(rng.uniform(0.3, 0.5)),
        overshoot=float(rng.uniform(0, 0.3)),
        noise_hu=float(rng.uniform(6, 12)),
        grain_mm=float(rng.uniform(0.35, 0.65)),
        streak_hu=float(rng.uniform(4, 16)),
        metal=int(rng.integers(1, 4)) if rng.random() < 0.4 else 0,
        round_field=bool(rng.random() < 0.3),
    )


def scan_ranges(setting: Setting) -> ScanRanges:
    """Return the pixels, fields of view and slice steps that a setting's scans have."""
    if setting == "training":
        return _ranges(TRAINING_PIXEL_MM, TRAINING_SIDES_PX, TRAINING_STEPS_MM)
    return _ranges(LIFELIKE_PIXEL_MM, (LIFELIKE_SIDE_PX,), LIFELIKE_STEPS_MM)


def _ranges(pixel_mm: Range, sides_px: tuple[int, ...], steps_mm: tuple[float, ...]) -> ScanRanges:
    low, high = pixel_mm
    fields_mm = (round(min(sides_px) * low, 1), round(max(sides_px) * high, 1))
    return ScanRanges(pixel_mm, fields_mm, (min(steps_mm), max(steps_mm)))


def _training_range(rng: np.random.Generator) -> tuple[float, float]:
    chance = rng.random()
    if chance < 0.55:
        return float(rng.uniform(-125, -85)), float(rng.uniform(55, 110))
    if chance < 0.8:
        return float(rng.uniform(-115, 40)), float(rng.uniform(150, 222))
    low = float(rng.uniform(-130, 40))
    return low, low + float(rng.uniform(50, 120))


def _training_plan(rng: np.random.Generator) -> ScanPlan:
    low, high = _training_range(rng)
    spacing = float(rng.choice(TRAINING_STEPS_MM))
    slices = min(int((high - low) / spacing), MOST_SLICES)
    side = int(rng.choice(TRAINING_SIDES_PX))
    pixel = float(np.exp(rng.uniform(*np.log(TRAINING_PIXEL_MM))))
    return ScanPlan(
        matrix=(side, side),
        pixel_mm=round(pixel, 4),
        z_low_mm=round(low, 2),
        slices=max(slices, 4),
        spacing_mm=spacing,
        thickness_mm=round(
            min(max(spacing * float(rng.choice([0.8, 1.0, 1.0, 1.25])), 1.0), 5.0), 3
        ),
        offset_mm=(float(rng.normal(0, 10)), float(rng.normal(5, 10))),
        psf_mm=float(rng.uniform(0.2, 0.95)),
        overshoot=float(rng.choice([0.0, 0.0, rng.uniform(0.1, 0.6)])),
        noise_hu=float(np.exp(rng.uniform(np.log(2), np.log(28)))),
        grain_mm=float(rng.uniform(0.2, 1.1)),
        streak_hu=float(rng.uniform(0, 40)),
        metal=int(rng.integers(1, 5)) if rng.random() < 0.4 else 0,
        round_field=bool(rng.random() < 0.3),
    )
