"""What `lnmdetect cohort` says, and what it makes of its options."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lnmdetect.cli import app
from lnmdetect.cli_rate import rate_text
from lnmdetect.core.errors import OutputError
from lnmdetect.stages.cohort_request import CohortRequest, CohortResult, FailedStudy, Part

DONE = CohortResult(
    table=Path("out/cohort.csv"),
    studies=5,
    analysed=3,
    skipped=2,
    failed=(),
    missing=0,
    slices=90,
    nodes=12,
    metastatic_nodes=4,
    phantom_studies=0,
    workers=2,
    threads=1,
    seconds=36.0,
    notes=("1 file beside the studies not read",),
)
FAILED = (FailedStudy("s-1", "a file of the scan: expected it, got none. Look."),)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that the command made, after the results that the stage is to give."""
    asked: list[Any] = [DONE]

    def stage(request: CohortRequest, stop: Event, progress: Any, say: Any) -> CohortResult:
        asked.append(request)
        result: CohortResult = asked[0]
        if result.stopped:
            signal.raise_signal(signal.SIGTERM)
            assert stop.is_set()
        say("1 of 5 studies, 0 failed; 300 an hour, 48 s left.")
        return result

    monkeypatch.setattr("lnmdetect.stages.cohort.run_cohort", stage)
    return asked


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["cohort", "STUDIES", "-o", "out", *words])


def test_it_says_what_was_done_how_fast_and_where_the_table_is(asked: list[Any]) -> None:
    done = run()
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "5 studies: 3 analysed (300 an hour, 2 workers), 2 done before, 0 failed or in part",
        "out/cohort.csv: 12 nodes, 4 called metastatic, on 90 slices",
    ]
    assert done.stderr.splitlines() == [
        "1 of 5 studies, 0 failed; 300 an hour, 48 s left.",
        "Note: 1 file beside the studies not read",
    ]


def test_failures_are_listed_with_their_reasons_and_give_exit_code_6(asked: list[Any]) -> None:
    asked[0] = replace(DONE, failed=FAILED, missing=1)
    done = run("-q")
    assert done.exit_code == 6
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "s-1: a file of the scan: expected it, got none. Look.",
        "1 of 5 studies failed or in part, 1 not analysed yet; --list names their folders.",
    ]
    asked[0] = replace(DONE, failed=FAILED * 23)
    assert run("-q").stderr.splitlines()[20:] == [
        "3 more: cohort.csv has the reasons.",
        "23 of 5 studies failed or in part; --list names their folders.",
    ]


def test_a_signal_leaves_with_130_and_gives_the_handlers_back(asked: list[Any]) -> None:
    asked[0] = replace(DONE, stopped=True, failed=FAILED)
    held = signal.getsignal(signal.SIGTERM)
    done = run("-q")
    assert done.exit_code == 130
    assert done.stderr == (
        "Interrupted; what is done is kept, and the same command goes on with the rest.\n"
    )
    assert signal.getsignal(signal.SIGTERM) is held


def test_what_ended_the_run_is_said_with_its_own_code(asked: list[Any]) -> None:
    full = OutputError("x", expected="room", got="a full disk", remedy="Free it.")
    asked[0] = replace(DONE, stopped_by=full)
    done = run("-q")
    assert (done.exit_code, done.stderr) == (5, "x: expected room, got a full disk. Free it.\n")


def test_json_has_the_counts_the_failures_and_the_rate(asked: list[Any]) -> None:
    asked[0] = replace(DONE, failed=FAILED)
    done = run("--json")
    said = json.loads(done.stdout)
    assert done.exit_code == 6
    assert said["failed"] == [{"case": "s-1", "reason": FAILED[0].reason}]
    assert (said["studies"], said["analysed"], said["studies_per_hour"]) == (5, 3, 300.0)
    assert said["table"] == "out/cohort.csv"
    assert "stopped_by" not in said


def test_options_become_the_request(asked: list[Any]) -> None:
    words = "--part 3/16 --workers 4 --depth 2 --sheets 6 --allow-tilt --collect --time-limit 60"
    run(*words.split(), "--engine", "ray")
    request = asked[1]
    assert request.part == Part(3, 16)
    assert (request.workers, request.depth, request.collect) == (4, 2, True)
    assert request.engine == "ray"
    assert (request.options.sheets, request.options.allow_tilt, request.timeout_s) == (6, True, 60)


@pytest.mark.parametrize("part", ["3", "0/4", "5/4", "a/b", "-1/4", "1/4/2"])
def test_a_part_that_is_none_is_wrong_usage(asked: list[Any], part: str) -> None:
    done = run("--part", part)
    assert done.exit_code == 2
    assert done.stderr.startswith("--part: expected i/n")
    assert asked == [DONE]


def case_of(listed: Result) -> str:
    (study,) = json.loads(listed.stdout)
    return str(study["case"])


def test_list_prints_each_case_with_its_folder_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "STUDIES" / "DOE^JANE").mkdir(parents=True)
    done = run("--list")
    case, status, path = done.stdout.split()
    assert (done.exit_code, status, path) == (0, "missing", "STUDIES/DOE^JANE")
    assert case.startswith("s-")
    assert json.loads(run("--list", "--json").stdout)[0]["case"] == case
    assert not (tmp_path / "out").exists()
    (tmp_path / "STUDIES" / "DOE^JANE").rename(tmp_path / "STUDIES" / "two\nlines")
    assert (
        run("--list").stdout == f"{case_of(run('--list', '--json'))} missing STUDIES/two\\nlines\n"
    )


@pytest.mark.parametrize(
    ("a_second", "text"),
    [(None, ""), (0.0, ""), (3.25, "3.2/s"), (0.5, "30.0/min"), (0.004, "14.4/h"), (1e-5, "0.0/h")],
)
def test_a_rate_has_a_unit_in_which_it_is_one_or_more(a_second: float | None, text: str) -> None:
    assert rate_text(a_second) == text
