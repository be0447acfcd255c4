import contextlib
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lnmdetect.metrics.tables import ImageBoxes

Make = Callable[..., ImageBoxes]
Random = Callable[..., list[ImageBoxes]]


def make(
    truth: Sequence[Sequence[float]] = (),
    boxes: Sequence[Sequence[float]] = (),
    scores: Sequence[float] = (),
    *,
    ignored: Sequence[bool] | None = None,
    classes: Sequence[int] | None = None,
) -> ImageBoxes:
    return ImageBoxes(
        np.array(truth, dtype=float).reshape(-1, 4),
        np.array(ignored if ignored is not None else [False] * len(truth), dtype=bool),
        np.array(classes if classes is not None else [3] * len(truth), dtype=np.int64),
        np.array(boxes, dtype=float).reshape(-1, 4),
        np.array(scores, dtype=float),
    )


def _boxes(rng: np.random.Generator, count: int) -> NDArray[Any]:
    corner = rng.uniform(0, 80, (count, 2)).round(1)
    return np.concatenate([corner, corner + rng.uniform(4, 30, (count, 2)).round(1)], axis=1)


def random_images(seed: int, count: int = 40, *, crowded: bool = False) -> list[ImageBoxes]:
    """Images with detections near and far from truth, tied scores and ignored truth."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        truth = _boxes(rng, int(rng.integers(0, 5)))
        near = truth[rng.random(len(truth)) < 0.8]
        near = np.concatenate([near, near[: len(near) // 2]])
        near = near + rng.normal(0, 1.0, near.shape).round(1)
        far = _boxes(rng, 130 if crowded else int(rng.integers(0, 6)))
        boxes = np.concatenate([near, far])
        images.append(
            ImageBoxes(
                truth,
                rng.random(len(truth)) < 0.2,
                rng.integers(1, 4, len(truth)),
                boxes,
                rng.integers(1, 20, len(boxes)) / 20,
            )
        )
    return images


@pytest.fixture
def make_image() -> Make:
    return make


@pytest.fixture
def make_random_images() -> Random:
    return random_images


def _entries(boxes: NDArray[Any], image: int) -> list[dict[str, Any]]:
    rows = []
    for x1, y1, x2, y2 in boxes.tolist():
        sides = [round(side, 6) for side in (x1, y1, x2 - x1, y2 - y1)]
        shorter_mm = min(sides[2:]) * 0.4999  # no side is just a limit, which COCO counts twice
        rows.append({"image_id": image, "category_id": 1, "bbox": sides, "area": shorter_mm})
    return rows


def _coco(images: int, entries: list[dict[str, Any]]) -> COCO:
    built = COCO()
    built.dataset = {
        "images": [{"id": key} for key in range(images)],
        "categories": [{"id": 1, "name": "node"}],
        "annotations": [entry | {"id": number} for number, entry in enumerate(entries, start=1)],
    }
    built.createIndex()
    return built


def pycocotools_says(
    images: Sequence[ImageBoxes], ious: Sequence[float], *, sides: tuple[float, float] = (0, 1e10)
) -> tuple[float, float]:
    """Mean AP and AR over the IoUs, of boxes whose shorter side (0.5 mm pixels) is in the range."""
    truth, found = [], []
    for key, image in enumerate(images):
        for entry, ignored in zip(
            _entries(image.truth_xyxy, key), image.truth_ignored, strict=True
        ):
            truth.append(entry | {"iscrowd": int(ignored)})
        for entry, score in zip(_entries(image.boxes_xyxy, key), image.scores, strict=True):
            found.append(entry | {"score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        run = COCOeval(_coco(len(images), truth), _coco(len(images), found), "bbox")
        run.params.iouThrs = np.asarray(ious)
        run.params.areaRng, run.params.areaRngLbl = [list(sides)], ["all"]
        run.params.maxDets = [100]
        run.evaluate()
        run.accumulate()
    return float(run.eval["precision"].mean()), float(run.eval["recall"].mean())


@pytest.fixture
def pycocotools_ap() -> Callable[..., tuple[float, float]]:
    return pycocotools_says
