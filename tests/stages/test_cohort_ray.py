"""A cohort on a real Ray of this machine, in which processes are killed and studies are bad."""

import csv
import json
import os
import shutil
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from lnmdetect.io.bundle_config import MODELS_VARIABLE
from lnmdetect.stages.cohort import run_cohort
from lnmdetect.stages.cohort_list import list_studies
from lnmdetect.stages.cohort_ray import gpu_share
from lnmdetect.stages.cohort_request import CohortRequest
from lnmdetect.stages.cohort_study import CohortOptions
from tests.cohort_pipelines import LOG, count_files, count_names

pytestmark = [
    pytest.mark.extra("ray", "pandas"),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # those of Ray are not ours
]


def request_for(tmp_path: Path, *names: str) -> CohortRequest:
    """To count the files of studies of one slice each, on Ray."""
    for name in names:
        (tmp_path / "studies" / name).mkdir(parents=True)
        (tmp_path / "studies" / name / "1.dcm").write_text("a slice")
    return CohortRequest(
        tmp_path / "studies",
        tmp_path / "out",
        engine="ray",
        workers=2,
        load=count_names,
        pipeline=count_files,
    )


def test_killed_processes_and_bad_studies_stop_no_other_and_a_restart_takes_up_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    log.touch()
    monkeypatch.setenv(LOG, str(log))
    names = ("good", "corrupt", "bug", "dies", "dies_once", "also_good", "hangs", "unreadable")
    request = replace(request_for(tmp_path, *names), timeout_s=10.0)
    before = sorted(Path("/tmp").glob("lnm-*"))
    result = run_cohort(request, Event())
    cases = {study.path.name: study.case for study in list_studies(request)}
    with (tmp_path / "out" / "cohort.csv").open(newline="") as stream:
        table = {row["case"]: (row["status"], row["reason"]) for row in csv.DictReader(stream)}
    assert {name: table[case] for name, case in cases.items()} == {
        **dict.fromkeys(("good", "also_good", "dies_once"), ("done", "")),
        "corrupt": ("failed", f"{cases['corrupt']}: expected a scan, got none. Mend it."),
        "unreadable": ("failed", f"{cases['unreadable']}: expected DICOM, got none. Look."),
        "bug": ("failed", "internal error: an unexpected ValueError"),
        "hangs": ("failed", "the analysis took longer than 10 s and was ended"),
        "dies": ("failed", "the process of the analysis died, as of too little memory"),
    }
    assert (result.analysed, len(result.failed), result.missing) == (3, 5, 0)
    assert sorted(Path("/tmp").glob("lnm-*")) == before
    analysed = Counter(line.split()[0] for line in log.read_text().splitlines())
    assert (analysed["dies_once"], analysed["dies"], analysed["unreadable"]) == (2, 3, 0)
    assert analysed["hangs"] == 1
    left = {path.name for path in (tmp_path / "out" / "studies").iterdir()}
    assert left == set(cases.values())
    log.write_text("dies_once \n")
    for name in ("dies", "hangs", "corrupt"):
        (tmp_path / "studies" / name).rename(tmp_path / name)
    again = run_cohort(request, Event())
    assert (again.analysed, again.skipped, len(again.failed)) == (0, 3, 2)
    assert os.environ.get("RAY_USAGE_STATS_ENABLED") == "0"


def test_a_stop_keeps_what_is_done_and_nobody_else_could_have_reached_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, stop = tmp_path / "log", Event()
    log.touch()
    monkeypatch.setenv(LOG, str(log))
    request = request_for(tmp_path, "a", "stops")

    seen: list[str] = []

    def press() -> None:
        for _ in range(3000):
            if (tmp_path / "stop").exists() and len(log.read_text().splitlines()) == 2:
                break
            stop.wait(0.1)
        node = sys.modules["ray._private.worker"]._global_node
        folder = Path(node.get_session_dir_path()).parents[1]
        seen.extend((node.node_ip_address, oct(folder.stat().st_mode)[-3:]))
        stop.set()

    held = signal.getsignal(signal.SIGTERM)
    watcher = Thread(target=press)
    watcher.start()
    result = run_cohort(request, stop)
    watcher.join()
    assert (result.stopped, result.missing) == (True, 1)
    assert seen == ["127.0.0.1", "700"]  # nobody else's program or eye
    assert signal.getsignal(signal.SIGTERM) is held
    cases = {study.path.name: study.case for study in list_studies(request)}
    assert [path.name for path in (tmp_path / "out" / "studies").iterdir()] == [cases["a"]]


def test_a_study_has_its_earlier_results_until_its_turn_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    (tmp_path / "log").touch()
    for name in "ab":
        (tmp_path / "studies" / name).mkdir(parents=True)
    request = CohortRequest(tmp_path / "studies", tmp_path / "out", pipeline=count_files)
    assert run_cohort(replace(request, workers=1), Event()).analysed == 2
    stop = Event()
    stop.set()
    again = replace(request, engine="ray", workers=1, overwrite=True, load=count_names)
    result = run_cohort(again, stop)
    assert (result.stopped, result.missing) == (True, 0)
    assert run_cohort(again, Event()).analysed == 2
    assert len((tmp_path / "log").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("device", "gpus", "workers", "share"),
    [("cpu", 4, 2, 0), ("auto", 0, 2, 0), ("auto", 4, 2, 1), ("cuda", 1, 3, 0.333)],
)
def test_actors_share_the_gpus_of_the_cluster(
    device: str, gpus: float, workers: int, share: float
) -> None:
    assert gpu_share(device, gpus, workers) == share


def test_it_gives_what_the_processes_give(
    tmp_path: Path, toy_data: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(bundles))
    monkeypatch.chdir(tmp_path)
    studies = tmp_path / "studies"
    for number in (0, 1, 2):
        shutil.copytree(toy_data / "scan" / f"p{number}", studies / f"p{number}")
    sorted((studies / "p2").iterdir())[2].unlink()
    options = CohortOptions("tiny", "tiny", "cpu", sheets=2)
    by_ray = CohortRequest(studies, Path("ray"), options, engine="ray", workers=1)
    request = CohortRequest(studies, Path("processes"), options, workers=1)
    results = [run_cohort(one, Event()) for one in (by_ray, request)]
    assert [(one.analysed, len(one.failed)) for one in results] == [(2, 1)] * 2
    for study in list_studies(request):
        ours, theirs = (Path(root, "studies", study.case) for root in ("ray", "processes"))
        for name in ("boxes.json", "nodes.json", "linked_nodes.csv", "contact_sheet.png"):
            if study.status == "done":
                assert (ours / name).read_bytes() == (theirs / name).read_bytes()
        records = [json.loads((folder / "study.json").read_text()) for folder in (ours, theirs)]
        assert [{**record, "seconds": 0, "files": {}} for record in records] == [
            {**records[0], "seconds": 0, "files": {}}
        ] * 2
