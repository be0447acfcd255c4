"""The B-mode image of a synthetic carcinoma."""

import numpy as np
from numpy.typing import NDArray

from lnmdetect.phantom.ultrasound_anatomy import Section
from lnmdetect.phantom.ultrasound_draw import BmodeSigns
from lnmdetect.phantom.ultrasound_nodule import Nodule
from lnmdetect.phantom.ultrasound_speckle import (
    Floats,
    Machine,
    blurred,
    compressed,
    echo_image,
    smooth_field,
    transmitted,
)

TOP_DB = 21.0
"""White: this far above the gland's mean echo."""
_POINT_AMPLITUDE = 13.0
_POINT_LOSS_DB_MM = 16.0
_ECHO_PERIOD_MM = 3.1


def render_bmode(
    section: Section,
    nodule: Nodule,
    signs: BmodeSigns,
    machine: Machine,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return the image (H, W) uint8."""
    echo_db = _echo_db(section, nodule, signs, rng)
    points = _points(section, nodule)
    loss = section.values("loss_db_mm") * (1 - nodule.inside)
    loss += 0.25 * nodule.inside + _POINT_LOSS_DB_MM * np.clip(points, 0, 1)
    passed = transmitted(loss, machine)
    amplitude = 10 ** (echo_db / 20) * passed
    outside = 1 - nodule.inside
    coherent = (section.reflect * outside + _POINT_AMPLITUDE * points) * passed
    amplitude, coherent = _behind_air(section, amplitude, coherent)
    return compressed(echo_image(amplitude, coherent, machine, rng), machine, TOP_DB)


def _echo_db(
    section: Section, nodule: Nodule, signs: BmodeSigns, rng: np.random.Generator
) -> Floats:
    """Return the scatterers' strength (H, W) in dB beside the gland's."""
    rough = smooth_field(rng, section.x.shape, 1.2 / section.pixel_mm)
    around = blurred(section.values("echo_db"), 0.12 / section.pixel_mm)
    around = around + section.values("grain_db") * rough + 11 * section.striped
    inner = -5.0 - 11.0 * signs.dark + (1.0 + 2.0 * signs.coarse) * nodule.texture
    return np.asarray(around * (1 - nodule.inside) + inner * nodule.inside)


def _points(section: Section, nodule: Nodule) -> Floats:
    """Return the calcifications (H, W), 1 in the middle of each."""
    shown = np.zeros(section.x.shape)
    for (x, y), size_mm in zip(nodule.points, nodule.sizes_mm, strict=True):
        away = np.hypot((section.x - x) / 1.4, section.y - y)
        shown = np.maximum(shown, np.exp(-((away / size_mm) ** 2) / 2))
    return shown


def _behind_air(section: Section, amplitude: Floats, coherent: Floats) -> tuple[Floats, Floats]:
    """Return both with what air leaves behind it: a dirty shadow with repeated echoes."""
    depth = np.cumsum(section.air, axis=0) * section.pixel_mm
    fading = np.exp(-depth / 4.5)
    repeats = np.cos(np.pi * depth / _ECHO_PERIOD_MM) ** 10
    dirty = 0.35 * fading * (0.5 + repeats)
    under = depth > 0
    return np.where(under, dirty, amplitude), np.where(under & (depth > 0.4), 0.0, coherent)
