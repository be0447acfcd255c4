"""A transverse section of the front of the neck, as a linear probe sees it: depths downwards.

Lengths are mm; x is across, medial where it is positive, y is the depth below the probe. Each
structure is a signed distance (negative inside), painted in order over what lies below it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from lnmdetect.phantom.ultrasound_speckle import Floats, smooth_field

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Tissue:
    """What a tissue does to ultrasound and to contrast.

    Attributes:
        echo_db: of its scatterers, the thyroid gland 0. grain_db: unevenness of it.
        loss_db_mm: both ways, beyond what the machine makes up for.
        perfusion: of contrast at its peak, the gland about 0.75.
        delay_s: after the artery.
    """

    echo_db: float
    grain_db: float
    loss_db_mm: float
    perfusion: float
    delay_s: float


TISSUES: Mapping[str, Tissue] = MappingProxyType(
    {
        "skin": Tissue(3, 1.0, 0.0, 0.10, 6),
        "fat": Tissue(-15, 2.5, 0.05, 0.05, 7),
        "muscle": Tissue(-17, 2.0, 0.05, 0.13, 6),
        "deep": Tissue(-13, 2.5, 0.10, 0.10, 7),
        "thyroid": Tissue(0, 1.3, 0.0, 0.75, 2.5),
        "artery": Tissue(-38, 1.0, -0.15, 1.15, 0),
        "vein": Tissue(-36, 1.0, -0.12, 0.85, 5),
        "trachea": Tissue(-16, 2.0, 0.0, 0.02, 8),
        "bone": Tissue(-8, 2.0, 3.0, 0.02, 8),
    }
)
"""Order of brightness as in textbooks: gland over fat and muscle over blood; values are ours."""
NAMES = tuple(TISSUES)


@dataclass(frozen=True)
class Section:
    """The neck without the nodule.

    Attributes:
        x, y: (H, W) mm, deformed as the tissues are.
        pixel_mm: side of a pixel.
        tissue: (H, W) index in `NAMES`.
        reflect: (H, W) smooth interfaces, amplitude beside the gland's scatterers.
        striped: (H, W) in [-1, 1], the fibres of muscles and septa of fat.
        gland: (H, W) signed distance to the lobe.
        lobe: centre (x, y) and semi axes (x, y) of the lobe.
        air: (H, W) what lies behind the front of the trachea.
    """

    x: Floats
    y: Floats
    pixel_mm: float
    tissue: NDArray[np.int64]
    reflect: Floats
    striped: Floats
    gland: Floats
    lobe: tuple[float, float, float, float]
    air: Mask

    def values(self, field: str) -> Floats:
        """Return (H, W) of one field of the tissues."""
        of_each = [float(getattr(tissue, field)) for tissue in TISSUES.values()]
        return np.array(of_each)[self.tissue]


def ellipse(x: Floats, y: Floats, centre: tuple[float, float], axes: tuple[float, float]) -> Floats:
    """Return about the signed distance (H, W) in mm to an ellipse, negative inside."""
    radius = np.hypot((x - centre[0]) / axes[0], (y - centre[1]) / axes[1])
    away = np.hypot(x - centre[0], y - centre[1])
    return np.asarray(away * (1 - 1 / np.maximum(radius, 1e-6)))


def interface(distance: Floats, pixel_mm: float, strength: float, width_mm: float = 0.16) -> Floats:
    """Return the echo (H, W) of a smooth surface: strong where it faces the beam."""
    down, across = np.gradient(distance, pixel_mm)
    facing = (down**2 / (down**2 + across**2 + 1e-6)) ** 1.5
    return np.asarray(strength * facing * np.exp(-((distance / width_mm) ** 2)))


def draw_section(
    rng: np.random.Generator, side_px: int, pixel_mm: float, nodule_mm: float
) -> Section:
    """Return a random neck, seen with the lobe that holds a nodule of this size in the middle."""
    place = (np.arange(side_px) + 0.5) * pixel_mm
    y, x = np.meshgrid(place, place - place.mean(), indexing="ij")
    wobble = [smooth_field(rng, x.shape, 4.5 / pixel_mm) * 0.45 for _ in range(2)]
    x, y = x + wobble[0], y + np.clip(y / 4, 0, 1) * wobble[1]
    tissue = np.full(x.shape, NAMES.index("deep"))
    painter = _Painter(tissue, np.zeros(x.shape), np.zeros(x.shape), pixel_mm)
    skin_mm = rng.uniform(1.1, 1.7)
    top = skin_mm + rng.uniform(1.0, 3.2) + rng.uniform(2.6, 3.8)
    lobe = _lobe(rng, top, nodule_mm)
    _paint_back(painter, rng, x, y, lobe)
    painter.fill(top - y + 0.05 * x**2 / 10, "muscle", below=False)
    _paint_front(painter, rng, (x, y), top, skin_mm)
    gland = np.minimum(
        ellipse(x, y, lobe[:2], lobe[2:]),
        ellipse(x, y, (lobe[0] + 12, lobe[1] - 0.45 * lobe[3]), (12, rng.uniform(1.6, 2.6))),
    )
    painter.fill(gland, "thyroid", line=4.5)
    _paint_vessels(painter, rng, x, y, lobe)
    air = _paint_trachea(painter, rng, x, y, lobe)
    return Section(x, y, pixel_mm, tissue, painter.reflect, painter.striped, gland, lobe, air)


@dataclass(frozen=True)
class _Painter:
    """Paints structures over each other into the arrays it is given."""

    tissue: NDArray[np.int64]
    reflect: Floats
    striped: Floats
    pixel_mm: float

    def fill(self, distance: Floats, name: str, *, line: float = 0.0, below: bool = True) -> None:
        """Paint what lies inside (`below`) or outside a surface, with the echo of the surface."""
        inside = distance < 0 if below else distance > 0
        self.tissue[inside] = NAMES.index(name)
        self.reflect[inside] = 0
        self.striped[inside] = 0
        if line:
            self.reflect[:] += interface(distance, self.pixel_mm, line)

    def stripe(self, inside: Mask, phase: Floats, strength: float) -> None:
        """Put bright lines where the phase (H, W) passes whole numbers."""
        lines = np.cos(np.pi * phase) ** 8
        self.striped[inside] = strength * lines[inside]


def _lobe(
    rng: np.random.Generator, top: float, nodule_mm: float
) -> tuple[float, float, float, float]:
    half = nodule_mm / 2 + rng.uniform(1.8, 4.5)
    across = max(rng.uniform(8.0, 10.0), half + rng.uniform(0, 2))
    down = max(rng.uniform(6.0, 8.5), half - rng.uniform(0, 1))
    return float(rng.uniform(-3.0, 0.0)), float(top + down + 0.4), float(across), float(down)


def _paint_back(
    painter: _Painter,
    rng: np.random.Generator,
    x: Floats,
    y: Floats,
    lobe: tuple[float, float, float, float],
) -> None:
    """Paint the long muscle of the neck and the vertebra behind the lobe."""
    middle = (lobe[0] + rng.uniform(0, 3), lobe[1] + lobe[3] + rng.uniform(3.4, 5.0))
    muscle = ellipse(x, y, middle, (rng.uniform(8, 10), rng.uniform(2.6, 3.6)))
    painter.fill(muscle, "muscle", line=1.6)
    painter.stripe(muscle < 0, (y + 0.08 * x) / 1.1, 0.6)
    bone = ellipse(x, y, (middle[0] + 3, middle[1] + 15.5), (16, 10))
    painter.fill(bone, "bone", line=9.0)


def _paint_front(
    painter: _Painter,
    rng: np.random.Generator,
    at: tuple[Floats, Floats],
    top: float,
    skin_mm: float,
) -> None:
    """Paint strap muscles, the sternocleidomastoid, fat and skin."""
    x, y = at
    strap = rng.uniform(2.4, 3.6)
    front = np.asarray(top - strap - y + 0.05 * x**2 / 10)
    painter.stripe(painter.tissue == NAMES.index("muscle"), (y - 0.05 * x) / 0.9, 0.55)
    painter.reflect[:] += interface(front + strap, painter.pixel_mm, 2.2)
    sheath = ellipse(x, y, (-17, top - 0.5), (rng.uniform(11, 14), rng.uniform(3.4, 4.6)))
    painter.fill(sheath, "muscle", line=2.6)
    painter.stripe(sheath < 0, (y + 0.16 * x) / 1.0, 0.6)
    fat = np.where(sheath < 0, -1.0, front)
    painter.fill(fat, "fat", below=False)
    painter.stripe(fat > 0, (y + 0.5 * np.sin(x / 3.1) + 0.1 * x) / 1.7, 0.8)
    painter.reflect[:] += interface(front, painter.pixel_mm, 2.8)
    painter.fill(skin_mm - y, "skin", below=False)
    painter.reflect[:] += interface(y - skin_mm, painter.pixel_mm, 2.5)
    painter.reflect[:] += interface(y - 0.25, painter.pixel_mm, 5.0)


def _paint_vessels(
    painter: _Painter,
    rng: np.random.Generator,
    x: Floats,
    y: Floats,
    lobe: tuple[float, float, float, float],
) -> None:
    """Paint carotid and jugular beside the lobe."""
    radius = rng.uniform(2.6, 3.4)
    carotid = (lobe[0] - lobe[2] - radius - 0.6, lobe[1] + rng.uniform(0.5, 3.0))
    artery = ellipse(x, y, carotid, (radius, radius))
    painter.fill(artery - 0.7, "deep")
    painter.fill(artery, "artery", line=5.5)
    vein_axes = (rng.uniform(2.6, 4.4), rng.uniform(1.0, 2.6))
    above = (carotid[0] - rng.uniform(1.5, 3.5), carotid[1] - radius - vein_axes[1] - 0.9)
    painter.fill(ellipse(x, y, above, vein_axes), "vein", line=3.0)


def _paint_trachea(
    painter: _Painter,
    rng: np.random.Generator,
    x: Floats,
    y: Floats,
    lobe: tuple[float, float, float, float],
) -> Mask:
    """Paint the cartilage and return what lies behind its inner face, which is air."""
    radius = rng.uniform(8.5, 10.0)
    middle = (lobe[0] + lobe[2] + radius - rng.uniform(0.2, 1.2), lobe[1] + rng.uniform(1.5, 3.5))
    ring = ellipse(x, y, middle, (radius, radius))
    painter.fill(ring, "muscle", line=1.5)
    painter.fill(ring + 1.5, "trachea", line=14.0)
    return np.asarray(ring + 1.7 < 0)
