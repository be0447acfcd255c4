"""Ultrasound patients dealt 8:2 and 8:2 again, whole and evenly by label."""

from dataclasses import replace

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.ultrasound import UltrasoundCase, UltrasoundDataset
from lnmdetect.datasets.ultrasound_splits import UltrasoundSplit, as_dealt, split_ultrasound


def cohort(patients: int, **more: object) -> UltrasoundDataset:
    """Two cases a patient; every fifth patient is metastatic."""
    cases = tuple(
        UltrasoundCase(
            f"{number}{side}", f"p-{number:03d}", None, (), "absent",
            "benign" if number % 5 else "metastatic", **more,  # type: ignore[arg-type]
        )
        for number in range(patients)
        for side in "ab"
    )  # fmt: skip
    return UltrasoundDataset({"phantom": True}, cases)


def metastatic(patients: tuple[str, ...]) -> int:
    return sum(int(name[2:]) % 5 == 0 for name in patients)


def test_patients_are_dealt_8_to_2_and_8_to_2_again_and_evenly_by_label() -> None:
    split = split_ultrasound(cohort(100), seed=4)
    assert [len(part) for part in (split.test, split.validation, split.training)] == [20, 16, 64]
    assert metastatic(split.test) == 4
    assert metastatic(split.validation) in (3, 4)
    assert {*split.test, *split.validation, *split.training} == set(cohort(100).patients())


def test_the_order_of_the_cases_does_not_matter_and_the_seed_does() -> None:
    data = cohort(40)
    turned = replace(data, cases=data.cases[::-1])
    assert split_ultrasound(turned, 1) == split_ultrasound(data, 1)
    assert split_ultrasound(data, 2) != split_ultrasound(data, 1)


def test_a_split_that_the_file_gives_is_kept() -> None:
    cases = tuple(
        replace(case, split="test" if case.patient < "p-010" else "training")
        for case in cohort(40).cases
    )
    data = UltrasoundDataset({}, cases)
    split = split_ultrasound(data, seed=0)
    assert split.test == tuple(f"p-{number:03d}" for number in range(10))
    assert len(split.validation) == 6
    valid = tuple(
        replace(case, split="validation" if case.patient > "p-035" else case.split)
        for case in cases
    )
    kept = split_ultrasound(UltrasoundDataset({}, valid), seed=0)
    assert kept.validation == ("p-036", "p-037", "p-038", "p-039")


def test_a_split_for_some_patients_is_refused() -> None:
    some = replace(cohort(4).cases[0], split="test"), *cohort(4).cases[2:]
    with pytest.raises(InputError, match="a split for each patient, or for none, got 1 of 4"):
        split_ultrasound(UltrasoundDataset({}, some), seed=0)


def test_two_patients_cannot_be_dealt_twice() -> None:
    with pytest.raises(InputError, match="at least 2 patients"):
        split_ultrasound(cohort(2), seed=0)


def test_no_patient_is_in_two_parts() -> None:
    with pytest.raises(ValueError, match="1 in two"):
        UltrasoundSplit(("a", "b"), ("b",), ())


def test_columns_of_the_cases_are_there_to_deal_by() -> None:
    records = as_dealt(cohort(5, sex="F", location="isthmus", extra={"hospital": "A"}))
    assert records.images[3].extra["lnmdetect"] == {
        "finding": "absent", "sex": "F", "location": "isthmus", "hospital": "A",
    }  # fmt: skip
    assert [node.category_id for node in records.annotations[:4]] == [2, 2, 1, 1]
