"""run.json and the places named in data files."""

import json
from pathlib import Path

import pytest

from lnmdetect import __version__
from lnmdetect.core.errors import InputError
from lnmdetect.core.records import CocoDataset
from lnmdetect.io.pixel_roots import relative_root, scan_root
from lnmdetect.io.run_record import RunRecord, record_path


def test_the_record_lies_beside_its_output() -> None:
    assert record_path(Path("out/boxes.json")) == Path("out/boxes.run.json")
    assert record_path(Path("boxes")) == Path("boxes.run.json")


def test_a_record_says_what_was_run_with_what_on_what(tmp_path: Path) -> None:
    record = RunRecord("detect", {"model": "compact"}, seed=3)
    record.inputs["boxes.json"] = "ab"
    record.model["compact"] = "cd"
    record.lap("open")
    record.lap("detect")
    record.write(tmp_path / "run.json")
    found = json.loads((tmp_path / "run.json").read_text())
    assert found["lnmdetect"] == __version__
    assert found["packages"]["torch"].startswith("2.")
    assert (found["command"], found["seed"], found["config"]) == (
        "detect",
        3,
        {"model": "compact"},
    )
    assert (found["inputs"], found["model"]) == ({"boxes.json": "ab"}, {"compact": "cd"})
    assert list(found["timings_s"]) == ["open", "detect"]
    assert 20 < found["peak_memory_mb"] < 100_000
    assert found["started"].endswith("+00:00")
    assert (found["failures"], found["exit_status"]) == (0, 0)


def test_files_of_one_name_are_all_recorded_and_the_same_file_once() -> None:
    record = RunRecord("eval", {})
    record.add_inputs([("truth.json", "ab"), ("truth.json", "cd"), ("truth.json", "ab")])
    record.add_inputs([("truth.json", "ef"), ("nodes.json", "ab")])
    assert record.inputs == {
        "truth.json": "ab",
        "truth.json (2)": "cd",
        "truth.json (3)": "ef",
        "nodes.json": "ab",
    }


def test_a_run_in_which_a_part_failed_says_6(tmp_path: Path) -> None:
    assert RunRecord("x", {}, failures=2, ended_with=130).to_json()["exit_status"] == 130
    found = RunRecord("detect", {}, failures=2).to_json()
    assert (found["failures"], found["exit_status"]) == (2, 6)


def test_laps_of_one_name_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([12.0, 12.5, 15.0])
    monkeypatch.setattr("lnmdetect.io.run_record.time.monotonic", lambda: next(clock))
    record = RunRecord("x", {}, _clock=10.0)
    for name in ("read", "work", "read"):
        record.lap(name)
    assert record.timings_s == {"read": 4.5, "work": 0.5}


def data(**info: str) -> CocoDataset:
    return CocoDataset(info, (), ())


def test_pixels_lie_below_scan_root_unless_told_otherwise(tmp_path: Path) -> None:
    for name in ("run", "scan", "other"):
        (tmp_path / name).mkdir()
    file = tmp_path / "run/boxes.json"
    assert scan_root(file, data(scan_root="../scan"), None) == tmp_path / "run/../scan"
    assert scan_root(file, data(), None) == tmp_path / "run"
    assert scan_root(file, data(scan_root="../scan"), tmp_path / "other") == tmp_path / "other"


def test_a_file_moved_away_from_its_scans_is_refused_and_told_of_scan(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"boxes\.json: info\.scan_root: .* with --scan;"):
        scan_root(tmp_path / "boxes.json", data(scan_root="gone"), None)
    with pytest.raises(InputError, match=r"^--scan: expected a folder"):
        scan_root(tmp_path / "boxes.json", data(), tmp_path / "gone")


def test_a_root_is_told_relative_to_the_output(tmp_path: Path) -> None:
    assert relative_root(tmp_path / "scan", tmp_path / "boxes.json") == "scan"
    assert relative_root(tmp_path / "scan", tmp_path / "out" / "boxes.json") == "../scan"
    assert relative_root(Path("scan"), Path("boxes.json")) == "scan"
