from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lnmdetect.metrics.average_precision import ap50
from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.end_to_end import BoxClasses
from lnmdetect.metrics.groups import GroupInputs, image_group, truth_group
from lnmdetect.metrics.matching import match_images
from lnmdetect.metrics.resampling import Resamples
from lnmdetect.metrics.tables import ImageBoxes

Make = Callable[..., ImageBoxes]
Random = Callable[..., list[ImageBoxes]]
BENIGN, METASTATIC = 1, 2
A = (10.0, 10.0, 20.0, 20.0)
B = (30.0, 30.0, 40.0, 40.0)
C = (50.0, 50.0, 60.0, 60.0)


def inputs(images: list[ImageBoxes], p: list[float], threshold: float = 0.5) -> GroupInputs:
    matches = match_images(images)
    chances = np.array(p)
    said = BoxClasses(np.ones(len(p), bool), 1 - chances, chances, chances >= 0.5)
    own = np.arange(len(images))
    whose = Cohort(own, own, Resamples(len(images), count=100))
    return GroupInputs(matches, whose, matches.tables.found.scores >= threshold, said, True)


@pytest.fixture
def two_images(make_image: Make) -> list[ImageBoxes]:
    return [
        make_image([A, B], [A, B, C], [0.9, 0.3, 0.8], classes=[METASTATIC, BENIGN]),
        make_image([A, C], [A, C], [0.7, 0.9], classes=[BENIGN, BENIGN], ignored=[False, True]),
    ]


def test_a_group_of_truth_boxes_has_its_own_sensitivity_and_classes(
    two_images: list[ImageBoxes],
) -> None:
    part = inputs(two_images, [0.9, 0.9, 0.1, 0.2, 0.2])
    found = truth_group("all", np.ones(4, dtype=bool), part)
    assert (found.truth_boxes, found.patients) == (3, 2)  # one is ignored
    assert found.sensitivity is not None
    assert found.sensitivity.value == pytest.approx(2 / 3)  # B's box is below the threshold
    assert found.auc is not None
    assert (found.auc.value, found.auc.n) == (1.0, 2)
    one = truth_group("b", np.array([False, True, False, False]), part)
    assert one.sensitivity is not None
    assert one.sensitivity.value == 0.0
    assert one.auc is not None
    assert one.auc.reason == "no node"
    assert one.ap50 is None


def test_classified_truth_boxes_have_no_sensitivity(two_images: list[ImageBoxes]) -> None:
    part = replace(inputs(two_images, [0.9] * 5), detects=False, chosen=None)
    assert truth_group("all", np.ones(4, dtype=bool), part).sensitivity is None
    assert image_group("all", np.ones(2, dtype=bool), part).ap50 is None


def test_without_a_threshold_sensitivity_is_undefined(two_images: list[ImageBoxes]) -> None:
    part = replace(inputs(two_images, [0.9] * 5), chosen=None)
    figure = truth_group("all", np.ones(4, dtype=bool), part).sensitivity
    assert figure is not None
    assert figure.reason == "no operating threshold of the detector is known"


def test_a_group_of_images_has_the_ap_of_these_images_alone(make_random_images: Random) -> None:
    images = make_random_images(3, 20)
    part = inputs(images, [0.5] * sum(len(image.scores) for image in images))
    members = np.arange(20) % 3 == 1
    found = image_group("third", members, part)
    alone = [image for image, kept in zip(images, members, strict=True) if kept]
    assert found.ap50 is not None
    assert found.ap50.value == pytest.approx(ap50(alone).value)
    assert (found.images, found.patients) == (7, 7)
    matches = match_images(alone)
    wrong = (matches.false_positive & (matches.scores >= 0.5)).sum()
    assert found.false_positives_per_image is not None
    assert found.false_positives_per_image.value == pytest.approx(wrong / 7)
