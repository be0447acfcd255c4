"""Nodes of label maps: by number, or by what touches."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.transforms.label_nodes import (
    CrossSection,
    LabelNode,
    numbered_nodes,
    split_sections,
    touching_nodes,
)


@pytest.fixture
def labels() -> NDArray[np.uint16]:
    """Class 1 on slices 0 and 1 and, apart, on 3; class 2 beside it on slice 1."""
    labels = np.zeros((4, 6, 8), dtype=np.uint16)
    labels[0:2, 1:3, 1:3] = 1
    labels[1, 1:3, 3:6] = 2
    labels[3, 4, 7] = 1
    return labels


def told(node: LabelNode) -> tuple[int, list[tuple[int, tuple[float, ...]]]]:
    return node.value, [(s.index, s.box_xyxy) for s in node.sections]


def test_a_number_is_a_node_wherever_it_stands(labels: NDArray[np.uint16]) -> None:
    one, two = numbered_nodes(labels)
    assert told(one) == (1, [(0, (1, 1, 3, 3)), (1, (1, 1, 3, 3)), (3, (7, 4, 8, 5))])
    assert told(two) == (2, [(1, (3, 1, 6, 3))])


def test_what_touches_is_a_node_of_its_class(labels: NDArray[np.uint16]) -> None:
    nodes = touching_nodes(labels, (1, 2), joined=False)
    assert [told(node) for node in nodes] == [
        (1, [(0, (1, 1, 3, 3)), (1, (1, 1, 3, 3))]),
        (2, [(1, (3, 1, 6, 3))]),
        (1, [(3, (7, 4, 8, 5))]),
    ]


def test_joined_it_is_one_of_the_class_of_most_voxels(labels: NDArray[np.uint16]) -> None:
    first, _ = touching_nodes(labels, (1, 2), joined=True)
    assert told(first) == (1, [(0, (1, 1, 3, 3)), (1, (1, 1, 6, 3))])
    labels[1, 3:5, 3:6] = 2
    first, _ = touching_nodes(labels, (1, 2), joined=True)
    assert first.value == 2


def test_a_class_that_is_not_asked_for_is_background(labels: NDArray[np.uint16]) -> None:
    assert [node.value for node in touching_nodes(labels, (2,), joined=True)] == [2]
    assert touching_nodes(labels, (), joined=True) == ()


def test_corners_join_within_a_slice_but_not_between_two() -> None:
    labels = np.zeros((2, 4, 4), dtype=np.uint16)
    labels[0, 0, 0] = labels[0, 1, 1] = labels[1, 2, 2] = 1
    assert [len(n.sections) for n in touching_nodes(labels, (1,), joined=False)] == [1, 1]


def test_two_parts_on_a_slice_that_meet_on_another_are_one_cross_section() -> None:
    labels = np.zeros((2, 3, 7), dtype=np.uint16)
    labels[0, 1, :] = 1
    labels[1, 0:2, 0:2] = labels[1, 1:3, 5:7] = 1
    (node,) = touching_nodes(labels, (1,), joined=False)
    assert told(node) == (1, [(0, (0, 1, 7, 2)), (1, (0, 0, 7, 3))])
    assert np.array_equal(node.sections[1].plane((3, 7)), labels[1] == 1)


def test_split_gives_the_pieces_that_touching_gives(labels: NDArray[np.uint16]) -> None:
    (one, *_) = numbered_nodes(labels)
    pieces = split_sections(one.sections, (6, 8))
    assert [[s.index for s in piece] for piece in pieces] == [[0, 1], [3]]


def test_a_cross_section_is_cut_to_its_box() -> None:
    mask = np.zeros((5, 6), dtype=bool)
    mask[2, 3] = mask[3, 1] = True
    section = CrossSection.of(4, mask, (10, 20))
    assert (section.corner, section.inside.tolist()) == ((12, 21), [[0, 0, 1], [1, 0, 0]])
    assert section.box_xyxy == (21, 12, 24, 14)
