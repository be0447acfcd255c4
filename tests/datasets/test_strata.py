"""What each patient brings to a fold, by columns of boxes and of images."""

from dataclasses import replace
from typing import Any

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.datasets.strata import Amount, patient_amounts, site_groups


def image(image_id: int, patient: str, **extra: Any) -> ImageRecord:
    uid = f"1.2.{image_id}"
    return ImageRecord(
        image_id, f"{uid}.dcm", 64, 64, patient, "1", uid, 0, 0.0, (0.5, 0.5), extra=extra
    )


def node(node_id: int, image_id: int, category: int, **fields: Any) -> NodeAnnotation:
    return NodeAnnotation(node_id, image_id, category, (1, 1, 9, 9), **fields)


TRUTH = CocoDataset(
    {},
    (
        image(1, "b", lnmdetect={"scanner": "S1"}),
        image(2, "a", scanner="S2"),
        image(3, "b", lnmdetect={"scanner": 7}),
    ),
    (
        node(1, 1, 2, level="II", extra={"reader": True}),
        node(2, 1, 1),
        node(3, 3, 2, level="III"),
        node(4, 2, 2, ignored=True, level="II"),
    ),
)


def amounts(*columns: str) -> dict[tuple[str, str, str], list[float]]:
    """The amounts of patients a and b by what, column and value."""
    found = patient_amounts(TRUTH, columns)
    assert found.patients == ("a", "b")
    names = [(name.of, name.column, name.value) for name in found.names]
    return dict(zip(names, found.values.T.tolist(), strict=True))


def test_boxes_that_count_are_counted_by_class() -> None:
    assert amounts("class") == {
        ("patients", "", ""): [1, 1],
        ("boxes", "class", "benign"): [0, 1],
        ("patients", "class", "benign"): [0, 1],
        ("boxes", "class", "metastatic"): [0, 2],
        ("patients", "class", "metastatic"): [0, 1],
    }


def test_a_box_without_a_value_counts_as_not_given() -> None:
    found = amounts("level")
    assert found["boxes", "level", "II"] == [0, 1]
    assert found["boxes", "level", "III"] == [0, 1]
    assert found["boxes", "level", "not given"] == [0, 1]
    assert amounts("reader")["boxes", "reader", "True"] == [0, 1]


def test_a_column_of_images_is_read_in_the_block_and_beside_it() -> None:
    found = amounts("scanner")
    assert found["images", "scanner", "S1"] == [0, 1]
    assert found["images", "scanner", "S2"] == [1, 0]
    assert found["images", "scanner", "7"] == [0, 1]


def test_patients_and_each_column_weigh_the_same() -> None:
    found = patient_amounts(TRUTH, ("class", "level"))
    weights: dict[str, float] = {}
    for name, weight in zip(found.names, found.weights, strict=True):
        weights[name.column] = weights.get(name.column, 0) + weight
    assert weights == pytest.approx({"": 1, "class": 1, "level": 1})
    assert found.names[0] == Amount("patients")


def test_a_column_named_twice_counts_once() -> None:
    assert len(patient_amounts(TRUTH, ("class", "class")).names) == 5


def test_without_boxes_there_is_no_class_to_balance() -> None:
    bare = replace(TRUTH, annotations=())
    assert patient_amounts(bare, ("class",)).names == (Amount("patients"),)


def test_a_list_in_a_column_is_refused() -> None:
    images = (image(1, "a", scanner=["S1"]),)
    with pytest.raises(InputError, match="text, a number or true and false"):
        patient_amounts(CocoDataset({}, images, ()), ("scanner",))


def test_sites_that_share_a_patient_are_one_group() -> None:
    site = [("a", "x"), ("b", "y"), ("b", "z"), ("c", "z"), ("d", "x"), ("e", "w")]
    images = tuple(image(k, p, site=s) for k, (p, s) in enumerate(site, start=1))
    groups = site_groups(CocoDataset({}, images, ()), ("a", "b", "c", "d", "e"), "site")
    assert groups == [0, 1, 1, 0, 2]
