"""Test and validation with both classes alike, by whole patients."""

import numpy as np
import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import (
    BENIGN,
    LYMPH_NODE,
    METASTATIC,
    CocoDataset,
    ImageRecord,
    NodeAnnotation,
)
from lnmdetect.datasets.balanced_parts import BalancedShares, deal_balanced

SHARES = BalancedShares(0.105, 0.105)


def dataset(counts: list[tuple[int, int]], *, unknown: int = 0) -> CocoDataset:
    """One image a patient, with so many benign and metastatic boxes."""
    images: list[ImageRecord] = []
    nodes: list[NodeAnnotation] = []
    for place, (benign, metastatic) in enumerate(counts, start=1):
        name = f"p{place:03d}"
        images.append(ImageRecord(place, f"{name}.png", 64, 64, name, "s", "", 0, 0.0, (1.0, 1.0)))
        kinds = [BENIGN] * benign + [METASTATIC] * metastatic + [LYMPH_NODE] * unknown
        for kind in kinds:
            nodes.append(NodeAnnotation(len(nodes) + 1, place, kind, (1.0, 1.0, 9.0, 9.0)))
    return CocoDataset({}, tuple(images), tuple(nodes))


def test_single_boxes_are_dealt_exactly_alike() -> None:
    truth = dataset([(1, 0)] * 140 + [(0, 1)] * 60)
    parts = {fold.name: fold for fold in deal_balanced(truth, SHARES, 0).folds}
    assert set(parts) == {"train", "validation", "test"}
    for name in ("test", "validation"):
        counts = parts[name].counts
        assert counts is not None
        assert abs(counts.benign - 10.5) <= 0.5
        assert abs(counts.metastatic - 10.5) <= 0.5
    patients = [set(fold.patients) for fold in parts.values()]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 200


@pytest.mark.parametrize("seed", range(3))
def test_patients_with_both_classes_come_near_and_seeds_differ(seed: int) -> None:
    rng = np.random.default_rng(9)
    counts = [(int(b), int(m)) for b, m in zip(rng.poisson(9, 80), rng.poisson(3, 80), strict=True)]
    truth = dataset(counts, unknown=2)
    dealt = deal_balanced(truth, SHARES, seed)
    half = 0.105 * sum(b + m for b, m in counts) / 2
    for fold in dealt.folds:
        assert fold.counts is not None
        if fold.name != "train":
            # The scarcer class is a quarter: whole patients cannot bring it to a half.
            assert abs(fold.counts.metastatic + fold.counts.benign - 2 * half) < 0.25 * 2 * half
            ratio = fold.counts.metastatic / fold.counts.benign
            assert ratio > 0.5
    assert deal_balanced(truth, SHARES, seed) == dealt
    assert deal_balanced(truth, SHARES, seed + 10).folds != dealt.folds


def test_a_scarce_class_is_not_all_taken_from_the_training() -> None:
    truth = dataset([(1, 0)] * 300 + [(0, 1)] * 9)
    train = deal_balanced(truth, SHARES, 0).folds[0]
    assert train.counts is not None
    assert train.counts.metastatic == 3


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(InputError, match="got 2, and a part"):
        deal_balanced(dataset([(3, 1), (2, 2)]), SHARES, 0)
