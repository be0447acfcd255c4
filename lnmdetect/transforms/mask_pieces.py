"""Masks of successive slices joined to pieces in 3-D, one slice held at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Section:
    """A piece's cross-section on one slice; its memory goes with its outline, not its area.

    Attributes:
        index: of the slice.
        corner: (row, column) of the first pixel of `inside` on the slice.
        size: (rows, columns) of its box.
        runs: of the pixels inside, down the columns of the box (COCO RLE).
        pixels: how many lie inside.
        sums: (K,) of the maps over its pixels.
    """

    index: int
    corner: tuple[int, int]
    size: tuple[int, int]
    runs: bytes
    pixels: int
    sums: NDArray[np.float64]

    @property
    def inside(self) -> Mask:
        """(rows, columns) of its box."""
        return np.asarray(rle.decode({"size": self.size, "counts": self.runs}), dtype=bool)

    @property
    def box_xyxy(self) -> tuple[float, float, float, float]:
        """(x1, y1, x2, y2) px, far edge exclusive."""
        (row, column), (rows, columns) = self.corner, self.size
        return (float(column), float(row), float(column + columns), float(row + rows))


@dataclass
class Piece:
    """A connected part of a mask in 3-D: its cross-sections, in the order they came."""

    sections: list[Section] = field(default_factory=list)

    @property
    def voxels(self) -> int:
        """How many there are."""
        return sum(section.pixels for section in self.sections)

    @property
    def means(self) -> NDArray[np.float64]:
        """(K,) means of the maps over its voxels."""
        return np.asarray(np.sum([s.sums for s in self.sections], axis=0) / self.voxels)


class PieceJoiner:
    """Joins what touches: in a slice over edges and corners, between slices where it overlaps."""

    def __init__(self) -> None:
        self._pieces: dict[int, Piece] = {}
        self._begun = 0
        self._labels: NDArray[np.int32] | None = None
        self._piece_of: dict[int, int] = {}

    def add(self, index: int, mask: Mask, maps: NDArray[np.float32]) -> Iterator[Piece]:
        """Take the next slice; yield the pieces that do not reach it and so are whole.

        Args:
            index: of the slice.
            mask: (H, W).
            maps: (K, H, W), summed over each cross-section.
        """
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            mask.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S
        )
        piece_of: dict[int, int] = {}
        for label in range(1, count):
            x, y, width, height = (int(value) for value in stats[label, :4])
            place = (slice(y, y + height), slice(x, x + width))
            inside = labels[place] == label
            sums = maps[(slice(None), *place)][:, inside].sum(axis=1, dtype=np.float64)
            number = self._joined(self._touched(place, inside), piece_of)
            runs = rle.encode(np.asfortranarray(inside, dtype=np.uint8))["counts"]
            pixels = int(stats[label, cv2.CC_STAT_AREA])
            section = Section(index, (y, x), (height, width), runs, pixels, sums)
            self._pieces[number].sections.append(section)
            piece_of[label] = number
        yield from self._leave(set(piece_of.values()))
        self._labels, self._piece_of = labels.astype(np.int32, copy=False), piece_of

    def finish(self) -> Iterator[Piece]:
        """Yield the pieces that reach the last slice."""
        yield from self._leave(set())

    def _touched(self, place: tuple[slice, slice], inside: Mask) -> list[int]:
        """Return the pieces that the slice before has below these pixels."""
        if self._labels is None:
            return []
        below = np.unique(self._labels[place][inside])
        return sorted({self._piece_of[int(label)] for label in below if label})

    def _joined(self, touched: list[int], piece_of: dict[int, int]) -> int:
        """Return the number of the piece that all touched ones are now, or of a new one."""
        if not touched:
            self._begun += 1
            self._pieces[self._begun] = Piece()
            return self._begun
        kept, *others = touched
        for other in others:
            self._pieces[kept].sections += self._pieces.pop(other).sections
            for known in (piece_of, self._piece_of):
                known.update({label: kept for label, number in known.items() if number == other})
        return kept

    def _leave(self, reached: set[int]) -> Iterator[Piece]:
        for number in sorted(set(self._pieces) - reached):
            piece = self._pieces.pop(number)
            piece.sections.sort(key=lambda section: section.index)
            yield piece
