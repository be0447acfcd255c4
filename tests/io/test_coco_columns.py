import copy
import json
import random
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnmdetect.core.columns import CocoColumns
from lnmdetect.core.errors import InputError
from lnmdetect.io import coco_columns
from lnmdetect.io.coco import (
    dataset_from_json,
    read_coco,
    results_from_json,
)
from lnmdetect.io.coco_columns import (
    columns_from_json,
    columns_of,
    read_columns,
    result_columns,
)

SPECS = Path(__file__).parents[2] / "data_specs"
FIELDS = (
    *("patient", "series", "file_name", "sop_instance_uid", "slice_index", "position_mm", "width"),
    *("thickness_mm", "scanner", "license", "node_id", "level", "kind", "slice_short_axis_mm"),
    *("attributes", "area", "segmentation", "nothing", "info", "track"),
)


def image_json(image_id: int, **changes: Any) -> dict[str, Any]:
    block = {
        "patient": f"p{image_id % 2}",
        "series": "1.2",
        "sop_instance_uid": f"1.2.{image_id}",
        "slice_index": image_id,
        "position_mm": 2 * image_id,
        "spacing_mm": [0.5, 1],
        "thickness_mm": 2,
        "scanner": "A",
    }
    image = {"id": image_id, "file_name": f"1.2.{image_id}.dcm", "width": 64, "height": 48}
    return {**image, "lnmdetect": block, **changes}


def truth_json() -> dict[str, Any]:
    key = {"patient": "p2", "spacing_mm": [1, 1], "thickness_mm": None, "series": None}
    return {
        "info": {"coverage": "all_slices", "phantom": True, "scan_root": "scan", "by": "a reader"},
        "licenses": [],
        "categories": [{"id": 7, "name": "metastatic"}, {"id": 2, "name": "benign"}],
        "images": [
            image_json(3, license=1),
            image_json(1),
            image_json(9, file_name="keys/a.png", lnmdetect=key, scanner="B"),
        ],
        "annotations": [
            {
                "id": 5,
                "image_id": 1,
                "category_id": 7,
                "bbox": [10, 20, 20.5, 12],
                "area": 246,
                "iscrowd": 0,
                "node_id": "n1",
                "short_axis_mm": 8,
                "slice_short_axis_mm": 6,
                "level": "III",
                "kind": "cystic",
                "segmentation": {"size": [48, 64], "counts": "PPYo1"},
                "attributes": {"occluded": False},
            },
            {
                "id": 4,
                "image_id": 9,
                "category_id": 2,
                "bbox": [-1.5, 0.25, 6, 5.0],
                "area": 29.0,
                "iscrowd": 1,
                "segmentation": [[0.0, 0.0, 5.0, 0.0, 5.0, 5.0]],
                "level": None,
            },
        ],
    }


def nodes_json() -> dict[str, Any]:
    said = {"not_a_node": 0.25, "benign": 0.5, "metastatic": 0.25}
    rows = [
        {"id": 1, "image_id": 3, "category_id": 2, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
        | {"score": 0.75, "probabilities": said, "threshold": 0.5},
        {"id": 2, "image_id": 3, "category_id": 7, "bbox": [9.5, 2, 3, 4], "area": 12}
        | {"score": 1, "probabilities": {"benign": 0, "metastatic": 1}, "threshold": 0.5},
        {"id": 3, "image_id": 1, "category_id": 7, "bbox": [60, 40, 8, 16], "iscrowd": False}
        | {"score": 0.0625, "track": 4},
    ]
    info = {"operating_threshold": 0.5, "operating_threshold_source": "validation"}
    return {**truth_json(), "info": info, "annotations": rows}


def results_json() -> list[dict[str, Any]]:
    return [
        {"image_id": 3, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5},
        {"image_id": 9, "category_id": 2, "bbox": [9, 2, 3, 4], "score": 1, "track": "t"},
        {"image_id": 3, "category_id": 1, "bbox": [7, 2, 3, 4], "score": 0.125, "id": "x"},
    ]


def as_plain(columns: CocoColumns) -> dict[str, Any]:
    """Everything the columns say, as values that compare exactly (NaN as itself)."""
    parts = {
        f"{type(part).__name__}.{field.name}": getattr(part, field.name)
        for part in (columns.images, columns.nodes)
        for field in fields(part)
    }
    plain = {
        name: (value.dtype.str, value.shape, str(value.tolist()))
        if isinstance(value, np.ndarray)
        else list(value)
        for name, value in parts.items()
    }
    named = {name: (columns.image_column(name), columns.node_column(name)) for name in FIELDS}
    return {"info": columns.info, **plain, **named}


def record_by_record(data: Any, name: str) -> CocoColumns:
    return columns_of(dataset_from_json(data, name))


def outcome(read: Callable[[Any, str], CocoColumns], data: Any) -> object:
    try:
        return as_plain(read(data, "a.json"))
    except InputError as error:
        return str(error)


JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 0.5, 1.5, -0.5, 1e-9, 512.0, 1e300, 1e308, float("inf")),
    *(-0.0, 2**31, 2**53, 2**53 + 2, 2**63, 10**400, 1e18, "", "x", "3", "0.5", "../a", "/a"),
    *("C:/a", "a\\b", "a/./b", ".a", "a b", "é", "\x1b[31m", [], [1], [1, 2], [1, 2, 3, 4], {}),
    *([5, 5, 2, 2], ["1", 2, 3, 4], [None] * 4, [True, 1, 2, 2], [1, 2, 0, 4], [1, 2, 3, -4]),
    *([60, 40, 8, 8], [60.5, 40, 8, 8], [1e308, 1, 1, 1], [0, 0, 64, 48], [0, 0, 65, 48], [[]]),
    *([-2, -2, 4, 4], [-2.1, -2, 4, 4], [1, 1, 0.001, 1], [1, 1, 0.0009, 1], [100, 1], [1e15]),
    *({"benign": 0.5, "metastatic": 0.5009}, {"benign": 0.5, "metastatic": 0.501}, {"a": 1}),
    *({"benign": 0.5, "metastatic": 0.499}, {"benign": 0.5, "metastatic": None, "x": 0.5}),
    *({"size": [48, 64], "counts": [1]}, {"size": [64, 48], "counts": ""}, {"size": [48, 64.0]}),
    *({"size": [48.0, 64], "counts": "a"}, {"patient": "p", "spacing_mm": [1, 1]}, "benign"),
    *("metastatic", "lymph_node", "key_images", "all_slices", "1.2.1", "1.2.1.dcm", [{}], [None]),
)


def places(data: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of parsed JSON."""
    found: list[tuple[Any, Any]] = []
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in list(items):
        found.append((data, key))
        if isinstance(value, dict | list):
            found += places(value)
    return found


def spoilt(data: Any, seed: int) -> Any:
    """A copy with one to three places changed, removed, doubled or added to."""
    chance = random.Random(seed)
    data = copy.deepcopy(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        container, key = chance.choice(places(data) or [([None], 0)])
        action = chance.randrange(6)
        if action <= 2:
            container[key] = copy.deepcopy(chance.choice(JUNK))
        elif action == 3:
            del container[key]
        elif action == 4 and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        elif isinstance(container, dict):
            container[chance.choice(FIELDS)] = copy.deepcopy(chance.choice(JUNK))
    return data


@pytest.mark.parametrize("whole", [truth_json(), nodes_json()], ids=["truth", "nodes"])
def test_whole_columns_and_single_records_read_the_same_or_refuse_in_the_same_words(
    whole: dict[str, Any],
) -> None:
    refused = 0
    for seed in range(3000):
        data = spoilt(whole, seed)
        by_record = outcome(record_by_record, data)
        by_column = outcome(columns_from_json, data)
        assert by_column == by_record, (seed, json.dumps(data))
        refused += isinstance(by_record, str)
    assert 1000 < refused < 2700


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("images", 0, "lnmdetect", "position_mm"), 10**305, "images[0].lnmdetect.position_mm"),
        (("images", 1, "lnmdetect", "patient"), "", "images[1].lnmdetect.patient"),
        (("images", 0, "width"), 0, "images[0].width"),
        (("images", 0, "width"), 2**53 + 2, "images[0].width"),
        (("images", 0, "id"), 9, "images[2]"),
        (("images", 1, "lnmdetect", "sop_instance_uid"), "1.2.3", "images[1]"),
        (("annotations", 0, "bbox"), [-30, 20, 20, 12], "annotations[0].bbox"),
        (("annotations", 0, "bbox"), [10, -15, 20, 12], "annotations[0].bbox"),
        (("annotations", 0, "iscrowd"), None, "annotations[0].iscrowd"),
        (("annotations", 0, "image_id"), 2, "annotations[0].image_id"),
        (("annotations", 1, "id"), 5, "annotations[1]"),
        (("annotations", 1), [], "annotations[1]"),
    ],
)
def test_a_value_that_cannot_be_is_refused_at_its_place_both_ways(
    path: tuple[str | int, ...], value: Any, where: str
) -> None:
    data = truth_json()
    container: Any = data
    for key in path[:-1]:
        container = container[key]
    container[path[-1]] = value
    refused = outcome(columns_from_json, data)
    assert str(refused).startswith(f"a.json: {where}: expected ")
    assert refused == outcome(record_by_record, data)


def test_a_box_too_thin_for_its_distance_from_the_corner_is_refused_both_ways() -> None:
    data = truth_json()
    data["images"][1]["width"] = 2**53
    data["annotations"][0] |= {"bbox": [2.0**52, 20, 0.25, 12], "area": 3, "segmentation": None}
    refused = outcome(columns_from_json, data)
    assert "annotations[0].bbox: expected a box whose sides differ" in str(refused)
    assert refused == outcome(record_by_record, data)


def test_result_lists_read_the_same_both_ways_or_are_refused_in_the_same_words() -> None:
    truth = dataset_from_json(truth_json(), "truth.json")
    images = columns_of(truth).images

    def by_record(data: Any, name: str) -> CocoColumns:
        found = columns_of(results_from_json(data, name, truth.images))
        return replace(found, images=images, image_column=lambda name: None)

    def by_column(data: Any, name: str) -> CocoColumns:
        return result_columns(data, name, images)

    refused = 0
    for seed in range(3000):
        data = spoilt(results_json(), seed)
        expected = outcome(by_record, data)
        assert outcome(by_column, data) == expected, (seed, json.dumps(data))
        refused += isinstance(expected, str)
    assert 1000 < refused < 2700


@pytest.mark.parametrize(
    "data",
    [
        truth_json(),
        nodes_json(),
        *(
            json.loads((SPECS / f"{name}.example.json").read_text("utf-8"))
            for name in ("boxes", "nodes", "truth")
        ),
    ],
)
def test_a_sound_file_needs_no_look_at_single_records(
    data: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = as_plain(columns_of(dataset_from_json(data, "a.json")))
    monkeypatch.setattr(coco_columns, "dataset_from_json", None)
    assert as_plain(columns_from_json(data, "a.json")) == expected


def test_the_columns_of_a_small_truth_are_what_the_file_says() -> None:
    columns = columns_from_json(truth_json(), "truth.json")
    images, nodes = columns.images, columns.nodes
    assert columns.info["by"] == "a reader"
    assert (columns.coverage, columns.is_phantom) == ("all_slices", True)
    assert images.ids.tolist() == [3, 1, 9]
    assert images.join_keys == ["1.2.3", "1.2.1", "keys/a.png"]
    assert images.sop_instance_uids == ["1.2.3", "1.2.1", ""]
    assert images.patients == ["p1", "p1", "p2"]
    assert images.series == ["1.2", "1.2", "keys/a.png"]
    assert images.sizes_px.tolist() == [[64, 48]] * 3
    assert images.spacing_mm.tolist() == [[0.5, 1], [0.5, 1], [1, 1]]
    assert nodes.ids.tolist() == [5, 4]
    assert nodes.image.tolist() == [1, 2]
    assert nodes.category.tolist() == [2, 1]
    assert nodes.boxes_xyxy.tolist() == [[10, 20, 30.5, 32], [-1.5, 0.25, 4.5, 5.25]]
    assert nodes.ignored.tolist() == [False, True]
    assert nodes.node_ids == ["n1", None]
    assert nodes.short_axis_mm[0] == 8
    assert all(np.isnan(c).all() for c in (nodes.score, nodes.p_benign, nodes.threshold))
    assert np.isnan(nodes.short_axis_mm[1])


def test_the_columns_of_classified_boxes_are_what_the_file_says() -> None:
    nodes = columns_from_json(nodes_json(), "nodes.json").nodes
    assert nodes.score.tolist() == [0.75, 1, 0.0625]
    assert nodes.p_benign[:2].tolist() == [0.5, 0]
    assert nodes.p_metastatic[:2].tolist() == [0.25, 1]
    assert nodes.threshold[:2].tolist() == [0.5, 0.5]
    assert np.isnan([nodes.p_benign[2], nodes.p_metastatic[2], nodes.threshold[2]]).all()


def test_any_other_field_is_a_column_by_its_name() -> None:
    columns = columns_from_json(truth_json(), "truth.json")
    assert columns.image_column("scanner") == ["A", "A", "B"]
    assert columns.image_column("license") == [1, None, None]
    assert columns.image_column("thickness_mm") == [2.0, 2.0, None]
    assert columns.image_column("slice_index") == [3, 1, 0]
    assert columns.node_column("level") == ["III", None]
    assert columns.node_column("kind") == ["cystic", None]
    assert columns.node_column("slice_short_axis_mm") == [6.0, None]
    assert columns.node_column("attributes") == [{"occluded": False}, None]
    assert columns.image_column("level") is columns.node_column("scanner") is None
    assert columns_from_json(nodes_json(), "nodes.json").node_column("level") is None


def test_a_field_of_the_image_itself_goes_before_one_of_its_block() -> None:
    data = truth_json()
    data["images"][0]["scanner"] = "its own"
    assert columns_from_json(data, "truth.json").image_column("scanner") == ["its own", "A", "B"]


def test_a_file_without_boxes_or_slices_has_empty_columns() -> None:
    data: dict[str, Any] = {"categories": [], "images": [], "annotations": []}
    columns = columns_from_json(data, "truth.json")
    assert columns.nodes.boxes_xyxy.shape == (0, 4)
    assert columns.images.sizes_px.shape == columns.images.spacing_mm.shape == (0, 2)
    assert len(columns.images) == len(columns.nodes) == 0


def test_a_result_list_is_read_from_disk_only_beside_its_truth(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results_json()))
    images = columns_from_json(truth_json(), "truth.json").images
    columns = read_columns(path, truth_images=images)
    assert columns.nodes.ids.tolist() == [1, 2, 3]
    assert columns.nodes.image.tolist() == [0, 2, 0]
    assert columns.images is images
    assert columns.image_column("scanner") is None
    assert columns.node_column("track") == [None, "t", None]
    with pytest.raises(InputError, match=r"results\.json: expected a COCO data set"):
        read_columns(path)


def test_a_record_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    data = nodes_json()
    data["annotations"][1]["score"] = 1.5
    path = tmp_path / "nodes.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InputError) as by_record:
        read_coco(path)
    with pytest.raises(InputError, match=r"nodes\.json: annotations\[1\]\.score: expected") as own:
        read_columns(path)
    assert str(own.value) == str(by_record.value)
