"""Nodes into a given CT scan, with the scan's own noise, sharpness and partial volume.

A node is painted with fine samples within each voxel and through the slice's thickness, blurred
by the scan's point spread, and takes the place of a smooth picture of what it covers.
Inside the node the scan's own noise stays: what differs from the smooth picture, which holds all
edges above three deviations so that no septum or small vessel shows through. It is filled up to
the deviation of the slice's soft tissue with noise of the same correlation. Voxels away from nodes
stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from lnmdetect.phantom.given_scan import (
    Floats,
    GivenScan,
    Noise,
    Sharpness,
    Tissue,
    measure_noise,
    measure_sharpness,
    measure_tissue,
)
from lnmdetect.phantom.insertion_places import SKIN_MM, choose_place, find_places
from lnmdetect.phantom.neck_region import Neck, dilated, distance_mm, find_neck
from lnmdetect.phantom.node_draw import draw_node, draw_wish
from lnmdetect.phantom.node_paint import CrossSection, VolumeGrid, paint_nodes
from lnmdetect.phantom.nodes import Kind, Node
from lnmdetect.phantom.scanner import correlated_noise

REDRAWS = 8
"""A node that fits nowhere is drawn again so often: fat planes favour the smaller ones."""
PHANTOM_MUSCLE_HU, PHANTOM_MUSCLE_RISE_HU, PHANTOM_FAT_HU = 51.5, 11.0, -100.0
"""What nodes are drawn against (phantom/tissues.py); they move with the scan's own muscle."""
MOST_SHIFT_HU = 20.0
EDGE_DEVIATIONS = 3.0
BRIGHT_HU = 1000.0
APART_MM = 2.0
"""Least distance between two nodes."""


@dataclass(frozen=True)
class ScanLook:
    """What was measured on the given scan to make nodes look like part of it."""

    tissue: Tissue
    sharpness: Sharpness
    noise: Noise


@dataclass(frozen=True)
class InsertedScan:
    """A given scan with nodes in it.

    Attributes:
        voxels_hu: (slices, rows, columns), equal to the given ones away from the nodes.
        nodes: in the frame of the scan's first voxel (x, y, z mm). sections: their truth.
        neck: slices the nodes lie between.
    """

    voxels_hu: NDArray[np.int16]
    nodes: tuple[Node, ...]
    sections: tuple[CrossSection, ...]
    look: ScanLook
    neck: range


def insert_nodes(scan: GivenScan, kinds: Sequence[Kind], rng: np.random.Generator) -> InsertedScan:
    """Return the scan with nodes of `kinds`, fewer where they fit nowhere.

    Raises:
        InputError: the scan shows no neck.
    """
    neck = find_neck(scan)
    look = _measure(scan, neck)
    nodes = _placed(scan, neck, look, kinds, rng)
    voxels = scan.voxels_hu.copy()
    sections: list[CrossSection] = []
    for index, node in enumerate(nodes):
        found = put_node(voxels, scan, look, node, rng)
        sections += [replace(section, node_index=index) for section in found]
    return InsertedScan(voxels, nodes, tuple(sections), look, neck.slices)


def _measure(scan: GivenScan, neck: Neck) -> ScanLook:
    chosen = slice(neck.slices.start, neck.slices.stop)
    body, bone, airway = neck.body[chosen], neck.bone[chosen], neck.airway[chosen]
    soft = np.stack([distance_mm(b) > SKIN_MM for b in body])
    away = np.stack([~(dilated(b, 6) | dilated(a, 15)) for b, a in zip(bone, airway, strict=True)])
    return ScanLook(
        measure_tissue(neck.hu[chosen], soft, away),
        measure_sharpness(scan, neck.slices),
        measure_noise(scan, neck.slices),
    )


def _placed(
    scan: GivenScan,
    neck: Neck,
    look: ScanLook,
    kinds: Sequence[Kind],
    rng: np.random.Generator,
) -> tuple[Node, ...]:
    """Return nodes with places, the largest first, as they are the hardest to place."""
    step_mm = scan.spacing_mm[0]
    places = find_places(neck, look.tissue, step_mm)
    wishes = sorted(
        (draw_wish(kind, rng) for kind in kinds), key=lambda wish: -wish.semi_axes_mm[2]
    )
    nodes: list[Node] = []
    for wish in wishes:
        for _ in range(REDRAWS):
            place = choose_place(wish, places, neck, step_mm, rng)
            if place is not None:
                drawn = draw_node(wish, place.level, place.centre_mm, rng, look.tissue.phase)
                node = _matched(drawn, look.tissue)
                nodes.append(node)
                taken = places.occupancy.with_node(node.centre_mm, node.reach_mm + APART_MM)
                places = replace(places, occupancy=taken)
                break
            wish = draw_wish(wish.kind, rng)
    return tuple(nodes)


def _matched(node: Node, tissue: Tissue) -> Node:
    """Return the node moved in HU by what the scan's muscle and fat differ from a phantom's."""
    muscle = PHANTOM_MUSCLE_HU + PHANTOM_MUSCLE_RISE_HU * min(tissue.phase, 1.0)
    shift = float(np.clip(tissue.muscle_hu - muscle, -MOST_SHIFT_HU, MOST_SHIFT_HU))
    fat_shift = float(np.clip(tissue.fat_hu - PHANTOM_FAT_HU, -MOST_SHIFT_HU, MOST_SHIFT_HU))
    return replace(node, core_hu=node.core_hu + shift, halo_hu=node.halo_hu + fat_shift)


def put_node(
    voxels: NDArray[np.int16],
    scan: GivenScan,
    look: ScanLook,
    node: Node,
    rng: np.random.Generator,
) -> list[CrossSection]:
    """Return a node's cross-sections, as of node 0, once it is put into `voxels` in place."""
    box = _surroundings(node, scan, look.sharpness)
    patch = voxels[box].astype(np.float32)
    deviations = look.noise.deviation_hu[box[0]]
    smooth = np.stack([_smooth(s, d) for s, d in zip(patch, deviations, strict=True)])
    layer, sections = _painted(node, smooth, _grid(box, scan))
    for k, deviation in enumerate(deviations):
        cover = _spread(layer.cover[k], look.sharpness)
        own = patch[k] - smooth[k]
        noise = _node_noise(own, cover, deviation, look.noise.grain_px, rng)
        change = _spread(layer.covered_hu[k] + layer.halo_hu[k], look.sharpness)
        patch[k] += np.rint(change + cover * (noise - own - smooth[k]))
    voxels[box] = patch.astype(np.int16)
    row, column = box[1].start, box[2].start
    return [
        CrossSection(
            0, s.slice_index + box[0].start, (s.corner[0] + row, s.corner[1] + column), s.mask
        )
        for s in sections
    ]


@dataclass(frozen=True)
class _Layer:
    """A node as painted, before blur: its share of each voxel, that times its HU, its halo."""

    cover: Floats
    covered_hu: Floats
    halo_hu: Floats


def _painted(
    node: Node, smooth: Floats, grid: VolumeGrid
) -> tuple[_Layer, tuple[CrossSection, ...]]:
    """Return the node apart from what it covers, which must not be blurred a second time."""
    bare = replace(node, halo_mm=min(node.halo_mm, 0.0))
    covered_hu, sections = paint_nodes(np.zeros_like(smooth), grid, [bare])
    on_bright, _ = paint_nodes(np.full_like(smooth, BRIGHT_HU), grid, [bare])
    cover = np.clip(1 - (on_bright - covered_hu) / np.float32(BRIGHT_HU), 0, 1)
    with_halo, _ = paint_nodes(smooth, grid, [node])
    halo_hu = with_halo - (smooth * (1 - cover) + covered_hu)
    return _Layer(cover, covered_hu, np.where(np.abs(halo_hu) > 0.01, halo_hu, 0)), sections


def _surroundings(node: Node, scan: GivenScan, sharpness: Sharpness) -> tuple[slice, slice, slice]:
    """Return the part of the volume that the node, blurred, can change."""
    spans = []
    blur_px = (0.0, sharpness.psf_px[1], sharpness.psf_px[0])
    through_mm = (scan.thickness_mm / 2, 0.0, 0.0)
    for axis, (centre, step) in enumerate(zip(node.centre_mm[::-1], scan.spacing_mm, strict=True)):
        reach = (node.reach_mm + through_mm[axis]) / step + 4 * blur_px[axis] + 2
        low, high = int(np.floor(centre / step - reach)), int(np.ceil(centre / step + reach)) + 1
        spans.append(slice(max(low, 0), min(high, scan.voxels_hu.shape[axis])))
    return spans[0], spans[1], spans[2]


def _grid(box: tuple[slice, slice, slice], scan: GivenScan) -> VolumeGrid:
    z, y, x = (span.start * step for span, step in zip(box, scan.spacing_mm, strict=True))
    depth, rows, columns = (span.stop - span.start for span in box)
    return VolumeGrid((depth, rows, columns), scan.spacing_mm, (x, y, z), scan.thickness_mm)


def _smooth(image: Floats, deviation_hu: float) -> Floats:
    """Return the slice without its noise, edges kept."""
    return np.asarray(
        cv2.bilateralFilter(image, 7, float(EDGE_DEVIATIONS * deviation_hu + 1e-3), 2.0),
        dtype=np.float32,
    )


def _spread(image: Floats, sharpness: Sharpness) -> Floats:
    """Return the slice blurred by the point spread."""
    if min(sharpness.psf_px) < 0.2:
        return image
    return np.asarray(
        cv2.GaussianBlur(image, (0, 0), sharpness.psf_px[0], sigmaY=sharpness.psf_px[1]),
        dtype=np.float32,
    )


def _node_noise(
    own: Floats, cover: Floats, deviation_hu: float, grain_px: float, rng: np.random.Generator
) -> Floats:
    """Return noise of `deviation_hu` for a node: the scan's own where it is noise, then filled up.

    `own` is what the slice differs by from the smooth picture.
    """
    inside = cover > 0.5
    variance = float(own[inside].var()) if inside.any() else 0.0
    missing = np.sqrt(max(float(deviation_hu) ** 2 - variance, 0.0))
    fresh = correlated_noise((own.shape[0], own.shape[1]), (grain_px, grain_px), rng)
    return np.asarray(own + np.float32(missing) * fresh, dtype=np.float32)
