"""Nodes of a label map: its numbers, or what touches in 3-D; a cross-section a slice."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lnmdetect.transforms.mask_pieces import Mask, Piece, PieceJoiner

Labels = NDArray[np.uint16]


@dataclass(frozen=True)
class CrossSection:
    """All of a node on one slice.

    Attributes:
        index: of the slice.
        corner: (row, column) of the first pixel of `inside` on the slice.
        inside: (rows, columns) of its box, none of whose sides is empty.
    """

    index: int
    corner: tuple[int, int]
    inside: Mask

    @classmethod
    def of(cls, index: int, mask: Mask, corner: tuple[int, int] = (0, 0)) -> "CrossSection":
        """Return the cross-section of a mask with at least one pixel, `corner` where it begins."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return cls(index, (corner[0] + int(rows[0]), corner[1] + int(columns[0])), inside)

    @property
    def box_xyxy(self) -> tuple[float, float, float, float]:
        """(x1, y1, x2, y2) px, far edge exclusive."""
        (row, column), (rows, columns) = self.corner, self.inside.shape
        return (float(column), float(row), float(column + columns), float(row + rows))

    def plane(self, shape: tuple[int, int]) -> Mask:
        """Return the mask on the whole slice of `shape`."""
        (row, column), (rows, columns) = self.corner, self.inside.shape
        plane = np.zeros(shape, dtype=bool)
        plane[row : row + rows, column : column + columns] = self.inside
        return plane


@dataclass(frozen=True)
class LabelNode:
    """A node of a label map.

    Attributes:
        value: its number, or of a piece the number that most of its voxels have.
        sections: one a slice, rising.
    """

    value: int
    sections: tuple[CrossSection, ...]


def numbered_nodes(labels: Labels) -> tuple[LabelNode, ...]:
    """Return a node a number above 0, by number.

    Args:
        labels: (slices, rows, columns), 0 the background.
    """
    found: dict[int, list[CrossSection]] = {}
    for index, plane in enumerate(labels):
        if not plane.any():
            continue
        for number, box in enumerate(ndimage.find_objects(plane.astype(np.int32)), start=1):
            if box is not None:
                inside = plane[box] == number
                corner = (int(box[0].start), int(box[1].start))
                found.setdefault(number, []).append(CrossSection(index, corner, inside))
    return tuple(LabelNode(value, tuple(found[value])) for value in sorted(found))


def touching_nodes(labels: Labels, values: Iterable[int], *, joined: bool) -> tuple[LabelNode, ...]:
    """Return a node a piece: what touches in a slice, corners too, or overlaps between two slices.

    Args:
        labels: (slices, rows, columns), of classes.
        values: the classes that are nodes.
        joined: let nodes of several classes be one, of the class that most of its voxels have,
            the lower of equals; else what touches is one only within a class.
    """
    wanted = sorted(set(values))
    groups = [wanted] if joined else [[value] for value in wanted]
    nodes = [node for group in groups if group for node in _pieces(labels, group)]
    return tuple(sorted(nodes, key=lambda node: (node.sections[0].index, node.sections[0].corner)))


def _pieces(labels: Labels, group: list[int]) -> Iterator[LabelNode]:
    joiner = PieceJoiner()
    for index, plane in enumerate(labels):
        inside = np.isin(plane, group)
        shares = (plane[None] == np.array(group, dtype=np.uint16)[:, None, None]).astype(np.float32)
        yield from (_node(piece, group) for piece in joiner.add(index, inside, shares))
    yield from (_node(piece, group) for piece in joiner.finish())


def _node(piece: Piece, group: list[int]) -> LabelNode:
    return LabelNode(group[int(np.argmax(piece.means))], sections_of(piece))


def sections_of(piece: Piece) -> tuple[CrossSection, ...]:
    """Return the cross-sections of a piece, its parts on one slice together, rising."""
    by_slice: dict[int, list[int]] = {}
    for number, section in enumerate(piece.sections):
        by_slice.setdefault(section.index, []).append(number)
    return tuple(_together(piece, by_slice[index]) for index in sorted(by_slice))


def _together(piece: Piece, numbers: list[int]) -> CrossSection:
    parts = [piece.sections[number] for number in numbers]
    boxes = np.array([part.box_xyxy for part in parts], dtype=int)
    (x1, y1), (x2, y2) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    inside = np.zeros((y2 - y1, x2 - x1), dtype=bool)
    for part, (left, top, right, bottom) in zip(parts, boxes, strict=True):
        inside[top - y1 : bottom - y1, left - x1 : right - x1] |= part.inside
    return CrossSection(parts[0].index, (int(y1), int(x1)), inside)


def split_sections(
    sections: Sequence[CrossSection], shape: tuple[int, int]
) -> list[tuple[CrossSection, ...]]:
    """Return the cross-sections of each piece, as `touching_nodes` has them.

    Args:
        sections: at most one a slice, rising.
        shape: (rows, columns) of the slices.
    """
    joiner = PieceJoiner()
    no_maps = np.zeros((0, *shape), dtype=np.float32)
    pieces: list[Piece] = []
    last = -1
    for section in sections:
        if section.index > last + 1:
            # Pieces do not reach over a slice without any of them.
            pieces += joiner.finish()
            joiner = PieceJoiner()
        pieces += joiner.add(section.index, section.plane(shape), no_maps)
        last = section.index
    pieces += joiner.finish()
    found = [sections_of(piece) for piece in pieces]
    return sorted(found, key=lambda parts: (parts[0].index, parts[0].corner))
