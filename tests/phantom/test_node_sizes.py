"""The nodes that lifelike patients hold: sizes by class as published, truth of one class a node."""

from collections.abc import Sequence

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from lnmdetect.core.node_classes import (
    EXTRANODAL,
    NEGATIVE,
    POSITIVE,
    THREE,
    TWO,
    label_of,
    node_class,
)
from lnmdetect.core.records import METASTATIC, NodeAnnotation
from lnmdetect.phantom.appearance import draw_appearance
from lnmdetect.phantom.node_paint import CrossSection, VolumeGrid, paint_nodes
from lnmdetect.phantom.nodes import Node
from lnmdetect.phantom.patient import draw_anatomy
from lnmdetect.phantom.scan import _place_nodes
from lnmdetect.phantom.scan_plan import draw_plan
from lnmdetect.stages.phantom_truth import section_annotation

SEED, PATIENTS = 4000, 100
OF_ALL_CLASSES = 16
"""A patient of the seed with three nodes or more of every class."""
BELOW_10_MM = {NEGATIVE: (0.96, 1531), POSITIVE: (0.45, 278), EXTRANODAL: (0.13, 145)}
"""Share of nodes with a short axis below 1 cm, and of how many: Cancers 2023, 15, 5890, Table 1."""
DRAWN_OFF = 0.03
"""How far the phantom may lie from the table beyond chance. `draw_wish` aims 2 to 2.5 points to the
middle, so that size alone does not tell the classes; then the larger nodes choose their places
first, and more of the small ones find none. Over 300 patients: 0.931, 0.471 and 0.175."""
CLASS_OF_KIND = {"benign": NEGATIVE, "metastatic": POSITIVE, "extranodal": EXTRANODAL}


def placed_nodes(index: int) -> tuple[Node, ...]:
    """The nodes of a lifelike patient as `make_scan` draws them, without rendering the scan."""
    rng = np.random.default_rng((SEED, index, 0))
    plan = draw_plan("lifelike", rng)
    anatomy = draw_anatomy(rng, 1.0, plan.metal)
    return _place_nodes(anatomy, draw_appearance(anatomy.tissues, rng, "lifelike"), plan, rng)


@pytest.mark.slow
def test_of_each_class_as_many_nodes_are_below_a_centimetre_as_in_cancers_2023() -> None:
    short: dict[str, list[float]] = {name: [] for name in THREE}
    for index in range(PATIENTS):
        for node in placed_nodes(index):
            short[CLASS_OF_KIND[node.kind]].append(node.short_axis_mm)
    for name, (published, of) in BELOW_10_MM.items():
        below = np.array(short[name]) < 10
        assert len(below) >= 30
        # Both shares are samples: the difference of two has the sum of their variances.
        by_chance = 1.96 * np.sqrt(published * (1 - published) * (1 / of + 1 / len(below)))
        assert below.mean() == pytest.approx(published, abs=by_chance + DRAWN_OFF), name


@pytest.fixture(scope="module")
def nodes() -> tuple[Node, ...]:
    return placed_nodes(OF_ALL_CLASSES)


@pytest.fixture(scope="module")
def sections(nodes: Sequence[Node]) -> tuple[CrossSection, ...]:
    shape = (80, 180, 180)
    grid = VolumeGrid(shape, (2.5, 1.0, 1.0), (-90.0, -90.0, -115.0), 2.5)
    return paint_nodes(np.full(shape, -100, dtype=np.float32), grid, nodes)[1]


@pytest.fixture(scope="module")
def truth(nodes: Sequence[Node], sections: Sequence[CrossSection]) -> list[NodeAnnotation]:
    return [
        section_annotation(
            section,
            nodes[section.node_index],
            annotation_id=number,
            prefix="p000",
            image_shape=(180, 180),
            spacing_mm=(1.0, 1.0),
        )
        for number, section in enumerate(sections, start=1)
    ]


def test_each_node_is_of_one_class_under_one_name_on_the_slices_it_spans(
    nodes: Sequence[Node], sections: Sequence[CrossSection], truth: Sequence[NodeAnnotation]
) -> None:
    told: dict[str | None, set[tuple[object, ...]]] = {}
    slices: dict[str | None, list[int]] = {}
    for annotation, section in zip(truth, sections, strict=True):
        kind = nodes[section.node_index].kind
        assert node_class(annotation) == CLASS_OF_KIND[kind]
        told.setdefault(annotation.node_id, set()).add(
            (section.node_index, node_class(annotation), annotation.level, annotation.short_axis_mm)
        )
        slices.setdefault(annotation.node_id, []).append(section.slice_index)
    assert len(told) == len(nodes)
    assert all(len(one) == 1 for one in told.values())
    assert all(list(range(s[0], s[-1] + 1)) == s for s in slices.values())
    assert {node_class(annotation) for annotation in truth} == set(THREE)


def test_extranodal_extension_is_metastatic_and_a_class_of_its_own_only_among_three(
    truth: Sequence[NodeAnnotation],
) -> None:
    extranodal = [annotation for annotation in truth if annotation.kind == "extranodal"]
    assert extranodal
    assert {annotation.category_id for annotation in extranodal} == {METASTATIC}
    assert {label_of(annotation, THREE) for annotation in extranodal} == {3}
    assert {label_of(annotation, TWO) for annotation in extranodal} == {2}


def test_masks_fill_their_boxes_and_reach_no_farther_than_the_node(
    nodes: Sequence[Node], sections: Sequence[CrossSection], truth: Sequence[NodeAnnotation]
) -> None:
    for annotation, section in zip(truth, sections, strict=True):
        mask = coco_mask.decode(annotation.segmentation).astype(bool)
        assert mask.sum() == section.mask.sum() > 0
        rows, columns = np.nonzero(mask)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert annotation.box_xyxy == box
        node = nodes[section.node_index]
        points = np.column_stack([columns - 90.0, rows - 90.0])
        away = points - node.centre_mm[:2]
        # Half a pixel's diagonal more: a pixel counts from half of it on.
        assert np.hypot(*away.T).max() <= node.reach_mm + 0.71
