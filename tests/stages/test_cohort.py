"""A cohort: bad studies stop no other, what is done stays done, and nothing stale is kept."""

import csv
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from lnmdetect.core.errors import (
    InputError,
    LnmDetectError,
    MissingExtraError,
    ModelError,
    OutputError,
    UsageError,
)
from lnmdetect.io.bundle_config import MODELS_VARIABLE, package_weights
from lnmdetect.io.cohort_cases import input_stamp
from lnmdetect.io.cohort_folder import CohortFolder
from lnmdetect.stages import cohort as stage
from lnmdetect.stages.cohort import run_cohort
from lnmdetect.stages.cohort_end import Crew, crew_for
from lnmdetect.stages.cohort_list import list_studies
from lnmdetect.stages.cohort_request import CohortRequest, CohortResult, Part
from lnmdetect.stages.cohort_study import CohortOptions
from tests.cohort_pipelines import LOG, count_files

PATIENCE_S = 600.0


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv(LOG, str(path))
    monkeypatch.setattr(stage, "usable_cores", lambda: 2)
    return path


def make_studies(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names, start=1):
        (folder / name).mkdir(parents=True)
        for slice_number in range(number):
            (folder / name / f"{slice_number}.dcm").write_text("a slice")
    return folder


def request_for(tmp_path: Path, **changes: Any) -> CohortRequest:
    request = CohortRequest(tmp_path / "studies", tmp_path / "out", pipeline=count_files)
    return replace(request, **changes)


def run(request: CohortRequest) -> CohortResult:
    return run_cohort(request, Event())


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as stream:
        return {row["case"]: row for row in csv.DictReader(stream)}


def names_of(request: CohortRequest) -> dict[str, str]:
    """Folder names and the names of their cases."""
    return {study.path.name: study.case for study in list_studies(request)}


def analyses(log: Path) -> Counter[str]:
    return Counter(line.split()[0] for line in log.read_text().splitlines())


def test_networks_in_int8_are_refused_before_the_table_is_touched(
    tmp_path: Path, log: Path
) -> None:
    make_studies(tmp_path / "studies", "a")
    request = request_for(tmp_path)
    run(request)
    table = tmp_path / "out" / "cohort.csv"
    before = table.read_bytes()
    with pytest.raises(UsageError, match=r"--precision: expected fp32 or bf16.* got int8"):
        run(replace(request, options=replace(request.options, precision="int8")))
    assert table.read_bytes() == before
    assert sum(analyses(log).values()) == 1


def test_each_study_has_a_row_a_record_and_its_files_under_a_name_without_identity(
    tmp_path: Path, log: Path
) -> None:
    make_studies(tmp_path / "studies", "DOE^JANE", "ROE^RICHARD")
    request = request_for(tmp_path)
    result = run(request)
    cases = names_of(request)
    assert (result.studies, result.analysed, result.skipped, result.failed) == (2, 2, 0, ())
    assert (result.slices, result.nodes, result.metastatic_nodes) == (3, 2, 2)
    assert (result.workers, result.threads) == (2, 1)
    table = (tmp_path / "out" / "cohort.csv").read_text().splitlines()
    assert table[0] == (
        "case,status,reason,patient,scans,failed_scans,slices,boxes,boxes_above_threshold,nodes,"
        "metastatic_nodes,largest_short_axis_mm,highest_p_metastatic,phantom,seconds"
    )
    expected = {cases["DOE^JANE"]: 1, cases["ROE^RICHARD"]: 2}
    lines = [
        f"{c},done,,p-1,1,0,{expected[c]},3,2,1,1,8.25,0.75,true,1.5" for c in sorted(expected)
    ]
    assert table[1:] == lines
    for case in expected:
        folder = tmp_path / "out" / "studies" / case
        assert sorted(path.name for path in folder.iterdir()) == ["boxes.json", "study.json"]
    written = list((tmp_path / "out").rglob("*"))
    assert not any("DOE" in str(path) or "ROE" in str(path) for path in written)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["command"], record["failures"], record["exit_status"]) == ("cohort", 0, 0)
    assert all(line.split()[1] == "1" for line in log.read_text().splitlines())


def test_bad_studies_are_listed_with_their_reasons_and_stop_no_other(
    tmp_path: Path, log: Path
) -> None:
    make_studies(
        tmp_path / "studies", "good", "corrupt", "gap", "bug", "dies", "hangs", "also_good"
    )
    request = request_for(tmp_path, timeout_s=4.0)
    result = run(request)
    cases = names_of(request)
    table = rows(tmp_path / "out" / "cohort.csv")
    said = {name: (table[case]["status"], table[case]["reason"]) for name, case in cases.items()}
    assert said == {
        "good": ("done", ""),
        "also_good": ("done", ""),
        "corrupt": ("failed", f"{cases['corrupt']}: expected a scan, got none. Mend it."),
        "gap": ("failed", "a file of the scan: expected it, got none. Look."),
        "bug": ("failed", "internal error: an unexpected ValueError"),
        "dies": ("failed", "the process of the analysis died, as of too little memory"),
        "hangs": ("failed", "the analysis took longer than 4 s and was ended"),
    }
    assert {study.case for study in result.failed} == set(table) - {
        cases["good"],
        cases["also_good"],
    }
    assert analyses(log)["dies"] == 2
    assert analyses(log)["hangs"] == 1
    folder = tmp_path / "out" / "studies"
    assert [path.name for path in (folder / cases["corrupt"]).iterdir()] == ["study.json"]
    assert [path for path in folder.iterdir() if path.name.startswith(".")] == []
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["failures"], record["exit_status"]) == (5, 6)


def test_a_study_amid_which_its_process_died_once_is_done_at_the_second_try(
    tmp_path: Path, log: Path
) -> None:
    make_studies(tmp_path / "studies", "dies_once", "good")
    result = run(request_for(tmp_path, workers=1))
    assert (result.analysed, result.failed) == (2, ())
    assert analyses(log) == {"dies_once": 2, "good": 1}
    assert [line.split()[1] for line in log.read_text().splitlines()] == ["2", "2", "2"]


def other_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CohortOptions:
    """The installed detector with other weights, which no test reads."""
    folder = tmp_path / "models" / "detector-mine"
    folder.mkdir(parents=True)
    installed = package_weights() / "detector-compact"
    (folder / "config.json").write_bytes((installed / "config.json").read_bytes())
    (folder / "weights.safetensors").write_bytes(b"others")
    monkeypatch.setenv(MODELS_VARIABLE, str(folder.parent))
    return CohortOptions(model="mine")


def test_a_restart_analyses_only_what_failed_or_is_no_more_what_it_was(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_studies(tmp_path / "studies", "a", "b", "c", "d", "corrupt")
    request = request_for(tmp_path)
    run(request)
    cases = names_of(request)
    log.write_text("")
    (tmp_path / "studies" / "b" / "0.dcm").write_text("another slice")
    (tmp_path / "studies" / "c" / "9.dcm").write_text("one more slice")
    (tmp_path / "out" / "studies" / cases["d"] / "boxes.json").write_text("{")
    again = run(request)
    assert (again.analysed, again.skipped) == (3, 1)
    assert analyses(log) == {"b": 1, "c": 1, "d": 1, "corrupt": 1}
    assert rows(tmp_path / "out" / "cohort.csv")[cases["c"]]["slices"] == "4"
    log.write_text("")
    run(replace(request, options=CohortOptions(allow_tilt=True)))
    assert analyses(log) == dict.fromkeys(("a", "b", "c", "d", "corrupt"), 1)
    log.write_text("")
    mine = other_models(tmp_path, monkeypatch)
    run(replace(request, options=mine))
    run(replace(request, options=replace(mine, device="cpu")))
    assert analyses(log) == {**dict.fromkeys("abcd", 1), "corrupt": 2}


def test_what_is_all_done_is_not_done_again_but_with_overwrite(tmp_path: Path, log: Path) -> None:
    make_studies(tmp_path / "studies", "a")
    request = request_for(tmp_path)
    run(request)
    table = (tmp_path / "out" / "cohort.csv").read_bytes()
    assert (run(request).skipped, run(replace(request, overwrite=True)).analysed) == (1, 1)
    assert analyses(log) == {"a": 2}
    assert (tmp_path / "out" / "cohort.csv").read_bytes() == table


@pytest.mark.parametrize(
    ("trouble", "error"), [("full", OutputError), ("replaced", ModelError), ("keyless", UsageError)]
)
def test_a_full_disk_another_model_or_key_ends_the_run_and_blames_no_study(
    tmp_path: Path, log: Path, trouble: str, error: type[LnmDetectError]
) -> None:
    make_studies(tmp_path / "studies", trouble)
    result = run(request_for(tmp_path))
    assert isinstance(result.stopped_by, error)
    assert (result.failed, result.missing) == ((), 1)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["exit_status"] == error.exit_code
    (row,) = rows(tmp_path / "out" / "cohort.csv").values()
    assert (row["status"], row["reason"]) == ("missing", "its turn has not come yet")


def test_each_study_is_of_exactly_one_part_and_collect_puts_the_parts_together(
    tmp_path: Path, log: Path
) -> None:
    make_studies(tmp_path / "studies", *"abcdefgh")
    request = request_for(tmp_path, workers=1)
    cases = names_of(request)
    first, second = (replace(request, part=Part(number, 2)) for number in (1, 2))
    assert sorted({**names_of(first), **names_of(second)}) == sorted(cases)
    assert len(names_of(first)) + len(names_of(second)) == len(cases)
    done = run(first)
    assert (done.studies, done.missing) == (len(names_of(first)), 0)
    assert set(rows(tmp_path / "out" / "cohort.part-1-of-2.csv")) == set(names_of(first).values())
    assert (tmp_path / "out" / "run.part-1-of-2.json").is_file()
    half = run(replace(request, collect=True))
    assert (half.skipped, half.missing, half.analysed) == (done.studies, 8 - done.studies, 0)
    run(second)
    whole = run(replace(request, collect=True))
    assert (whole.skipped, whole.missing) == (8, 0)
    assert analyses(log) == dict.fromkeys("abcdefgh", 1)
    assert len(rows(tmp_path / "out" / "cohort.csv")) == 8


def test_collect_counts_no_results_of_other_options_but_shows_failures(
    tmp_path: Path, log: Path
) -> None:
    make_studies(tmp_path / "studies", "a", "corrupt")
    run(request_for(tmp_path))
    other = request_for(tmp_path, collect=True, options=CohortOptions(sheets=2))
    result = run(other)
    assert (result.skipped, result.missing, len(result.failed)) == (0, 1, 1)


def test_a_stop_keeps_what_is_done_and_the_next_run_goes_on(tmp_path: Path, log: Path) -> None:
    make_studies(tmp_path / "studies", "a", "stops")
    request, stop = request_for(tmp_path), Event()

    def press() -> None:
        for _ in range(int(PATIENCE_S * 10)):
            if (tmp_path / "stop").exists() and (tmp_path / "out/studies" / cases["a"]).is_dir():
                break
            Event().wait(0.1)
        stop.set()

    cases = names_of(request)
    watcher = Thread(target=press)
    watcher.start()
    result = run_cohort(request, stop)
    watcher.join()
    assert (result.stopped, result.slices, result.missing) == (True, 1, 1)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["exit_status"] == 130
    assert [p.name for p in (tmp_path / "out" / "studies").iterdir()] == [cases["a"]]
    pids = {int(line.split()[2]) for line in log.read_text().splitlines()}
    assert not any(Path("/proc", str(pid)).exists() for pid in pids)


@pytest.mark.parametrize(
    ("cores", "wanted", "studies", "workers", "threads"),
    [
        (2, None, 9, 2, 1),
        (8, None, 9, 8, 1),
        (8, 3, 9, 3, 2),
        (8, 1, 9, 1, 8),
        (8, None, 2, 2, 4),
        (8, 4, 0, 1, 8),
    ],
)
def test_workers_times_threads_is_never_more_than_the_cores(
    cores: int, wanted: int | None, studies: int, workers: int, threads: int
) -> None:
    assert crew_for(cores, wanted, studies, 9.0) == Crew(workers, threads, 9.0)


def refused(request: CohortRequest, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        run(request)


def test_what_cannot_end_well_is_refused_before_any_study(tmp_path: Path, log: Path) -> None:
    request = request_for(tmp_path)
    refused(request, InputError, "got a path at which there is none")
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "1.dcm").touch()
    refused(request, InputError, "a folder or a zip archive for each study, got neither, and 1 fil")
    make_studies(tmp_path / "studies", "a")
    refused(replace(request, workers=3), UsageError, "--workers: expected 1 to 2, .*got 3")
    for seconds in (math.nan, math.inf, 0.5):
        refused(replace(request, timeout_s=seconds), UsageError, "--time-limit: expected 1 s or mo")
    within = replace(request, output=tmp_path / "studies" / "a" / "deep" / "out")
    refused(within, UsageError, "--output: expected a folder outside of every study, got out, whi")
    unknown = CohortOptions(classifier="none")
    refused(replace(request, options=unknown), ModelError, "--classifier: expected")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    refused(request, OutputError, "out: expected a folder for this cohort, got one that holds")
    assert analyses(log) == {}


def test_a_folder_that_holds_the_studies_under_the_name_of_results_is_not_written_into(
    tmp_path: Path, log: Path
) -> None:
    make_studies(tmp_path / "studies", "a")
    refused(request_for(tmp_path, output=tmp_path), OutputError, "got one that holds something els")
    assert [path.name for path in (tmp_path / "studies").iterdir()] == ["a"]


def test_a_cohort_is_not_gone_on_with_under_another_pseudonym_key(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_studies(tmp_path / "studies", "a")
    run(request_for(tmp_path))
    monkeypatch.setenv("LNMDETECT_KEY_FILE", str(tmp_path / "other.key"))
    refused(request_for(tmp_path), UsageError, "LNMDETECT_KEY_FILE: expected the pseudonym key wi")
    assert len(list((tmp_path / "out" / "studies").iterdir())) == 1


def test_a_study_that_can_no_more_be_read_is_listed_and_stops_no_other(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_studies(tmp_path / "studies", "a", "b")
    run(request_for(tmp_path, workers=1))
    case = names_of(request_for(tmp_path))["b"]

    def stamp(path: Path) -> str:
        if path.name == "b":
            raise PermissionError(13, "Permission denied")
        return input_stamp(path)

    monkeypatch.setattr("lnmdetect.io.cohort_folder.input_stamp", stamp)
    result = run(request_for(tmp_path, workers=1))
    assert (result.skipped, result.analysed) == (1, 1)
    assert case in rows(tmp_path / "out" / "cohort.csv")


def test_ray_needs_its_extra_and_on_a_cluster_the_number_of_actors(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_studies(tmp_path / "studies", "a")
    request = request_for(tmp_path, engine="ray")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    refused(request, MissingExtraError, r"--engine ray: expected the package ray.*lnmdetect\[ray\]")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    refused(request, UsageError, "--workers: expected the number of actors, since RAY_ADDRESS")
    assert not (tmp_path / "out").exists()


def test_two_runs_of_the_same_studies_do_not_work_in_one_folder(tmp_path: Path, log: Path) -> None:
    make_studies(tmp_path / "studies", "a")
    request, folder = request_for(tmp_path), CohortFolder(tmp_path / "out")
    folder.prepare()
    with folder.locked("part-1-of-2"):
        refused(request, OutputError, "got one that another run works in")
        refused(replace(request, part=Part(1, 2)), OutputError, "another run works in")
        with folder.locked("part-2-of-2"):
            pass
        refused(replace(request, part=Part(2, 3)), OutputError, "another run works in")
    with folder.locked("part-2-of-3"):
        pass
    with folder.locked(None):
        refused(replace(request, part=Part(2, 2)), OutputError, "another run works in")


@pytest.mark.parametrize("part", [(0, 2), (3, 2), (1, 0)])
def test_a_part_that_there_is_not_is_refused(part: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="--part: expected i/n with i from 1 to n"):
        Part(*part)


def test_results_of_studies_that_are_gone_are_told(tmp_path: Path, log: Path) -> None:
    make_studies(tmp_path / "studies", "a", "b")
    (tmp_path / "studies" / "list.csv").touch()
    request = request_for(tmp_path)
    assert run(request).notes == ("1 file beside the studies not read",)
    (tmp_path / "studies" / "b").rename(tmp_path / "b")
    (tmp_path / "studies" / "list.csv").unlink()
    assert run(request).notes == (
        "results of 1 study that the cohort holds no more stay in out/studies",
    )


def test_it_says_now_and_then_how_far_it_is(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "SAY_EVERY_S", 0.0)
    make_studies(tmp_path / "studies", "a", "corrupt")
    said: list[str] = []
    say: Callable[[str], None] = said.append
    run_cohort(request_for(tmp_path, workers=1), Event(), say=say)
    assert len(said) == 2
    assert said[1].startswith("2 of 2 studies, 1 failed; ")
    assert said[1].endswith(" an hour, 0 s left.")
