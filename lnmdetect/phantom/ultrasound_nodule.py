"""The carcinoma in the gland: its outline, its calcifications, where it touches the capsule."""

from dataclasses import dataclass

import numpy as np

from lnmdetect.phantom.ultrasound_anatomy import Section
from lnmdetect.phantom.ultrasound_draw import BmodeSigns
from lnmdetect.phantom.ultrasound_speckle import Floats, smooth_field

_WAVES = range(2, 12)
_FRONT_OR_SIDE = ((-0.75 * np.pi, -0.25 * np.pi), (0.75 * np.pi, 1.1 * np.pi))
"""Directions (0 medial, half pi deep) of the capsule that a nodule may touch: front and side."""


@dataclass(frozen=True)
class Nodule:
    """A nodule on the grid of its section.

    Attributes:
        distance: (H, W) mm to its outline, negative inside.
        inside: (H, W) in [0, 1], blurred as its margin is.
        texture: (H, W) of mean 0 and deviation 1, its inner unevenness.
        points: (n, 2) x and y of calcifications, and (n,) sizes in mm.
    """

    distance: Floats
    inside: Floats
    texture: Floats
    points: Floats
    sizes_mm: Floats


def draw_nodule(
    rng: np.random.Generator, section: Section, signs: BmodeSigns, size_mm: float
) -> Nodule:
    """Return a nodule of largest diameter `size_mm`, where its contact sign puts it.

    The diameter is that of the ellipse which its margin follows: lobes reach beyond it, of a
    strongly lobed nodule so far that it measures about a quarter more.
    """
    tall = 0.68 + 0.62 * signs.tall
    half = size_mm / 2 * np.array([min(1.0, 1 / tall), min(1.0, tall)])
    centre = _centre(rng, section, signs.contact, half)
    across, down = section.x - centre[0], section.y - centre[1]
    angle = np.arctan2(down / half[1], across / half[0])
    radius = np.hypot(across / half[0], down / half[1])
    waves = _waves(rng, angle, 0.02 + 0.22 * signs.lobed)
    distance = (radius - 1 - waves) * float(np.sqrt(half.prod()))
    width_mm = 0.10 + 0.55 * signs.blurred
    coarse_mm = 0.5 + 1.3 * signs.coarse
    return Nodule(
        distance=distance,
        inside=1 / (1 + np.exp(np.clip(distance / (0.5 * width_mm), -60, 60))),
        texture=smooth_field(rng, distance.shape, coarse_mm / section.pixel_mm),
        **_calcifications(rng, signs.calcifications, centre, half),
    )


def _centre(rng: np.random.Generator, section: Section, contact: float, half: Floats) -> Floats:
    """Return x and y: the gap to the capsule is 3 mm without contact, and negative with it."""
    low, high = _FRONT_OR_SIDE[int(rng.random() < 0.4)]
    direction = rng.uniform(low, high)
    way = np.array([np.cos(direction), np.sin(direction)])
    axes, middle = np.array(section.lobe[2:]), np.array(section.lobe[:2])
    to_capsule = 1 / np.hypot(*(way / axes))
    own = 1 / np.hypot(*(way / half))
    gap_mm = 3.0 - 4.2 * contact
    return np.asarray(middle + way * max(0.0, to_capsule - own - gap_mm))


def _waves(rng: np.random.Generator, angle: Floats, height: float) -> Floats:
    """Return the outline's relative swelling (H, W); high waves are lobes, finer ones spicules."""
    swelling = np.zeros_like(angle)
    for number in _WAVES:
        strength = rng.normal() * height / number**0.55
        swelling += strength * np.cos(number * angle + rng.uniform(0, 2 * np.pi))
    return np.asarray(np.clip(swelling, -0.45, 0.45))


def _calcifications(
    rng: np.random.Generator, count: int, centre: Floats, half: Floats
) -> dict[str, Floats]:
    angle, radius = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 0.75, count))
    offset = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None] * half
    return {"points": centre + offset, "sizes_mm": rng.uniform(0.11, 0.22, count)}
