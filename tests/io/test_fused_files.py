"""fused.json: read back as it was written, and what is wrong with it named."""

import json
from pathlib import Path
from typing import Any

import pytest

from lnmdetect.core.errors import InputError, OutputError
from lnmdetect.core.fused import FusedCase, FusedDataset
from lnmdetect.core.ultrasound import ImagePlace, UltrasoundCase
from lnmdetect.io.fused_files import read_fused, write_fused

IMAGES = ("bmode", "ceus")
DATASET = FusedDataset(
    {
        "description": "d",
        "lnmdetect_version": "1",
        "phantom": True,
        "scan_root": "..",
        "fusion": {
            "name": "tiny",
            "sha256": "0" * 64,
            "modalities": ["bmode", "ceus", "finding"],
            "threshold": 0.5,
        },
    },
    (
        FusedCase(
            UltrasoundCase(
                *("a", "p-1", ImagePlace("a.png"), (ImagePlace("b.png"),)),
                *("unknown", "benign"),
                extra={"hospital": "A"},
            ),
            0.123457,
            IMAGES,
        ),
        FusedCase(UltrasoundCase("b", "p-2", None, (), "present", None), 1.0, ("finding",)),
    ),
    {"mine": 3},
)


def test_cases_and_answers_come_back_as_they_were_without_any_image(tmp_path: Path) -> None:
    write_fused(DATASET, tmp_path / "fused.json")
    assert read_fused(tmp_path / "fused.json") == DATASET


def test_probabilities_sum_to_1_and_have_six_digits(tmp_path: Path) -> None:
    case = FusedCase(DATASET.cases[0].case, 0.12345678, IMAGES)
    write_fused(FusedDataset(DATASET.info, (case,)), tmp_path / "fused.json")
    (record,) = json.loads((tmp_path / "fused.json").read_text())["cases"]
    assert record["probabilities"] == {"benign": 0.876543, "metastatic": 0.123457}
    assert record["modalities_used"] == ["bmode", "ceus"]


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    write_fused(DATASET, tmp_path / "fused.json")
    with pytest.raises(OutputError, match="--overwrite"):
        write_fused(DATASET, tmp_path / "fused.json")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("info/fusion", None, r"fused.json: info.fusion: expected an object, got null"),
        ("info/fusion/name", "", r"fused.json: info.fusion.name: expected text"),
        ("info/fusion/threshold", 1.5, r"info.fusion.threshold: expected a number in \[0, 1\]"),
        ("info/fusion/modalities", ["x"], r"info.fusion.modalities: expected a list of some of"),
        ("info/fusion/threshold_source", 1, r"info.fusion.threshold_source: expected text"),
        ("info/unanswered_cases", -1, r"info.unanswered_cases: expected a whole number"),
        ("info/fusion_trained_on", {}, r"info.fusion_trained_on: expected truth_sha256 and a"),
        ("cases/0/probabilities", None, r"cases\[0\].probabilities: expected an object, got null"),
        ("cases/0/probabilities", {"benign": 1.0}, r"cases\[0\].probabilities: expected prob"),
        ("cases/1/probabilities/benign", 0.5, r"cases\[1\].probabilities: .* got a sum of 1.5"),
        ("cases/1/probabilities/metastatic", 2, r"cases\[1\].probabilities.metastatic: expected"),
        ("cases/0/modalities_used", [], r"cases\[0\].modalities_used: .* got a list of 0"),
        ("cases/0/modalities_used", "bmode", r"cases\[0\].modalities_used: .* got text"),
        ("cases/0/modalities_used", ["finding"], r"expected a list of some of bmode, ceus, in th"),
        ("cases/0/modalities_used", ["ceus", "bmode"], r"in that order, got a list of 2"),
        ("cases/1/patient", "", r"cases\[1\].patient: expected text"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, place: str, value: Any, message: str) -> None:
    write_fused(DATASET, tmp_path / "fused.json")
    data = inner = json.loads((tmp_path / "fused.json").read_text())
    *parents, last = [int(key) if key.isdigit() else key for key in place.split("/")]
    for step in parents:
        inner = inner[step]
    inner[last] = value
    (tmp_path / "fused.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=message):
        read_fused(tmp_path / "fused.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"cases": []}, "got cases without answers. Run `lnmdetect fuse` on it"),
        ({"command": "fuse", "timings_s": {}}, "got the record of a run. Give the file that lies"),
        ({"rows": [], "cohort": {}}, "got what eval says of such a file. Give the fused.json"),
        (
            {"info": {}, "annotations": []},
            "got boxes of CT. Give the fused.json, or this file with",
        ),
    ],
)
def test_another_file_is_refused_by_what_it_is(
    tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"x.json: expected what `fuse` wrote, {message}"):
        read_fused(tmp_path / "x.json")


def test_a_file_of_no_known_kind_is_refused_by_the_field_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InputError, match=r"x.json: cases: expected a list, got no such field"):
        read_fused(tmp_path / "x.json")
