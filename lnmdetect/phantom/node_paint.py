"""Nodes into any volume of Hounsfield units, and the truth they leave behind."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.phantom.nodes import Node, node_hu, unit_coordinates

Z_SAMPLES = 3
IN_PLANE_SAMPLES = 2


@dataclass(frozen=True)
class VolumeGrid:
    """Where the voxels of a volume lie.

    Attributes:
        shape: (slices, rows, columns).
        spacing_mm: (z, row, column) between voxel centres.
        origin_mm: (x, y, z) of the centre of voxel (0, 0, 0), x to the left, y to the back.
        thickness_mm: slice thickness, for the partial volume along z.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    thickness_mm: float


@dataclass(frozen=True)
class CrossSection:
    """One node on one slice.

    Attributes:
        node_index: place in the list of nodes.
        corner: (row, column) of the mask's first pixel on the slice.
        mask: (rows, columns), True where at least half of the pixel is node.
    """

    node_index: int
    slice_index: int
    corner: tuple[int, int]
    mask: NDArray[np.bool_]


def _window(node: Node, grid: VolumeGrid) -> tuple[slice, slice, slice]:
    reach = node.reach_mm
    spans = []
    for axis, (centre, origin) in enumerate(
        zip(node.centre_mm[::-1], grid.origin_mm[::-1], strict=True)
    ):
        step, count = grid.spacing_mm[axis], grid.shape[axis]
        extra = grid.thickness_mm / 2 if axis == 0 else 0.0
        low = int(np.floor((centre - reach - extra - origin) / step))
        high = int(np.ceil((centre + reach + extra - origin) / step)) + 1
        spans.append(slice(min(max(low, 0), count), min(max(high, 0), count)))
    return spans[0], spans[1], spans[2]


def _sample_points(
    window: tuple[slice, slice, slice], slice_index: int, grid: VolumeGrid
) -> NDArray[np.float64]:
    """Return (z samples, rows * 2, columns * 2, 3) points within one slice's window."""
    parts = np.arange(Z_SAMPLES) + 0.5
    z = (
        grid.origin_mm[2]
        + slice_index * grid.spacing_mm[0]
        + (parts / Z_SAMPLES - 0.5) * grid.thickness_mm
    )

    def centres(span: slice, origin: float, step: float) -> NDArray[np.float64]:
        count = (span.stop - span.start) * IN_PLANE_SAMPLES
        parts = span.start - 0.5 + (np.arange(count) + 0.5) / IN_PLANE_SAMPLES
        return np.asarray(origin + step * parts, dtype=np.float64)

    y = centres(window[1], grid.origin_mm[1], grid.spacing_mm[1])
    x = centres(window[2], grid.origin_mm[0], grid.spacing_mm[2])
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
    return np.stack([xx, yy, zz], axis=-1)


def _pooled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    depth, rows, columns = values.shape
    blocks = values.reshape(
        depth,
        rows // IN_PLANE_SAMPLES,
        IN_PLANE_SAMPLES,
        columns // IN_PLANE_SAMPLES,
        IN_PLANE_SAMPLES,
    )
    return np.asarray(blocks.mean(axis=(0, 2, 4)))


def _paint_slice(
    image: NDArray[np.float32], node: Node, points: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Paint one node on one slice's window in place; return where it fills half of a pixel."""
    unit, distance = unit_coordinates(node, points)
    inside = np.clip(0.5 - distance / node.edge_mm, 0, 1)
    cover = _pooled(inside)
    if not cover.any():
        return np.zeros(cover.shape, dtype=bool)
    halo = _pooled(np.clip(1.0 - (distance - node.halo_mm) / 0.6, 0, 1)) * (node.halo_mm > 0)
    image += (halo * (1 - cover) * np.minimum(node.halo_hu - image, 0)).astype(np.float32)
    hu = _pooled(inside * node_hu(node, points, unit)) / np.maximum(cover, 1e-6)
    image += (cover * (hu - image)).astype(np.float32)
    return np.asarray(_pooled((distance < 0).astype(np.float64)) >= 0.5)


def paint_nodes(
    volume_hu: NDArray[np.float32], grid: VolumeGrid, nodes: Sequence[Node]
) -> tuple[NDArray[np.float32], tuple[CrossSection, ...]]:
    """Return the volume with nodes in it, and every node's cross-sections.

    Args:
        volume_hu: (slices, rows, columns) HU without noise of the nodes' own; left unchanged.
        grid: the volume's geometry, in the frame of the nodes' centres.
        nodes: later ones cover earlier ones.
    """
    painted = volume_hu.copy()
    sections: list[CrossSection] = []
    for index, node in enumerate(nodes):
        window = _window(node, grid)
        if window[1].start >= window[1].stop or window[2].start >= window[2].stop:
            continue
        for slice_index in range(window[0].start, window[0].stop):
            points = _sample_points(window, slice_index, grid)
            mask = _paint_slice(painted[slice_index, window[1], window[2]], node, points)
            if mask.any():
                corner = (window[1].start, window[2].start)
                sections.append(CrossSection(index, slice_index, corner, mask))
    return painted, tuple(sections)
