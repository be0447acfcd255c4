"""folds.json: written as read, read as written, and refused where a part cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest

from lnmdetect.core.errors import InputError, OutputError
from lnmdetect.core.folds import Balance, Fold, FoldCounts, FoldSet
from lnmdetect.io.fold_file import read_folds, write_folds

COUNTS = FoldCounts(2, 10, 7, 3, 4, 0)
FOLDS = FoldSet(
    (Fold("1", ("p1", "p2"), None, COUNTS), Fold("2", ("p3",), None, COUNTS)),
    rule="Patients are dealt whole.",
    seed=4,
    truth_file="truth.json",
    truth_sha256="0" * 64,
    is_phantom=True,
    stratify=("class", "level"),
    site="hospital",
    balance=(Balance("boxes", "class", "benign", 0.25, 0.5), Balance("patients", "", "", 0.0, 0.0)),
)
WANG = FoldSet(
    (Fold("train", ("p1", "p2"), ("1.2.1", "1.2.2")), Fold("test", ("p1",), ("1.2.3",))),
    protocol="wang2023",
    warning="optimistic",
)


@pytest.mark.parametrize("folds", [FOLDS, WANG])
def test_folds_are_read_as_they_were_written(folds: FoldSet, tmp_path: Path) -> None:
    write_folds(folds, tmp_path / "folds.json")
    assert read_folds(tmp_path / "folds.json") == folds


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    write_folds(FOLDS, tmp_path / "folds.json")
    with pytest.raises(OutputError, match="overwrite"):
        write_folds(WANG, tmp_path / "folds.json")


def test_names_and_patients_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"folds": [{"name": "a", "patients": ["x"]}]}')
    assert read_folds(path) == FoldSet((Fold("a", ("x",)),))


def test_a_patient_in_two_folds_is_read_for_the_audit_to_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    fold = {"patients": ["x", "y"]}
    path.write_text(json.dumps({"folds": [{"name": "a", **fold}, {"name": "b", **fold}]}))
    assert read_folds(path).shared_patients() == {"x", "y"}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "mine.json:: expected an object, got a list of 0"),
        ({}, "mine.json: folds: expected a list, got no such field"),
        ({"folds": []}, "mine.json: folds: expected at least one fold"),
        ({"folds": [{"patients": ["x"]}]}, r"folds\[0\].name: expected text that is not empty"),
        ({"folds": [{"name": "a", "patients": []}]}, r"folds\[0\].patients: expected at least one"),
        ({"folds": [{"name": "a", "patients": [3]}]}, r"patients: expected a list of texts"),
        ({"folds": [{"name": "a", "patients": ["x", "x"]}]}, "each one once, got a repeated one"),
        (
            {"folds": [{"name": "a", "patients": ["x"]}, {"name": "a", "patients": ["y"]}]},
            r"folds\[1\].name: expected a name that no other fold has",
        ),
        (
            {"info": {"protocol": "mine"}, "folds": [{"name": "a", "patients": ["x"]}]},
            "info.protocol: expected one of by_patient, wang2023",
        ),
    ],
)
def test_a_part_that_cannot_be_used_is_named(data: Any, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=sentence):
        read_folds(path)
