"""The browser of a report: its slices, worst first, with their pictures where the pixels are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.columns import CocoColumns
from lnmdetect.core.errors import InputError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import ImageRecord
from lnmdetect.core.wording import counted
from lnmdetect.io.pixel_roots import scan_root
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.report_pictures import picture_uri
from lnmdetect.io.report_view import Browser, SliceBox, SliceView
from lnmdetect.stages.evaluate import Evaluation
from lnmdetect.stages.report_boxes import BoxColumns, ShownBoxes, shown_boxes
from lnmdetect.transforms.body import body_mask, mask_box
from lnmdetect.transforms.windows import window

SOFT_TISSUE_HU = (-160.0, 240.0)
MAX_SLICES = 400
PICTURE_BYTES = 4_200_000
"""Of all pictures together: with the rest the page stays below 5 MB."""
_MARGIN_MM = 6.0

Part = tuple[int, int, int, int]
"""The shown part of a slice, xyxy px, far edge exclusive."""


class _Pixels:
    """The slices below the scan root, and why some or all of them are not there."""

    def __init__(self, store: PixelStore | None) -> None:
        self._store = store
        self._failures: list[InputError] = []

    @classmethod
    def of(cls, evaluation: Evaluation, scan: Path | None) -> "_Pixels":
        """Return the pixels; none where truth names no place, but a wrong --scan is refused."""
        truth = evaluation.files.truth[0]
        try:
            root = scan_root(truth, evaluation.truth.columns, scan)
        except InputError:
            if scan is not None:
                raise
            return cls(None)
        return cls(PixelStore(root, png_folder=truth.parent))

    def read(self, record: ImageRecord) -> NDArray[np.int16] | None:
        """Return the slice; None where it cannot be read, which `notes` then tell."""
        if self._store is None:
            return None
        try:
            return self._store.read(record)
        except InputError as failure:
            self._failures.append(failure)
            return None

    def notes(self) -> Iterator[str]:
        """Give a sentence where pictures are missing."""
        if self._store is None:
            yield "No pictures: the scans are not where the truth file says; name them with --scan."
        if self._failures:
            slices = counted(len(self._failures), "slice has", "slices have")
            yield f"{slices} no picture. {self._failures[0].for_file}"


@dataclass(frozen=True)
class _Slices:
    """What the slices are made from."""

    truth: CocoColumns
    boxes: ShownBoxes
    pixels: _Pixels


def browser(evaluation: Evaluation, *, scan: Path | None, progress: Progress = SILENT) -> Browser:
    """Return the slices with truth or predictions, as many as the page has room for.

    Args:
        evaluation: whose boxes are shown.
        scan: where the pixels are; None takes the files' `info.scan_root`.
        progress: of the reading.

    Raises:
        InputError: nothing is at `scan`.
    """
    boxes = shown_boxes(evaluation)
    if boxes is None:
        return Browser((), 0, ("No file has boxes that were found or classified.",))
    places = boxes.places()
    slices = _Slices(evaluation.truth.columns, boxes, _Pixels.of(evaluation, scan))
    shown: list[SliceView] = []
    size = 0
    for view in _views(slices, progress.track(places[:MAX_SLICES], description="slices")):
        size += len(view.picture)
        if size > PICTURE_BYTES:
            break
        shown.append(view)
    notes = list(slices.pixels.notes())
    if evaluation.kinds is None:
        notes.append("No operating threshold of the detector is known: all its boxes are shown.")
    return Browser(tuple(shown), len(places), tuple(notes))


def _views(slices: _Slices, places: Iterator[int]) -> Iterator[SliceView]:
    records = _Records(slices.truth)
    for place in places:
        record = records.record(place)
        hu = slices.pixels.read(record)
        boxes = [column.boxes_xyxy[row] for column, row in _rows(slices.boxes, place)]
        part = (0, 0, record.width, record.height)
        picture = ""
        if hu is not None:
            part = shown_part(hu, record.spacing_mm, boxes)
            x1, y1, x2, y2 = part
            grey = (window(hu[y1:y2, x1:x2], SOFT_TISSUE_HU) * 255).round().astype(np.uint8)
            picture = picture_uri(grey, record.spacing_mm)
        yield SliceView(
            patient=record.patient,
            uid=record.sop_instance_uid,
            name=records.name(place),
            position_mm=record.position_mm,
            picture=picture,
            width_mm=(part[2] - part[0]) * record.spacing_mm[1],
            height_mm=(part[3] - part[1]) * record.spacing_mm[0],
            boxes=tuple(_slice_boxes(slices, place, part)),
        )


def shown_part(
    hu: NDArray[np.int16],
    spacing_mm: tuple[float, float],
    boxes_xyxy: Sequence[NDArray[np.float64]],
) -> Part:
    """Return the part of a slice with the patient and all boxes, and a margin, within the slice.

    Args:
        hu: (H, W) slice.
        spacing_mm: (row, column).
        boxes_xyxy: (4,) px each.
    """
    height, width = hu.shape
    corners = np.array([mask_box(body_mask(hu, spacing_mm)), *boxes_xyxy], dtype=np.float64)
    margin = _MARGIN_MM / np.array([spacing_mm[1], spacing_mm[0]])
    low = np.maximum(corners[:, :2].min(axis=0) - margin, 0)
    high = np.minimum(corners[:, 2:].max(axis=0) + margin, (width, height))
    return (*np.floor(low).astype(int).tolist(), *np.ceil(high).astype(int).tolist())


def _rows(boxes: ShownBoxes, place: int) -> Iterator[tuple[BoxColumns, int]]:
    for column in (boxes.truth, boxes.found):
        yield from ((column, row) for row in column.on(place))


def _slice_boxes(slices: _Slices, place: int, part: Part) -> Iterator[SliceBox]:
    row_mm, column_mm = slices.truth.images.spacing_mm[place]
    short_axes = slices.truth.nodes.short_axis_mm
    for column, row in _rows(slices.boxes, place):
        is_truth = column is slices.boxes.truth
        source: Literal["truth", "found"] = "truth" if is_truth else "found"
        x1, y1, _, _ = column.boxes_xyxy[row]
        width, height = column.sides_mm[row]
        size = f"{width:.1f} × {height:.1f}"
        if is_truth and np.isfinite(short_axes[row]):
            size += f" ({short_axes[row]:.1f})"
        yield SliceBox(
            x=float((x1 - part[0]) * column_mm),
            y=float((y1 - part[1]) * row_mm),
            width=float(width),
            height=float(height),
            source=source,
            kind=str(column.kind[row]),
            category=column.category_name(row),
            score=_known(column.score[row]),
            p_metastatic=_known(column.p_metastatic[row]),
            size=size,
            severity=float(column.severity[row]),
        )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


class _Records:
    """The slices of a file of columns, one at a time."""

    def __init__(self, columns: CocoColumns) -> None:
        self._columns = columns
        self._index = columns.image_column("slice_index")
        self._position = columns.image_column("position_mm")

    def record(self, place: int) -> ImageRecord:
        """Return the record of the slice at `place`; of its scan only what pixels need."""
        images = self._columns.images
        index, position = (
            None if column is None else column[place] for column in (self._index, self._position)
        )
        row_mm, column_mm = images.spacing_mm[place]
        return ImageRecord(
            image_id=int(images.ids[place]),
            file_name=images.file_names[place],
            width=int(images.sizes_px[place, 0]),
            height=int(images.sizes_px[place, 1]),
            patient=images.patients[place],
            series=images.series[place],
            sop_instance_uid=images.sop_instance_uids[place],
            slice_index=int(index or 0),
            position_mm=float(position or 0),
            spacing_mm=(float(row_mm), float(column_mm)),
        )

    def name(self, place: int) -> str:
        """Return where the slice lies, in words without a file's name, which may be a person's."""
        index = None if self._index is None else self._index[place]
        if index is None or self._columns.coverage == "key_images":
            return f"image {self._columns.images.ids[place]}"
        return f"slice {index + 1}"
