"""What a fusion network says of cases: valid once built."""

from typing import Any

import pytest

from lnmdetect.core.fused import FusedCase, FusedDataset
from lnmdetect.core.ultrasound import ImagePlace, RepeatError, UltrasoundCase

CASE = UltrasoundCase(
    "c1", "p1", ImagePlace("b.png"), (ImagePlace("c.png"),), "unknown", "metastatic"
)
FUSION = {"name": "tiny", "sha256": "0" * 64, "modalities": ["finding", "bmode"], "threshold": 0.4}


def dataset(*cases: FusedCase, **fusion: Any) -> FusedDataset:
    return FusedDataset({"fusion": {**FUSION, **fusion}}, cases)


@pytest.mark.parametrize("probability", [-0.01, 1.01, float("nan")])
def test_a_probability_lies_between_0_and_1(probability: float) -> None:
    with pytest.raises(ValueError, match=r"case 'c1': expected a probability in \[0, 1\]"):
        FusedCase(CASE, probability, ("bmode",))


@pytest.mark.parametrize("used", [(), ("finding",), ("ceus", "bmode"), ("bmode", "bmode")])
def test_an_answer_rests_on_modalities_that_the_case_has(used: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected modalities_used from bmode, ceus"):
        FusedCase(CASE, 0.5, used)


def test_a_case_at_the_threshold_is_called_metastatic() -> None:
    at, below = FusedCase(CASE, 0.4, ("bmode",)), FusedCase(CASE, 0.399999, ("bmode",))
    fused = dataset(at)
    assert (fused.called(at), fused.called(below)) == ("metastatic", "benign")
    assert (fused.is_right(at), fused.is_right(below)) == (True, False)


def test_without_a_label_nobody_says_who_is_right() -> None:
    unlabelled = UltrasoundCase("c2", "p2", ImagePlace("d.png"), (), "unknown", None)
    answer = FusedCase(unlabelled, 0.9, ("bmode",))
    assert dataset(answer).is_right(answer) is None


def test_modalities_are_told_in_one_order() -> None:
    assert dataset().modalities == ("bmode", "finding")


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_lies_between_0_and_1(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"expected a threshold in \[0, 1\]"):
        dataset(threshold=threshold)


def test_cases_that_contradict_each_other_are_refused() -> None:
    answer = FusedCase(CASE, 0.4, ("bmode",))
    with pytest.raises(RepeatError, match="its own case_id"):
        dataset(answer, FusedCase(UltrasoundCase(**vars(CASE)), 0.4, ("bmode",)))
