from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.metrics.matching import ImageBoxes

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
