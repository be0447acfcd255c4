"""The pieces of a scan's mask as annotations: a cross-section each, the node's class on all."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as rle

from lnmdetect.core.node_classes import EXTRANODAL, EXTRANODAL_KIND, NEGATIVE, category_of
from lnmdetect.core.records import LYMPH_NODE, ImageRecord, NodeAnnotation
from lnmdetect.transforms.mask_pieces import Piece, Section


def node_annotations(
    pieces: Sequence[Piece],
    images: Sequence[ImageRecord],
    classes: Sequence[str],
    *,
    first: int,
) -> Iterator[NodeAnnotation]:
    """Yield the cross-sections of all nodes of a scan, the surest node first, numbered n1, n2..

    Args:
        pieces: with the means of the maps of `classes`.
        images: of the scan, one a slice.
        classes: of the segmenter.
        first: id of the first annotation.
    """
    surest = sorted(pieces, key=lambda piece: -node_score(piece))
    number = first
    for rank, piece in enumerate(surest, start=1):
        of_node = _of_node(piece, classes)
        for section in piece.sections:
            yield NodeAnnotation(
                annotation_id=number,
                image_id=images[section.index].image_id,
                box_xyxy=section.box_xyxy,
                node_id=f"n{rank}",
                segmentation=_encoded(section, images[section.index]),
                **of_node,
            )
            number += 1


def node_score(piece: Piece) -> float:
    """Return the mean P(node) over the voxels of a node, to 1e-6 as files hold it.

    So whoever reads the file counts the same nodes at a threshold as whoever wrote it.
    """
    return round(float(np.clip(piece.means.sum(), 0, 1)), 6)


def _of_node(piece: Piece, classes: Sequence[str]) -> dict[str, Any]:
    """Return what all cross-sections of a node say: score, category, kind, shares of classes."""
    shares = dict(zip(classes, piece.means / piece.means.sum(), strict=True))
    likeliest = max(classes, key=lambda name: shares[name])
    category = category_of(likeliest)
    benign = round(float(shares.get(NEGATIVE, 0)), 6)
    called = {"benign": benign, "metastatic": round(1 - benign, 6)}
    return {
        "score": node_score(piece),
        "category_id": LYMPH_NODE if category is None else category,
        "kind": EXTRANODAL_KIND if likeliest == EXTRANODAL else None,
        "probabilities": None if category is None else called,
        "extra": {"class_probabilities": {name: round(float(p), 6) for name, p in shares.items()}},
    }


def _encoded(section: Section, image: ImageRecord) -> dict[str, Any]:
    plane = np.zeros((image.height, image.width), dtype=np.uint8, order="F")
    (row, column), (rows, columns) = section.corner, section.size
    plane[row : row + rows, column : column + columns] = section.inside
    coded = rle.encode(plane)
    return {"size": [image.height, image.width], "counts": coded["counts"].decode("ascii")}
