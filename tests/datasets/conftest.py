"""Random data sets without pixels, for what is dealt and audited."""

from collections.abc import Callable

import numpy as np
import pytest

from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation

RandomTruth = Callable[..., CocoDataset]


@pytest.fixture(scope="session")
def random_truth() -> RandomTruth:
    """A function that draws a data set: patients of a site each, images, boxes of all classes."""

    def draw(seed: int, *, patients: int | None = None, sites: int = 4) -> CocoDataset:
        rng = np.random.default_rng((seed, 1))
        images: list[ImageRecord] = []
        nodes: list[NodeAnnotation] = []
        for number in range(patients or int(rng.integers(2, 60))):
            site = f"site {rng.integers(sites)}"
            for index in range(int(rng.integers(1, 7))):
                images.append(_image(len(images) + 1, number, index, site))
                for _ in range(int(rng.integers(0, 4))):
                    nodes.append(_node(len(nodes) + 1, len(images), rng))
        return CocoDataset({"phantom": True}, tuple(images), tuple(nodes))

    return draw


def _image(image_id: int, patient: int, index: int, site: str) -> ImageRecord:
    uid = f"1.2.{patient}.{index + 1}"
    block = {"site": site, "scanner": index % 2}
    return ImageRecord(
        image_id,
        f"{uid}.dcm",
        64,
        64,
        f"p{patient:03d}",
        f"1.2.{patient}",
        uid,
        index,
        3.0 * index,
        (0.5, 0.5),
        extra={"lnmdetect": block},
    )


def _node(node_id: int, image_id: int, rng: np.random.Generator) -> NodeAnnotation:
    return NodeAnnotation(
        node_id,
        image_id,
        int(rng.choice([1, 2, 2, 2, 3])),
        (10, 10, 20, 20),
        ignored=bool(rng.random() < 0.1),
        level=str(rng.choice(["II", "III", "IV"])),
    )
