"""Lymph nodes as values: where, how large, of what kind, with which signs."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["benign", "metastatic", "extranodal"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Focus:
    """A part of a node with its own HU, in the node's unit-ball coordinates.

    Attributes:
        centre: (3,), length below 1. radius: (3,) semi axes of the focus.
    """

    centre: Floats
    radius: Floats
    hu: float


@dataclass(frozen=True)
class Node:
    """One lymph node, drawn once in 3-D so that all its slices agree.

    Attributes:
        semi_axes_mm: (a, b, c), a >= b >= c.
        rotation: (3, 3), rows are the directions of the axes in (x, y, z).
        lobes: (n, 5) of the boundary's waves: direction (3), phase, relative height.
        core_hu, rim_hu, slope_hu: value in the middle, added at the edge, added along the slope.
        slope: (3,) direction of the slope.
        texture: (n, 5) waves: vector (3) per mm, phase, height in HU.
        foci: hilum, cysts, calcifications.
        edge_mm: width over which the border fades. halo_mm: fat plane kept around it.
    """

    kind: Kind
    level: str
    centre_mm: Floats
    semi_axes_mm: Floats
    rotation: Floats
    lobes: Floats
    core_hu: float
    rim_hu: float
    slope_hu: float
    slope: Floats
    texture: Floats
    foci: tuple[Focus, ...]
    edge_mm: float
    halo_mm: float
    halo_hu: float

    @property
    def short_axis_mm(self) -> float:
        """The smallest diameter of the node's ellipsoid."""
        return float(2 * self.semi_axes_mm[2])

    @property
    def reach_mm(self) -> float:
        """The radius of a ball that holds the node, its lobes and its halo."""
        swell = 1 + float(np.abs(self.lobes[:, 4]).sum())
        return float(self.semi_axes_mm[0] * swell + self.halo_mm + self.edge_mm + 0.5)


def unit_coordinates(node: Node, points_mm: Floats) -> tuple[Floats, Floats]:
    """Return (unit-ball coordinates (..., 3), distance to the border in mm, negative inside).

    `points_mm` is (..., 3) x, y, z in the frame of `node.centre_mm`.
    """
    offset = points_mm - node.centre_mm
    local = (offset @ node.rotation.T) / node.semi_axes_mm
    radius = np.sqrt((local**2).sum(-1)) + 1e-6
    direction = local / radius[..., None]
    swell = 1 + (np.sin(direction @ node.lobes[:, :3].T + node.lobes[:, 3]) * node.lobes[:, 4]).sum(
        -1
    )
    length = np.sqrt((offset**2).sum(-1)) + 1e-6
    distance = (radius - swell) * length / radius
    return local / swell[..., None], distance


def node_hu(node: Node, points_mm: Floats, unit: Floats) -> Floats:
    """Return HU (...,) inside the node, without partial volume."""
    radius = np.sqrt((unit**2).sum(-1))
    hu = (
        node.core_hu
        + node.rim_hu * np.clip(radius, 0, 1) ** 3
        + node.slope_hu * (unit @ node.slope)
    )
    offset = points_mm - node.centre_mm
    waves = np.sin(offset @ node.texture[:, :3].T + node.texture[:, 3])
    hu = hu + (waves * node.texture[:, 4]).sum(-1)
    for focus in node.foci:
        gap = np.sqrt((((unit - focus.centre) / focus.radius) ** 2).sum(-1))
        share = np.clip((1.15 - gap) / 0.3, 0, 1)
        hu = hu * (1 - share) + focus.hu * share
    return np.asarray(hu)
