"""Patients dealt out: none on both sides, whatever the order."""

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import CocoDataset, ImageRecord
from lnmdetect.datasets.splits import PatientSplit, named_split, split_patients

NAMES = [f"p{i}" for i in range(20)]


@pytest.mark.parametrize("seed", range(5))
def test_each_patient_is_on_exactly_one_side(seed: int) -> None:
    split = split_patients(NAMES, 0.3, seed)
    assert set(split.training) | set(split.validation) == set(NAMES)
    assert not set(split.training) & set(split.validation)
    assert len(split.validation) == 6


def test_order_and_repeats_of_the_patients_change_nothing() -> None:
    # Every slice names its patient, in the order of the file.
    shuffled = [NAMES[(7 * i) % 20] for i in range(20)] * 3
    assert split_patients(shuffled, 0.3, 1) == split_patients(NAMES, 0.3, 1)


def test_seeds_give_other_splits_and_the_same_seed_the_same() -> None:
    splits = [split_patients(NAMES, 0.3, seed) for seed in range(6)]
    assert len(set(splits)) == 6
    assert split_patients(NAMES, 0.3, 0) == splits[0]


@pytest.mark.parametrize(("share", "held_out"), [(0.01, 1), (0.5, 1), (0.99, 1)])
def test_two_patients_stand_one_on_each_side(share: float, held_out: int) -> None:
    split = split_patients(["a", "b"], share, 0)
    assert (len(split.training), len(split.validation)) == (1, held_out)


@pytest.mark.parametrize("names", [[], ["a"], ["a", "a"]])
def test_fewer_than_two_patients_are_refused(names: list[str]) -> None:
    with pytest.raises(InputError, match=f"at least 2 patients.*got {len(set(names))}"):
        split_patients(names, 0.3, 0)


def test_a_split_with_a_patient_on_both_sides_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="got 1 on both"):
        PatientSplit(("a", "b"), ("b", "c"))


def test_named_patients_validate_and_all_others_train() -> None:
    images = tuple(
        ImageRecord(k, f"{k}.png", 8, 8, name, "s", "", 0, 0.0, (1.0, 1.0))
        for k, name in enumerate(["b", "a", "c", "a"], start=1)
    )
    truth = CocoDataset({}, images, ())
    assert named_split(truth, ["b"]) == PatientSplit(("a", "c"), ("b",))
    for wrong in (["a", "b", "c"], [], ["a", "d"]):
        with pytest.raises(InputError, match="validation patients"):
            named_split(truth, wrong)
