"""`lnmdetect doctor` as it is typed: exit codes, tables, JSON, what to do next."""

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from lnmdetect.cli import app
from tests.io.torture import doubled_position, each, gap, series, setting, tilt
from tests.test_data_specs import errors


def typed(*words: object) -> Result:
    return CliRunner().invoke(app, ["doctor", *map(str, words)])


def test_a_sound_scan_ends_with_0_and_the_next_step(tmp_path: Path) -> None:
    done = typed(series(tmp_path / "scan"))
    assert done.exit_code == 0
    assert "The stages will read this; mind the warnings." in done.stdout
    assert done.stderr.splitlines()[-1] == f"Next: lnmdetect detect {tmp_path / 'scan'}"


def test_a_tilt_that_is_allowed_is_so_in_the_next_step(tmp_path: Path) -> None:
    scan = each(tilt)(tmp_path)
    refused = typed(scan)
    assert (refused.exit_code, "a gantry tilt of 20.0 degrees" in refused.stderr) == (3, True)
    assert "Give --allow-tilt" in refused.stderr
    allowed = typed(scan, "--allow-tilt")
    assert allowed.exit_code == 0
    assert allowed.stderr.splitlines()[-1] == f"Next: lnmdetect detect {scan} --allow-tilt"


def test_a_refused_study_ends_with_3_and_one_among_sound_ones_with_6(tmp_path: Path) -> None:
    gap(tmp_path)
    done = typed(tmp_path / "scan")
    assert done.exit_code == 3
    assert "1 slice is missing, at 9.00 mm first" in done.stderr
    assert "The stages would refuse this." in done.stdout
    assert "Next:" not in done.stderr
    series(tmp_path / "scan" / "b", seed="b", study="b")
    done = typed(tmp_path / "scan")
    assert done.exit_code == 6
    assert "The stages will read a part of this" in done.stdout


def test_of_many_scans_only_what_is_not_ok_is_shown(tmp_path: Path) -> None:
    for name in "abc":
        series(tmp_path / "scan" / name, seed=name, study=name)
    full = typed(tmp_path / "scan").stdout
    assert (full.count("No position is doubled."), full.count("less than a neck")) == (3, 3)
    series(tmp_path / "scan" / "d", seed="d", study="d")
    brief = typed(tmp_path / "scan").stdout
    assert (brief.count("No position is doubled."), brief.count("less than a neck")) == (0, 4)
    assert brief.count("21 checks ok, in full with --json") == 4
    assert brief.count("detect takes about") == 4


def test_json_is_alone_on_stdout_and_fits_its_schema(tmp_path: Path) -> None:
    done = typed(doubled_position(tmp_path), "--json")
    assert done.exit_code == 3
    said = json.loads(done.stdout)
    assert errors("doctor", said) == []
    assert (said["verdict"], said["scans"][0]["expected"]) == ("refusal", None)


def test_quiet_says_refusals_only(tmp_path: Path) -> None:
    done = typed(each(setting(PixelSpacing=None))(tmp_path), "-q")
    assert (done.exit_code, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1
    done = typed(series(tmp_path / "sound"), "-q")
    assert (done.exit_code, done.output) == (0, "")


def test_a_json_is_wrong_usage_and_an_unknown_model_the_models_mistake(tmp_path: Path) -> None:
    assert typed(tmp_path / "truth.json").exit_code == 2
    assert typed(series(tmp_path / "scan"), "--model", "absent").exit_code == 4
