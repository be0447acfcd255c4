"""A truth file dealt into folds: no patient in two, every image in one, whatever the data."""

from dataclasses import replace

import numpy as np
import pytest

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.folds import FoldSet, fold_part
from lnmdetect.core.records import CocoDataset
from lnmdetect.datasets.folds import (
    DealRule,
    deal_as_wang2023,
    deal_by_patient,
    scarce_strata,
)
from tests.datasets.conftest import RandomTruth

SETS = 60


def shuffled(truth: CocoDataset, seed: int) -> CocoDataset:
    """The same slices and boxes in another order, under other ids."""
    rng = np.random.default_rng(seed)
    images = [truth.images[i] for i in rng.permutation(len(truth.images))]
    new = {image.image_id: number for number, image in enumerate(images, start=7)}
    nodes = [truth.annotations[i] for i in rng.permutation(len(truth.annotations))]
    return CocoDataset(
        truth.info,
        tuple(image.with_id(new[image.image_id]) for image in images),
        tuple(replace(n, annotation_id=k, image_id=new[n.image_id]) for k, n in enumerate(nodes)),
    )


def random_rule(truth: CocoDataset, seed: int) -> DealRule:
    rng = np.random.default_rng((seed, 2))
    patients = len(truth.patients())
    test_share = float(rng.uniform(0.01, 0.6)) if patients >= 3 and rng.random() < 0.4 else None
    most = min(6, patients - (test_share is not None))
    folds = int(rng.integers(2, most + 1)) if most >= 2 else 0
    columns = [("class",), (), ("class", "level"), ("scanner",), ("level", "site")]
    return DealRule(folds, seed, columns[rng.integers(len(columns))], None, test_share)


def assert_sound(folds: FoldSet, truth: CocoDataset) -> None:
    assert folds.shared_patients() == set()
    assert folds.patients() == set(truth.patients())
    for fold in folds.folds:
        assert fold.patients
        assert fold.images is None
    held = [i.join_key for f in folds.folds for i in fold_part(truth, [f]).images]
    assert sorted(held) == sorted(image.join_key for image in truth.images)


@pytest.mark.parametrize("seed", range(SETS))
def test_each_image_is_in_one_fold_and_no_patient_in_two_whatever_the_order(
    random_truth: RandomTruth, seed: int
) -> None:
    truth = random_truth(seed)
    rule = random_rule(truth, seed)
    folds = deal_by_patient(truth, rule)
    assert folds.names == rule.parts()[0]
    assert_sound(folds, truth)
    assert deal_by_patient(shuffled(truth, seed), rule) == folds


@pytest.mark.parametrize("seed", range(20))
def test_a_site_stays_in_one_fold(random_truth: RandomTruth, seed: int) -> None:
    truth = random_truth(seed, patients=30, sites=5)
    folds = deal_by_patient(truth, DealRule(3, seed, site="site"))
    assert_sound(folds, truth)
    fold_of = {patient: fold.name for fold in folds.folds for patient in fold.patients}
    folds_of_site: dict[str, set[str]] = {}
    for image in truth.images:
        site = image.extra["lnmdetect"]["site"]
        folds_of_site.setdefault(site, set()).add(fold_of[image.patient])
    assert all(len(names) == 1 for names in folds_of_site.values())


def test_sites_that_share_a_patient_stay_together(random_truth: RandomTruth) -> None:
    truth = random_truth(1, patients=12, sites=1)
    sites = {f"p{n:03d}": ["a", "b", "c", "d"][n % 4] for n in range(12)}
    images = [
        replace(i, extra={"site": "b" if i.image_id == 1 else sites[i.patient]})
        for i in truth.images
    ]
    assert images[0].patient == "p000"
    assert len(truth.images) > 1
    assert truth.images[1].patient == "p000"
    joined = replace(truth, images=tuple(images))
    folds = deal_by_patient(joined, DealRule(3, 0, site="site"))
    (fold,) = [fold for fold in folds.folds if "p000" in fold.patients]
    assert {"p001", "p005", "p004"} <= set(fold.patients)
    with pytest.raises(InputError, match=r"at least 4 groups by site.*got 3"):
        deal_by_patient(joined, DealRule(4, 0, site="site"))


def test_a_patient_without_a_site_is_refused(random_truth: RandomTruth) -> None:
    truth = random_truth(2, patients=8)
    bare = replace(
        truth,
        images=tuple(replace(i, extra={}) if i.patient == "p003" else i for i in truth.images),
    )
    with pytest.raises(InputError, match="a site for each patient, got 1 of 8 without one"):
        deal_by_patient(bare, DealRule(2, 0, site="site"))


@pytest.mark.parametrize("folds", [5, 6])
def test_fewer_patients_than_folds_are_refused(random_truth: RandomTruth, folds: int) -> None:
    truth = random_truth(3, patients=4)
    with pytest.raises(InputError, match=f"at least {folds} patients.*got 4"):
        deal_by_patient(truth, DealRule(folds, 0))


def test_no_patient_at_all_is_refused() -> None:
    with pytest.raises(InputError, match=r"at least 2 patients.*got 0"):
        deal_by_patient(CocoDataset({}, (), ()), DealRule(2, 0, site="site"))


def test_an_unknown_column_is_refused_with_those_there_are(random_truth: RandomTruth) -> None:
    truth = random_truth(4)
    with pytest.raises(UsageError, match="one of class, kind, level, scanner, site"):
        deal_by_patient(truth, DealRule(2, 0, ("colour",)))
    with pytest.raises(UsageError, match="--site colour: expected one of scanner, site"):
        deal_by_patient(truth, DealRule(2, 0, site="colour"))


def test_a_column_of_many_values_is_refused(random_truth: RandomTruth) -> None:
    truth = random_truth(5, patients=55)
    images = tuple(replace(i, extra={"age": int(i.patient[1:])}) for i in truth.images)
    with pytest.raises(UsageError, match="at most 50 values, got 55"):
        deal_by_patient(replace(truth, images=images), DealRule(2, 0, ("age",)))


@pytest.mark.parametrize(("folds", "share"), [(1, None), (0, None), (0, 1.0), (5, 0.0), (5, 2.0)])
def test_a_rule_without_two_parts_cannot_be_built(folds: int, share: float | None) -> None:
    with pytest.raises(UsageError, match="2 or more, or a --test-share"):
        DealRule(folds, 0, test_share=share)


def test_patients_come_out_even_and_counts_add_up(random_truth: RandomTruth) -> None:
    truth = random_truth(6, patients=23)
    folds = deal_by_patient(truth, DealRule(5, 0))
    counts = [fold.counts for fold in folds.folds if fold.counts is not None]
    assert sorted(c.patients for c in counts) == [4, 4, 5, 5, 5]
    assert sum(c.images for c in counts) == len(truth.images)
    assert sum(c.boxes for c in counts) == sum(not n.ignored for n in truth.annotations)
    assert all(c.boxes == c.benign + c.metastatic + c.unknown for c in counts)


def test_classes_are_spread_more_evenly_than_by_chance(random_truth: RandomTruth) -> None:
    mine, chance = [], []
    for seed in range(10):
        folds = deal_by_patient(random_truth(seed, patients=40), DealRule(5, seed))
        rows = {(row.of, row.value): row for row in folds.balance}
        assert rows["patients", ""].deviation == 0
        mine += [row.deviation for row in folds.balance if row.of == "boxes"]
        chance += [row.random_deviation for row in folds.balance if row.of == "boxes"]
    assert np.mean(mine) < 0.2 * np.mean(chance)


def test_a_test_share_alone_gives_two_parts(random_truth: RandomTruth) -> None:
    truth = random_truth(7, patients=20)
    folds = deal_by_patient(truth, DealRule(0, 0, test_share=0.25))
    assert folds.names == ("train", "test")
    assert [len(fold.patients) for fold in folds.folds] == [15, 5]


def test_a_class_of_too_few_patients_is_said(random_truth: RandomTruth) -> None:
    truth = random_truth(8, patients=12)
    first = truth.annotations[0].annotation_id
    rare = replace(
        truth,
        annotations=tuple(
            replace(n, category_id=1 if n.annotation_id == first else 2, ignored=False)
            for n in truth.annotations
        ),
    )
    folds = deal_by_patient(rare, DealRule(3, 0))
    (note,) = scarce_strata(folds, ("class",), rare)
    assert note.startswith("only 1 patient has class benign: some folds have none")


def test_the_papers_deal_takes_three_tenths_of_the_images_and_says_so(
    random_truth: RandomTruth,
) -> None:
    truth = random_truth(9, patients=40)
    folds = deal_as_wang2023(truth, 0)
    train, test = folds.folds
    assert (train.name, test.name) == ("train", "test")
    assert test.images is not None
    assert train.images is not None
    assert len(test.images) == round(0.3 * len(truth.images))
    both = sorted((*train.images, *test.images))
    assert both == sorted(image.join_key for image in truth.images)
    assert folds.warning is not None
    assert f"images of {len(folds.shared_patients())} of 40 patients" in folds.warning
    assert "172/202 = 85.1 %" in folds.warning
    assert deal_as_wang2023(shuffled(truth, 1), 0) == folds
    assert fold_part(truth, [test]).coverage == "key_images"
