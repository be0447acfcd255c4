"""The three commands as typed, in a folder that holds scan/ and truth.json; untrained models."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from lnmdetect.cli import app
from lnmdetect.core.config import Recipe
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.core.thresholds import Threshold
from lnmdetect.io.bundles import MODELS_VARIABLE, Bundle, write_bundle
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.io.recipes import Arm, read_recipe
from lnmdetect.training.classifier_task import ClassifierTask
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.training.task import Task

SIDE, SLICES = 128, 4
NARROW = {"width": 1 / 16}


def small_recipe(arm: Arm) -> Recipe:
    recipe = read_recipe("compact", arm)
    few = {"proposals_test": 5} if arm == "detector" else {"size_px": 32}
    model = recipe.model.model_copy(update=NARROW | few)
    changed = recipe.model_copy(update={"model": model})
    return type(recipe).model_validate(changed.model_dump())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an untrained bundle of each stage, named compact."""
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    arms: dict[Arm, Callable[..., Task]] = {"detector": DetectorTask, "classifier": ClassifierTask}
    for arm, make in arms.items():
        recipe = small_recipe(arm)
        threshold = Threshold(0.3, "a rule", "nothing")
        folder = root / f"{arm}-compact"
        bundle = Bundle("compact", recipe, threshold, True, {"ap50": 0.5}, "", folder)
        task = make(recipe, torch.device("cpu"), [])
        write_bundle(bundle, task.module.state_dict(), "card")
    return root


@pytest.fixture
def folder(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with scan/ (a disc of tissue) and truth.json (a node a slice)."""
    monkeypatch.setenv(MODELS_VARIABLE, str(models))
    monkeypatch.setenv("LNMDETECT_KEY_FILE", str(tmp_path / "pseudonym.key"))
    monkeypatch.chdir(tmp_path)
    write_scan(Path("scan"), "one")
    return tmp_path


def write_scan(place: Path, seed: str) -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    disc = np.where((x - 64) ** 2 + (y - 64) ** 2 < 50**2, 40, -1000).astype(np.int16)
    disc[60:70, 40:52] = 130
    meta = CtSeriesMeta(seed, seed, seed, (2.0, 0.6, 0.6), 2.0, (0.0, 0.0, 0.0))
    write_ct_series(np.stack([disc] * SLICES), place, meta)


def typed(line: str) -> Result:
    return CliRunner().invoke(app, line.split()[1:])


def write_truth() -> None:
    """Write truth.json for the slices of boxes.json, with one node a slice."""
    found = read_coco(Path("boxes.json"))
    nodes = tuple(
        NodeAnnotation(k, image.image_id, 1 + k % 2, (40.0, 60.0, 52.0, 70.0), node_id=f"n{k}")
        for k, image in enumerate(found.images, 1)
    )
    write_coco(CocoDataset({"scan_root": "scan"}, found.images, nodes), Path("truth.json"))


def test_the_three_commands_work_as_typed(folder: Path) -> None:
    detected = typed("lnmdetect detect scan/")
    assert detected.exit_code == 0, detected.stderr
    assert f"1 scan, {SLICES} slices:" in detected.stdout
    assert "Next: lnmdetect classify boxes.json" in detected.stderr
    write_truth()
    classified = typed("lnmdetect classify boxes.json")
    assert classified.exit_code == 0, classified.stderr
    scored = typed("lnmdetect eval --ap50")
    assert scored.exit_code == 0, scored.stderr
    assert "AP50" in scored.stdout
    nodes = read_coco(Path("nodes.json"))
    assert len(nodes.images) == SLICES
    for node in nodes.annotations:
        assert node.probabilities is not None
        assert sum(node.probabilities.values()) == pytest.approx(1)


def test_eval_says_the_same_with_json(folder: Path) -> None:
    typed("lnmdetect detect scan/")
    write_truth()
    alone = json.loads(typed("lnmdetect eval --ap50 --json").stdout)
    whole = json.loads(typed("lnmdetect eval --json -o metrics.json").stdout)
    assert alone["ap50"] == whole["detection"]["ap50"]
    assert json.loads(Path("metrics.json").read_text()) == whole


def test_what_comes_next_is_true_as_typed(folder: Path) -> None:
    def hint(line: str) -> str:
        return typed(line).stderr.split("Next: ")[1].splitlines()[0]

    assert hint("lnmdetect detect scan/") == "lnmdetect classify boxes.json"
    assert hint("lnmdetect classify boxes.json") == "lnmdetect overlay nodes.json"
    write_truth()
    assert hint("lnmdetect classify boxes.json --overwrite") == "lnmdetect eval"
    moved = "lnmdetect classify boxes.json -o moved/nodes.json"
    assert hint(moved) == "lnmdetect eval --nodes moved/nodes.json"
    shown = hint("lnmdetect eval --nodes moved/nodes.json")
    assert shown == "lnmdetect report --nodes moved/nodes.json"
    ran = hint("lnmdetect run scan/ -o out")
    linked = "--linked-nodes out/linked_nodes.json"
    assert ran == f"lnmdetect eval --nodes out/nodes.json {linked}"
    assert hint(ran) == f"lnmdetect report --nodes out/nodes.json {linked}"
    for line in (shown, "lnmdetect eval --nodes out/nodes.json", ran):
        assert typed(line).exit_code == 0


def test_eval_says_which_files_it_wrote(folder: Path) -> None:
    typed("lnmdetect detect scan/")
    write_truth()
    said = typed("lnmdetect eval -o out/metrics.json").stderr
    assert "Written: out/metrics.json and out/metrics.run.json" in said


def test_detect_twice_gives_the_same_bytes(folder: Path) -> None:
    assert typed("lnmdetect detect scan/ -o a/boxes.json").exit_code == 0
    assert typed("lnmdetect detect scan/ -o b/boxes.json").exit_code == 0
    assert Path("a/boxes.json").read_bytes() == Path("b/boxes.json").read_bytes()


def test_an_existing_output_needs_overwrite(folder: Path) -> None:
    Path("boxes.json").write_text("mine")
    refused = typed("lnmdetect detect scan/")
    assert refused.exit_code == 5
    assert "Give --overwrite to replace it" in refused.stderr
    assert Path("boxes.json").read_text() == "mine"
    assert typed("lnmdetect detect scan/ --overwrite").exit_code == 0


def test_run_does_all_in_one_folder(folder: Path) -> None:
    result = typed("lnmdetect run scan/ -o results --json")
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert data["detected"]["slices"] == SLICES
    assert data["picture"]["output"] == "results/contact_sheet.png"
    assert isinstance(data["linked"]["nodes"], int)
    written = {path.name for path in Path("results").iterdir()}
    assert {"boxes.json", "nodes.json", "contact_sheet.png"} <= written
    assert {"linked_nodes.json", "linked_nodes.csv"} <= written


def test_run_equals_detect_and_classify(folder: Path) -> None:
    typed("lnmdetect run scan/ -o results")
    typed("lnmdetect detect scan/")
    typed("lnmdetect classify boxes.json")
    for name in ("boxes.json", "nodes.json"):
        apart, joint = read_coco(Path(name)), read_coco(Path("results") / name)
        assert apart.annotations == joint.annotations
        assert joint.info["scan_root"] == "../scan"


def test_run_reads_both_bundles_before_it_detects(folder: Path, models: Path) -> None:
    wrong = f"lnmdetect run scan/ -o results --classifier {models}/detector-compact"
    refused = typed(wrong)
    assert refused.exit_code == 4
    assert "a detector's bundle; give it to `lnmdetect detect`" in refused.stderr
    assert "--classifier: expected" in typed("lnmdetect run scan/ --classifier none").stderr
    assert not Path("results").exists()


def test_a_png_without_key_images_is_told_of_that_option(folder: Path) -> None:
    Path("png").mkdir()
    Path("png/a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    said = typed("lnmdetect detect png/a.png").stderr
    assert "add --key-images and --pixel-spacing ROW COLUMN" in said


def test_run_refuses_before_it_starts_when_any_output_exists(folder: Path) -> None:
    Path("results").mkdir()
    Path("results/contact_sheet.png").write_bytes(b"mine")
    refused = typed("lnmdetect run scan/ -o results")
    assert refused.exit_code == 5
    assert [path.name for path in Path("results").iterdir()] == ["contact_sheet.png"]


def test_one_bad_scan_of_a_batch_leaves_code_6_and_the_others_written(folder: Path) -> None:
    write_scan(Path("scan/second"), "two")
    middle = sorted(Path("scan/second").glob("*.dcm"))[2]
    middle.unlink()
    result = typed("lnmdetect detect scan/")
    assert result.exit_code == 6, result.stderr
    assert "1 of the batch failed; the others are written." in result.stderr
    assert len(read_coco(Path("boxes.json")).images) == SLICES


def test_pseudonymised_uids_still_find_their_pixels(folder: Path) -> None:
    assert typed("lnmdetect detect scan/ --pseudonymise-uids").exit_code == 0
    classified = typed("lnmdetect classify boxes.json --scan scan")
    assert classified.exit_code == 0, classified.stderr


def test_an_unknown_model_lists_the_installed_ones(folder: Path) -> None:
    result = typed("lnmdetect detect scan/ --model vast")
    assert result.exit_code == 4
    assert "compact" in result.stderr
    assert "vast" in result.stderr


def test_models_lists_both_stages(folder: Path) -> None:
    listed = json.loads(typed("lnmdetect models --json").stdout)
    assert {(row["arm"], row["name"]) for row in listed} >= {
        ("detector", "compact"),
        ("classifier", "compact"),
    }
    table = typed("lnmdetect models").stdout
    assert "detector" in table
    assert "phantoms" in table


def test_no_file_or_message_holds_the_patients_identifier(folder: Path) -> None:
    write_scan(Path("scan"), "DOE-JANE-1970")
    result = typed("lnmdetect run scan/ -o results -v")
    assert result.exit_code == 0, result.stderr
    texts = [result.stdout, result.stderr]
    texts += [path.read_text() for path in Path("results").glob("*.json")]
    assert all("DOE" not in text and "JANE" not in text for text in texts)


def test_a_run_with_keyed_uids_writes_neither_uids_nor_paths(folder: Path) -> None:
    result = typed("lnmdetect run scan/ -o results --pseudonymise-uids")
    assert result.exit_code == 0, result.stderr
    for path in Path("results").glob("*.json"):
        assert "scan/" not in path.read_text()
        assert "../scan" not in path.read_text()
    said = typed("lnmdetect detect scan/ --pseudonymise-uids").stderr
    assert "Next: lnmdetect classify boxes.json --scan scan" in said


def test_the_overlay_of_a_moved_scan_needs_its_place(folder: Path) -> None:
    typed("lnmdetect detect scan/")
    Path("scan").rename("elsewhere")
    assert typed("lnmdetect overlay boxes.json").exit_code == 3
    assert typed("lnmdetect overlay boxes.json --scan elsewhere").exit_code == 0


def test_an_image_record_survives_the_pipeline_unchanged(folder: Path) -> None:
    typed("lnmdetect detect scan/")
    typed("lnmdetect classify boxes.json")
    boxes, nodes = read_coco(Path("boxes.json")), read_coco(Path("nodes.json"))
    assert boxes.images == nodes.images
    first: ImageRecord = boxes.images[0]
    assert (first.width, first.height, first.spacing_mm) == (SIDE, SIDE, (0.6, 0.6))
    assert [image.position_mm for image in boxes.images] == [0.0, 2.0, 4.0, 6.0]
    assert replace(first, image_id=1) == first
