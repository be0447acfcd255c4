"""The neck within a given CT scan, found from air and bone alone, without an atlas."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lnmdetect.core.errors import InputError
from lnmdetect.phantom.anatomy import Grid
from lnmdetect.phantom.given_scan import Floats, GivenScan, Mask

PIXEL_MM = 1.0
BODY_ABOVE_HU = -300.0
BONE_ABOVE_HU = 400.0
AIRWAY_BELOW_HU = -400.0
COUCH_GAP_MM = 4.0
"""Couches and cloth that touch the skin over less than twice this are cut off."""
BRAIN_CASE_MM2 = 3500.0
"""Bone with what it encloses; a vertebra has up to 2500, a skull 10000 and more."""
LUNG_MM2 = 1200.0
AIRWAY_MM2 = (20.0, 1200.0)
OFF_MIDDLE_MM = 45.0
FEWEST_NECK_MM = 20.0


@dataclass(frozen=True)
class Neck:
    """The levels between lungs and skull, at 1 mm pixels.

    Attributes:
        hu: (slices, rows, columns) of the whole scan. grid: where its pixels lie.
        body: filled outline. bone: bone with marrow and canal. airway: air inside the body.
        slices: the neck's.
        airway_xy, spine_xy: (slices, 2) px on every slice of the neck.
        jaw: (slices,) whether bone lies well in front of the airway.
    """

    hu: Floats
    grid: Grid
    body: Mask
    bone: Mask
    airway: Mask
    slices: range
    airway_xy: Floats
    spine_xy: Floats
    jaw: Mask


def find_neck(scan: GivenScan) -> Neck:
    """Return the neck of a scan.

    Its top is the first level at which bone encloses a brain; its bottom lies above the lungs.

    Raises:
        InputError: 20 mm of neck or more with an airway in front of a spine are not there.
    """
    hu, grid = _at_one_mm(scan)
    body = _body(hu)
    bone = np.stack([_filled(closed(s > BONE_ABOVE_HU, 3.0)) for s in hu]) & body
    airway = body & (hu < AIRWAY_BELOW_HU)
    slices = _neck_slices(bone, airway)
    if len(slices) * scan.spacing_mm[0] < FEWEST_NECK_MM:
        raise _no_neck("none")
    airway_xy = _tracked(slices, lambda index: _airway_centre(airway[index], body[index]))
    spine_xy = _tracked(
        slices, lambda index: _spine_centre(bone[index], airway_xy[index - slices.start])
    )
    jaw = np.array(
        [_has_jaw(bone[index], airway_xy[index - slices.start]) for index in slices], dtype=bool
    )
    return Neck(hu, grid, body, bone, airway, slices, airway_xy, spine_xy, jaw)


def _no_neck(got: str) -> InputError:
    return InputError(
        "scan",
        expected=f"a neck: {FEWEST_NECK_MM:.0f} mm or more between lungs and skull, "
        "with an airway in front of a spine",
        got=got,
        remedy="Give a neck CT with --onto, or choose its neck series with --series.",
    )


def _at_one_mm(scan: GivenScan) -> tuple[Floats, Grid]:
    """Return the slices at 1 mm pixels; x = y = 0 is the centre of the scan's first pixel."""
    row_mm, column_mm = scan.spacing_mm[1:]
    _, rows, columns = scan.voxels_hu.shape
    shape = (int(rows * row_mm / PIXEL_MM), int(columns * column_mm / PIXEL_MM))
    scale = np.array([PIXEL_MM / column_mm, PIXEL_MM / row_mm])
    matrix = np.column_stack([np.diag(scale), scale / 2 - 0.5])
    sigma = 0.4 * np.maximum(scale - 1, 0)
    coarse = np.empty((len(scan.voxels_hu), *shape), dtype=np.float32)
    for index, slice_hu in enumerate(scan.voxels_hu):
        image = slice_hu.astype(np.float32)
        if sigma.max() > 0.1:
            image = cv2.GaussianBlur(image, (0, 0), sigma[0], sigmaY=max(sigma[1], 0.1))
        coarse[index] = cv2.warpAffine(
            image,
            matrix,
            (shape[1], shape[0]),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    centre = (shape[1] * PIXEL_MM / 2 - column_mm / 2, shape[0] * PIXEL_MM / 2 - row_mm / 2)
    return coarse, Grid(shape, PIXEL_MM, centre)


def distance_mm(mask: Mask) -> Floats:
    """Return (rows, columns) how far inside `mask` each pixel lies, 0 outside, mm."""
    inside = np.pad(mask, 1).astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(depth[1:-1, 1:-1] * np.float32(PIXEL_MM), dtype=np.float32)


def dilated(mask: Mask, radius_mm: float) -> Mask:
    """Return the pixels within `radius_mm` of `mask`."""
    if not mask.any():
        return mask.copy()
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(away * PIXEL_MM <= radius_mm)


def closed(mask: Mask, radius_mm: float) -> Mask:
    """Return `mask` with gaps narrower than twice `radius_mm` filled."""
    margin = int(radius_mm / PIXEL_MM) + 1
    wide = np.pad(mask, margin)
    shrunk = ~dilated(~dilated(wide, radius_mm), radius_mm)
    return np.asarray(shrunk[margin:-margin, margin:-margin] | mask)


def _filled(mask: Mask) -> Mask:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    out = np.zeros(mask.shape, dtype=np.uint8)
    cv2.drawContours(out, contours, -1, 1, cv2.FILLED)
    return out > 0


def _body(hu: Floats) -> Mask:
    """Return the largest solid thing in the scan, its air spaces filled."""
    solid = np.stack(
        [dilated(distance_mm(_filled(s > BODY_ABOVE_HU)) > COUCH_GAP_MM, COUCH_GAP_MM) for s in hu]
    )
    parts, count = ndimage.label(solid)
    if count == 0:
        raise _no_neck("no body")
    largest = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    return np.stack([_filled(closed(s, COUCH_GAP_MM)) for s in largest])


def _components(mask: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return areas (n,), mm^2, and centres (n, 2) x, y, px, of a slice's components."""
    _, _, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    areas_mm2 = stats[1:, cv2.CC_STAT_AREA].astype(np.float64) * PIXEL_MM**2
    return areas_mm2, centres[1:].astype(np.float64)


def _neck_slices(bone: Mask, airway: Mask) -> range:
    largest_bone = np.array([max(_components(s)[0], default=0.0) for s in bone])
    largest_air = np.array([max(_components(s)[0], default=0.0) for s in airway])
    bottom = 0
    while bottom < len(bone) and largest_air[bottom] >= LUNG_MM2:
        bottom += 1
    skull = largest_bone >= BRAIN_CASE_MM2
    above = np.flatnonzero(skull[bottom:-1] & skull[bottom + 1 :])
    top = bottom + int(above[0]) if len(above) else len(bone)
    return range(bottom, top)


def _tracked(slices: range, find: Callable[[int], Floats | None]) -> Floats:
    """Return `find` of every slice, in between where it finds nothing on some."""
    found = [find(index) for index in slices]
    known = [index for index, point in enumerate(found) if point is not None]
    if len(known) < len(found) / 2:
        raise _no_neck(f"airway and spine on {len(known)} of {len(found)} slices")
    points = np.stack([point for point in found if point is not None])
    every = np.arange(len(found))
    both = [np.interp(every, known, ndimage.median_filter(points[:, axis], 5)) for axis in (0, 1)]
    return np.column_stack(both).astype(np.float32)


def _airway_centre(airway: Mask, body: Mask) -> Floats | None:
    """Return (x, y) of the largest air space near the middle of the body's width."""
    areas, centres = _components(airway)
    columns = np.flatnonzero(body.any(0))
    if len(areas) == 0 or len(columns) == 0:
        return None
    middle = (columns[0] + columns[-1]) / 2
    fits = (areas >= AIRWAY_MM2[0]) & (areas <= AIRWAY_MM2[1])
    fits &= np.abs(centres[:, 0] - middle) < OFF_MIDDLE_MM / PIXEL_MM
    if not fits.any():
        return None
    return np.asarray(centres[np.argmax(np.where(fits, areas, 0))], dtype=np.float32)


def _spine_centre(bone: Mask, airway_xy: Floats) -> Floats | None:
    """Return (x, y) of the bone behind the airway: about the middle of the canal."""
    rows, columns = np.nonzero(bone)
    behind = (rows > airway_xy[1] + 5 / PIXEL_MM) & (rows < airway_xy[1] + 80 / PIXEL_MM)
    behind &= np.abs(columns - airway_xy[0]) < 25 / PIXEL_MM
    if behind.sum() * PIXEL_MM**2 < 150:
        return None
    return np.array([columns[behind].mean(), np.median(rows[behind])], dtype=np.float32)


def _has_jaw(bone: Mask, airway_xy: Floats) -> bool:
    """Return whether 50 mm^2 of bone or more lie 30 mm in front of the airway (not the hyoid)."""
    ahead = max(int(airway_xy[1] - 30 / PIXEL_MM), 0)
    return bool(bone[:ahead].sum() * PIXEL_MM**2 > 50)
