"""A file that is given in another's place is known by what it is, and the message says for whom."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.io.coco import read_coco
from lnmdetect.io.file_kinds import CT_SLICES, ULTRASOUND_CASES, require_kind
from lnmdetect.io.ultrasound_files import read_ultrasound


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (
            read_ultrasound,
            {"images": [], "annotations": [], "categories": []},
            "x.json: expected ultrasound cases, got CT slices. Give a file such as ultrasound.json;"
            " this one is for `lnmdetect train detector`, `train classifier` or `train segmenter`.",
        ),
        (
            read_coco,
            {"cases": []},
            "x.json: expected CT slices, got ultrasound cases. Give a file such as truth.json, "
            "boxes.json or nodes.json; this one is for `lnmdetect train fusion` or `fuse`.",
        ),
        (
            read_ultrasound,
            {"folds": []},
            "x.json: expected ultrasound cases, got folds of patients. Give a file such as "
            "ultrasound.json; this one is for `lnmdetect train` with --folds.",
        ),
    ],
)
def test_a_file_of_another_kind_is_refused_with_who_takes_it(
    tmp_path: Path, read: Callable[[Path], Any], content: dict[str, Any], message: str
) -> None:
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(InputError) as error:
        read(tmp_path / "x.json")
    assert str(error.value) == message


@pytest.mark.parametrize("data", [{}, [], None, {"images": [], "cases": []}])
def test_a_file_of_no_known_kind_is_left_to_its_reader(data: Any) -> None:
    require_kind(data, CT_SLICES, "x.json")
    if data != {"images": [], "cases": []}:
        require_kind(data, ULTRASOUND_CASES, "x.json")
