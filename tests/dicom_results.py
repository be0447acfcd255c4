"""A small nodes file over the toy scans, and the programs that judge DICOM objects."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from lnmdetect.core.records import CocoDataset, NodeAnnotation
from lnmdetect.io.coco import read_coco, write_coco

DETECTOR_SHA, CLASSIFIER_SHA = "d" * 64, "c" * 64
THRESHOLD = 0.4
INFO = {
    "lnmdetect_version": "0.1.0",
    "detector": {"name": "tiny", "sha256": DETECTOR_SHA, "trained_on_phantoms": True},
    "classifier": {"name": "small", "sha256": CLASSIFIER_SHA, "trained_on_phantoms": True},
    "operating_threshold": THRESHOLD,
    "classifier_threshold": 0.55,
    "coverage": "all_slices",
}

needs_dciodvfy = pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is absent"
)
needs_dsrdump = pytest.mark.skipif(shutil.which("dsrdump") is None, reason="dsrdump is absent")


def write_nodes(toy_data: Path, folder: Path, *, patients: int = 1, masks: bool = False) -> Path:
    """Write nodes.json: the toy truth of the first patients as classified detections.

    Boxes are moved off the pixel grid; of each patient the last box scores below the threshold.
    """
    truth = read_coco(toy_data / "truth.json")
    truth = truth.select_patients({f"p{number}" for number in range(patients)})
    nodes = [
        _detected(node, index, masks=masks, shape=(truth.images[0].height, truth.images[0].width))
        for index, node in enumerate(truth.annotations)
        if not node.ignored
    ]
    places = {image.image_id: image.patient for image in truth.images}
    last = {places[node.image_id]: node.annotation_id for node in nodes}
    nodes = [
        replace(node, score=THRESHOLD - 0.001) if node.annotation_id in last.values() else node
        for node in nodes
    ]
    info = {**INFO, "scan_root": (toy_data / "scan").as_posix()}
    path = folder / "nodes.json"
    write_coco(CocoDataset(info, truth.images, tuple(nodes)), path)
    return path


def _detected(
    node: NodeAnnotation, index: int, *, masks: bool, shape: tuple[int, int]
) -> NodeAnnotation:
    x1, y1, x2, y2 = node.box_xyxy
    shift = 0.137 + 0.011 * index
    p = round(0.031 * (index + 3) + 0.000123, 6)
    return replace(
        node,
        box_xyxy=(x1 + shift, y1 - shift, x2 + 2 * shift, y2 + shift / 3),
        score=round(THRESHOLD + 0.5 * p, 6),
        probabilities={"benign": round(1 - p, 6), "metastatic": p},
        category_id=2 if p >= 0.55 else 1,
        threshold=0.55,
        node_id=node.node_id if masks else None,
        segmentation=_disc(node, shape) if masks else None,
    )


def _disc(node: NodeAnnotation, shape: tuple[int, int]) -> dict[str, object]:
    x1, y1, x2, y2 = node.box_xyxy
    y, x = np.ogrid[: shape[0], : shape[1]]
    inside = np.hypot(x + 0.5 - (x1 + x2) / 2, y + 0.5 - (y1 + y2) / 2) < (x2 - x1) / 2
    rle = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"size": list(shape), "counts": rle["counts"].decode("ascii")}


def errors_of(path: Path) -> str:
    """Return the lines of `dciodvfy -new` that name an error, and its exit code."""
    command = ["dciodvfy", "-new", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, errors="replace")
    lines = [line for line in said.stderr.splitlines() if "Error" in line]
    assert said.stderr.strip(), "dciodvfy said nothing"
    return "\n".join(lines)
