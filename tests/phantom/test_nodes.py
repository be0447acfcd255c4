"""Nodes: their sizes against the published tables, and their painting against plain geometry."""

from collections import Counter

import numpy as np
import pytest

from lnmdetect.phantom.node_draw import draw_node, draw_wish
from lnmdetect.phantom.node_paint import VolumeGrid, paint_nodes
from lnmdetect.phantom.nodes import Kind, Node
from lnmdetect.phantom.placement import SITES

FAT_HU = -100.0


def ball(radius_mm: float, centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Node:
    return Node(
        kind="benign",
        level="III",
        centre_mm=np.array(centre_mm),
        semi_axes_mm=np.full(3, radius_mm),
        rotation=np.eye(3),
        lobes=np.zeros((0, 5)),
        core_hu=100.0,
        rim_hu=0.0,
        slope_hu=0.0,
        slope=np.array([1.0, 0, 0]),
        texture=np.zeros((0, 5)),
        foci=(),
        edge_mm=0.01,
        halo_mm=0.0,
        halo_hu=FAT_HU,
    )


def grid(slices: int = 9, side: int = 40, thickness_mm: float = 1.0) -> VolumeGrid:
    half = (side - 1) / 2 * 0.5
    return VolumeGrid((slices, side, side), (2.0, 0.5, 0.5), (-half, -half, -8.0), thickness_mm)


def painted(node: Node, where: VolumeGrid) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    volume, sections = paint_nodes(np.full(where.shape, FAT_HU, dtype=np.float32), where, [node])
    masks = {}
    for section in sections:
        mask = np.zeros(where.shape[1:], dtype=bool)
        row, column = section.corner
        mask[row : row + section.mask.shape[0], column : column + section.mask.shape[1]] = (
            section.mask
        )
        masks[section.slice_index] = mask
    return volume, masks


def test_a_ball_has_the_area_of_its_circle_on_every_slice() -> None:
    _, masks = painted(ball(6.0), grid(thickness_mm=0.01))
    for index, mask in masks.items():
        height = -8.0 + 2.0 * index
        expected = np.pi * (36 - height**2)
        assert mask.sum() * 0.25 == pytest.approx(expected, abs=4.0)


def test_a_ball_is_seen_on_the_slices_it_reaches_and_no_others() -> None:
    _, masks = painted(ball(5.0), grid(thickness_mm=0.01))
    assert sorted(masks) == [2, 3, 4, 5, 6]


def test_a_pixel_half_filled_lies_half_way_between_fat_and_node() -> None:
    volume, _ = painted(ball(6.0, (0.25, 0.25, 0.0)), grid(slices=9, side=41, thickness_mm=0.01))
    middle = volume[4]
    assert middle.max() == pytest.approx(100.0)
    assert middle.min() == pytest.approx(FAT_HU)
    assert middle.sum() - FAT_HU * middle.size == pytest.approx(200 * np.pi * 36 / 0.25, rel=0.01)


def test_thick_slices_blur_the_poles_of_a_node() -> None:
    thin, _ = painted(ball(4.5), grid(thickness_mm=0.01))
    thick, _ = painted(ball(4.5), grid(thickness_mm=3.0))
    assert thick[6].max() < thin[6].max()


def test_painting_leaves_the_given_volume_alone() -> None:
    where = grid()
    volume = np.full(where.shape, FAT_HU, dtype=np.float32)
    paint_nodes(volume, where, [ball(5.0)])
    assert (volume == FAT_HU).all()


def test_a_node_outside_the_volume_leaves_no_truth() -> None:
    _, masks = painted(ball(3.0, (200.0, 0.0, 0.0)), grid())
    assert masks == {}


@pytest.mark.parametrize(
    ("kind", "published"), [("benign", 0.96), ("metastatic", 0.45), ("extranodal", 0.13)]
)
def test_short_axes_below_a_centimetre_are_as_frequent_as_in_cancers_2023(
    kind: Kind, published: float
) -> None:
    rng = np.random.default_rng(0)
    short = np.array([2 * draw_wish(kind, rng).semi_axes_mm.min() for _ in range(4000)])
    assert (short < 10).mean() == pytest.approx(published, abs=0.05)


def test_benign_nodes_are_longer_than_metastatic_ones() -> None:
    rng = np.random.default_rng(0)

    def elongation(kind: Kind) -> float:
        axes = [draw_wish(kind, rng).semi_axes_mm for _ in range(500)]
        return float(np.median([a[0] / a[2] for a in axes]))

    assert elongation("benign") > elongation("metastatic") + 0.15


def test_the_signs_of_the_kinds_differ() -> None:
    rng = np.random.default_rng(0)
    found: Counter[str] = Counter()
    for kind in ("benign", "metastatic"):
        for _ in range(300):
            node = draw_node(draw_wish(kind, rng), "III", np.zeros(3), rng, 1.0)
            found[f"{kind} calcified"] += any(focus.hu >= 300 for focus in node.foci)
            found[f"{kind} fatty"] += any(focus.hu < -20 for focus in node.foci)
    assert found["benign calcified"] == 0
    assert found["metastatic calcified"] > 40
    assert found["benign fatty"] > 100
    assert found["metastatic fatty"] == 0


def test_without_contrast_nodes_are_as_grey_as_muscle() -> None:
    rng = np.random.default_rng(0)
    cores = [
        draw_node(draw_wish("metastatic", rng), "IV", np.zeros(3), rng, 0.0).core_hu
        for _ in range(200)
    ]
    assert np.mean(cores) == pytest.approx(42, abs=2)


def test_the_levels_one_to_six_all_have_sites() -> None:
    assert {site.level for site in SITES} == {
        "IA", "IB", "IIA", "IIB", "III", "IV", "VA", "VB", "VI",
    }  # fmt: skip
