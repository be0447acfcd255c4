"""Ultrasound patients dealt whole and evenly by label: 8:2, and 8:2 again as Guang 2023."""

from dataclasses import replace

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.ultrasound import UltrasoundCase, UltrasoundDataset
from lnmdetect.datasets.ultrasound_splits import as_dealt, deal_off


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


def test_a_fifth_of_the_patients_is_dealt_off_whole_and_evenly_by_label() -> None:
    data = cohort(100)
    stay, off = deal_off(data, 0.2, seed=4)
    assert (len(stay), len(off)) == (80, 20)
    assert metastatic(off) == 4
    assert {*stay, *off} == set(data.patients())
    again, validation = deal_off(data.subset(set(stay)), 0.2, seed=4)
    assert (len(again), len(validation)) == (64, 16)
    assert metastatic(validation) in (3, 4)


def test_the_order_of_the_cases_does_not_matter_and_the_seed_does() -> None:
    data = cohort(40)
    turned = replace(data, cases=data.cases[::-1])
    assert deal_off(turned, 0.2, 1) == deal_off(data, 0.2, 1)
    assert deal_off(data, 0.2, 2) != deal_off(data, 0.2, 1)


def test_one_patient_cannot_be_dealt() -> None:
    with pytest.raises(InputError, match="at least 2 patients"):
        deal_off(cohort(1), 0.2, seed=0)


def test_columns_of_the_cases_are_there_to_deal_by() -> None:
    records = as_dealt(cohort(5, sex="F", location="isthmus", extra={"hospital": "A"}))
    assert records.images[3].extra["lnmdetect"] == {
        "finding": "absent", "sex": "F", "location": "isthmus", "hospital": "A",
    }  # fmt: skip
    assert [node.category_id for node in records.annotations[:4]] == [2, 2, 1, 1]
