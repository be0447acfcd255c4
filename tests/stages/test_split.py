"""split: truth.json in, folds.json and truth files of each fold out."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.errors import InputError, OutputError, UsageError
from lnmdetect.core.records import CocoDataset, ImageRecord
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.fold_file import read_folds
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.scan_source import open_source
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.split import SplitRequest, SplitResult, split

Split = Callable[..., SplitResult]


@pytest.fixture
def deal(toy_data: Path, tmp_path: Path) -> Split:
    """A function that deals the five toy patients into the test's folder."""

    def call(**changes: Any) -> SplitResult:
        values: dict[str, Any] = {
            "truth": toy_data / "truth.json",
            "output": tmp_path / "folds.json",
            "folds": None if "test_share" in changes or "protocol" in changes else 2,
            **changes,
        }
        return split(SplitRequest(**values))

    return call


def test_the_file_holds_what_was_dealt_and_from_what(deal: Split, toy_data: Path) -> None:
    result = deal()
    assert read_folds(result.output) == result.folds
    assert result.folds.truth_file == "truth.json"
    assert result.folds.truth_sha256 == sha256_of_file(toy_data / "truth.json")
    assert result.folds.patients() == {f"p{n}" for n in range(5)}
    record = json.loads(result.output.with_suffix(".run.json").read_text())
    assert (record["command"], record["seed"]) == ("split", 0)


def test_five_folds_are_dealt_unless_another_number_is_asked_for(deal: Split) -> None:
    assert deal(folds=None).folds.names == ("1", "2", "3", "4", "5")


@pytest.mark.parametrize("by", ["study", "series", "image", "node"])
def test_a_grouping_finer_than_a_patient_is_refused_with_the_reason(deal: Split, by: str) -> None:
    with pytest.raises(UsageError, match=r"expected patient.*would meet again in another"):
        deal(by=by)


def test_a_coarser_grouping_is_sent_to_site(deal: Split) -> None:
    with pytest.raises(UsageError, match="give --site hospital"):
        deal(by="hospital")


def test_an_existing_file_is_kept_without_overwrite(deal: Split) -> None:
    deal()
    with pytest.raises(OutputError, match="overwrite"):
        deal(seed=1)
    assert deal(seed=1, overwrite=True).folds.seed == 1


def test_truth_files_of_the_folds_hold_every_slice_once_and_find_their_pixels(
    deal: Split, toy_data: Path, tmp_path: Path
) -> None:
    result = deal(write_truth=tmp_path / "deep" / "parts")
    assert [path.name for path in result.truth_files] == ["truth_fold1.json", "truth_fold2.json"]
    keys = []
    for path, fold in zip(result.truth_files, result.folds.folds, strict=True):
        part = read_coco(path)
        assert set(part.patients()) == set(fold.patients)
        assert part.coverage == "all_slices"
        expected = {"fold": fold.name, "protocol": "by_patient", "warning": None}
        assert part.info["split"] == expected
        store = PixelStore(path.parent / part.info["scan_root"])
        assert store.read(part.images[0]).shape == (96, 96)
        keys += [image.join_key for image in part.images]
    assert sorted(keys) == sorted(i.join_key for i in read_coco(toy_data / "truth.json").images)


def test_truth_files_of_png_slices_find_them(tmp_path: Path) -> None:
    images = []
    for number in range(1, 5):
        name = f"pngs/{number}.png"
        (tmp_path / "data" / "pngs").mkdir(parents=True, exist_ok=True)
        stored = np.full((8, 8), 1024 + number, dtype=np.uint16)
        cv2.imwrite(str(tmp_path / "data" / name), stored)
        images.append(ImageRecord(number, name, 8, 8, f"p{number}", name, "", 0, 0.0, (0.5, 0.5)))
    info = {"coverage": "key_images", "scan_root": "pngs"}
    write_coco(CocoDataset(info, tuple(images), ()), tmp_path / "data" / "truth.json")
    request = SplitRequest(
        tmp_path / "data" / "truth.json",
        tmp_path / "folds.json",
        folds=2,
        write_truth=tmp_path / "elsewhere",
    )
    for path in split(request).truth_files:
        for handle in open_source(path).scans:
            (record,) = handle.images
            assert handle.load().voxels_hu.max() == int(record.patient[1:])


def test_folds_that_are_there_are_taken_as_they_are(deal: Split, tmp_path: Path) -> None:
    first = deal(seed=3)
    again = deal(
        folds=None,
        folds_file=first.output,
        output=tmp_path / "unused.json",
        write_truth=tmp_path / "parts",
    )
    assert again.folds == first.folds
    assert len(again.truth_files) == 2
    assert not (tmp_path / "unused.json").exists()


def test_folds_of_other_patients_are_refused(deal: Split, toy_data: Path, tmp_path: Path) -> None:
    first = deal()
    truth = read_coco(toy_data / "truth.json")
    images = tuple(
        replace(i, patient="p9") if i.patient == "p1" else i
        for i in truth.images
        if i.patient != "p0"
    )
    kept = {image.image_id for image in images}
    nodes = tuple(node for node in truth.annotations if node.image_id in kept)
    write_coco(replace(truth, images=images, annotations=nodes), tmp_path / "other.json")
    with pytest.raises(InputError) as error:
        deal(truth=tmp_path / "other.json", folds=None, folds_file=first.output)
    assert str(error.value).startswith(
        "folds.json: expected folds of the 4 patients of other.json, "
        "got 1 of them in no fold and 2 others, made from truth.json."
    )


@pytest.mark.parametrize(
    "changes", [{"folds": 3}, {"site": "x"}, {"stratify": ("class",)}, {"test_share": 0.3}]
)
def test_the_papers_deal_takes_no_other_rule(deal: Split, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no --folds, --stratify, --site or --test-share"):
        deal(protocol="wang2023", **changes)


def test_the_papers_deal_is_marked_in_every_file(deal: Split, tmp_path: Path) -> None:
    result = deal(protocol="wang2023", write_truth=tmp_path / "parts")
    written = json.loads(result.output.read_text())
    assert written["info"]["protocol"] == "wang2023"
    assert written["info"]["warning"].startswith("optimistic, for reproduction only")
    for path in result.truth_files:
        part = read_coco(path)
        assert part.coverage == "key_images"
        assert part.info["split"]["warning"] == result.folds.warning


def test_the_command_prints_a_table_and_the_next_step(toy_data: Path, tmp_path: Path) -> None:
    output = tmp_path / "f.json"
    arguments = ["split", str(toy_data / "truth.json"), "--folds", "2", "-o", str(output)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    assert "Folds, seed 0, phantoms" in result.stdout
    assert "boxes class metastatic" in result.stdout
    assert f"train detector --data {toy_data / 'truth.json'} --folds {output}" in result.stderr


def test_the_command_warns_of_the_papers_deal_on_stdout_and_stderr(
    toy_data: Path, tmp_path: Path
) -> None:
    base = ["split", str(toy_data / "truth.json"), "--protocol", "wang2023", "-o"]
    shown = CliRunner().invoke(app, [*base, str(tmp_path / "a.json")])
    assert "OPTIMISTIC (wang2023)" in shown.stdout
    assert "Warning: optimistic, for reproduction only" in shown.stderr
    as_json = CliRunner().invoke(app, [*base, str(tmp_path / "b.json"), "--json"])
    assert "172/202 = 85.1 %" in json.loads(as_json.stdout)["info"]["warning"]


@pytest.mark.parametrize("protocol", ["wang2023", "by_patient"])
def test_eval_repeats_the_warning_of_the_papers_deal_once(
    deal: Split, tmp_path: Path, protocol: str
) -> None:
    folds = None if protocol == "wang2023" else 2
    result = deal(protocol=protocol, folds=folds, write_truth=tmp_path / "parts")
    part = read_coco(result.truth_files[1])
    boxes = tuple(replace(node, score=0.9, ignored=False) for node in part.annotations)
    write_coco(replace(part, annotations=boxes), tmp_path / "boxes.json")
    request = EvalRequest(result.truth_files[1:], boxes=(tmp_path / "boxes.json",), bootstrap=0)
    said = [note for note in evaluate(request).info.notes if "folds" in note]
    assert said == ([f"The folds are {result.folds.warning}."] if result.folds.warning else [])
