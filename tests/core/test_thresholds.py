"""Thresholds and temperatures: valid once built, to JSON and back."""

import pytest

from lnmdetect.core.patient_digests import PatientDigests
from lnmdetect.core.thresholds import (
    Temperature,
    Threshold,
    chosen_to_json,
    temperature_from_json,
    threshold_from_json,
)

PATIENTS = PatientDigests.of(["a"], "cd" * 32)


def test_a_threshold_outside_0_to_1_cannot_be_built() -> None:
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="expected a value in"):
            Threshold(value, "", "")


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_temperature_that_is_no_positive_number_cannot_be_built(value: float) -> None:
    with pytest.raises(ValueError, match="temperature: expected a value above 0"):
        Temperature(value)


def test_they_go_to_json_and_back() -> None:
    for patients in (None, PATIENTS):
        threshold = Threshold(0.4, "Youden's J", "3 patients", patients)
        assert threshold_from_json(chosen_to_json(threshold)) == threshold
        temperature = Temperature(1.5, "3 patients", patients)
        assert temperature_from_json(chosen_to_json(temperature)) == temperature


def test_what_is_not_told_is_not_written() -> None:
    assert chosen_to_json(Threshold(0.4, "r", "c")) == {"value": 0.4, "rule": "r", "chosen_on": "c"}


def test_without_a_temperature_it_is_1() -> None:
    assert temperature_from_json(None).value == 1


def test_where_a_threshold_came_from_is_said_in_words() -> None:
    assert Threshold(0.4, "Youden's J", "3 patients").described == (
        "Youden's J, chosen on 3 patients"
    )
