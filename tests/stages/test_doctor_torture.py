"""doctor refuses exactly what detect refuses, over the torture set; neither leaves files about."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lnmdetect.cli import app
from lnmdetect.io.bundles import MODELS_VARIABLE
from tests.io.torture import TORTURES, Torture


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[pytest.mark.slow] if c.slow else [], id=c.name) for c in TORTURES],
)
def test_doctor_refuses_exactly_what_detect_refuses(
    tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch, case: Torture
) -> None:
    for folder in ("input", "output"):
        (tmp_path / folder).mkdir()
    scan = case.build(tmp_path / "input")
    before = files_below(tmp_path)
    monkeypatch.setenv(MODELS_VARIABLE, str(bundles))
    monkeypatch.chdir(tmp_path / "output")
    asked = typed("doctor", str(scan), "--model", "tiny", "--json")
    made = files_below(tmp_path) - before
    found = typed("detect", str(scan), "--model", "tiny", "--device", "cpu")
    expected = 0 if case.refusal is None else 3
    assert (asked.exit_code, found.exit_code) == (expected, expected), asked.output + found.output
    assert made == set()
    written = {Path("output/boxes.json"), Path("output/boxes.run.json"), Path("key/pseudonym.key")}
    assert files_below(tmp_path) - before <= written
    if asked.stdout:
        said = json.loads(asked.stdout)["verdict"]
        assert (said == "refusal") == (case.refusal is not None)
    if case.refusal is not None:
        first = found.stderr.strip().splitlines()[0]
        assert first.split(". ")[0] in asked.stderr  # the same sentence


def typed(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def files_below(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
