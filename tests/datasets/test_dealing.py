"""Groups dealt into parts: even, never empty, never worse than chance."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from lnmdetect.datasets.dealing import as_shares, deal, unevenness

SETS = 40


def random_amounts(seed: int) -> tuple[NDArray[Any], int]:
    """Boxes of two classes a patient, one class scarce, and a number of folds."""
    rng = np.random.default_rng(seed)
    patients = int(rng.integers(6, 80))
    metastatic = rng.geometric(0.2, patients) * (rng.random(patients) < 0.8)
    benign = rng.geometric(0.3, patients) * (rng.random(patients) < 0.3)
    benign[0] += 1
    metastatic[metastatic + benign == 0] = 1
    amounts = np.stack([np.ones(patients), metastatic, benign], axis=1).astype(float)
    return amounts, int(rng.integers(2, 6))


def even(parts: int) -> NDArray[Any]:
    return np.full(parts, 1 / parts)


def test_as_shares_divides_by_the_total_and_takes_the_root_of_the_weight() -> None:
    shares = as_shares(np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([4.0, 1.0]))
    assert shares.tolist() == [[0.5, 0.0], [1.5, 0.0]]


def test_unevenness_is_the_summed_squares_of_the_distances_from_the_wanted_shares() -> None:
    shares = np.array([[0.5], [0.25], [0.25]])
    part = np.array([0, 0, 1])
    # Parts hold 0.75 and 0.25, each should hold 0.5.
    assert unevenness(shares, even(2), part) == pytest.approx(2 * 0.25**2)


def test_four_and_two_pairs_come_out_even() -> None:
    shares = as_shares(np.array([[4.0], [3.0], [3.0], [2.0], [2.0], [2.0]]), np.ones(1))
    for seed in range(10):
        part = deal(shares, even(2), seed)
        assert shares[part == 0].sum() == pytest.approx(0.5)


def test_parts_get_the_shares_that_are_asked_for() -> None:
    part = deal(as_shares(np.ones((40, 1)), np.ones(1)), np.array([0.5, 0.3, 0.2]), 0)
    assert np.bincount(part).tolist() == [20, 12, 8]


@pytest.mark.parametrize("seed", range(SETS))
def test_no_part_is_empty_and_no_deal_is_worse_than_chance_is_expected_to_be(seed: int) -> None:
    amounts, parts = random_amounts(seed)
    shares = as_shares(amounts, np.ones(3))
    part = deal(shares, even(parts), seed)
    assert set(part) == set(range(parts))
    # A group goes to each part with probability 1/k: the variance of a part's share is the sum of
    # the groups' squares times (1/k)(1 - 1/k), and there are k parts.
    expected = (1 - 1 / parts) * np.square(shares).sum()
    assert unevenness(shares, even(parts), part) <= expected


def test_a_small_part_among_few_groups_is_not_empty() -> None:
    for seed in range(20):
        part = deal(as_shares(np.ones((5, 1)), np.ones(1)), np.array([0.495, 0.495, 0.01]), seed)
        assert set(part) == {0, 1, 2}


def test_deals_are_as_many_as_seeds_and_the_same_for_the_same_seed() -> None:
    shares = as_shares(np.ones((30, 1)), np.ones(1))
    deals = [tuple(deal(shares, even(3), seed)) for seed in range(8)]
    assert len(set(deals)) == 8
    assert deals[3] == tuple(deal(shares, even(3), 3))


def test_classes_are_spread_more_evenly_than_by_scikit_learn() -> None:
    ours, theirs = [], []
    for seed in range(SETS):
        amounts, parts = random_amounts(seed)
        shares = as_shares(amounts, np.ones(3))
        ours.append(unevenness(shares, even(parts), deal(shares, even(parts), seed)))
        theirs.append(unevenness(shares, even(parts), scikit_learn(amounts, parts, seed)))
    assert all(mine <= other + 1e-9 for mine, other in zip(ours, theirs, strict=True))
    assert np.median(np.divide(ours, theirs)) < 0.1


@pytest.mark.filterwarnings("ignore:The least populated class")
def scikit_learn(amounts: NDArray[Any], parts: int, seed: int) -> NDArray[Any]:
    counts = amounts[:, 1:].astype(int)
    groups = np.repeat(np.arange(len(counts)), counts.sum(axis=1))
    classes = np.concatenate([np.repeat([0, 1], row) for row in counts])
    part = np.zeros(len(counts), dtype=np.int64)
    folds = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(folds.split(classes, classes, groups)):
        part[groups[held]] = number
    return part
