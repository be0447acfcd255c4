"""`lnmdetect fuse` as typed: what it prints, where, and the code it leaves with."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.errors import InputError
from lnmdetect.stages.fuse_result import CaseAnswer, Drawn, FuseRequest, FuseResult
from lnmdetect.stages.training_run import TrainResult

ANSWERS = (
    CaseAnswer("c-1", 0.91234, "metastatic", "metastatic", ("bmode", "ceus", "finding")),
    CaseAnswer("c-2", 0.2, "benign", "metastatic", ("bmode",)),
    CaseAnswer("c-3", 0.1, "benign", None, ("finding",)),
)
SOURCE = "bundle tiny: a rule, chosen on validation patients"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[FuseRequest]:
    """The requests that the command makes; the stage answers at once."""
    requests: list[FuseRequest] = []

    def stage(request: FuseRequest, *_: object) -> FuseResult:
        requests.append(request)
        answers = tuple(ANSWERS[n % 3] for n in range(25)) if request.threshold else ANSWERS
        failure = InputError("cases[1]", expected="finding", got="none", remedy="Add one.")
        return FuseResult(
            request.output,
            threshold=0.5,
            threshold_source=SOURCE,
            answers=answers,
            seconds=1.25,
            explain=request.explain,
            drawn=Drawn(3, ("wrong.png",)) if request.explain else None,
            notes=("a note",),
            failures=(failure,) if request.skip_unanswerable else (),
        )

    monkeypatch.setattr("lnmdetect.stages.fuse.fuse", stage)
    return requests


def test_answers_stand_in_a_table_with_their_sum_below(asked: list[FuseRequest]) -> None:
    result = CliRunner().invoke(app, ["fuse", "ultrasound.json"])
    assert result.exit_code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines()]
    assert ["c-1", "0.912", "metastatic", "metastatic", "bmode, ceus, finding"] in rows
    assert ["c-3", "0.100", "benign", "not known", "finding"] in rows
    assert (
        f"3 cases: 1 metastatic, 2 benign (P(metastatic) 0.500 or more, {SOURCE}); 1 of 2 as "
        "pathology says\nfused.json: their probabilities (1.2 s)\n"
    ) in result.stdout
    assert result.stderr == "Note: a note\nNext: lnmdetect eval --fused fused.json\n"
    assert asked == [FuseRequest(Path("ultrasound.json"))]


def test_a_long_table_is_cut_short(asked: list[FuseRequest]) -> None:
    shown = CliRunner().invoke(app, ["fuse", "u.json", "--threshold", "0.5"]).stdout
    assert shown.count("│ c-") == 20
    assert "and 5 more cases in fused.json" in shown


def test_what_cannot_be_answered_is_named_and_leaves_with_6(asked: list[FuseRequest]) -> None:
    line = ["fuse", "u.json", "--skip-unanswerable", "--explain", "pictures", "--without", "ceus"]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 6
    assert "cases[1]: expected finding, got none. Add one." in result.stderr
    assert "1 of the batch failed" in result.stderr
    assert "pictures: 3 pictures, wrong.png" in result.stdout
    assert (asked[0].explain, asked[0].without) == (Path("pictures"), "ceus")


def test_json_goes_to_stdout_alone(asked: list[FuseRequest]) -> None:
    result = CliRunner().invoke(app, ["fuse", "u.json", "--json"])
    said = json.loads(result.stdout)
    assert said["answers"][0]["p_metastatic"] == 0.91234
    assert (said["threshold"], said["output"]) == (0.5, "fused.json")


def test_a_training_says_that_fuse_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = TrainResult(Path("run/bundle"), "auc", 0.8, 1, 0.5, Path("curves.png"))
    monkeypatch.setattr("lnmdetect.stages.train_fusion.train_fusion", lambda *_: trained)
    line = ["train", "fusion", "--data", "ultrasound.json", "-o", "run"]
    said = CliRunner().invoke(app, line).stderr
    assert "Next: lnmdetect fuse ultrasound.json --model run/bundle" in said
