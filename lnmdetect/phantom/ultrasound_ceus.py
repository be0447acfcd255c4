"""Contrast-enhanced frames of a synthetic carcinoma, around the peak of enhancement."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.phantom.ultrasound_anatomy import Section
from lnmdetect.phantom.ultrasound_draw import CeusSigns
from lnmdetect.phantom.ultrasound_nodule import Nodule
from lnmdetect.phantom.ultrasound_speckle import (
    Floats,
    Machine,
    compressed,
    echo_image,
    smooth_field,
)

TOP_DB = 13.0
"""White: this far above the contrast of the gland at its peak."""
FRAME_STEP_S = 1.5
_RISE_S, _FALL_S = 6.0, 38.0
_TISSUE_LEAK = 0.035
"""Share of tissue echoes that the machine does not suppress."""


@dataclass(frozen=True)
class Perfusion:
    """Where contrast goes.

    Attributes:
        peak: (H, W) amplitude at its peak, 1 near the gland's. delay_s: (H, W) after the artery.
    """

    peak: Floats
    delay_s: Floats


def draw_perfusion(
    section: Section, nodule: Nodule, signs: CeusSigns, rng: np.random.Generator
) -> Perfusion:
    """Return where contrast goes; defects follow the texture that B-mode shows only in part."""
    uneven = smooth_field(rng, section.x.shape, 1.6 / section.pixel_mm)
    around = section.values("perfusion") * (1 + 0.12 * uneven)
    reach_mm = 2.2 * signs.spread
    grown = _soft(nodule.distance - reach_mm, 0.5)
    inner = (0.27 + 1.10 * signs.bright) * _defects(nodule, signs, rng, section.pixel_mm)
    rim = np.exp(-(((nodule.distance - 0.5 * reach_mm) / 0.75) ** 2)) * _gaps(section, rng)
    inner = inner + 1.9 * signs.rim * rim
    delay = section.values("delay_s")
    own_delay = delay * (1 - grown) + (5.0 - 4.0 * signs.early) * grown
    return Perfusion(np.maximum(around * (1 - grown) + inner * grown, 0), own_delay)


def _soft(distance: Floats, width_mm: float) -> Floats:
    return np.asarray(1 / (1 + np.exp(np.clip(distance / (0.5 * width_mm), -60, 60))))


def _defects(nodule: Nodule, signs: CeusSigns, rng: np.random.Generator, pixel_mm: float) -> Floats:
    """Return what share (H, W) of a nodule takes contrast up: less in its defects."""
    own = smooth_field(rng, nodule.texture.shape, 1.5 / pixel_mm)
    field = 0.45 * nodule.texture + 0.9 * own
    threshold = 2.5 - 2.4 * signs.defects
    return np.asarray(1 - 0.90 * _soft(threshold - field, 0.5))


def _gaps(section: Section, rng: np.random.Generator) -> Floats:
    """Return how much (H, W) of a rim is there: it is broken here and there."""
    return np.asarray(_soft(-0.4 - smooth_field(rng, section.x.shape, 2.0 / section.pixel_mm), 0.4))


def render_ceus(
    section: Section,
    perfusion: Perfusion,
    machine: Machine,
    rng: np.random.Generator,
    frames: int,
) -> NDArray[np.uint8]:
    """Return frames (F, H, W) uint8, `FRAME_STEP_S` apart, the middle one at the gland's peak.

    Bubbles move: the speckle of each frame is its own.
    """
    gland_peak_s = 2.5 + _RISE_S
    offsets = (np.arange(frames) - (frames - 1) // 2) * FRAME_STEP_S
    leak = _TISSUE_LEAK * (section.reflect * ~section.air)
    return np.stack(
        [
            compressed(
                echo_image(
                    perfusion.peak * _uptake(gland_peak_s + offset - perfusion.delay_s),
                    leak,
                    machine,
                    rng,
                ),
                machine,
                TOP_DB,
            )
            for offset in offsets
        ]
    )


def _uptake(seconds: Floats) -> Floats:
    """Return the share (H, W) of the peak at a time after arrival: rises in 6 s, falls slowly."""
    rising = np.sin(np.pi / 2 * np.clip(seconds / _RISE_S, 0, 1)) ** 2
    return np.asarray(rising * np.exp(-np.maximum(seconds - _RISE_S, 0) / _FALL_S))
