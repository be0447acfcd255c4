import json
from pathlib import Path
from typing import Any

import pytest

from lnmdetect.core.errors import UsageError
from lnmdetect.metrics.groups import GroupFigures
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_request import EvalRequest

CATEGORIES = [{"id": k, "name": n} for k, n in ((1, "benign"), (2, "metastatic"))]


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(boxes: int = 6, **columns: list[Any]) -> None:
    """One box a slice and patient, all found but the first; columns are of boxes, or of images."""
    images, truth, found = [], [], []
    for k in range(boxes):
        block: dict[str, Any] = {"patient": f"p{k}", "spacing_mm": [0.5, 0.5]}
        record = {"id": k, "file_name": f"{k}.png", "width": 64, "height": 64, "lnmdetect": block}
        node = {"id": k, "image_id": k, "category_id": 1 + k % 2, "bbox": [10, 10, 20, 20]}
        for name, values in columns.items():
            if values[k] is None:
                continue
            if name.startswith("image_"):
                block[name.removeprefix("image_")] = values[k]
            else:
                node[name] = values[k]
        images.append(record)
        truth.append(node)
        if k:
            p = 0.9 if k % 2 else 0.2
            said = {"benign": 1 - p, "metastatic": p}
            box = {"id": k, "image_id": k, "category_id": 1 + k % 2, "bbox": [10, 10, 20, 20]}
            found.append({**box, "score": 0.5 + k / 100, "probabilities": said, "threshold": 0.5})
    info = {"operating_threshold": 0.5}
    for name, nodes in (("truth.json", truth), ("nodes.json", found)):
        whole = {"info": info, "images": images, "categories": CATEGORIES, "annotations": nodes}
        Path(name).write_text(json.dumps(whole))


def groups(by: str) -> dict[str, GroupFigures]:
    result = evaluate(EvalRequest(by=(by,), bootstrap=20))
    return {row.group: row for row in result.groups[by]}


def sensitivity(row: GroupFigures) -> float | None:
    assert row.sensitivity is not None
    return row.sensitivity.value


def test_the_short_axis_is_a_group_without_being_asked_for() -> None:
    write(short_axis_mm=[4.9, 5, 9.9, 10, 15, None])
    result = evaluate(EvalRequest(bootstrap=20))
    rows = {row.group: row for row in result.groups["short_axis_mm"]}
    counts = {name: row.truth_boxes for name, row in rows.items()}
    assert counts == {
        "under 5 mm": 1,
        "5 to 10 mm": 2,
        "10 to 15 mm": 1,
        "15 mm or more": 1,
        "not given": 1,
    }
    assert sensitivity(rows["under 5 mm"]) == 0.0
    assert sensitivity(rows["5 to 10 mm"]) == 1.0


def test_truth_without_short_axes_has_no_such_groups() -> None:
    write()
    assert evaluate(EvalRequest(bootstrap=20)).groups == {}


def test_a_column_of_boxes_groups_truth_boxes() -> None:
    write(level=["II", "II", "III", "III", None, "III"])
    rows = groups("level")
    assert {name: row.truth_boxes for name, row in rows.items()} == {
        "II": 2,
        "III": 3,
        "not given": 1,
    }
    assert sensitivity(rows["II"]) == 0.5
    assert rows["II"].ap50 is None


def test_a_column_of_images_groups_images_and_has_their_false_positives() -> None:
    write(image_scanner=["A", "A", "A", "B", "B", "B"])
    rows = groups("scanner")
    assert sensitivity(rows["A"]) == pytest.approx(2 / 3)
    assert rows["A"].images == 3
    assert rows["A"].ap50 is not None
    assert rows["A"].ap50.value == pytest.approx(67 / 101)
    assert rows["B"].false_positives_per_image is not None
    assert rows["B"].false_positives_per_image.value == 0.0


def test_the_class_is_a_column_too() -> None:
    write()
    rows = groups("class")
    assert {name: row.truth_boxes for name, row in rows.items()} == {"benign": 3, "metastatic": 3}
    assert rows["metastatic"].tpr is not None
    assert rows["metastatic"].tpr.value == 1.0


def test_many_numbers_are_cut_at_their_quartiles_and_few_are_kept() -> None:
    write(boxes=40, image_age=[float(k) for k in range(40)])
    rows = groups("age")
    assert list(rows) == ["under 9.75", "9.75 to 19.5", "19.5 to 29.25", "29.25 or more"]
    assert [row.images for row in rows.values()] == [10, 10, 10, 10]
    write(boxes=6, image_kvp=[80, 120, 100, 100, 80, 80])
    assert list(groups("kvp")) == ["80", "100", "120"]


def test_numbers_that_differ_far_behind_are_groups_of_their_own() -> None:
    write(boxes=40, image_acquired=[20190401 + k for k in range(40)])
    rows = groups("acquired")
    assert list(rows) == [
        "under 20190410.8",
        "20190410.8 to 20190420.5",
        "20190420.5 to 20190430.2",
        "20190430.2 or more",
    ]
    assert [row.images for row in rows.values()] == [10, 10, 10, 10]
    write(image_mas=[1234567.0, 1234568.0, 1234567.0, 0.1, 0.1, 0.1])
    assert {name: row.images for name, row in groups("mas").items()} == {
        "0.1": 3,
        "1234567": 2,
        "1234568": 1,
    }


def test_a_group_is_named_as_the_file_has_it() -> None:
    write(image_portable=[True, False, True, False, True, None], image_slot=["10", 9] * 3)
    assert list(groups("portable")) == ["false", "true", "not given"]
    assert list(groups("slot")) == ["9", "10"]
    write(image_site=["", "A", None, "", "A", "B"])
    assert {name: row.images for name, row in groups("site").items()} == {
        "A": 2,
        "B": 1,
        "not given": 3,
    }
    write(image_word=["nan", "b", "inf", "7", "under 5", "under"])
    assert list(groups("word")) == ["under 5", "7", "b", "inf", "nan", "under"]


def test_a_value_on_a_quartile_belongs_to_the_group_above_and_eight_values_are_kept() -> None:
    write(boxes=18, image_age=[1.0] * 4 + [2.0] * 5 + [float(k) for k in range(3, 12)])
    rows = groups("age")
    assert {name: row.images for name, row in rows.items()} == {
        "under 2": 4,
        "2 to 2.5": 5,
        "2.5 to 6.75": 4,
        "6.75 or more": 5,
    }
    write(boxes=16, image_age=[float(k % 8) for k in range(16)])
    assert list(groups("age")) == [str(k) for k in range(8)]


def test_numbers_beyond_all_measure_are_names() -> None:
    write(boxes=10, image_uid=[10**400 + k for k in range(10)])
    assert [row.images for row in groups("uid").values()] == [1] * 10


def test_a_column_that_truth_does_not_have_is_refused() -> None:
    write()
    with pytest.raises(UsageError, match=r"--by scaner: expected a field .* got none of that name"):
        groups("scaner")
    with pytest.raises(UsageError, match=r"--by short_axis_mm: expected a field"):
        groups("short_axis_mm")


def test_a_column_of_a_name_each_is_refused() -> None:
    write(boxes=30, site=[f"site {k}" for k in range(30)])
    with pytest.raises(UsageError, match=r"at most 24 different values.* got 30 different values"):
        groups("site")
