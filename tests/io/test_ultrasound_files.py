"""ultrasound.json: read back as it was written, and what is wrong with it named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lnmdetect.core.errors import InputError
from lnmdetect.core.ultrasound import ImagePlace, UltrasoundCase, UltrasoundDataset
from lnmdetect.io.ultrasound_files import (
    lists_ultrasound,
    read_ultrasound,
    ultrasound_to_json,
    write_ultrasound,
)

FULL = UltrasoundCase(
    "a", "p-1", ImagePlace("a.png"), (ImagePlace("b.png"), ImagePlace("c.png", "peak")),
    "present", "metastatic", 41.5, "F", "left lobe", 12.25, "test",
    {"hospital": "A"},
)  # fmt: skip
BARE = UltrasoundCase("b", "p-2", None, (), "unknown", None)
DATASET = UltrasoundDataset(
    {"description": "d", "lnmdetect_version": "1", "phantom": True, "scan_root": "images"},
    (FULL, BARE),
    {"mine": 3},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with images/ of three pictures, and no JSON."""
    (tmp_path / "images").mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "images" / f"{name}.png")
    return tmp_path


def written(folder: Path, changes: dict[str, Any] | None = None) -> Path:
    """Write the data set with the fields at some places (`cases/0/label`) changed."""
    data = json.loads(json.dumps(ultrasound_to_json(DATASET)))
    for place, value in (changes or {}).items():
        *parents, last = [int(key) if key.isdigit() else key for key in place.split("/")]
        inner = data
        for step in parents:
            inner = inner[step]
        inner[last] = value
    (folder / "ultrasound.json").write_text(json.dumps(data))
    return folder / "ultrasound.json"


def test_cases_come_back_as_they_were(folder: Path) -> None:
    write_ultrasound(DATASET, folder / "ultrasound.json")
    assert read_ultrasound(folder / "ultrasound.json") == DATASET


def test_a_hand_written_file_needs_little(folder: Path) -> None:
    case = {"case_id": "x", "patient": "p", "finding": "absent"}
    (folder / "mine.json").write_text(json.dumps({"cases": [case]}))
    read = read_ultrasound(folder / "mine.json")
    assert read.cases == (UltrasoundCase("x", "p", None, (), "absent", None),)
    assert not read.is_phantom


def test_images_may_lie_elsewhere(folder: Path, tmp_path: Path) -> None:
    path = written(folder, {"info/scan_root": "moved"})
    with pytest.raises(InputError, match="scan_root"):
        read_ultrasound(path)
    assert read_ultrasound(path, scan=folder / "images").cases == DATASET.cases


PNG_B = {"file_name": "b.png", "frame": None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cases/0/bmode/file_name": "no.png"}, r"cases\[0\]\.bmode: .*no file of that name"),
        ({"cases/0/ceus/1/file_name": "no.png"}, r"cases\[0\]\.ceus\[1\]: .*no file"),
        ({"cases/0/bmode/file_name": "a" * 300}, r"cases\[0\]\.bmode: .*no file of that name"),
        ({"cases/0/bmode/file_name": "../a.png"}, r"bmode\.file_name: .*own folder"),
        ({"cases/0/bmode/frame": 2}, r"cases\[0\]\.bmode: expected frame 1, got frame 2"),
        ({"cases/0/bmode/frame": 0}, r"cases\[0\]\.bmode\.frame: .*1 or more, got 0"),
        ({"cases/0/bmode/frame": "last"}, r'bmode\.frame: .*1 or more, or "peak", got text'),
        ({"cases/0/label": ["benign", "metastatic"]}, r"cases\[0\]\.label: .*got 2 of them"),
        (
            {"cases/1/case_id": "a"},
            r"cases\[1\]\.case_id: .*one label .*got two labels \(as cases\[0\] has it\)",
        ),
        ({"cases/1/bmode": PNG_B}, r"cases\[1\]\.bmode: expected one label .*got two labels"),
        (
            {"cases/0/ceus/1": {"file_name": "./a.png", "frame": 1}},
            r"cases\[0\]\.ceus\[1\]: expected each image once in a case, got that of bmode again",
        ),
        (
            {"cases/1/bmode": PNG_B, "cases/1/label": "metastatic"},
            r"cases\[1\]\.bmode: expected its own image, got that of another case",
        ),
        (
            {"cases/1/patient": "p-1", "cases/1/split": "training"},
            r"cases\[1\]\.split: expected a patient in one split, got its patient in two",
        ),
        ({"cases/1/finding": "maybe"}, r"cases\[1\]\.finding: expected one of present"),
        ({"cases/1/split": "train"}, r"cases\[1\]\.split: expected one of training"),
        ({"cases/0/sex": "X"}, r"cases\[0\]\.sex: expected one of F, M"),
        ({"cases/0/age_years": 200}, r"cases\[0\]\.age_years: expected an age in years"),
        ({"cases/0/max_size_mm": 0}, r"cases\[0\]\.max_size_mm: expected a number above 0"),
        ({"cases/0/patient": ""}, r"cases\[0\]\.patient: expected text"),
        ({"cases/0/ceus": {}}, r"cases\[0\]\.ceus: expected a list"),
    ],
)
def test_a_wrong_record_is_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_ultrasound(written(folder, changes))


def test_an_image_that_is_none_is_named_by_its_record_alone(folder: Path) -> None:
    (folder / "images" / "b.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"ultrasound\.json: cases\[0\]\.ceus\[0\]: ") as caught:
        read_ultrasound(written(folder))
    assert "b.png" not in str(caught.value)


def test_an_ultrasound_file_is_told_from_others(folder: Path) -> None:
    assert lists_ultrasound(written(folder))
    data = json.loads((folder / "ultrasound.json").read_text())
    del data["cases"][0]["finding"]
    (folder / "slip.json").write_text(json.dumps(data))
    assert lists_ultrasound(folder / "slip.json")
    (folder / "other.json").write_text(json.dumps({"info": {}, "cases": [{"case": "c"}]}))
    assert not lists_ultrasound(folder / "other.json")
