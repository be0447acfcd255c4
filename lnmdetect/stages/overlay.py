"""`lnmdetect overlay`: nodes on the slices that say most, beside the truth where there is one."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lnmdetect import __version__
from lnmdetect.core.errors import UsageError
from lnmdetect.core.findings import ROLES
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import read_coco
from lnmdetect.io.json_files import refuse_existing
from lnmdetect.io.pixel_roots import scan_root
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.slice_join import shared_ids

if TYPE_CHECKING:
    from lnmdetect.io.slice_drawing import Tile

SHEET = Path("contact_sheet.png")
SLICES = 24
ROWS = Path("rows.png")
COLUMNS = 6
"""Slices of a picture in rows; more make it wider than a page."""

Nodes = tuple[NodeAnnotation, ...]
BoxCount = Callable[[ImageRecord], int]


@dataclass(frozen=True)
class OverlayRequest:
    """What to draw.

    Attributes:
        nodes: boxes.json, nodes.json, segments.json or a truth.json; masks are drawn as contours.
        truth: drawn over it, dashed; with `rows` in a row of its own.
        scan: where the pixels are; None takes the file's `info.scan_root`.
        slices: at most so many are drawn.
        threshold: on the detector's score instead of the file's operating threshold.
        rows: result, truth and original in rows, a column a slice, instead of a contact sheet.
    """

    nodes: Path
    truth: Path | None = None
    output: Path = SHEET
    scan: Path | None = None
    slices: int = SLICES
    threshold: float | None = None
    rows: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class OverlayResult:
    """The picture and what is on it."""

    output: Path
    slices: int
    boxes: int
    truth_boxes: int


@dataclass(frozen=True)
class _Shown:
    """What is drawn on each image id: predicted boxes at the threshold, and truth that counts."""

    found: Mapping[int, Nodes] = field(default_factory=dict)
    truth: Mapping[int, Nodes] = field(default_factory=dict)

    def count(self, image: ImageRecord) -> int:
        """Return how many boxes there are on an image."""
        return len(self.found[image.image_id]) + len(self.truth[image.image_id])


def overlay(request: OverlayRequest, progress: Progress = SILENT) -> OverlayResult:
    """Return what was drawn after writing the contact sheet, or the rows.

    Raises:
        UsageError: the output is not named .png.
        InputError: a file cannot be used, or its pixels are not where it says.
        OutputError: the output exists and `overwrite` is not set.
    """
    from lnmdetect.io.slice_drawing import Tile

    if request.output.suffix.lower() != ".png":
        raise UsageError(
            "--output",
            expected="a name that ends in .png",
            got=repr(request.output.name),
            remedy="Name the picture so.",
        )
    refuse_existing(request.output, overwrite=request.overwrite)
    dataset = read_coco(request.nodes)
    truth = read_coco(request.truth) if request.truth else None
    threshold = _threshold(request, dataset)
    shown = _Shown(_boxes_at(dataset, threshold), _truth_on(dataset, truth))
    chosen = choose_slices(dataset.images, shown.count, count=request.slices)
    store = PixelStore(
        scan_root(request.nodes, dataset, request.scan), png_folder=request.nodes.parent
    )
    tiles = [
        Tile(image, store.read(image), shown.truth[image.image_id], shown.found[image.image_id])
        for image in progress.track(chosen, description="drawing")
    ]
    phantom = dataset.is_phantom or (truth is not None and truth.is_phantom)
    _write(request, tiles, _title(dataset, threshold, phantom=phantom))
    return OverlayResult(
        output=request.output,
        slices=len(tiles),
        boxes=sum(len(tile.found) for tile in tiles),
        truth_boxes=sum(len(tile.truth) for tile in tiles),
    )


def _write(request: OverlayRequest, tiles: "Sequence[Tile]", title: str) -> None:
    from lnmdetect.io.contact_sheet import write_contact_sheet
    from lnmdetect.io.slice_rows import write_slice_rows

    if not request.rows:
        write_contact_sheet(tiles, request.output, title=title, overwrite=request.overwrite)
        return
    write_slice_rows(
        tiles,
        request.output,
        title=title,
        with_truth=request.truth is not None,
        overwrite=request.overwrite,
    )


def _threshold(request: OverlayRequest, dataset: CocoDataset) -> float:
    if request.threshold is not None:
        return request.threshold
    return float(dataset.info.get("operating_threshold") or 0)


def _boxes_at(dataset: CocoDataset, threshold: float) -> dict[int, Nodes]:
    """Return the boxes of each image that are meant for people; truth boxes carry no score."""
    return {
        image_id: tuple(
            node
            for node in nodes
            if not node.ignored and (node.score is None or node.score >= threshold)
        )
        for image_id, nodes in dataset.by_image().items()
    }


def _truth_on(dataset: CocoDataset, truth: CocoDataset | None) -> dict[int, Nodes]:
    """Return the truth boxes that count, by the image ids of `dataset`."""
    placed: dict[int, Nodes] = {image.image_id: () for image in dataset.images}
    if truth is None:
        return placed
    nodes = truth.by_image()
    for truth_id, image_id in shared_ids(dataset.images, truth.images).items():
        placed[image_id] = tuple(node for node in nodes[truth_id] if not node.ignored)
    return placed


def _title(dataset: CocoDataset, threshold: float, *, phantom: bool) -> str:
    parts = [f"lnmdetect {__version__}"]
    if phantom:
        parts.append("phantom")
    names = {stage: dataset.info.get(stage) for stage in ROLES}
    parts += [f"{stage} {m['name']}" for stage, m in names.items() if isinstance(m, Mapping)]
    if threshold:
        parts.append(f"scored {threshold:.2f} or more")
    return " · ".join([*parts, "research only, not for diagnosis"])


def choose_slices(
    images: Sequence[ImageRecord], boxes_on: BoxCount, *, count: int
) -> list[ImageRecord]:
    """Return at most `count` slices: an even share a scan, spread over it, with most boxes.

    Each scan's slices that have boxes are cut into as many stretches as the scan has places, and
    the fullest slice of each is taken; a scan without any box gives evenly spread slices. Where
    there are fewer places than scans, the first scans have them.

    Args:
        images: of one or more scans.
        boxes_on: how many boxes an image has.
        count: of places in all.
    """
    scans: dict[str, list[ImageRecord]] = {}
    for image in images:
        scans.setdefault(image.series, []).append(image)
    chosen: list[ImageRecord] = []
    for place, scan in enumerate(scans.values()):
        share = math.ceil((count - len(chosen)) / (len(scans) - place))
        ordered = sorted(scan, key=lambda image: image.slice_index)
        marked = [image for image in ordered if boxes_on(image)] or ordered
        if share == 0:
            continue
        stretches = np.array_split(np.arange(len(marked)), min(share, len(marked)))
        chosen += [_fullest([marked[i] for i in stretch], boxes_on) for stretch in stretches]
    return chosen


def _fullest(stretch: Sequence[ImageRecord], boxes_on: BoxCount) -> ImageRecord:
    """Return the image with most boxes; of equals the one nearest to the stretch's middle."""
    middle = (len(stretch) - 1) / 2
    best = max(range(len(stretch)), key=lambda i: (boxes_on(stretch[i]), -abs(i - middle), -i))
    return stretch[best]
