"""Distances between the surfaces of two masks in 3-D, in mm, however far apart the slices lie.

A surface voxel has one of its six neighbours outside the mask or beyond the volume. Distances are
taken between centres of voxels, exactly, from the surface voxels alone: memory goes by them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.metrics.mask_slices import Counts, Mask

Numbers = NDArray[np.float64]
Corner = tuple[int, int]
NO_PAIR = "no node of truth with an answered node on it"
_PERCENTILE = 95


@dataclass(frozen=True)
class Plane:
    """A part of a mask on one slice, eight pixels a byte.

    Attributes:
        place: of the slice among those of its volume, by position.
        corner: (row, column) of the first pixel of its box.
        shape: rows and columns of its box.
        bits: the pixels, packed.
    """

    place: int
    corner: Corner
    shape: tuple[int, int]
    bits: NDArray[np.uint8]

    @classmethod
    def of(cls, place: int, corner: Corner, mask: Mask) -> "Plane":
        """Return a mask, cut to a box, as a plane."""
        return cls(place, corner, (mask.shape[0], mask.shape[1]), np.packbits(mask))

    @property
    def mask(self) -> Mask:
        """(rows, columns)."""
        pixels = np.unpackbits(self.bits, count=self.shape[0] * self.shape[1])
        return pixels.reshape(self.shape).astype(np.bool_)


@dataclass(frozen=True)
class VolumeGrid:
    """Where the voxels of a volume lie.

    Attributes:
        position_mm: (D,) of each slice, along the volume.
        spacing_mm: from row to row, and from column to column.
    """

    position_mm: Numbers
    spacing_mm: tuple[float, float]


@dataclass(frozen=True)
class SurfaceDistances:
    """Of one pair of masks, mm.

    Attributes:
        mean: over the surface voxels of both, each to the nearest of the other.
        hausdorff_95: the larger of the two directions' 95th percentiles.
    """

    mean: float
    hausdorff_95: float


@dataclass(frozen=True)
class SurfaceFigures:
    """Distances of nodes of truth to the answered nodes that are matched with them, mm.

    Each node against all of these together; the mean over a volume's nodes, then over volumes. A
    node that nothing is matched with has no distance: the detection rate tells of it.

    Attributes:
        nodes: of truth with a match.
    """

    nodes: int
    mean_mm: Figure
    hausdorff_95_mm: Figure


def surface_points(planes: Iterable[Plane], grid: VolumeGrid) -> Numbers:
    """Return (S, 3) mm of the surface voxels of a mask, as slice, row and column.

    Args:
        planes: its parts; several may lie on one slice, and overlap.
        grid: of the volume.
    """
    slices = _Slices(planes)
    row_mm, column_mm = grid.spacing_mm
    top, left = slices.corner
    found = [np.zeros((0, 3))]
    for place in slices.places:
        mask = slices.mask(place)
        inner = _inner(mask) & slices.mask(place - 1) & slices.mask(place + 1)
        row, column = np.nonzero(mask & ~inner)
        level = np.full(len(row), grid.position_mm[place])
        points = (level, (row + top) * row_mm, (column + left) * column_mm)
        found.append(np.stack(points, axis=1))
    return np.concatenate(found)


class _Slices:
    """A mask slice by slice, all cut to the box that holds it; three are unpacked at a time."""

    def __init__(self, planes: Iterable[Plane]) -> None:
        self._on: dict[int, list[Plane]] = {}
        for plane in planes:
            self._on.setdefault(plane.place, []).append(plane)
        every = [plane for own in self._on.values() for plane in own]
        corners = np.array([plane.corner for plane in every]).reshape(-1, 2)
        ends = corners + np.array([plane.shape for plane in every]).reshape(-1, 2)
        first = corners.min(axis=0, initial=np.iinfo(np.int64).max)
        self.corner = (int(first[0]), int(first[1]))
        self._shape = tuple((ends.max(axis=0, initial=0) - first).tolist())
        self.mask = lru_cache(maxsize=3)(self._mask)

    @property
    def places(self) -> list[int]:
        """The slices it is on, in order."""
        return sorted(self._on)

    def _mask(self, place: int) -> Mask:
        mask = np.zeros(self._shape, dtype=np.bool_)
        top, left = self.corner
        for plane in self._on.get(place, ()):
            row, column = plane.corner[0] - top, plane.corner[1] - left
            rows, columns = plane.shape
            mask[row : row + rows, column : column + columns] |= plane.mask
        return mask


def _inner(mask: Mask) -> Mask:
    """Return the pixels whose four neighbours on the slice are in the mask too."""
    wide = np.pad(mask, 1)
    return np.asarray(wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:])


def surface_distances(first: Numbers, second: Numbers) -> SurfaceDistances:
    """Return the distances between two surfaces, (S, 3) and (T, 3) mm, neither of them empty."""
    from scipy.spatial import cKDTree  # only masks need it: `eval` of boxes starts without

    there, back = (
        cKDTree(other).query(own)[0] for own, other in ((first, second), (second, first))
    )
    return SurfaceDistances(
        mean=float(np.concatenate([there, back]).mean()),
        hausdorff_95=float(max(np.percentile(side, _PERCENTILE) for side in (there, back))),
    )


def matches(shared: Counts) -> Counts:
    """Return (F, 2) answered nodes, each with the one node of truth it shares most pixels with.

    An answered node over many nodes is measured once, so that the work grows with the surfaces.

    Args:
        shared: (K, 3) node of truth, answered node and the pixels they share.
    """
    best_first = shared[np.lexsort((shared[:, 0], -shared[:, 2], shared[:, 1]))]
    _, first = np.unique(best_first[:, 1], return_index=True)
    return np.asarray(best_first[first, :2])


def pair_distances(
    pairs: Counts,
    truth: Mapping[int, Sequence[Plane]],
    found: Mapping[int, Sequence[Plane]],
    grid: VolumeGrid,
) -> Iterator[SurfaceDistances]:
    """Yield the distances of each node of truth that has a match, in one volume.

    Args:
        pairs: (F, 2) node of truth and an answered node matched with it.
        truth: the planes of each node.
        found: likewise, without what is ignored.
        grid: of the volume.
    """
    for node in np.unique(pairs[:, 0]).tolist():
        partners = pairs[pairs[:, 0] == node, 1].tolist()
        answered = [plane for partner in partners for plane in found[partner]]
        yield surface_distances(surface_points(truth[node], grid), surface_points(answered, grid))


def surface_figures(
    distances: Mapping[int, Sequence[SurfaceDistances]], cohort: Cohort
) -> SurfaceFigures:
    """Return the figures of each scan's distances."""
    told = {scan: own for scan, own in distances.items() if own}
    if not told:
        return SurfaceFigures(0, undefined(NO_PAIR), undefined(NO_PAIR))
    owner_of_scan = dict(
        zip(cohort.scan_of_image.tolist(), cohort.patient_of_image.tolist(), strict=True)
    )
    owner = np.array([owner_of_scan[scan] for scan in told], dtype=np.int64)
    patients = len(np.unique(owner))

    def figure(name: str) -> Figure:
        means = np.array([np.mean([getattr(one, name) for one in own]) for own in told.values()])
        values = cohort.resamples.mean(owner, means)
        return cohort.resamples.figure(values, n=len(told), patients=patients)

    return SurfaceFigures(
        nodes=sum(map(len, told.values())),
        mean_mm=figure("mean"),
        hausdorff_95_mm=figure("hausdorff_95"),
    )
