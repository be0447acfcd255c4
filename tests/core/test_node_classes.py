"""Which class of the segmentation arm a node belongs to."""

from dataclasses import replace

import pytest

from lnmdetect.core.node_classes import ONE, THREE, TWO, category_of, label_of, node_class
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC, NodeAnnotation

NEGATIVE = NodeAnnotation(1, 1, BENIGN, (0, 0, 4, 4))
POSITIVE = replace(NEGATIVE, category_id=METASTATIC, kind="metastatic")
EXTRANODAL = replace(POSITIVE, kind="extranodal")
UNKNOWN = replace(NEGATIVE, category_id=LYMPH_NODE)


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (NEGATIVE, "negative"),
        (POSITIVE, "positive"),
        (EXTRANODAL, "extranodal_extension"),
        (UNKNOWN, None),
    ],
)
def test_category_and_kind_name_the_class(annotation: NodeAnnotation, name: str | None) -> None:
    assert node_class(annotation) == name


@pytest.mark.parametrize(
    ("classes", "labels"),
    [(THREE, [1, 2, 3, None]), (TWO, [1, 2, 2, None]), (ONE, [1, 1, 1, 1])],
)
def test_labels_follow_what_is_told_apart(
    classes: tuple[str, ...], labels: list[int | None]
) -> None:
    nodes = (NEGATIVE, POSITIVE, EXTRANODAL, UNKNOWN)
    assert [label_of(node, classes) for node in nodes] == labels


def test_classes_go_back_to_categories() -> None:
    names = ("negative", "positive", "extranodal_extension", "metastatic", "node")
    categories = [category_of(name) for name in names]
    assert categories == [BENIGN, METASTATIC, METASTATIC, METASTATIC, None]
