import random
import time
from typing import Any

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import ImageRecord
from lnmdetect.io.coco_columns_images import images_from_records
from lnmdetect.io.slice_join import join_columns, shared_ids


def image(image_id: int, name: str, uid: str = "", **changes: Any) -> ImageRecord:
    fields: dict[str, Any] = {"image_id": image_id, "width": 8, "height": 6, "patient": "p"}
    fields |= {"series": "1.2", "slice_index": 0, "position_mm": 0.0, "spacing_mm": (1.0, 1.0)}
    return ImageRecord(file_name=name, sop_instance_uid=uid, **{**fields, **changes})


def joined(first: list[ImageRecord], second: list[ImageRecord]) -> list[int]:
    one, other = (images_from_records(images)[0] for images in (first, second))
    return [int(place) for place in join_columns(one, other)]


def test_slices_are_joined_by_uid_then_by_name_never_by_id() -> None:
    first = [image(1, "a.png", "1.1"), image(2, "b.png"), image(3, "c.png", "1.3")]
    second = [
        image(3, "z.png", "1.1"),
        image(1, "c.png"),
        image(2, "b.png", "1.9"),
        image(4, "a.png", "1.8"),
        image(5, "new.png"),
    ]
    assert joined(first, second) == [0, 2, 1, -1, -1]
    assert shared_ids(first, second) == {3: 1, 1: 3, 2: 2}


def test_files_without_slices_share_none() -> None:
    assert joined([], [image(1, "a.png")]) == [-1]
    assert joined([image(1, "a.png")], []) == []


def test_a_slice_of_another_size_is_refused_with_its_place() -> None:
    first = [image(1, "a.png"), image(2, "b.png")]
    second = [image(1, "a.png"), image(2, "b.png", width=9)]
    with pytest.raises(InputError, match=r"^images\[1\]: expected 8 x 6 px, .* got 9 x 6 px"):
        joined(first, second)


def test_two_images_that_are_one_slice_of_the_other_file_are_refused() -> None:
    second = [image(1, "b.png"), image(2, "z.png", "1.1"), image(3, "a.png")]
    with pytest.raises(InputError, match=r"^images\[2\]: expected another slice than images\[1\]"):
        joined([image(7, "a.png", "1.1")], second)


def test_a_place_is_told_as_the_caller_tells_it() -> None:
    one, other = (images_from_records([image(1, "a.png", width=w)])[0] for w in (8, 9))
    with pytest.raises(InputError, match=r"^nodes\.json: row 0: expected 8 x 6 px"):
        join_columns(one, other, place="nodes.json: row {}".format)


def test_each_slice_finds_the_one_that_a_search_through_all_finds() -> None:
    chance = random.Random(7)
    compared = 0
    for _ in range(500):
        sides = []
        for _ in range(2):
            names, uids = list("abcd"), ["1", "2", "3", "", "", ""]
            chance.shuffle(names)
            chance.shuffle(uids)
            sides.append([image(i, names[i], uids[i]) for i in range(chance.randrange(5))])
        expected = [_searched(sides[0], wanted) for wanted in sides[1]]
        found = [place for place in expected if place >= 0]
        if len(set(found)) == len(found):
            assert joined(*sides) == expected
            compared += len(found)
        else:
            with pytest.raises(InputError, match="expected another slice than"):
                joined(*sides)
    assert compared > 300


def _searched(images: list[ImageRecord], wanted: ImageRecord) -> int:
    """The place of the slice by the rule itself, -1 without."""
    uid = wanted.sop_instance_uid
    for place, one in enumerate(images):
        if uid and one.sop_instance_uid == uid:
            return place
    for place, one in enumerate(images):
        if one.file_name == wanted.file_name and not (uid and one.sop_instance_uid):
            return place
    return -1


def test_a_hundred_thousand_slices_join_within_seconds() -> None:
    images = [image(i, f"{i}.png", f"1.{i}") for i in range(100_000)]
    one = images_from_records(images)[0]
    start = time.perf_counter()
    assert join_columns(one, one).tolist() == list(range(100_000))
    assert time.perf_counter() - start < 5
