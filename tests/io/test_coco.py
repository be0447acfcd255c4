import contextlib
import copy
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO

from lnmdetect.core.errors import InputError, OutputError
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import (
    dataset_from_json,
    dataset_to_json,
    read_coco,
    read_result_list,
    results_from_json,
    write_coco,
)


def image(image_id: int = 1, **changes: Any) -> ImageRecord:
    fields: dict[str, Any] = {
        "image_id": image_id,
        "file_name": f"1.2.{image_id}.dcm",
        "width": 64,
        "height": 48,
        "patient": "p1",
        "series": "1.2",
        "sop_instance_uid": f"1.2.{image_id}",
        "slice_index": image_id,
        "position_mm": 2.0 * image_id,
        "spacing_mm": (0.5, 0.25),
        "thickness_mm": 2.0,
    }
    return ImageRecord(**{**fields, **changes})


def dataset() -> CocoDataset:
    nodes = (
        NodeAnnotation(
            1,
            1,
            2,
            (10.0, 20.0, 30.5, 32.0),
            node_id="n1",
            short_axis_mm=8.0,
            slice_short_axis_mm=6.0,
            level="III",
            kind="cystic",
            segmentation={"size": [48, 64], "counts": "PPYo1"},
        ),
        NodeAnnotation(2, 2, 1, (0.0, 0.0, 5.0, 5.0), ignored=True),
        NodeAnnotation(
            3,
            2,
            3,
            (1 / 3, 0.0, 7.0, 7.0),
            score=2 / 3,
            probabilities={"benign": 0.25, "metastatic": 0.75},
            threshold=0.5,
        ),
    )
    info = {"phantom": True, "coverage": "all_slices", "scan_root": "scan"}
    return CocoDataset(info, (image(1), image(2)), nodes)


def as_json() -> dict[str, Any]:
    return dataset_to_json(dataset())


def test_a_written_file_is_read_back_as_the_same_records(tmp_path: Path) -> None:
    write_coco(dataset(), tmp_path / "truth.json")
    back = read_coco(tmp_path / "truth.json")
    assert back.info == dataset().info
    assert back.images == dataset().images
    assert back.annotations[:2] == dataset().annotations[:2]
    assert back.annotations[2].box_xyxy == pytest.approx((0.333, 0.0, 7.0, 7.0), abs=1e-12)
    assert back.annotations[2].score == 0.666667


def test_boxes_on_disk_are_xywh_with_their_area() -> None:
    record = as_json()["annotations"][0]
    assert record["bbox"] == [10.0, 20.0, 20.5, 12.0]
    assert record["area"] == 246.0
    assert record["iscrowd"] == 0
    assert as_json()["annotations"][1]["iscrowd"] == 1


def test_the_same_data_set_gives_the_same_bytes(tmp_path: Path) -> None:
    write_coco(dataset(), tmp_path / "a.json")
    write_coco(read_coco(tmp_path / "a.json"), tmp_path / "b.json")
    write_coco(read_coco(tmp_path / "b.json"), tmp_path / "c.json")
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "c.json").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_an_existing_file_is_kept_without_overwrite(tmp_path: Path) -> None:
    write_coco(dataset(), tmp_path / "truth.json")
    with pytest.raises(OutputError, match=r"truth\.json: expected a new file"):
        write_coco(dataset(), tmp_path / "truth.json")
    write_coco(dataset(), tmp_path / "truth.json", overwrite=True)


def test_pycocotools_loads_the_file(tmp_path: Path) -> None:
    write_coco(dataset(), tmp_path / "truth.json")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / "truth.json"))
    assert coco.getImgIds() == [1, 2]
    assert coco.getAnnIds(iscrowd=True) == [2]
    assert [c["name"] for c in coco.loadCats([1, 2, 3])] == ["benign", "metastatic", "lymph_node"]
    assert {c["supercategory"] for c in coco.loadCats([1, 2, 3])} == {"lymph_node"}


def test_fields_lnmdetect_does_not_know_are_written_back() -> None:
    data = as_json()
    data["licenses"] = [{"id": 1, "name": "none"}]
    data["info"]["contributor"] = "a reader"
    data["images"][0]["license"] = 1
    data["images"][0]["lnmdetect"]["kernel"] = "B30"
    data["annotations"][0]["attributes"] = {"occluded": False}
    data["annotations"][0]["area"] = 100.5
    data["annotations"][1]["segmentation"] = [[0.0, 0.0, 5.0, 0.0, 5.0, 5.0]]
    assert dataset_to_json(dataset_from_json(copy.deepcopy(data), "truth.json")) == data


def test_categories_are_known_by_name_not_by_number() -> None:
    data = as_json()
    data["categories"] = [{"id": 7, "name": "metastatic"}, {"id": 2, "name": "benign"}]
    data["annotations"] = data["annotations"][:2]
    data["annotations"][0]["category_id"] = 2
    data["annotations"][1]["category_id"] = 7
    back = dataset_from_json(data, "truth.json")
    assert [a.category_id for a in back.annotations] == [1, 2]


def test_a_png_without_series_is_a_scan_of_its_own() -> None:
    data = as_json()
    data["annotations"] = []
    data["images"] = [
        {
            "id": 0,
            "file_name": "keys/a.png",
            "width": 8,
            "height": 8,
            "lnmdetect": {"patient": "p", "spacing_mm": [1, 1]},
        }
    ]
    (png,) = dataset_from_json(data, "truth.json").images
    assert (png.series, png.sop_instance_uid, png.slice_index) == ("keys/a.png", "", 0)
    assert png.position_mm == 0.0
    assert png.thickness_mm is None


def change(path: str, value: Any) -> dict[str, Any]:
    data = as_json()
    *parents, last = path.split("/")
    place: Any = data
    for parent in parents:
        place = place[int(parent) if parent.isdigit() else parent]
    key = int(last) if last.isdigit() else last
    if value is KeyError:
        del place[key]
    else:
        place[key] = value
    return data


A0 = r"t\.json: annotations\[0\]"
I1 = r"t\.json: images\[1\]"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("images", {}, r"t\.json: images: expected a list, got an object\."),
        ("images", KeyError, r"t\.json: images: expected a list, got no such field"),
        ("annotations", None, r"t\.json: annotations: expected a list, got null"),
        ("categories", KeyError, r"t\.json: categories: expected a list, got no such field"),
        ("categories/0/name", "liver", r"categories\[0\]\.name: expected one of benign, meta"),
        ("categories/1/id", 1, r"categories\[1\]\.id: expected every category once"),
        ("info", [], r"t\.json: info: expected an object, got a list of 0"),
        ("info/coverage", "some", r"info\.coverage: expected all_slices or key_images"),
        ("info/phantom", "yes", r"info\.phantom: expected true or false, got text"),
        ("info/failed_studies", "none", r"info\.failed_studies: expected a whole number of 0 or"),
        ("info/failed_studies", -1, r"info\.failed_studies: expected a whole number of 0 or more"),
        ("info/detector", "compact", r"info\.detector: expected an object, got text"),
        ("info/classifier", {"sha256": ""}, r"info\.classifier\.name: expected text that is not"),
        (
            "info/classifier",
            {"name": "c", "temperature": 0},
            r"temperature: expected a number above",
        ),
        (
            "info/detector_trained_on",
            {"truth_sha256": ""},
            r"info\.detector_trained_on: expected truth",
        ),
        ("info/operating_threshold", 2, r"operating_threshold: expected a number in \[0, 1\]"),
        ("images/1", 5, rf"{I1}: expected an object, got 5"),
        ("images/1/id", 1, rf"{I1}: expected another id than images\[0\], got the same"),
        ("images/1/id", "2", rf"{I1}\.id: expected a whole number of 0 or more, got text"),
        ("images/1/id", 2.5, rf"{I1}\.id: expected a whole number of 0 or more, got 2\.5"),
        ("images/1/id", True, rf"{I1}\.id: expected a whole number of 0 or more, got true"),
        ("images/1/width", 0, rf"{I1}\.width: expected a whole number of 1 or more, got 0"),
        ("images/1/height", -48, rf"{I1}\.height: expected a whole number of 1 or more, got -48"),
        ("images/1/file_name", "../x.dcm", rf"{I1}\.file_name: expected a path inside .* leaves"),
        ("images/1/file_name", "a/../../x", rf"{I1}\.file_name: expected a path inside"),
        ("images/1/file_name", "/etc/passwd", rf"{I1}\.file_name: expected a path inside"),
        ("images/1/file_name", "C:/x.png", rf"{I1}\.file_name: expected a path inside"),
        ("images/1/file_name", "a\\b.png", rf"{I1}\.file_name: expected a path inside"),
        ("images/1/file_name", "", rf"{I1}\.file_name: expected text that is not empty"),
        ("images/1/lnmdetect", KeyError, rf"{I1}\.lnmdetect: expected an object, got no such"),
        ("images/1/lnmdetect/patient", 7, rf"{I1}\.lnmdetect\.patient: expected text .* got 7"),
        ("images/1/lnmdetect/spacing_mm", [1], r"spacing_mm: expected a list of 2 numbers, got"),
        ("images/1/lnmdetect/spacing_mm", [1, 0], r"spacing_mm: expected two lengths in mm"),
        ("images/1/lnmdetect/spacing_mm", [1, "1"], r"spacing_mm\[1\]: expected a finite number"),
        ("images/1/lnmdetect/position_mm", "x", r"position_mm: expected a finite number, got text"),
        ("images/1/lnmdetect/thickness_mm", 0, r"thickness_mm: expected a number above 0, got 0"),
        ("images/1/lnmdetect/sop_instance_uid", "1.2.1", rf"{I1}: expected another slice than"),
        ("annotations/0/id", 2, r"annotations\[1\]: expected another id than annotations\[0\]"),
        (
            "annotations/0/id",
            2**53 + 2,
            r"\.id: expected a whole number of at most 9007199254740992",
        ),
        ("annotations/0/image_id", 9, rf"{A0}\.image_id: expected the id of an image in the file"),
        ("annotations/0/category_id", 4, rf"{A0}\.category_id: expected one of \[1, 2, 3\], got 4"),
        ("annotations/0/bbox", [1, 2, -3, 4], rf"{A0}\.bbox: expected .* got width -3, height 4"),
        ("annotations/0/bbox", [1, 2, 3, 0], rf"{A0}\.bbox: expected .* got width 3, height 0"),
        ("annotations/0/bbox", [1, 2, 1e-4, 4], rf"{A0}\.bbox: .* of 0\.001 px or more, got width"),
        ("annotations/0/bbox", [1, 2, 3], rf"{A0}\.bbox: expected a list of 4 numbers, got a list"),
        ("annotations/0/bbox", "1 2 3 4", rf"{A0}\.bbox: expected a list of 4 numbers, got text"),
        ("annotations/0/bbox", [1, 2, 3, None], rf"{A0}\.bbox\[3\]: expected a finite .* got null"),
        ("annotations/0/bbox", [1, 2, 3, 1e999], rf"{A0}\.bbox\[3\]: expected a finite number"),
        ("annotations/0/bbox", [1, 2, 3, 10**400], rf"{A0}\.bbox\[3\]: expected a finite number"),
        ("annotations/0/bbox", [64, 2, 3, 4], rf"{A0}\.bbox: expected a box on the 64 x 48 image"),
        ("annotations/0/bbox", [1, -9, 3, 4], rf"{A0}\.bbox: expected a box on the 64 x 48 image"),
        ("annotations/0/bbox", [-8, 2, 15, 4], rf"{A0}\.bbox: .* its centre outside it"),
        ("annotations/0/bbox", [0, 0, 65, 4], rf"{A0}\.bbox: .* got one larger than it"),
        ("annotations/0/bbox", [0, 0, 1e300, 1e300], rf"{A0}\.bbox: .* got one larger than it"),
        ("annotations/0/iscrowd", 2, rf"{A0}\.iscrowd: expected 0 or 1, got 2"),
        ("annotations/0/area", -1, rf"{A0}\.area: expected a number above 0, got -1"),
        ("annotations/0/short_axis_mm", "8", rf"{A0}\.short_axis_mm: expected a finite number"),
        ("annotations/0/node_id", 8, rf"{A0}\.node_id: expected text that is not empty, got 8"),
        ("annotations/0/segmentation/size", [64, 48], rf"{A0}\.segmentation: .* \[48, 64\]"),
        ("annotations/0/segmentation/size", 48, rf"{A0}\.segmentation: .* \[48, 64\]"),
        ("annotations/0/segmentation/counts", KeyError, rf"{A0}\.segmentation: .*without counts"),
        ("annotations/2/score", 1.5, r"annotations\[2\]\.score: expected a number in \[0, 1\]"),
        ("annotations/2/score", "0.5", r"annotations\[2\]\.score: expected a finite number, got t"),
        ("annotations/2/probabilities/benign", 0.5, r"\.probabilities: .* got a sum of 1\.25"),
        ("annotations/2/probabilities/benign", KeyError, r"with benign and metastatic"),
        ("annotations/2/probabilities/benign", -1, r"probabilities\.benign: expected a number in"),
        ("annotations/2/threshold", 50, r"\.threshold: expected a number in \[0, 1\], got 50"),
    ],
)
def test_a_bad_field_is_refused_with_its_record(path: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataset_from_json(change(path, value), "t.json")


@pytest.mark.parametrize("bound", [0, 1])
def test_scores_reach_from_0_to_1(bound: int) -> None:
    data = change("annotations/2/score", bound)
    assert dataset_from_json(data, "t.json").annotations[2].score == bound


def test_probabilities_and_lengths_are_written_to_six_decimals() -> None:
    third = replace(
        dataset().annotations[2],
        probabilities={"benign": 1 / 3, "metastatic": 2 / 3},
        threshold=1 / 7,
    )
    records = (image(1, position_mm=1 / 3, spacing_mm=(1 / 3, 2 / 3)), image(2))
    data = dataset_to_json(CocoDataset({}, records, (third,)))
    assert data["annotations"][0]["probabilities"] == {"benign": 0.333333, "metastatic": 0.666667}
    assert data["annotations"][0]["threshold"] == 0.142857
    assert data["images"][0]["lnmdetect"]["position_mm"] == 0.333333
    assert data["images"][0]["lnmdetect"]["spacing_mm"] == [0.333333, 0.666667]


def test_a_box_may_reach_a_little_over_the_border() -> None:
    data = change("annotations/0/bbox", [-3, -2, 10, 10])
    assert dataset_from_json(data, "t.json").annotations[0].box_xyxy == (-3, -2, 7, 8)


def places(part: Any, path: str = "") -> Iterator[str]:
    """The path of every value of a JSON tree."""
    items = part.items() if isinstance(part, dict) else enumerate(part)
    for key, value in items:
        yield f"{path}{key}"
        if isinstance(value, dict | list):
            yield from places(value, f"{path}{key}/")


ODD_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 2.5, 10**400, -1e308, 1e-320, "", "x", "\0", [], {}),
    *([None] * 4, [[]], [1e300] * 4, {"": None}, KeyError),
)


@pytest.mark.parametrize("odd", ODD_VALUES, ids=repr)
def test_whatever_stands_in_a_field_is_read_or_refused_as_bad_input(odd: Any) -> None:
    refused = 0
    for path in places(as_json()):
        try:
            json.dumps(dataset_to_json(dataset_from_json(change(path, odd), "t.json")))
        except InputError:
            refused += 1
    assert refused > 20


def test_messages_never_show_the_text_of_a_field() -> None:
    with pytest.raises(InputError) as caught:
        dataset_from_json(change("images/1/file_name", "../DOE^JANE.dcm"), "t.json")
    assert "DOE" not in str(caught.value)


def test_a_file_that_is_no_object_is_refused() -> None:
    with pytest.raises(InputError, match=r"t\.json: expected a COCO data set .* got a list of 0"):
        dataset_from_json([], "t.json")


def test_a_box_thinner_than_the_rounding_stays_readable() -> None:
    thin = NodeAnnotation(1, 1, 3, (1.0, 1.0, 1.0001, 9.0), score=0.5)
    data = dataset_to_json(CocoDataset({}, (image(1),), (thin,)))
    assert data["annotations"][0]["bbox"] == [1.0, 1.0, 0.001, 8.0]
    assert len(dataset_from_json(data, "b.json").annotations) == 1


def test_a_bare_result_list_is_read_on_the_given_images(tmp_path: Path) -> None:
    entry = {"image_id": 2, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}
    (tmp_path / "results.json").write_text(json.dumps([entry, entry]))
    results = read_result_list(tmp_path / "results.json", (image(1), image(2)))
    assert [a.annotation_id for a in results.annotations] == [1, 2]
    assert results.annotations[1].box_xyxy == (1.0, 2.0, 4.0, 6.0)
    assert len(results.images) == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, r"r\.json: expected a list of results"),
        ([3], r"r\.json: \[0\]: expected an object, got 3"),
        ([{"image_id": 2, "category_id": 3, "bbox": [1, 2, 3, 4]}], r"\[0\]\.score: expected"),
        (
            [{"image_id": 8, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 1}],
            r"r\.json: \[0\]\.image_id: expected the id of an image in the file, got 8",
        ),
    ],
)
def test_a_bad_result_list_is_refused_with_its_entry(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        results_from_json(data, "r.json", (image(1), image(2)))
