"""`lnmdetect nodes` as typed: what it prints and how it ends; on a painted node in a DICOM scan."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from lnmdetect.cli import app
from lnmdetect.core.records import METASTATIC, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import write_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series

SIDE, SLICES, SPACING_MM = 96, 4, (2.0, 0.5, 0.5)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with scan/ (a bright disc of 12 mm) and nodes.json (a box a slice)."""
    monkeypatch.chdir(tmp_path)
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    slice_hu = np.where(np.hypot(columns - 48, rows - 48) < 44, -90, -1000)
    slice_hu[np.hypot(columns - 30, rows - 48) < 12] = 110
    meta = CtSeriesMeta("n", "DOE-JANE", "DOE-JANE", SPACING_MM, 2.0, (-23.75, -23.75, 0.0))
    voxels = np.stack([slice_hu] * SLICES).astype(np.int16)
    written = write_ct_series(voxels, tmp_path / "scan", meta)
    images = tuple(
        ImageRecord(
            z + 1, f"{f.sop_instance_uid}.dcm", SIDE, SIDE, "p", "s", f.sop_instance_uid, z,
            f.position_mm, SPACING_MM[1:], 2.0,
        )
        for z, f in enumerate(written)
    )  # fmt: skip
    boxes = tuple(
        NodeAnnotation(
            z + 1, z + 1, METASTATIC, (18.0, 36.0, 42.0, 60.0), 0.9,
            probabilities={"benign": 0.25, "metastatic": 0.75},
        )
        for z in range(SLICES)
    )  # fmt: skip
    info = {"scan_root": "scan", "operating_threshold": 0.5}
    write_coco(CocoDataset(info, images, boxes), tmp_path / "nodes.json")
    return tmp_path


def typed(line: str) -> Result:
    return CliRunner().invoke(app, line.split()[1:])


def test_the_table_has_the_node_and_what_was_written_is_named(folder: Path) -> None:
    result = typed("lnmdetect nodes nodes.json")
    assert result.exit_code == 0, result.stderr
    row = next(line for line in result.stdout.splitlines() if " n1 " in line)
    assert row.split()[:6] == ["n1", "0-3", "right", "12.0*", "12.0", "0.90"]
    assert row.split()[8:] == ["0.75", "0.90"]
    said = result.stdout
    assert "Nodes in 3-D of p" in said
    assert "* short axis 10 mm or more" in said
    assert "4 boxes at the threshold 0.50: 1 node in 1 scan, 1 with a short axis of 10 mm" in said
    assert "linked_nodes.json, linked_nodes.csv: the nodes with their measures" in said


def test_without_truth_the_next_step_is_a_report_for_the_pacs_that_can_be_made(
    folder: Path,
) -> None:
    hint = typed("lnmdetect nodes nodes.json").stderr.splitlines()[-1]
    assert hint == "Next: lnmdetect export sr nodes.json --linked linked_nodes.json"
    assert typed(hint.removeprefix("Next: ") + " -o sr.dcm").exit_code == 0


def test_where_no_report_can_be_made_none_is_named(folder: Path) -> None:
    result = typed("lnmdetect nodes nodes.json --threshold 1")
    assert "Next: lnmdetect overlay nodes.json" in result.stderr


def test_every_patient_has_a_table_that_fits_80_columns(folder: Path) -> None:
    data = json.loads((folder / "nodes.json").read_text())
    for image in data["images"][2:]:
        image["lnmdetect"].update(patient="p-0123456789abcdef", series="t")
    (folder / "nodes.json").write_text(json.dumps(data))
    said = typed("lnmdetect nodes nodes.json").stdout
    assert said.count("Nodes in 3-D of p") == 2
    rows = [line for line in said.splitlines() if line.split()[:1] in (["n1"], ["node"])]
    assert len(rows) == 4
    assert max(len(row.rstrip()) for row in rows) <= 80


def test_json_is_the_nodes_and_nothing_else_on_stdout(folder: Path) -> None:
    result = typed("lnmdetect nodes --json")
    data = json.loads(result.stdout)
    assert data["nodes"][0]["suspicious_by_size"] is True
    assert data["nodes"] == json.loads(Path("linked_nodes.json").read_text())["nodes"]


def test_what_the_files_hold_tells_no_patient(folder: Path) -> None:
    typed("lnmdetect nodes -v")
    for path in folder.glob("linked_nodes*"):
        assert "DOE" not in path.read_text()


def test_a_second_run_is_refused_and_a_wrong_file_too(folder: Path) -> None:
    assert typed("lnmdetect nodes").exit_code == 0
    assert typed("lnmdetect nodes").exit_code == 5
    assert typed("lnmdetect nodes --overwrite").exit_code == 0
    assert typed("lnmdetect nodes none.json -o other.json").exit_code == 3


def test_where_truth_is_near_the_next_step_is_to_score_the_nodes(folder: Path) -> None:
    Path("truth.json").write_text("{}")
    said = typed("lnmdetect nodes").stderr
    assert "Next: lnmdetect eval --linked-nodes linked_nodes.json" in said


def test_of_key_images_the_boxes_are_scored_and_not_the_nodes(folder: Path) -> None:
    data = json.loads((folder / "nodes.json").read_text())
    data["info"]["coverage"] = "key_images"
    for name in ("nodes.json", "truth.json"):
        (folder / name).write_text(json.dumps(data))
    hint = typed("lnmdetect nodes nodes.json").stderr.splitlines()[-1]
    assert hint == "Next: lnmdetect eval"


def test_slices_that_share_no_series_are_told(folder: Path) -> None:
    data = json.loads((folder / "nodes.json").read_text())
    for image in data["images"]:
        del image["lnmdetect"]["series"]
    (folder / "nodes.json").write_text(json.dumps(data))
    result = typed("lnmdetect nodes nodes.json")
    assert "4 nodes in 4 scans" in result.stdout
    assert "nothing could be linked" in result.stderr
