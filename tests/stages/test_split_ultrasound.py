"""`split` of an ultrasound file: folds by patient, and the cases of each fold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lnmdetect.core.errors import UsageError
from lnmdetect.core.ultrasound import ImagePlace, UltrasoundCase, UltrasoundDataset
from lnmdetect.io.fold_file import read_folds
from lnmdetect.io.ultrasound_files import read_ultrasound, write_ultrasound
from lnmdetect.stages.split import SplitRequest, split


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """20 patients of one image each, half metastatic, hospital by number."""
    cases = []
    for number in range(20):
        name = f"{number}.png"
        Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / name)
        label = "metastatic" if number % 2 else "benign"
        case = UltrasoundCase(f"c{number}", f"p{number}", ImagePlace(name), (), "absent", label)  # type: ignore[arg-type]
        cases.append(replace(case, extra={"hospital": "AB"[number // 10]}))
    write_ultrasound(UltrasoundDataset({}, tuple(cases)), tmp_path / "ultrasound.json")
    return tmp_path / "ultrasound.json"


def test_a_test_part_is_dealt_off_evenly_by_label(data: Path, tmp_path: Path) -> None:
    result = split(SplitRequest(data, tmp_path / "folds.json", test_share=0.2))
    assert result.arm == "fusion"
    counts = {fold.name: fold.counts for fold in read_folds(tmp_path / "folds.json").folds}
    assert counts["test"] is not None
    assert (counts["test"].patients, counts["test"].benign, counts["test"].metastatic) == (4, 2, 2)


def test_the_cases_of_each_fold_find_their_images(data: Path, tmp_path: Path) -> None:
    request = SplitRequest(
        data, tmp_path / "folds.json", folds=2, site="hospital", write_truth=tmp_path / "parts"
    )
    result = split(request)
    assert [path.name for path in result.truth_files] == [
        "ultrasound_fold1.json", "ultrasound_fold2.json",
    ]  # fmt: skip
    parts = [read_ultrasound(path) for path in result.truth_files]
    assert [{case.extra["hospital"] for case in part.cases} for part in parts] in (
        [{"A"}, {"B"}],
        [{"B"}, {"A"}],
    )
    assert sum(len(part.cases) for part in parts) == 20
    assert parts[0].info["split"]["fold"] == "1"


def test_images_need_not_be_where_cases_are_dealt(data: Path, tmp_path: Path) -> None:
    for image in tmp_path.glob("*.png"):
        image.unlink()
    result = split(SplitRequest(data, tmp_path / "folds.json", write_truth=tmp_path / "parts"))
    assert len(result.truth_files) == 5


def test_a_column_that_no_case_has_is_to_be_added_to_the_cases(data: Path, tmp_path: Path) -> None:
    request = SplitRequest(data, tmp_path / "folds.json", site="machine")
    with pytest.raises(UsageError, match=r"finding, hospital.*to the cases of ultrasound\.json"):
        split(request)


def test_the_paper_s_deal_by_image_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="got ultrasound cases"):
        split(SplitRequest(data, tmp_path / "folds.json", protocol="wang2023"))
