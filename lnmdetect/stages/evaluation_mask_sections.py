"""The masks of an evaluation, decoded slice by slice from their run lengths."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.columns import CocoColumns, Values
from lnmdetect.core.errors import InputError
from lnmdetect.core.node_classes import class_of
from lnmdetect.core.run_lengths import cut_mask_of_runs
from lnmdetect.metrics.mask_slices import LABELS, UNKNOWN, SectionMask
from lnmdetect.metrics.nodes import NO_NODE
from lnmdetect.stages.evaluation_inputs import Predictions
from lnmdetect.stages.evaluation_truth import Truth, node_numbers

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Sections:
    """S cross-sections of nodes on the images of truth, sorted by image; masks still as runs.

    Attributes:
        files: whose they are, for messages.
        row: (S,) place of the annotation in them.
        image: (S,) place of the image of truth.
        node: (S,) number of the node, `NO_NODE` for none.
        label: (S,) place in `LABELS`.
        ignored: (S,) neither hit nor miss.
        boxes_xyxy: (S, 4) px.
        runs: of each mask, None where there is none.
        shape_of_image: (I, 2) height and width.
    """

    files: str
    row: Places
    image: Places
    node: Places
    label: Places
    ignored: NDArray[np.bool_]
    boxes_xyxy: NDArray[np.float64]
    runs: Values
    shape_of_image: Places

    def __len__(self) -> int:
        return len(self.row)

    @property
    def nodes(self) -> int:
        """How many numbers of nodes there are."""
        return int(self.node.max(initial=NO_NODE)) + 1

    @property
    def with_mask(self) -> NDArray[np.bool_]:
        """(S,) has a mask, be it empty."""
        return np.array([runs is not None for runs in self.runs], dtype=np.bool_)

    def on(self, image: int) -> list[tuple[int, SectionMask]]:
        """Return the cross-sections on an image that have pixels, and which of the S each is.

        Raises:
            InputError: a mask cannot be decoded.
        """
        first, last = np.searchsorted(self.image, (image, image + 1)).tolist()
        decoded = [(place, self._section(place)) for place in range(first, last)]
        return [(place, section) for place, section in decoded if section.inside.any()]

    def _section(self, place: int) -> SectionMask:
        """Return one cross-section; truth without a mask is its box, ignored."""
        runs = self.runs[place]
        corner, inside = self._box(place) if runs is None else self._decoded(place)
        return SectionMask(
            node=int(self.node[place]),
            label=int(self.label[place]),
            corner=corner,
            inside=inside,
            ignored=bool(self.ignored[place]) or runs is None,
        )

    def _decoded(self, place: int) -> tuple[tuple[int, int], NDArray[np.bool_]]:
        try:
            return cut_mask_of_runs(self.runs[place], self.shape_of_image[self.image[place]])
        except ValueError as error:
            raise mask_fault(self.files, int(self.row[place]), error) from None

    def _box(self, place: int) -> tuple[tuple[int, int], NDArray[np.bool_]]:
        height, width = self.shape_of_image[self.image[place]].tolist()
        x1, y1, x2, y2 = self.boxes_xyxy[place].tolist()
        column, row = max(0, math.floor(x1)), max(0, math.floor(y1))
        rows, columns = min(height, math.ceil(y2)) - row, min(width, math.ceil(x2)) - column
        return (row, column), np.ones((rows, columns), dtype=np.bool_)


def mask_fault(files: str, row: int, error: ValueError) -> InputError:
    """Return the error of a mask, of annotation `row`, that cannot be decoded."""
    return InputError(
        f"{files}: annotations[{row}].segmentation",
        expected="run lengths (COCO RLE) that fill the image",
        got=str(error),
        remedy="Write the file again with the tool that made it.",
    )


def truth_sections(truth: Truth) -> Sections:
    """Return the cross-sections of truth; one without a mask has its box ignored."""
    rows = np.arange(len(truth.table))
    names = ", ".join(stamp.file for stamp in truth.stamps)
    return _sections(truth.columns, rows, truth.table.image, (node_numbers(truth), names), truth)


def found_sections(found: Predictions, truth: Truth) -> Sections:
    """Return the answered cross-sections at or above the operating threshold that have masks.

    A name is a node's within its scan; one without a name is a node of its own.
    """
    runs = found.columns.nodes.runs
    kept = np.array([runs[row] is not None for row in found.rows.tolist()], dtype=np.bool_)
    if found.above is not None:
        kept &= found.above
    rows, image = found.rows[kept], found.tables.found.image[kept]
    names, scans = found.columns.nodes.node_ids, truth.cohort.scan_of_image
    known: dict[object, int] = {}
    node = [
        known.setdefault(row if names[row] is None else (int(scans[place]), names[row]), len(known))
        for row, place in zip(rows.tolist(), image.tolist(), strict=True)
    ]
    numbers = np.array(node, dtype=np.int64)
    return _sections(found.columns, rows, image, (numbers, found.files), truth)


def _sections(
    columns: CocoColumns, rows: Places, image: Places, told: tuple[Places, str], truth: Truth
) -> Sections:
    order = np.argsort(image, kind="stable")
    at, nodes = rows[order], columns.nodes
    return Sections(
        files=told[1],
        row=at,
        image=image[order],
        node=told[0][order],
        label=_labels(columns, at),
        ignored=nodes.ignored[at],
        boxes_xyxy=nodes.boxes_xyxy[at],
        runs=[nodes.runs[row] for row in at.tolist()],
        shape_of_image=truth.columns.images.sizes_px[:, ::-1],
    )


def _labels(columns: CocoColumns, rows: Places) -> Places:
    kinds: Sequence[str | None] = columns.node_column("kind") or [None] * len(columns.nodes)
    category = columns.nodes.category
    names = [class_of(int(category[row]), kinds[row]) for row in rows.tolist()]
    labels = [UNKNOWN if name is None else LABELS.index(name) for name in names]
    return np.array(labels, dtype=np.int64)
