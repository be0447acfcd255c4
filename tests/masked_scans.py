"""Small DICOM scans with masks of nodes on them, in any orientation, for tests of conversion."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from lnmdetect.core.records import BENIGN, METASTATIC, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import write_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, derived_uid, write_ct_series

SLICES, ROWS, COLUMNS = 7, 24, 32
SPACING_MM = (2.5, 0.4, 0.7)
"""z, row, column: no two alike."""
ORIENTATIONS: dict[str, tuple[float, ...]] = {
    "usual": (1.0, 0, 0, 0, 1, 0),
    "slices run downwards": (1.0, 0, 0, 0, -1, 0),
    "patient on his front": (-1.0, 0, 0, 0, -1, 0),
    "rows run to the right": (-1.0, 0, 0, 0, 1, 0),
    "rows run to the back": (0.0, 1, 0, -1, 0, 0),
    "oblique": (0.96, 0, 0.28, 0, 1, 0),
}
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Drawn:
    """A node to draw: (slices, rows, columns) inside, its category and kind."""

    name: str
    category: int
    inside: Mask
    kind: str | None = None


def ball(centre: tuple[float, float, float], radius: tuple[float, float, float]) -> Mask:
    """The voxels of an ellipsoid, (slices, rows, columns)."""
    grid = np.indices((SLICES, ROWS, COLUMNS)).astype(float)
    parts = [((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radius, strict=True)]
    return np.asarray(np.sum(parts, axis=0) <= 1)


def three_nodes() -> tuple[Drawn, ...]:
    """A benign node, a positive one with a notch, and one with extranodal extension."""
    notched = ball((3, 7, 22), (2.2, 5, 6))
    notched[:, 5:8, 20:23] = False
    notched[3, 7, 21] = True
    return (
        Drawn("left", BENIGN, ball((2, 15, 8), (2.2, 4, 5)), "benign"),
        Drawn("right", METASTATIC, notched, "cystic"),
        Drawn("ragged", METASTATIC, ball((4, 19, 25), (1.4, 3, 4)), "extranodal"),
    )


def write_scan(
    folder: Path,
    nodes: Sequence[Drawn],
    *,
    orientation: tuple[float, ...] = ORIENTATIONS["usual"],
    seed: str = "masked",
    origin_mm: tuple[float, float, float] = (-40.0, -30.0, 12.0),
    slices: int = SLICES,
) -> tuple[list[ImageRecord], list[NodeAnnotation]]:
    """Write the scan as DICOM below `folder` and return its images and nodes, ids from 1."""
    voxels = np.random.default_rng(len(seed)).integers(-1000, 300, (slices, ROWS, COLUMNS))
    meta = CtSeriesMeta(
        seed=seed,
        patient_id=f"{seed} patient",
        patient_name="Canary^Yellow",
        spacing_mm=SPACING_MM,
        thickness_mm=SPACING_MM[0],
        origin_mm=origin_mm,
        orientation=orientation,
    )
    written = write_ct_series(voxels.astype(np.int16), folder, meta)
    images = [
        ImageRecord(
            index + 1,
            f"{one.sop_instance_uid}.dcm",
            COLUMNS,
            ROWS,
            f"p-{seed}",
            derived_uid(f"{seed}/series"),
            one.sop_instance_uid,
            index,
            one.position_mm,
            SPACING_MM[1:],
            SPACING_MM[0],
        )
        for index, one in enumerate(written)
    ]
    return images, [
        annotation(number, node, index)
        for number, (index, node) in enumerate(
            ((i, n) for i in range(slices) for n in nodes if n.inside[i].any()), start=1
        )
    ]


def annotation(number: int, node: Drawn, index: int, **extra: Any) -> NodeAnnotation:
    """The cross-section of a node on the slice `index`, whose image id is one more."""
    plane = node.inside[index]
    rows, columns = np.nonzero(plane)
    coded = coco_mask.encode(np.asfortranarray(plane.astype(np.uint8)))
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    sides = ((box[2] - box[0]) * SPACING_MM[2], (box[3] - box[1]) * SPACING_MM[1])
    return NodeAnnotation(
        number,
        index + 1,
        node.category,
        (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
        ignored=bool(min(sides) < 3),
        node_id=node.name,
        short_axis_mm=4.25,
        level="III",
        kind=node.kind,
        segmentation={"size": [ROWS, COLUMNS], "counts": coded["counts"].decode("ascii")},
        **extra,
    )


def write_truth(folder: Path, nodes: Sequence[Drawn] | None = None, **options: Any) -> Path:
    """Write one scan below folder/scan and folder/truth.json, which is returned."""
    images, annotations = write_scan(
        folder / "scan", three_nodes() if nodes is None else nodes, **options
    )
    info = {"phantom": True, "scan_root": "scan", "coverage": "all_slices"}
    write_coco(CocoDataset(info, tuple(images), tuple(annotations)), folder / "truth.json")
    return folder / "truth.json"


def sections(dataset: CocoDataset, *more: str) -> list[tuple[Any, ...]]:
    """Per annotation its slice, box, mask and whether it is ignored, and fields `more`; sorted."""
    slices = {image.image_id: image.sop_instance_uid for image in dataset.images}
    return sorted(
        (
            slices[a.image_id],
            a.box_xyxy,
            str((a.segmentation or {}).get("counts")),
            a.ignored,
            *(str(getattr(a, name)) for name in more),
        )
        for a in dataset.annotations
    )
