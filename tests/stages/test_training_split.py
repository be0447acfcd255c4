"""Who is trained on when a fold is held out, and what of it is written down."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lnmdetect.core.errors import InputError, LnmDetectError, ModelError, UsageError
from lnmdetect.core.folds import Fold, FoldSet
from lnmdetect.core.records import CocoDataset
from lnmdetect.datasets.folds import DealRule, deal_as_wang2023, deal_by_patient
from lnmdetect.io.bundles import read_bundle
from lnmdetect.io.coco import read_coco
from lnmdetect.io.fold_file import write_folds
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.recipes import read_recipe
from lnmdetect.stages.train_classifier import train_classifier
from lnmdetect.stages.training_run import TrainRequest, TrainResult, begin_run
from lnmdetect.stages.training_split import HeldOut, hold_out
from lnmdetect.training import ranks

Hold = Callable[..., tuple[CocoDataset, HeldOut | None]]


@pytest.fixture
def hold(toy_data: Path, tmp_path: Path) -> Hold:
    """A function that holds a fold of the toy data out; the folds are given or dealt."""

    def call(fold: str | None, folds: FoldSet | None = None) -> tuple[CocoDataset, HeldOut | None]:
        truth = read_coco(toy_data / "truth.json")
        dealt = folds or deal_by_patient(truth, DealRule(2, 0, test_share=0.2))
        write_folds(dealt, tmp_path / "folds.json", overwrite=True)
        return hold_out(truth, toy_data / "truth.json", tmp_path / "folds.json", fold)

    return call


def given(**patients: tuple[str, ...]) -> FoldSet:
    return FoldSet(tuple(Fold(name.strip("_"), names) for name, names in patients.items()))


THREE = given(_1=("p0", "p1"), _2=("p2", "p3"), test=("p4",))


def test_neither_the_fold_nor_the_test_part_is_trained_on(hold: Hold) -> None:
    truth, held_out = hold("2", THREE)
    assert truth.patients() == ("p0", "p1")
    assert {image.patient for image in truth.images} == {"p0", "p1"}
    assert held_out is not None
    assert (held_out.fold, held_out.patients, held_out.folds) == ("2", ("p2", "p3"), 3)


def test_all_folds_are_trained_on_where_the_test_part_is_held_out(hold: Hold) -> None:
    truth, held_out = hold("test", THREE)
    assert truth.patients() == ("p0", "p1", "p2", "p3")
    assert held_out is not None
    assert held_out.patients == ("p4",)


def test_of_several_processes_only_the_first_empties_the_folder_and_writes_the_split(
    toy_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, recipe = read_coco(toy_data / "truth.json"), read_recipe("compact", "detector")
    first = TrainRequest(toy_data / "truth.json", "compact", tmp_path, seed=1)
    split = begin_run(first, truth, recipe, None)
    (tmp_path / "last.pt").touch()
    written = (tmp_path / "split.json").stat().st_mtime_ns
    monkeypatch.setattr(ranks, "is_first", lambda: False)
    assert begin_run(replace(first, seed=2), truth, recipe, None) == split
    assert (tmp_path / "last.pt").is_file()
    assert (tmp_path / "split.json").stat().st_mtime_ns == written


def test_without_folds_all_is_trained_on(toy_data: Path) -> None:
    truth = read_coco(toy_data / "truth.json")
    assert hold_out(truth, toy_data / "truth.json", None, None) == (truth, None)


@pytest.mark.parametrize(("folds", "fold"), [(Path("folds.json"), None), (None, "1")])
def test_one_option_without_the_other_is_refused(
    toy_data: Path, folds: Path | None, fold: str | None
) -> None:
    with pytest.raises(UsageError, match="both --folds and --fold, or neither"):
        hold_out(CocoDataset({}, (), ()), toy_data / "truth.json", folds, fold)


@pytest.mark.parametrize(
    ("fold", "folds", "sentence"),
    [
        ("7", THREE, "--fold: expected one of 1, 2, test, the folds of folds.json, got 7"),
        ("train", given(train=("p0", "p1", "p2"), test=("p3", "p4")), "one of test, the folds"),
        ("1", given(_1=("p0", "p1", "p2", "p3"), test=("p4",)), "another fold to train on"),
        ("1", given(_1=("p0", "p1"), _2=("p2", "p3")), "got 1 of them in no fold and 0 others"),
        (
            "1",
            given(_1=("p0", "p1", "p2"), _2=("p2", "p3", "p4")),
            "expected each patient in one fold, got 1 in two or more",
        ),
    ],
)
def test_folds_that_do_not_fit_are_refused(
    hold: Hold, fold: str, folds: FoldSet, sentence: str
) -> None:
    with pytest.raises(LnmDetectError, match=sentence):
        hold(fold, folds)


def test_the_papers_deal_is_trained_on_its_images_with_a_warning(
    hold: Hold, toy_data: Path
) -> None:
    folds = deal_as_wang2023(read_coco(toy_data / "truth.json"), 0)
    truth, held_out = hold("test", folds)
    assert {image.join_key for image in truth.images} == set(folds.folds[0].images or ())
    assert truth.coverage == "key_images"
    assert held_out is not None
    assert held_out.notes()[0].startswith("the folds are optimistic, for reproduction only")
    assert "optimistic" in held_out.described()["warning"]


def test_folds_of_another_version_of_the_file_are_used_and_that_is_said(
    hold: Hold, toy_data: Path
) -> None:
    folds = (Fold("1", ("p0", "p1")), Fold("2", ("p2", "p3", "p4")))
    same = FoldSet(
        folds, truth_file="truth.json", truth_sha256=sha256_of_file(toy_data / "truth.json")
    )
    other = FoldSet(folds, truth_file="truth.json", truth_sha256="0" * 64)
    for made, notes in ((same, 0), (other, 1)):
        held_out = hold("1", made)[1]
        assert held_out is not None
        assert len(held_out.notes()) == notes


@pytest.fixture
def train(toy_data: Path, tmp_path: Path, make_recipe: Callable[..., Path]) -> Any:
    """A function that trains a tiny classifier on the folds 1 and test, 2 held out."""
    folds = given(_1=("p0", "p1", "p2"), _2=("p3", "p4"))
    write_folds(folds, tmp_path / "folds.json")

    def call(fold: str = "2", **changes: Any) -> TrainResult:
        request = TrainRequest(
            toy_data / "truth.json",
            str(make_recipe("classifier")),
            tmp_path / "run",
            device="cpu",
            folds=tmp_path / "folds.json",
            fold=fold,
            **changes,
        )
        return train_classifier(request)

    return call


def test_split_card_and_record_tell_which_fold_was_not_touched(train: Any, tmp_path: Path) -> None:
    result = train()
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert sorted(split["training"] + split["validation"]) == ["p0", "p1", "p2"]
    assert (split["test"], split["fold"]) == (["p3", "p4"], "2")
    sha256 = sha256_of_file(tmp_path / "folds.json")
    assert split["folds"] == {"file": "folds.json", "sha256": sha256}
    bundle = read_bundle(str(result.bundle), "classifier")
    assert bundle.data["held out"] == "fold 2 of folds.json (2 patients)"
    assert "fold 2 of folds.json" in (result.bundle / "card.md").read_text()
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["config"]["fold"] == "2"
    assert record["inputs"]["folds.json"] == sha256


def test_a_run_is_not_resumed_with_another_fold(train: Any) -> None:
    train()
    with pytest.raises(InputError, match="the 3 patients the run began with"):
        train("1", resume=True)


def test_a_run_is_not_resumed_with_another_folds_file(train: Any, tmp_path: Path) -> None:
    train()
    folds = given(_1=("p2", "p1", "p0"), _2=("p3", "p4"))
    write_folds(folds, tmp_path / "folds.json", overwrite=True)
    with pytest.raises(ModelError, match="begun with another folds file"):
        train(resume=True)
