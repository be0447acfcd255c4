"""Places for nodes in a given scan: fat between the neck's muscles, clear of all that is hard.

A place lies between lungs and skull, 8 mm or more below the skin, in fat with muscle within 15 mm
on opposite sides (so not under the skin only), at most 65 mm beside the spine, not behind the
vertebral arch, and not in front of the airway where there is a jaw. Bone with its marrow and
canal, the larynx (airway with the cartilage and hyoid around it) and enhanced vessels are avoided.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.phantom.given_scan import Floats, Mask, Tissue, enhanced_voxels
from lnmdetect.phantom.neck_region import PIXEL_MM, Neck, closed, dilated, distance_mm
from lnmdetect.phantom.node_draw import NodeWish
from lnmdetect.phantom.placement import (
    FREE,
    HARD,
    OCCUPANCY_STEP_MM,
    PROBES,
    SOFT,
    Occupancy,
    Place,
)

FAT_HU = (-140.0, -40.0)
SKIN_MM = 6.0
BELOW_SKIN_MM = 8.0
BONE_MARGIN_MM, AIRWAY_MARGIN_MM, VESSEL_MARGIN_MM = 2.5, 4.0, 0.5
LARYNX_REACH_MM, LARYNX_GAP_MM, BESIDE_AIRWAY_MM = 30.0, 14.0, 9.0
CANAL_MM = 14.0
BETWEEN_MUSCLES_MM = 15.0
BESIDE_SPINE_MM = 65.0
BEHIND_SPINE_MM = 15.0
AHEAD_OF_AIRWAY_MM = 60.0
PLACES_TRIED = 600
SOFT_SHARE = 0.2
"""Share of a node's probes that may lie in muscle, which it then presses aside."""
NEAR_SHARE, NEAR_MM = 0.06, 4.0
"""Nodes lie along muscles and vessels: of probes 4 mm around a node so many meet one."""


@dataclass(frozen=True)
class Places:
    """Where nodes may go.

    Attributes:
        occupancy: fat, muscle, and what is avoided.
        centres_mm: (n, 3) x, y, z of voxels a node may be centred on.
    """

    occupancy: Occupancy
    centres_mm: Floats


def find_places(neck: Neck, tissue: Tissue, step_mm: float) -> Places:
    """Return the places of a neck; `step_mm` is the distance between its slices."""
    codes, allowed = [], []
    for index in neck.slices:
        coded, depth = _codes(neck, tissue, index)
        codes.append(coded)
        allowed.append((coded == FREE) & _in_zone(neck, index, coded, depth))
    low_mm = neck.slices.start * step_mm
    levels = np.arange(0, (len(codes) - 1) * step_mm + 1e-6, OCCUPANCY_STEP_MM)
    nearest = np.rint(levels / step_mm).astype(int)
    occupancy = Occupancy(np.stack([codes[k] for k in nearest]), neck.grid, low_mm)
    z, rows, columns = np.nonzero(np.stack(allowed))
    origin = np.asarray(neck.grid.centre_mm) - np.array(neck.grid.shape[::-1]) * PIXEL_MM / 2
    xy = origin + (np.column_stack([columns, rows]) + 0.5) * PIXEL_MM
    centres = np.column_stack([xy, low_mm + z * step_mm])
    return Places(occupancy, centres.astype(np.float32))


def _codes(neck: Neck, tissue: Tissue, index: int) -> tuple[NDArray[np.uint8], Floats]:
    """Return the slice's occupancy codes and the depth below the skin, mm."""
    hu, bone = neck.hu[index], neck.bone[index]
    depth = distance_mm(neck.body[index])
    fat = (hu > FAT_HU[0]) & (hu < FAT_HU[1])
    vessel = (
        enhanced_voxels(hu[None], tissue.muscle_hu)[0] if tissue.phase > 0 else np.zeros_like(bone)
    )
    hard = dilated(bone, BONE_MARGIN_MM) | dilated(_larynx(neck, index), AIRWAY_MARGIN_MM)
    hard |= dilated(vessel, VESSEL_MARGIN_MM) | (depth < SKIN_MM)
    codes = np.where(hard, HARD, np.where(fat, FREE, SOFT)).astype(np.uint8)
    return codes, depth


def _larynx(neck: Neck, index: int) -> Mask:
    """Return the airway and what cartilage and bone near its front enclose with it."""
    airway, bone = neck.airway[index], neck.bone[index]
    column, row = neck.airway_xy[index - neck.slices.start]
    rows, columns = np.ogrid[: bone.shape[0], : bone.shape[1]]
    near = np.hypot(columns - column, rows - row) <= LARYNX_REACH_MM / PIXEL_MM
    spine_y = neck.spine_xy[index - neck.slices.start, 1]
    front = near & (rows < (row + spine_y) / 2)
    return np.asarray(closed((airway | bone) & front, LARYNX_GAP_MM) | airway)


def _in_zone(neck: Neck, index: int, codes: NDArray[np.uint8], depth: Floats) -> Mask:
    """Return where the rule in the module's first lines lets a node's centre lie."""
    place = index - neck.slices.start
    rows, columns = np.ogrid[: codes.shape[0], : codes.shape[1]]
    airway_y = neck.airway_xy[place, 1]
    spine_x, spine_y = neck.spine_xy[place]
    muscle = (codes == SOFT) | neck.bone[index]
    between = closed(muscle & (depth > SKIN_MM), BETWEEN_MUSCLES_MM)
    front = airway_y if neck.jaw[place] else airway_y - AHEAD_OF_AIRWAY_MM / PIXEL_MM
    zone = between & (depth >= BELOW_SKIN_MM)
    zone &= ~dilated(neck.airway[index], BESIDE_AIRWAY_MM)
    zone &= np.abs(columns - spine_x) <= BESIDE_SPINE_MM / PIXEL_MM
    zone &= (rows >= front) & (rows <= spine_y + BEHIND_SPINE_MM / PIXEL_MM)
    zone &= np.hypot(columns - spine_x, rows - spine_y) > CANAL_MM / PIXEL_MM
    return np.asarray(zone)


def choose_place(
    wish: NodeWish, places: Places, neck: Neck, step_mm: float, rng: np.random.Generator
) -> Place | None:
    """Return a random place that fits a node, None where none of many does."""
    if len(places.centres_mm) == 0:
        return None
    probes = (PROBES * wish.semi_axes_mm) @ wish.rotation
    around = (PROBES * (wish.semi_axes_mm + NEAR_MM)) @ wish.rotation
    for pick in rng.integers(0, len(places.centres_mm), PLACES_TRIED):
        centre = places.centres_mm[pick].astype(np.float64) + rng.uniform(-0.5, 0.5, 3)
        codes = places.occupancy.at(centre + probes)
        if (codes == HARD).any() or (codes == SOFT).mean() > SOFT_SHARE:
            continue
        if (places.occupancy.at(centre + around) != FREE).mean() >= NEAR_SHARE:
            return Place(_level(centre, neck, step_mm), centre)
    return None


def _level(centre_mm: NDArray[np.float64], neck: Neck, step_mm: float) -> str:
    """Return the level a place about lies in, from its height between lungs and skull.

    Without the hyoid and the cricoid the thirds of that height stand for II, III and IV.
    """
    height = (centre_mm[2] / step_mm - neck.slices.start) / max(len(neck.slices) - 1, 1)
    index = int(np.clip(round(height * (len(neck.slices) - 1)), 0, len(neck.slices) - 1))
    column, row = neck.grid.to_pixels(centre_mm[None, :2].astype(np.float32))[0]
    third = int(np.clip(height * 3, 0, 2))
    if row > neck.spine_xy[index, 1]:
        return ("VB", "VA", "IIB")[third]
    if row < neck.airway_xy[index, 1]:
        beside = abs(column - neck.airway_xy[index, 0]) > 20 / PIXEL_MM
        return (("IV", "III", "IB") if beside else ("VI", "VI", "IA"))[third]
    return ("IV", "III", "IIA")[third]
