"""Label maps in the folders of each tool, and what is read beside them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lnmdetect.core.cases import Case, CaseSet, Layout
from lnmdetect.core.errors import InputError
from lnmdetect.core.node_classes import TWO
from lnmdetect.io.case_file import write_cases
from lnmdetect.io.label_sets import read_label_set


def empty(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


@pytest.mark.parametrize(
    ("layout", "labels", "image"),
    [
        ("nifti", "labels/a.nii.gz", "images/a.nii.gz"),
        ("nnunet", "labelsTr/a.nii.gz", "imagesTr/a_0000.nii.gz"),
        ("nnunet", "labelsTs/a.nii.gz", "imagesTs/a_0000.nii.gz"),
        ("nnunet", "a.nii.gz", "plans.json"),
    ],
)
def test_of_a_data_set_the_label_maps_are_taken_and_not_the_images(
    tmp_path: Path, layout: Layout, labels: str, image: str
) -> None:
    empty(tmp_path, labels, image)
    (file,) = read_label_set(tmp_path, layout).files
    assert (file.case, file.path, file.instances) == ("a", tmp_path / labels, None)


def test_hidden_files_are_no_label_maps(tmp_path: Path) -> None:
    empty(tmp_path, "a.nii.gz", "._a.nii.gz")
    assert [file.case for file in read_label_set(tmp_path, "nnunet").files] == ["a"]


def test_one_file_is_a_label_map_of_its_own(tmp_path: Path) -> None:
    empty(tmp_path, "mine.nii", "other.nii")
    (file,) = read_label_set(tmp_path / "mine.nii", "nifti").files
    assert file.case == "mine"


def test_the_classes_of_nnunet_are_those_of_its_dataset_json(tmp_path: Path) -> None:
    empty(tmp_path, "a.nii.gz")
    info = {"labels": {"background": 0, "metastatic": 2, "negative": 1, "ignore": 3}}
    (tmp_path / "dataset.json").write_text(json.dumps(info))
    assert read_label_set(tmp_path, "nnunet").names == {1: "negative", 2: "metastatic"}
    assert read_label_set(tmp_path, "nifti").names == {}


def test_instances_and_classes_of_nndetection_are_read_from_both_tables(tmp_path: Path) -> None:
    empty(tmp_path, "raw_splitted/labelsTr/a.nii.gz")
    (tmp_path / "raw_splitted/labelsTr/a.json").write_text('{"instances": {"1": 0, "2": 1}}')
    (tmp_path / "dataset.json").write_text('{"labels": {"0": "negative", "1": "metastatic"}}')
    found = read_label_set(tmp_path, "nndetection")
    assert found.files[0].instances == {1: 0, 2: 1}
    assert found.names == {0: "negative", 1: "metastatic"}


def test_cases_json_is_taken_from_the_folder_or_from_where_it_is_said(tmp_path: Path) -> None:
    empty(tmp_path, "set/labels/a.nii.gz")
    cases = CaseSet("nifti", "classes", TWO, (Case("a", "p", "1.2", 3),))
    assert read_label_set(tmp_path / "set", "nifti").cases is None
    write_cases(cases, tmp_path / "elsewhere.json")
    assert read_label_set(tmp_path / "set", "nifti", tmp_path / "elsewhere.json").cases == cases
    write_cases(cases, tmp_path / "set/cases.json")
    assert read_label_set(tmp_path / "set", "nifti").cases == cases
    other = replace(cases, is_phantom=True)
    write_cases(other, tmp_path / "other.json")
    assert read_label_set(tmp_path / "set", "nifti", tmp_path / "other.json").cases == other


def test_a_place_without_label_maps_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match=r"a label map \(.nii or .nii.gz\)"):
            read_label_set(place, "nifti")


@pytest.mark.parametrize("text", ['{"labels": {"a": [1, 2]}}', '{"labels": []}', "{}", "["])
def test_a_damaged_dataset_json_is_named(tmp_path: Path, text: str) -> None:
    empty(tmp_path, "a.nii.gz")
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(InputError, match=r"dataset\.json"):
        read_label_set(tmp_path, "nnunet")
