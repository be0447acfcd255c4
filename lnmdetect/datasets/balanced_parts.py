"""Patients dealt so that test and validation hold both classes alike, as Lee et al. 2019 did.

That paper dealt images; here a patient stays whole, so the classes are as near to alike as whole
patients allow. The rest, with whatever classes it has, is trained on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.folds import TEST, TRAIN, Fold, FoldSet
from lnmdetect.core.records import BENIGN, METASTATIC, CocoDataset
from lnmdetect.datasets.folds import counted_fold

Numbers = NDArray[np.float64]
VALIDATION = "validation"
_PASSES = 20
_SCARCE_SHARE = 1 / 3
"""Of the scarcer class, at most so much goes to one part: the training needs some too."""


@dataclass(frozen=True)
class BalancedShares:
    """Shares of the boxes that the two parts should have."""

    test: float
    validation: float


def deal_balanced(truth: CocoDataset, shares: BalancedShares, seed: int) -> FoldSet:
    """Return the parts train, validation and test; no two share a patient.

    Raises:
        InputError: too few patients have both classes among them to make three parts.
    """
    patients = sorted(set(truth.patients()))
    boxes = _boxes(truth, patients)
    rng = np.random.default_rng((seed, 8))
    free = np.ones(len(patients), dtype=bool)
    parts: dict[str, NDArray[np.int64]] = {}
    for name, share in ((TEST, shares.test), (VALIDATION, shares.validation)):
        half = min(share * boxes.sum() / 2, _SCARCE_SHARE * boxes.sum(axis=0).min())
        parts[name] = _choose(boxes, np.flatnonzero(free), half, rng)
        free[parts[name]] = False
    parts[TRAIN] = np.flatnonzero(free)
    for name, places in parts.items():
        if not (boxes[places].sum(axis=0) > 0).all():
            raise InputError(
                "truth",
                expected="patients for three parts, each with benign and metastatic nodes",
                got=f"{len(patients)}, and a part {name} without one class",
                remedy="Add patients, or choose another --seed.",
            )
    order = (TRAIN, VALIDATION, TEST)
    folds = (Fold(name, tuple(patients[place] for place in parts[name])) for name in order)
    return FoldSet(
        tuple(counted_fold(truth, fold) for fold in folds),
        rule="Patients are dealt whole; test and validation hold benign and metastatic boxes as "
        f"nearly alike as that allows: {_share(boxes, parts[TEST])} and "
        f"{_share(boxes, parts[VALIDATION])} of all boxes, {shares.test:.1%} and "
        f"{shares.validation:.1%} asked for.",
        seed=seed,
        is_phantom=truth.is_phantom,
    )


def _share(boxes: Numbers, places: NDArray[np.int64]) -> str:
    return f"{boxes[places].sum() / boxes.sum():.1%}"


def _boxes(truth: CocoDataset, patients: list[str]) -> Numbers:
    """Return (P, 2) benign and metastatic boxes that count, of each patient."""
    row = {patient: place for place, patient in enumerate(patients)}
    column = {BENIGN: 0, METASTATIC: 1}
    patient_of = {image.image_id: image.patient for image in truth.images}
    found = np.zeros((len(patients), 2))
    for node in truth.annotations:
        if not node.ignored and node.category_id in column:
            found[row[patient_of[node.image_id]], column[node.category_id]] += 1
    return found


def _choose(
    boxes: Numbers, free: NDArray[np.int64], half: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return which of the free patients come nearest to `half` boxes of either class.

    One patient after another is taken, left out or exchanged as long as that brings it nearer.
    """
    order = rng.permutation(free)
    taken: list[int] = []
    for _ in range(_PASSES):
        before = _distance(boxes, taken, half)
        for place in order:
            taken = _nearer(boxes, taken, int(place), half)
        if _distance(boxes, taken, half) >= before:
            break
    return np.array(sorted(taken), dtype=np.int64)


def _nearer(boxes: Numbers, taken: list[int], place: int, half: float) -> list[int]:
    """Return the patients taken, with `place` in or out or for another where that is nearer."""
    if place in taken:
        options = [taken, [p for p in taken if p != place]]
    else:
        options = [taken, [*taken, place]]
        options += [[*(p for p in taken if p != other), place] for other in taken]
    return min(options, key=lambda option: _distance(boxes, option, half))


def _distance(boxes: Numbers, taken: list[int], half: float) -> float:
    return float(np.square(boxes[taken].sum(axis=0) - half).sum()) if taken else 2 * half**2
