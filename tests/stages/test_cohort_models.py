"""A cohort through real models: what `run` gives of each study, and no more of a bad one."""

import json
import os
import shutil
import zipfile
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from lnmdetect.io.bundles import MODELS_VARIABLE
from lnmdetect.io.coco import read_coco
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.stages.cohort import run_cohort
from lnmdetect.stages.cohort_list import list_studies
from lnmdetect.stages.cohort_request import CohortRequest
from lnmdetect.stages.cohort_study import CohortOptions
from lnmdetect.stages.run import RunRequest, run
from tests.test_data_specs import errors

pytestmark = pytest.mark.slow


@pytest.fixture
def request_for(tmp_path: Path, toy_data: Path, bundles: Path, monkeypatch: Any) -> CohortRequest:
    """A cohort of five: two sound folders, a sound zip, one without a slice, one cut short."""
    monkeypatch.setenv(MODELS_VARIABLE, str(bundles))
    monkeypatch.chdir(tmp_path)
    studies = Path("studies")
    for number in (0, 1, 3, 4):
        shutil.copytree(toy_data / "scan" / f"p{number}", studies / f"p{number}")
    with zipfile.ZipFile(studies / "p2.zip", "w") as archive:
        for path in (toy_data / "scan" / "p2").iterdir():
            archive.write(path, path.name)
    sorted((studies / "p3").iterdir())[2].unlink()
    torn = sorted((studies / "p4").iterdir())[2]
    torn.write_bytes(torn.read_bytes()[:-200])
    options = CohortOptions("tiny", "tiny", "cpu", sheets=2)
    return CohortRequest(studies, Path("out"), options, workers=1)


def test_each_study_has_what_run_gives_of_it_and_a_bad_one_only_its_reason(
    request_for: CohortRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    result = run_cohort(request_for, Event())
    cases = {study.path.name: study for study in list_studies(request_for)}
    assert (result.analysed, len(result.failed), result.missing) == (3, 2, 0)
    assert {name for name, study in cases.items() if study.status == "failed"} == {"p3", "p4"}
    for name, listed in cases.items():
        folder = Path("out", "studies", listed.case)
        record = json.loads((folder / "study.json").read_text())
        assert errors("study", record) == []
        if listed.status == "failed":
            assert [path.name for path in folder.iterdir()] == ["study.json"]
            continue
        alone = Path("alone", name)
        run(RunRequest(listed.path, alone, "tiny", "tiny", device="cpu", slices=2))
        for file in ("boxes.json", "nodes.json"):
            ours, theirs = read_coco(folder / file), read_coco(alone / file)
            assert (ours.images, ours.annotations) == (theirs.images, theirs.annotations)
            assert ours.info["scan_root"] == "../../../studies"
            assert errors(file.removesuffix(".json"), json.loads((folder / file).read_text())) == []
        linked = [json.loads((f / "linked_nodes.json").read_text()) for f in (folder, alone)]
        assert linked[0]["nodes"] == linked[1]["nodes"]
        assert linked[0]["info"]["scan_root"] == "../../../studies"
        assert (folder / "linked_nodes.csv").read_bytes() == (
            alone / "linked_nodes.csv"
        ).read_bytes()
        assert (folder / "contact_sheet.png").is_file()
        assert record["figures"]["nodes"] == len(linked[1]["nodes"])
        assert {name: (folder / name).stat().st_size for name in record["files"]} == record["files"]
    assert errors("run", json.loads(Path("out", "run.json").read_text())) == []
    boxes = Path("out", "studies", cases["p1"].case, "boxes.json")
    image = read_coco(boxes).images[0]
    root = boxes.parent / str(read_coco(boxes).info["scan_root"])
    assert PixelStore(root, png_folder=boxes.parent).read(image).shape == (96, 96)
    again = run_cohort(request_for, Event())
    assert (again.analysed, again.skipped) == (0, 3)
    assert os.environ["OMP_NUM_THREADS"] == "1"
