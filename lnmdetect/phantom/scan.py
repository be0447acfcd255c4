"""A whole phantom scan from a seed: anatomy, nodes, scanner, truth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lnmdetect.phantom.anatomy import Anatomy, Grid
from lnmdetect.phantom.appearance import Appearance, Setting, draw_appearance
from lnmdetect.phantom.node_draw import draw_node, draw_wish
from lnmdetect.phantom.node_paint import CrossSection, VolumeGrid, paint_nodes
from lnmdetect.phantom.nodes import Kind, Node
from lnmdetect.phantom.patient import draw_anatomy
from lnmdetect.phantom.placement import find_place, survey
from lnmdetect.phantom.scan_plan import ScanPlan, draw_plan
from lnmdetect.phantom.scanner import blurred, finished, metal_streaks, noisy

SUPERSAMPLING = 2
SUBSLICE_MM = 1.35
NODE_REGION_MM = (-92.0, 58.0)
"""Levels of the neck that hold nodes."""


@dataclass(frozen=True)
class PhantomScan:
    """A phantom as a scanner gives it, and its truth.

    Attributes:
        voxels_hu: (slices, rows, columns), from the feet up.
        origin_mm: (x, y, z) of the centre of voxel (0, 0, 0).
    """

    voxels_hu: NDArray[np.int16]
    plan: ScanPlan
    origin_mm: tuple[float, float, float]
    nodes: tuple[Node, ...]
    sections: tuple[CrossSection, ...]


def make_scan(seed: int, index: int, setting: Setting) -> PhantomScan:
    """Return phantom patient `index` of `seed`: the same values give the same voxels."""
    rng = np.random.default_rng((seed, index, 1 if setting == "training" else 0))
    amount = float(rng.uniform(0.8, 2.2)) if setting == "training" else 1.0
    plan = draw_plan(setting, rng)
    anatomy = draw_anatomy(rng, amount, plan.metal)
    appearance = draw_appearance(anatomy.tissues, rng, setting)
    grid = Grid(plan.matrix, plan.pixel_mm, plan.offset_mm)
    nodes = _place_nodes(anatomy, appearance, plan, rng)
    clean = np.empty((plan.slices, *plan.matrix), dtype=np.float32)
    for number, z_mm in enumerate(plan.levels_mm):
        clean[number] = _clean_slice(anatomy, appearance, plan, grid, z_mm)
    origin = _origin(plan)
    volume = VolumeGrid(
        clean.shape, (plan.spacing_mm, plan.pixel_mm, plan.pixel_mm), origin, plan.thickness_mm
    )
    painted, sections = paint_nodes(clean, volume, nodes)
    voxels = np.empty(clean.shape, dtype=np.int16)
    for number, z_mm in enumerate(plan.levels_mm):
        voxels[number] = _scanned(painted[number], z_mm, anatomy, plan, rng)
    return PhantomScan(voxels, plan, origin, nodes, sections)


def _origin(plan: ScanPlan) -> tuple[float, float, float]:
    x = plan.offset_mm[0] - plan.pixel_mm * (plan.matrix[1] - 1) / 2
    y = plan.offset_mm[1] - plan.pixel_mm * (plan.matrix[0] - 1) / 2
    return (x, y, plan.z_low_mm)


def _clean_slice(
    anatomy: Anatomy, appearance: Appearance, plan: ScanPlan, grid: Grid, z_mm: float
) -> NDArray[np.float32]:
    count = max(1, round(plan.thickness_mm / SUBSLICE_MM))
    fine = grid.finer(SUPERSAMPLING)
    total = np.zeros(grid.shape, dtype=np.float32)
    for part in range(count):
        z = z_mm + plan.thickness_mm * ((part + 0.5) / count - 0.5)
        total += appearance.render(anatomy.paint(z, fine), SUPERSAMPLING, z, grid)
    return total / np.float32(count)


def _scanned(
    image: NDArray[np.float32],
    z_mm: float,
    anatomy: Anatomy,
    plan: ScanPlan,
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    grid = Grid(plan.matrix, plan.pixel_mm, plan.offset_mm)
    shown = blurred(image, plan)
    spots = _metal_spots(anatomy, grid, z_mm) if plan.metal else []
    if spots:
        shown = shown + metal_streaks(shown.shape, spots, plan, rng)
    return finished(noisy(shown, plan, rng), plan)


def _metal_spots(anatomy: Anatomy, grid: Grid, z_mm: float) -> list[tuple[float, float]]:
    spots = []
    for item in anatomy.inner:
        if item.tissue == "metal" and item.contours is not None:
            points = item.contours.at(z_mm)
            if points is not None:
                moved = anatomy.deformation.in_plane(points, z_mm)
                column, row = grid.to_pixels(moved).mean(0)
                spots.append((float(column), float(row)))
    return spots


def draw_kinds(rng: np.random.Generator) -> list[Kind]:
    """Return the kinds of a patient's nodes: some patients have none, some no metastasis."""
    chance = rng.random()
    if chance < 0.04:
        return []
    benign = int(rng.integers(3, 11))
    if chance < 0.27:
        return ["benign"] * benign
    count = int(rng.integers(2, 11))
    spread = rng.random() < 0.3
    malignant: list[Kind] = [
        "extranodal" if spread and rng.random() < 0.3 else "metastatic" for _ in range(count)
    ]
    return malignant + ["benign"] * max(1, benign - 1)


def _place_nodes(
    anatomy: Anatomy, appearance: Appearance, plan: ScanPlan, rng: np.random.Generator
) -> tuple[Node, ...]:
    levels = plan.levels_mm
    low, high = max(levels[0] - 2, NODE_REGION_MM[0]), min(levels[-1] + 2, NODE_REGION_MM[1])
    share = (high - low) / (NODE_REGION_MM[1] - NODE_REGION_MM[0])
    if share <= 0.02:
        return ()
    kinds = [kind for kind in draw_kinds(rng) if rng.random() < share + 0.1]
    wishes = sorted(
        (draw_wish(kind, rng) for kind in kinds), key=lambda wish: -wish.semi_axes_mm[2]
    )
    wide = Grid((256, 256), 1.0, (0.0, 0.0))
    occupancy = survey(anatomy, wide, (low - 25, high + 25)) if wishes else None
    nodes: list[Node] = []
    for wish in wishes:
        place = find_place(wish, anatomy, occupancy, (low, high), rng) if occupancy else None
        if place is not None and occupancy is not None:
            node = draw_node(wish, place.level, place.centre_mm, rng, appearance.phase)
            occupancy = occupancy.with_node(node.centre_mm, float(node.semi_axes_mm[1]) + 0.5)
            nodes.append(node)
    return tuple(nodes)


def shortened(scan: PhantomScan, slices: Sequence[int]) -> PhantomScan:
    """Return a scan of the given consecutive slices only, its truth with it."""
    first, last = slices[0], slices[-1]
    kept = tuple(
        replace(s, slice_index=s.slice_index - first)
        for s in scan.sections
        if first <= s.slice_index <= last
    )
    return replace(scan, voxels_hu=scan.voxels_hu[first : last + 1], sections=kept)
