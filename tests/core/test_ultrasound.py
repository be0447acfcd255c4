"""Ultrasound records: valid once built."""

from typing import Any

import pytest

from lnmdetect.core.ultrasound import (
    FINDING_VALUE,
    ImagePlace,
    RepeatError,
    UltrasoundCase,
    UltrasoundDataset,
)


def case(number: int = 1, **changes: Any) -> UltrasoundCase:
    values: dict[str, Any] = {
        "case_id": f"c{number}",
        "patient": f"p{number}",
        "bmode": ImagePlace(f"b{number}.png"),
        "ceus": (ImagePlace(f"c{number}.png"),),
        "finding": "present",
        "label": "metastatic",
    }
    return UltrasoundCase(**{**values, **changes})


def test_the_finding_is_1_minus_1_or_0_in_the_fused_vector() -> None:
    assert FINDING_VALUE == {"present": 1.0, "absent": -1.0, "unknown": 0.0}
    assert case(finding="absent").finding_value == -1.0


def test_a_case_names_the_modalities_it_has() -> None:
    assert case().modalities() == ("bmode", "ceus", "finding")
    assert case(bmode=None, finding="unknown").modalities() == ("ceus",)
    assert case(ceus=()).modalities() == ("bmode", "finding")


@pytest.mark.parametrize("frame", [0, -1, True, "last", 1.5])
def test_a_frame_is_a_number_from_1_or_peak(frame: Any) -> None:
    with pytest.raises(ValueError, match="expected a frame from 1, or peak"):
        ImagePlace("a.dcm", frame)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patient": ""}, "a case_id and a patient"),
        ({"finding": "maybe"}, "a finding of present, absent, unknown"),
        ({"label": "malignant"}, "a label of benign, metastatic"),
        ({"sex": "f"}, "a sex of F or M"),
        ({"split": "train"}, "a split of training, validation, test"),
        ({"age_years": float("nan")}, "an age in years"),
        ({"age_years": -1}, "an age in years"),
        ({"max_size_mm": 0}, "a max_size_mm above 0"),
        ({"max_size_mm": float("inf")}, "a max_size_mm above 0"),
        ({"bmode": ImagePlace("c1.png")}, "each image once"),
        ({"bmode": ImagePlace(".//c1.png", 1)}, "each image once"),
    ],
)
def test_a_case_is_valid_once_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        case(**changes)


@pytest.mark.parametrize(
    ("changes", "field", "got"),
    [
        ({"case_id": "c1"}, "case_id", "that of another case"),
        ({"case_id": "c1", "label": "benign"}, "case_id", "two labels"),
        ({"bmode": ImagePlace("c1.png")}, "bmode", "that of another case"),
        ({"bmode": ImagePlace("./c1.png", 1)}, "bmode", "that of another case"),
        ({"ceus": (ImagePlace("x"), ImagePlace("b1.png"))}, "ceus[1]", "that of another case"),
        ({"bmode": ImagePlace("c1.png"), "label": None}, "bmode", "two labels"),
        ({"bmode": ImagePlace("c1.png", 2)}, "bmode", "that of another patient"),
        ({"patient": "p1", "split": "test"}, "split", "its patient in two"),
    ],
)
def test_cases_that_contradict_each_other_are_refused(
    changes: dict[str, Any], field: str, got: str
) -> None:
    with pytest.raises(RepeatError) as caught:
        UltrasoundDataset({}, (case(1), case(2, **changes)))
    assert (caught.value.field, caught.value.got) == (field, got)


def test_cases_of_one_patient_may_share_a_file_of_several_frames() -> None:
    clips = [(ImagePlace("clip.dcm", number),) for number in (1, 2)]
    cases = [case(number, patient="p", ceus=clip) for number, clip in enumerate(clips)]
    assert len(UltrasoundDataset({}, tuple(cases)).cases) == 2


def test_patients_keep_their_order_and_take_all_their_cases_with_them() -> None:
    data = UltrasoundDataset({"phantom": True}, (case(2), case(1), case(3, patient="p2")))
    assert data.patients() == ("p2", "p1")
    assert [one.case_id for one in data.subset({"p2"}).cases] == ["c2", "c3"]
    assert data.subset({"p2"}).is_phantom
