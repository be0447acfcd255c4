"""What is said and written of values that are not allowed, of names in paths, and of bugs."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from lnmdetect.io.bundles import MODELS_VARIABLE
from lnmdetect.io.quiet import quiet_dicom
from tests import canary
from tests.canary import holders, leaks, typed
from tests.io import torture

pytestmark = pytest.mark.slow

MODELS = "--model tiny --device cpu -v"


@pytest.fixture
def folder(tmp_path: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder."""
    monkeypatch.setenv(MODELS_VARIABLE, str(bundles))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spoiled(scan: Path) -> Path:
    """Write a scan whose header values are of no kind that the standard allows."""
    for path in sorted(torture.series(scan / "P0").iterdir()):
        with quiet_dicom():
            torture.rewrite(path, partial(canary.spoil, patient="P0"))
    return scan


SPOILED = (
    "doctor scan --model tiny -v",
    f"detect scan {MODELS}",
    f"classify boxes.json {MODELS}",
    "nodes nodes.json --threshold 0.1 -v",
    "export sr nodes.json --threshold 0.1 -v",
    "export gsps nodes.json --threshold 0.1 -v",
    "export sc nodes.json --threshold 0.1 -v",
    "export coco sr.dcm -o back.json -v",
    "overlay nodes.json -v",
)


ONE_AFTER_THE_OTHER = """
import sys
from lnmdetect.cli import app
for line in sys.argv[1:]:
    try:
        app(line.split())
    except SystemExit as end:
        print("ended with", end.code, flush=True)
"""


def test_libraries_quote_no_value_that_is_not_allowed(folder: Path) -> None:
    spoiled(folder / "scan")
    words = ["-W", "always::UserWarning", "-c", ONE_AFTER_THE_OTHER, *SPOILED]
    run = subprocess.run([sys.executable, *words], capture_output=True, check=False)
    said = run.stdout + run.stderr
    assert said.count(b"ended with 0") == len(SPOILED), said.decode()
    assert leaks(said) == []
    assert b"Warning" not in said
    written = [path for path in folder.rglob("*") if "scan" not in path.parts]
    assert {path.name: found for path in written if (found := _leaks_of(path))} == {}


def _leaks_of(path: Path) -> list[str]:
    """Return what a file holds; of DICOM objects what is beside the patient's identity."""
    if not path.is_file() or path.suffix != ".dcm":
        return [] if path.is_dir() else leaks(path.read_bytes())
    identity = {"PatientID", "StudyID", "AccessionNumber", "PatientName", "ReferringPhysicianName"}
    return sorted(canary.identity_of(path).keys() - identity)


def _compressed(dataset: Dataset) -> None:
    dataset.compress(RLELossless, generate_instance_uid=False)


def _damaged(dataset: Dataset) -> None:
    dataset.PixelData = encapsulate([b"no segments" * 10])


def _damaged_and_compressed(dataset: Dataset) -> None:
    _compressed(dataset)
    _damaged(dataset)


@pytest.fixture
def named(folder: Path) -> Callable[[str], Path]:
    """A function that breaks a scan whose folder and files are named as the patient."""

    def make(case: str) -> Path:
        build = next(t.build for t in torture.TORTURES if t.name == case)
        (folder / "in").mkdir()
        scan = build(folder / "in")
        home = scan / f"{canary.CANARY}_folder"
        home.mkdir()
        for path in [p for p in scan.iterdir() if p.is_file()]:
            path.rename(home / f"{canary.CANARY}_{path.name}")
        return scan

    return make


@pytest.mark.parametrize("case", ["plain", "duplicate", "truncated", "cut in the header", "gap"])
def test_names_of_files_are_in_refusals_alone_and_in_no_file(
    folder: Path, named: Callable[[str], Path], case: str
) -> None:
    named(case)
    (folder / "out").mkdir()
    said = typed(f"detect in/scan -o out/boxes.json {MODELS}")
    assert said.exit_code == (0 if case == "plain" else 3)
    assert str(folder) not in said.text
    if case == "plain":
        assert leaks(said.text) == []
    assert holders(folder / "out") == {}


def test_a_page_names_no_file_that_could_not_be_read(
    folder: Path, named: Callable[[str], Path]
) -> None:
    scan = named("plain")
    (folder / "out").mkdir()
    for path in scan.rglob("*.dcm"):
        torture.rewrite(path, _compressed)
    assert typed(f"detect in/scan -o out/boxes.json {MODELS}").exit_code == 0
    data = json.loads(Path("out/boxes.json").read_text())
    info = {"scan_root": data["info"]["scan_root"], "coverage": "all_slices", "phantom": True}
    kept = data["annotations"][:40]
    nodes = [
        {**{k: v for k, v in box.items() if k != "score"}, "category_id": 1 + n % 2}
        for n, box in enumerate(kept)
    ]
    Path("out/truth.json").write_text(json.dumps({**data, "info": info, "annotations": nodes}))
    # Damaged after the detection, as on a failing disk.
    for path in scan.rglob("*.dcm"):
        torture.rewrite(path, _damaged)
    words = "report --truth out/truth.json --boxes out/boxes.json --bootstrap 5 -o out/page.html"
    page = typed(words)
    assert page.exit_code == 0
    assert "8 slices have no picture" in page.text
    assert holders(folder / "out") == {}


def test_the_text_of_an_unexpected_error_is_not_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torture.series(folder / "scan")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(canary.NAME) from ValueError(canary.CANARY)

    monkeypatch.setattr("lnmdetect.io.scan_source.load_key", fail)
    for option in ("-v", "-q", "--json"):
        said = typed(f"detect scan --model tiny --device cpu {option}")
        assert (said.exit_code, leaks(said.text)) == (1, [])
        assert "an unexpected RuntimeError in" in said.text
        assert ("test_phi_hostile.py" in said.text) == (option == "-v")


def test_a_table_names_no_file_that_could_not_be_read(folder: Path, toy_data: Path) -> None:
    from tests.stages.test_phi_canary import BENCHMARK

    Path("bench.yaml").write_text(yaml.safe_dump(BENCHMARK))
    for source in sorted((toy_data / "scan").rglob("*.dcm")):
        home = folder / "scan" / f"{canary.CANARY}_{source.parent.name}"
        home.mkdir(parents=True, exist_ok=True)
        torture.rewrite(source, _damaged_and_compressed, to=home / source.name)
    said = typed(
        f"benchmark bench.yaml --data {toy_data}/truth.json --scan scan -o out --device cpu -v"
    )
    assert said.exit_code == 6
    assert "pixel data that cannot be decoded" in said.text
    assert holders(folder / "out") == {}


def test_a_row_that_fails_of_an_unexpected_error_keeps_its_text_out_of_the_table(
    folder: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.stages.test_phi_canary import BENCHMARK

    Path("bench.yaml").write_text(yaml.safe_dump(BENCHMARK))

    def fail(*_: object, **__: object) -> None:
        raise ValueError(f"invalid literal: {canary.NAME}")

    monkeypatch.setattr("lnmdetect.stages.benchmark_row.train_classifier", fail)
    said = typed(f"benchmark bench.yaml --data {toy_data}/truth.json -o out --device cpu -v")
    assert (said.exit_code, leaks(said.text)) == (6, [])
    assert "one failed. an unexpected ValueError" in said.text
    assert holders(folder / "out") == {}
