"""Patients told by digests, and the overlap of those evaluated with those chosen on."""

import hashlib
from typing import Any

import pytest

from lnmdetect.core.patient_digests import (
    Overlap,
    PatientDigests,
    chosen_on,
    digests_from_json,
    patient_digest,
    seen_and_evaluated,
    trained_on,
)

TRUTH = "ab" * 32


def test_a_digest_is_the_beginning_of_the_sha256() -> None:
    assert patient_digest("p-1") == hashlib.sha256(b"p-1").hexdigest()[:16]


def test_digests_are_sorted_and_name_a_patient_once() -> None:
    found = PatientDigests.of(["b", "a", "b"], TRUTH)
    assert found.patients_sha256 == tuple(sorted((patient_digest("a"), patient_digest("b"))))


def test_digests_go_to_json_and_back() -> None:
    digests = PatientDigests.of(["a", "b"], TRUTH)
    assert digests_from_json(digests.to_json()) == digests
    assert digests_from_json(None) is None


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        "abc",
        {"truth_sha256": TRUTH},
        {"truth_sha256": None, "patients_sha256": []},
        {"truth_sha256": TRUTH, "patients_sha256": "abc"},
        {"truth_sha256": TRUTH, "patients_sha256": [1]},
    ],
)
def test_what_is_laid_out_otherwise_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="expected truth_sha256 and a list patients_sha256"):
        digests_from_json(value)
    with pytest.raises(ValueError, match="expected truth_sha256"):
        seen_and_evaluated({"classifier_threshold_chosen_on": value}, ["a"])


def test_evaluated_patients_are_counted_for_each_use_they_were_put_to() -> None:
    info = {
        **chosen_on("operating_threshold", PatientDigests.of(["a", "b", "c"], TRUTH)),
        **chosen_on("classifier_threshold", PatientDigests.of(["x"], TRUTH)),
        **trained_on("classifier", PatientDigests.of(["b", "c", "d"], TRUTH)),
        **chosen_on("classifier_temperature", PatientDigests.of(["c"], TRUTH)),
    }
    assert seen_and_evaluated(info, ["b", "c", "d", "c"]) == (
        Overlap("the operating threshold was chosen on", 2),
        Overlap("the classifier was trained on", 3),
        Overlap("the classifier's temperature was fitted on", 1),
    )
    assert seen_and_evaluated(info, ["e"]) == ()


def test_patients_of_a_segmenter_count_as_those_of_a_detector() -> None:
    info = {
        **trained_on("segmenter", PatientDigests.of(["a", "b"], TRUTH)),
        **chosen_on("voxel_threshold", PatientDigests.of(["c"], TRUTH)),
    }
    assert seen_and_evaluated(info, ["a", "b", "c"]) == (
        Overlap("the segmenter was trained on", 2),
        Overlap("the segmenter's threshold on voxels was chosen on", 1),
    )


def test_without_a_word_on_whom_there_is_no_overlap() -> None:
    assert chosen_on("operating_threshold", None) == trained_on("detector", None) == {}
    assert seen_and_evaluated({"operating_threshold": 0.5}, ["a"]) == ()
