"""Every command that takes a scan, over the torture set: right or refused, and nothing elsewhere.

`doctor` and `detect` have their own test; here are `run`, and what reads the slices of a boxes file
again: `classify`, `nodes`, `export`. `pacs push` sends what it reads, unchanged.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lnmdetect.cli import app
from lnmdetect.io.bundles import MODELS_VARIABLE
from tests.io.torture import TORTURES, Torture, series

pytestmark = pytest.mark.slow
CASES = [pytest.param(case, id=case.name) for case in TORTURES]
READ_BESIDE_OTHERS = frozenset(
    {"copied file", "duplicate", "two patients", "two studies"}
    | {f"{kind} acquisitions" for kind in ("overlapped", "shifted", "interleaved")}
)
"""Refused as a scan, but every slice that a file lists by its uid is there once and whole."""
READ_WITH_ITS_OWN_GEOMETRY = frozenset({"tilt"})
"""Each slice is whole; where it lies is told by its header."""


@pytest.fixture
def folders(tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with input/ and output/, the latter the working folder."""
    for name in ("input", "output"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv(MODELS_VARIABLE, str(bundles))
    monkeypatch.chdir(tmp_path / "output")
    return tmp_path


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, bundles: Path) -> Iterator[Path]:
    """What `run` makes of the plain series; the folder holds its scan too."""
    folder = tmp_path_factory.mktemp("good")
    series(folder / "scan")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MODELS_VARIABLE, str(bundles))
        patch.setenv("LNMDETECT_KEY_FILE", str(folder / "key"))
        done = typed("run", folder / "scan", *MODELS, "-o", folder / "results")
        assert done.exit_code == 0, done.output
        yield folder


MODELS = ("--model", "tiny", "--classifier", "tiny", "--device", "cpu")
RESULTS = ("boxes.json", "nodes.json", "linked_nodes.json")


@pytest.mark.parametrize("case", CASES)
def test_run_is_right_or_refuses(folders: Path, good: Path, case: Torture) -> None:
    scan = case.build(folders / "input")
    before = files_below(folders)
    done = typed("run", scan, *MODELS, "-o", "results")
    assert done.exit_code == (0 if case.refusal is None else 3), done.output
    made = files_below(folders) - before
    if case.refusal is not None:
        assert made <= {Path("key/pseudonym.key")}
        return
    assert {path.parts[:2] for path in made} <= {("output", "results"), ("key", "pseudonym.key")}
    for name in RESULTS:
        mine, plain = (found(folder / "results" / name) for folder in (Path(), good))
        assert mine == plain


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "words",
    [
        ("classify", "boxes.json", "--model", "tiny", "--device", "cpu"),
        ("nodes", "nodes.json"),
        ("export", "gsps", "nodes.json"),
    ],
    ids=["classify", "nodes", "export"],
)
def test_slices_are_read_again_right_or_refused(
    folders: Path, good: Path, case: Torture, words: tuple[str, ...]
) -> None:
    scan = case.build(folders / "input")
    for name in RESULTS:
        shutil.copy(good / "results" / name, folders / "output")
    before = files_below(folders)
    output = "out" if words[0] == "export" else "out.json"
    done = typed(*words, "--scan", scan, "-o", output)
    readable = case.refusal is None or case.name in READ_BESIDE_OTHERS | READ_WITH_ITS_OWN_GEOMETRY
    # Where boxes lie does not hang on HU.
    readable |= words[0] == "export" and "Hounsfield" in sentence_of(scan)
    assert done.exit_code == (0 if readable else 3), done.output
    made = files_below(folders) - before
    assert {path.parts[0] for path in made} <= {"output", "key"}
    if done.exit_code == 0 and words[0] != "export" and case.name != "tilt":
        name = {"classify": "nodes.json", "nodes": "linked_nodes.json"}[words[0]]
        assert found(Path("out.json")) == found(good / "results" / name)


def sentence_of(scan: Path) -> str:
    return typed("doctor", scan, "--model", "tiny").stderr


def typed(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def files_below(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def found(path: Path) -> Any:
    """What a result says of the scan, whoever's key wrote it, and wherever it lay."""
    said = json.loads(path.read_text())
    parts = [said.get(name) for name in ("images", "annotations", "nodes")]
    return json.loads(json.dumps(parts), object_hook=without_patient)


def without_patient(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("patient", "node_id")}
