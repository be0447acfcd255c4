"""Places for nodes: along levels I to VI, in the fat between vessels, muscles and glands."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from lnmdetect.phantom.anatomy import Anatomy, Grid
from lnmdetect.phantom.node_draw import NodeWish
from lnmdetect.phantom.nodes import Floats, Kind
from lnmdetect.phantom.tissues import HARD_TISSUES

OCCUPANCY_PIXEL_MM = 1.0
OCCUPANCY_STEP_MM = 2.5
FREE, SOFT, HARD = 0, 1, 2


@dataclass(frozen=True)
class Site:
    """Where a level's nodes lie on the left side, in atlas mm: (x, y) at the low and high z."""

    level: str
    z_mm: tuple[float, float]
    low_xy: tuple[float, float]
    high_xy: tuple[float, float]
    spread_mm: float = 5.0


SITES: tuple[Site, ...] = (
    Site("IA", (6, 16), (6, -68), (5, -76), 3.5),
    Site("IB", (8, 30), (36, -56), (40, -60), 5.0),
    Site("IIA", (8, 48), (40, -22), (40, -16), 5.0),
    Site("IIB", (8, 52), (45, 2), (46, 10), 5.0),
    Site("III", (-30, 6), (40, -22), (40, -20), 6.0),
    Site("IV", (-76, -32), (34, -26), (40, -20), 6.5),
    Site("VA", (-30, 36), (52, 22), (50, 26), 6.0),
    Site("VB", (-72, -32), (60, 8), (54, 14), 7.0),
    Site("VI", (-86, -42), (13, -24), (14, -24), 4.5),
    Site("VI", (-80, -60), (3, -48), (3, -50), 3.0),
)

BENIGN_SHARE: Mapping[str, float] = MappingProxyType(
    {
        "IA": 0.06,
        "IB": 0.16,
        "IIA": 0.22,
        "IIB": 0.14,
        "III": 0.14,
        "IV": 0.08,
        "VA": 0.10,
        "VB": 0.06,
        "VI": 0.04,
    }
)
MALIGNANT_SHARE: Mapping[str, float] = MappingProxyType(
    {
        "IA": 0.01,
        "IB": 0.05,
        "IIA": 0.15,
        "IIB": 0.07,
        "III": 0.24,
        "IV": 0.24,
        "VA": 0.06,
        "VB": 0.06,
        "VI": 0.12,
    }
)
"""Benign nodes prefer the upper neck, thyroid metastases the lower; all levels occur in both."""


@dataclass(frozen=True)
class Occupancy:
    """What fills the patient, coarsely: FREE fat, SOFT muscle, HARD anything a node avoids.

    Attributes:
        codes: (levels, rows, columns). z_low_mm: level of the first.
    """

    codes: NDArray[np.uint8]
    grid: Grid
    z_low_mm: float

    def at(self, points_mm: Floats) -> NDArray[np.uint8]:
        """Return the codes at (n, 3) points; HARD outside the volume."""
        pixels = np.floor(self.grid.to_pixels(points_mm[:, :2].astype(np.float32))).astype(int)
        level = np.rint((points_mm[:, 2] - self.z_low_mm) / OCCUPANCY_STEP_MM).astype(int)
        index = np.column_stack([level, pixels[:, 1], pixels[:, 0]])
        sound = ((index >= 0) & (index < self.codes.shape)).all(1)
        codes = np.full(len(points_mm), HARD, dtype=np.uint8)
        codes[sound] = self.codes[tuple(index[sound].T)]
        return codes

    def with_node(self, centre_mm: Floats, radius_mm: float) -> "Occupancy":
        """Return the occupancy with a ball of a placed node made HARD."""
        rows, columns = self.grid.shape
        level = self.z_low_mm + OCCUPANCY_STEP_MM * np.arange(len(self.codes))
        middle = self.grid.to_pixels(centre_mm[None, :2].astype(np.float32))[0]
        near = np.abs(level - centre_mm[2]) <= radius_mm
        y, x = np.ogrid[:rows, :columns]
        flat = ((x + 0.5 - middle[0]) ** 2 + (y + 0.5 - middle[1]) ** 2) * self.grid.pixel_mm**2
        codes = self.codes.copy()
        for index in np.flatnonzero(near):
            codes[index][flat <= radius_mm**2 - (level[index] - centre_mm[2]) ** 2] = HARD
        return Occupancy(codes, self.grid, self.z_low_mm)


def survey(anatomy: Anatomy, grid: Grid, z_range_mm: tuple[float, float]) -> Occupancy:
    """Return the coarse occupancy of a patient over a range of z."""
    factor = OCCUPANCY_PIXEL_MM / grid.pixel_mm
    shape = (int(grid.shape[0] / factor), int(grid.shape[1] / factor))
    coarse = Grid(shape, OCCUPANCY_PIXEL_MM, grid.centre_mm)
    code_of = np.zeros(256, dtype=np.uint8)
    for label, tissue in enumerate(anatomy.tissues):
        code_of[label] = HARD if tissue in HARD_TISSUES else FREE if tissue == "fat" else SOFT
    levels = np.arange(z_range_mm[0], z_range_mm[1], OCCUPANCY_STEP_MM)
    codes = np.stack([code_of[anatomy.paint(float(z), coarse)] for z in levels])
    return Occupancy(codes, coarse, float(levels[0]))


def _surface(count: int = 48) -> Floats:
    index = np.arange(count) + 0.5
    polar, turn = np.arccos(1 - 2 * index / count), np.pi * (1 + 5**0.5) * index
    return np.column_stack(
        [np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)]
    )


PROBES = np.concatenate([_surface() * 1.05, _surface(24) * 0.6, np.zeros((1, 3))])


LEVELS_TRIED, PLACES_TRIED = 5, 30
HARD_SHARE: Mapping[Kind, float] = MappingProxyType(
    {"benign": 0.06, "metastatic": 0.09, "extranodal": 0.15}
)
"""Share of a node's probes that may lie in vessels or glands, which it then presses aside."""


@dataclass(frozen=True)
class Place:
    """A centre in the patient's frame, mm, and its level."""

    level: str
    centre_mm: Floats


def _level(kind: Kind, rng: np.random.Generator) -> str:
    share = BENIGN_SHARE if kind == "benign" else MALIGNANT_SHARE
    weights = np.array(list(share.values()))
    return str(rng.choice(list(share), p=weights / weights.sum()))


def _candidate(level: str, anatomy: Anatomy, rng: np.random.Generator) -> Place:
    sites = [site for site in SITES if site.level == level]
    site = sites[0] if len(sites) == 1 or rng.random() < 0.75 else sites[1]
    up = rng.random()
    middle = np.array(site.low_xy) * (1 - up) + np.array(site.high_xy) * up
    xy = middle + rng.normal(0, site.spread_mm, 2)
    if rng.random() < 0.5:
        xy[0] = -xy[0]
    z_atlas = site.z_mm[0] * (1 - up) + site.z_mm[1] * up
    tilt = anatomy.deformation.tilt
    z = z_atlas - tilt[0] * xy[0] - tilt[1] * xy[1]
    moved = anatomy.deformation.in_plane(xy[None].astype(np.float32), z)[0]
    return Place(level, np.array([moved[0], moved[1], z]))


def find_place(
    wish: NodeWish,
    anatomy: Anatomy,
    occupancy: Occupancy,
    z_range_mm: tuple[float, float],
    rng: np.random.Generator,
) -> Place | None:
    """Return the best of many places for a node, None where it would cover too much else."""
    probes = (PROBES * wish.semi_axes_mm) @ wish.rotation
    for _ in range(LEVELS_TRIED):
        level = _level(wish.kind, rng)
        best, best_cost = None, np.inf
        for _ in range(PLACES_TRIED):
            place = _candidate(level, anatomy, rng)
            if not z_range_mm[0] < place.centre_mm[2] < z_range_mm[1]:
                continue
            codes = occupancy.at(place.centre_mm + probes)
            hard, soft = float((codes == HARD).mean()), float((codes == SOFT).mean())
            cost = 5 * hard + 0.7 * soft
            if hard <= HARD_SHARE[wish.kind] and soft < 0.45 and cost < best_cost:
                best, best_cost = place, cost
        if best is not None:
            return best
    return None
