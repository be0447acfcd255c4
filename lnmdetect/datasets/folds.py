"""A truth file dealt into folds: by patient, or as the paper did for reproduction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.folds import (
    TEST,
    TRAIN,
    Balance,
    Fold,
    FoldCounts,
    FoldSet,
    fold_part,
)
from lnmdetect.core.records import BENIGN, METASTATIC, CocoDataset
from lnmdetect.core.wording import counted
from lnmdetect.datasets.dealing import as_shares, deal
from lnmdetect.datasets.strata import PatientAmounts, patient_amounts, site_groups

Numbers = NDArray[np.float64]
WANG_TEST_SHARE = 0.3
"""Wang 2023 trains on 70 % of its images and tests on 30 %."""
WANG_MAJORITY = "172/202 = 85.1 %"
"""Malignant among the nodes of the test set (Wang 2023): what calling all malignant reaches."""
_RANDOM_DEALS = 200


@dataclass(frozen=True)
class DealRule:
    """How a data set is to be dealt.

    Attributes:
        folds: number of folds; 0 for a test and a training part only.
        stratify: columns whose values are spread evenly.
        site: column whose values each stay in one fold.
        test_share: of the patients, held out of all folds; None holds out none.
    """

    folds: int
    seed: int
    stratify: tuple[str, ...] = ("class",)
    site: str | None = None
    test_share: float | None = None

    def __post_init__(self) -> None:
        share_fits = self.test_share is None or 0 < self.test_share < 1
        if not (share_fits and (self.folds >= 2 or (self.folds == 0 and self.test_share))):
            raise UsageError(
                "--folds",
                expected="2 or more, or a --test-share above 0 and below 1 by itself",
                got=f"{self.folds} and {self.test_share}",
                remedy="Ask for --folds 5, or for --test-share 0.2.",
            )

    def parts(self) -> tuple[tuple[str, ...], Numbers]:
        """Return the parts' names and the share of the patients that each should have."""
        numbered = tuple(str(number) for number in range(1, self.folds + 1)) or (TRAIN,)
        held = self.test_share or 0.0
        shares = [(1 - held) / len(numbered)] * len(numbered)
        if not held:
            return numbered, np.array(shares)
        return (*numbered, TEST), np.array([*shares, held])

    def sentence(self) -> str:
        """Return the rule in words."""
        spread = ", ".join(("number", *self.stratify))
        return (
            f"Patients are dealt whole, spread evenly by {spread}"
            + (f"; each {self.site} stays in one fold" if self.site else "")
            + (f"; {self.test_share:g} of them are a test part" if self.test_share else "")
            + "."
        )


def deal_by_patient(truth: CocoDataset, rule: DealRule) -> FoldSet:
    """Return folds of which no two share a patient; the order of the file does not matter.

    Raises:
        InputError: there are fewer patients, or sites, than parts.
        UsageError: a column is not in the file.
    """
    names, targets = rule.parts()
    amounts = patient_amounts(truth, rule.stratify)
    groups = _groups(truth, amounts, rule, len(names))
    by_group = np.zeros((max(groups) + 1, len(amounts.names)))
    np.add.at(by_group, groups, amounts.values)
    part = deal(as_shares(by_group, amounts.weights), targets, rule.seed)
    of_patient = list(zip(amounts.patients, part[groups], strict=True))
    folds = (
        Fold(name, tuple(patient for patient, place in of_patient if place == number))
        for number, name in enumerate(names)
    )
    return FoldSet(
        tuple(counted_fold(truth, fold) for fold in folds),
        rule=rule.sentence(),
        seed=rule.seed,
        is_phantom=truth.is_phantom,
        stratify=rule.stratify,
        site=rule.site,
        balance=_balance(amounts, by_group, part=part, targets=targets, seed=rule.seed),
    )


def _groups(truth: CocoDataset, amounts: PatientAmounts, rule: DealRule, parts: int) -> list[int]:
    """Return the group of each patient that must stay together, at least one group a part."""
    what, remedy = "patients", "Ask for fewer folds, or add patients; none stands in two folds."
    groups = list(range(len(amounts.patients)))
    if rule.site is not None and groups:
        groups = site_groups(truth, amounts.patients, rule.site)
        what = f"groups by {rule.site} that share no patient"
        remedy = f"Ask for fewer folds, or spread it evenly instead: --stratify {rule.site}."
    count = max(groups, default=-1) + 1
    if count < parts:
        raise InputError(
            "truth",
            expected=f"at least {parts} {what}, one for each part",
            got=f"{count}",
            remedy=remedy,
        )
    return groups


def counted_fold(truth: CocoDataset, fold: Fold) -> Fold:
    """Return the fold with the counts of what it holds."""
    held = fold_part(truth, [fold])
    classes = [node.category_id for node in held.annotations if not node.ignored]
    benign, metastatic = classes.count(BENIGN), classes.count(METASTATIC)
    counts = FoldCounts(
        patients=len(held.patients()),
        images=len(held.images),
        boxes=len(classes),
        benign=benign,
        metastatic=metastatic,
        unknown=len(classes) - benign - metastatic,
    )
    return Fold(fold.name, fold.patients, fold.images, counts)


def _balance(
    amounts: PatientAmounts,
    by_group: Numbers,
    *,
    part: NDArray[np.int64],
    targets: Numbers,
    seed: int,
) -> tuple[Balance, ...]:
    """Return how even each amount is, beside random deals of whole groups of equal number."""
    rng = np.random.default_rng((seed, 6))
    cuts = np.round(np.cumsum(targets)[:-1] * len(by_group)).astype(int)
    equal = np.searchsorted(cuts, np.arange(len(by_group)), side="right")
    dealt = _deviation(by_group, part, targets)
    random = [_deviation(by_group, rng.permutation(equal), targets) for _ in range(_RANDOM_DEALS)]
    medians = np.median(random, axis=0)
    return tuple(
        Balance(name.of, name.column, name.value, round(float(mine), 6), round(float(other), 6))
        for name, mine, other in zip(amounts.names, dealt, medians, strict=True)
    )


def _deviation(amounts: Numbers, part: NDArray[np.int64], targets: Numbers) -> Numbers:
    """Return for each amount (C,) the largest relative distance of a part from its share."""
    held = np.zeros((len(targets), amounts.shape[1]))
    np.add.at(held, part, amounts)
    wanted = targets[:, None] * amounts.sum(axis=0)
    away = np.divide(held, wanted, out=np.ones_like(held), where=wanted > 0) - 1
    return np.asarray(np.abs(away).max(axis=0))


def deal_as_wang2023(truth: CocoDataset, seed: int) -> FoldSet:
    """Return 70 % of the images as `train` and 30 % as `test`, whoever they are of.

    Raises:
        InputError: there are fewer than two images.
    """
    keys = sorted(image.join_key for image in truth.images)
    if len(keys) < 2:
        raise InputError(
            "truth",
            expected="at least 2 images, to train on one and test on another",
            got=f"{len(keys)}",
            remedy="Add images.",
        )
    order = np.random.default_rng((seed, 7)).permutation(len(keys))
    held = min(max(1, round(WANG_TEST_SHARE * len(keys))), len(keys) - 1)
    test, train = ({keys[i] for i in part} for part in (order[:held], order[held:]))
    parts = FoldSet((_image_fold(truth, TRAIN, train), _image_fold(truth, TEST, test)))
    return FoldSet(
        parts.folds,
        rule="70 % of the images train and 30 % test, dealt at random whoever they are of "
        "(Wang 2023); the paper also augmented its test images, which is left to you.",
        protocol="wang2023",
        warning=_optimistic(len(parts.shared_patients()), len(truth.patients())),
        seed=seed,
        is_phantom=truth.is_phantom,
    )


def _image_fold(truth: CocoDataset, name: str, keys: set[str]) -> Fold:
    patients = sorted({image.patient for image in truth.images if image.join_key in keys})
    return counted_fold(truth, Fold(name, tuple(patients), tuple(sorted(keys))))


def _optimistic(shared: int, patients: int) -> str:
    return (
        f"optimistic, for reproduction only: images of {shared} of {counted(patients, 'patient')} "
        "stand in both parts, so the test images are no new patients; and on the paper's own test "
        f"set a majority-class answer scores {WANG_MAJORITY}"
    )


def scarce_strata(folds: FoldSet, columns: Sequence[str], truth: CocoDataset) -> tuple[str, ...]:
    """Return a sentence for each stratum that too few patients have to stand in every fold."""
    amounts = patient_amounts(truth, columns)
    sentences = []
    for place, name in enumerate(amounts.names):
        have = int(amounts.values[:, place].sum())
        if name.of == "patients" and name.column and have < len(folds.folds):
            owners = "patient has" if have == 1 else "patients have"
            sentences.append(
                f"only {have} {owners} {name.column} {name.value}: some folds have none, and "
                "figures on it are undefined there; pool the folds with eval"
            )
    return tuple(sentences)
