"""What a study's record says of an error, and whose key its machine has."""

from pathlib import Path

import pytest

from lnmdetect.core.errors import InputError, ModelError, UsageError
from lnmdetect.io.bundle_config import MODELS_VARIABLE
from lnmdetect.io.cohort_cases import Case, case_name
from lnmdetect.io.pseudonym import load_key, pseudonymise_uid
from lnmdetect.stages.cohort_study import (
    CohortOptions,
    StudyRequest,
    analyse_study,
    load_for,
    reason_for,
)

STUDIES = Path("studies")
PLACE = STUDIES / "DOE" / "1"


def request_for(name: str = "s-1", *, pseudonymise_uids: bool = False) -> StudyRequest:
    options = CohortOptions(pseudonymise_uids=pseudonymise_uids)
    return StudyRequest(Case(name, PLACE), STUDIES, Path("out"), options)


@pytest.mark.parametrize("where", ["DOE", "1", "studies/DOE/1"])
def test_a_study_is_named_by_its_case_and_not_by_its_folders(where: str) -> None:
    error = InputError(where, expected="1 scan", got="none", remedy="Look.")
    assert reason_for(error, request_for()) == "s-1: expected 1 scan, got none. Look."


def test_uids_are_keyed_where_that_was_wanted_and_numbers_are_left() -> None:
    uids = ("1.2.840.10008.5.1", "2.25.118236040310483519473915480194170297118")
    error = InputError(
        f"series {uids[0]}", expected="one slice every 2.50 mm", got=uids[1], remedy="Look."
    )
    keyed = [pseudonymise_uid(uid, load_key()) for uid in uids]
    assert reason_for(error, request_for()) == str(error)
    assert reason_for(error, request_for(pseudonymise_uids=True)) == (
        f"series {keyed[0]}: expected one slice every 2.50 mm, got {keyed[1]}. Look."
    )


def test_a_machine_with_another_key_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for(case_name(PLACE, STUDIES))
    with pytest.raises(InputError):
        load_for(request)  # the key is right, and nothing is there
    monkeypatch.setenv("LNMDETECT_KEY_FILE", str(tmp_path / "other"))
    for step in (load_for, analyse_study):
        with pytest.raises(UsageError, match="LNMDETECT_KEY_FILE: expected the same pseudonym key"):
            step(request)


@pytest.mark.parametrize("arm", ["detector", "classifier"])
def test_a_model_that_was_replaced_while_the_cohort_ran_ends_it(
    arm: str, tmp_path: Path, toy_data: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(bundles))
    place = toy_data / "scan" / "p0"
    case = Case(case_name(place, toy_data / "scan"), place)
    options = CohortOptions("tiny", "tiny", "cpu")
    request = StudyRequest(case, toy_data / "scan", tmp_path / "out", options, {arm: "0" * 64})
    with pytest.raises(ModelError, match=f"{arm} tiny.*: expected the same weights from the first"):
        analyse_study(request)
    assert not (tmp_path / "out").exists()
