"""The threshold on a node's score, chosen on whole scans of validation patients."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lnmdetect.core.errors import InputError
from lnmdetect.core.progress import Progress
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.core.run_lengths import mask_of_runs
from lnmdetect.core.thresholds import Threshold
from lnmdetect.datasets.volume_cache import group_series
from lnmdetect.io.listed_scans import ListedScan
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.metrics.thresholds import score_at_false_positives
from lnmdetect.stages.segment_annotations import node_score
from lnmdetect.stages.segment_scan import Segmenter, segment_scans
from lnmdetect.transforms.mask_pieces import Piece

FALSE_NODES_A_SCAN = 2.0
RULE = f"at most {FALSE_NODES_A_SCAN:g} false nodes a scan, touching no node of truth"

Nodes = Mapping[int, Sequence[NodeAnnotation]]


@dataclass
class _Tally:
    """Every answered node's score, and the nodes of truth it touches; the nodes of truth.

    One that touches none, not even one that is ignored, is wrong.
    """

    scores: list[float] = field(default_factory=list)
    touched: list[set[str]] = field(default_factory=list)
    truth: set[str] = field(default_factory=set)


def choose_node_threshold(
    truth: CocoDataset,
    store: PixelStore,
    segmenter: Segmenter,
    voxel_threshold: float,
    progress: Progress,
) -> tuple[Threshold, dict[str, float | None]]:
    """Return the lowest score with at most two false nodes a scan, and figures there.

    Where all answered nodes together hold no more, every node counts: 0.

    Args:
        truth: of the validation patients, with masks.
        store: of their pixels.
        segmenter: with the weights that are kept.
        voxel_threshold: on P(node) of a voxel, at which the nodes are cut out.
        progress: told about every slice.

    Raises:
        InputError: a slice cannot be read, or a scan is no neck in HU.
    """
    scans = [ListedScan(tuple(images), store) for images in group_series(truth.images)]
    tally, by_image = _Tally(), truth.by_image()
    for images in (scan.images for scan in scans):
        tally.truth.update(_names(images, by_image))
    for done in segment_scans(scans, segmenter, voxel_threshold, progress):
        if isinstance(done, InputError):
            raise done
        for piece in done.pieces:
            _add(tally, piece, done.images, by_image)
    scores = np.array(tally.scores, dtype=np.float64)
    allowed = FALSE_NODES_A_SCAN * len(scans)
    is_wrong = np.array([not names for names in tally.touched], dtype=np.bool_)
    lowest: float | None = 0.0  # nothing speaks against any node
    if is_wrong.sum() > allowed:
        lowest = score_at_false_positives(scores, is_wrong, allowed)
    if lowest is None:  # the surest nodes alone hold too many false ones
        lowest = 1.0
    return Threshold(lowest, RULE, "validation patients"), _figures(tally, lowest, len(scans))


def _figures(tally: _Tally, value: float, scans: int) -> dict[str, float | None]:
    pairs = zip(tally.scores, tally.touched, strict=True)
    kept = [names for score, names in pairs if score >= value]
    found = set().union(*kept)
    wrong = sum(not names for names in kept)
    share = len(found & tally.truth) / len(tally.truth) if tally.truth else None
    return {
        "nodes_found_at_node_threshold": None if share is None else round(share, 4),
        "false_nodes_per_scan_at_node_threshold": round(wrong / scans, 3),
    }


def _names(images: Sequence[ImageRecord], by_image: Nodes) -> Iterator[str]:
    """Yield the nodes of a scan that count."""
    for image in images:
        for node in by_image[image.image_id]:
            if node.segmentation is not None and not node.ignored:
                yield _name(image, node)


def _name(image: ImageRecord, node: NodeAnnotation) -> str:
    return f"{image.series} {node.node_id or node.annotation_id}"


def _add(tally: _Tally, piece: Piece, images: Sequence[ImageRecord], by_image: Nodes) -> None:
    """Add an answered node with the nodes it touches."""
    touched: set[str] = set()
    for section in piece.sections:
        image = images[section.index]
        (row, column), (rows, columns) = section.corner, section.size
        for node in by_image[image.image_id]:
            if node.segmentation is not None:
                drawn = mask_of_runs(node.segmentation, (image.height, image.width))
                part = drawn[row : row + rows, column : column + columns]
                if (part & section.inside).any():
                    touched.add(_name(image, node))
    tally.scores.append(node_score(piece))
    tally.touched.append(touched)
