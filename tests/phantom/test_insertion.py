"""Nodes in a given scan: measured look, where they lie, what changes and what does not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.phantom.given_scan import (
    GivenScan,
    Noise,
    Sharpness,
    Tissue,
    measure_noise,
    measure_sharpness,
)
from lnmdetect.phantom.insertion import InsertedScan, ScanLook, insert_nodes, put_node
from lnmdetect.phantom.neck_region import find_neck
from lnmdetect.phantom.node_draw import NodeWish, draw_node
from lnmdetect.phantom.nodes import Kind, Node
from lnmdetect.phantom.scan import make_scan

MakeNeck = Callable[..., NDArray[np.int16]]
SPACING_MM = (2.5, 1.0, 1.0)
KINDS: tuple[Kind, ...] = ("benign", "metastatic", "benign", "extranodal", "benign", "metastatic")


def given(voxels: NDArray[np.int16]) -> GivenScan:
    return GivenScan(voxels, SPACING_MM, SPACING_MM[0])


@pytest.fixture(scope="module")
def neck(make_neck: MakeNeck) -> NDArray[np.int16]:
    return make_neck()


@pytest.fixture(scope="module")
def inserted(neck: NDArray[np.int16]) -> InsertedScan:
    return insert_nodes(given(neck), KINDS, np.random.default_rng(3))


def node_mask(inserted: InsertedScan, index: int) -> NDArray[np.bool_]:
    mask = np.zeros(inserted.voxels_hu.shape, dtype=bool)
    for section in inserted.sections:
        if section.node_index == index:
            row, column = section.corner
            rows, columns = section.mask.shape
            part = mask[section.slice_index, row : row + rows, column : column + columns]
            part |= section.mask
    return mask


def plain_node(centre_mm: tuple[float, float, float], radius_mm: float, hu: float) -> Node:
    """A ball of one HU: no lobes, texture, slope, foci or halo."""
    wish = NodeWish("benign", np.full(3, radius_mm), np.eye(3))
    node = draw_node(wish, "III", np.array(centre_mm), np.random.default_rng(0), 0.0)
    none = np.zeros((1, 5))
    return replace(
        node, core_hu=hu, rim_hu=0.0, slope_hu=0.0, lobes=none, texture=none, foci=(), halo_mm=-1.0
    )


def look(slices: int, noise_hu: float, psf_px: float) -> ScanLook:
    noise = Noise(np.full(slices, noise_hu, dtype=np.float32), 0.6)
    return ScanLook(Tissue(55, -100, 0.0), Sharpness((psf_px, psf_px)), noise)


@pytest.mark.parametrize("psf_px", [0.6, 0.9, 1.3])
def test_the_point_spread_is_measured_at_the_skin(make_neck: MakeNeck, psf_px: float) -> None:
    scan = given(make_neck(3, psf_px=psf_px))
    assert measure_sharpness(scan, range(3)).psf_px[0] == pytest.approx(psf_px, rel=0.15)


@pytest.mark.parametrize(("noise_hu", "grain_px"), [(5.0, 0.5), (15.0, 0.9)])
def test_noise_and_its_correlation_are_measured_in_soft_tissue(
    make_neck: MakeNeck, noise_hu: float, grain_px: float
) -> None:
    noise = measure_noise(given(make_neck(3, noise_hu=noise_hu, grain_px=grain_px)), range(3))
    assert noise.deviation_hu == pytest.approx(noise_hu, rel=0.2)
    assert noise.grain_px == pytest.approx(grain_px, rel=0.25)


def test_muscle_and_fat_are_found_and_no_contrast(inserted: InsertedScan) -> None:
    assert inserted.look.tissue.muscle_hu == pytest.approx(55, abs=4)
    assert inserted.look.tissue.fat_hu == pytest.approx(-100, abs=4)
    assert inserted.look.tissue.phase == 0


def test_contrast_is_read_from_the_vessels(make_neck: MakeNeck) -> None:
    enhanced = insert_nodes(given(make_neck(vessel_hu=200)), ["benign"], np.random.default_rng(0))
    assert enhanced.look.tissue.phase == pytest.approx((200 - 45) / 155, abs=0.12)


def test_every_wanted_node_finds_room_in_a_roomy_neck(inserted: InsertedScan) -> None:
    assert sorted(node.kind for node in inserted.nodes) == sorted(KINDS)
    assert {s.node_index for s in inserted.sections} == set(range(len(KINDS)))


def test_voxels_beyond_a_node_and_its_blur_keep_their_bytes(
    neck: NDArray[np.int16], inserted: InsertedScan
) -> None:
    z, y, x = np.meshgrid(
        *(np.arange(n) * s for n, s in zip(neck.shape, SPACING_MM, strict=True)), indexing="ij"
    )
    near = np.zeros(neck.shape, dtype=bool)
    for node in inserted.nodes:
        offset = np.stack([x, y, z], -1) - node.centre_mm
        offset[..., 2] = np.maximum(np.abs(offset[..., 2]) - SPACING_MM[0] / 2, 0)
        near |= np.sqrt((offset**2).sum(-1)) < node.reach_mm + 5
    assert near.mean() < 0.2
    np.testing.assert_array_equal(inserted.voxels_hu[~near], neck[~near])
    assert (inserted.voxels_hu != neck).any()


def test_nodes_lie_in_fat_clear_of_bone_airway_skin_and_each_other(
    neck: NDArray[np.int16], inserted: InsertedScan
) -> None:
    found = find_neck(given(neck))
    covered = np.zeros(neck.shape, dtype=int)
    for index in range(len(inserted.nodes)):
        mask = node_mask(inserted, index)
        assert (neck[mask] < -30).mean() > 0.7
        assert not (mask & (found.bone | found.airway)).any()
        assert (np.hypot(*(np.argwhere(mask)[:, 1:] - 79.5).T) < 60).all()
        covered += mask
    assert covered.max() == 1


def test_a_ball_adds_its_contrast_times_its_volume() -> None:
    fat = np.full((12, 60, 60), -100, dtype=np.int16)
    voxels = fat.copy()
    node = plain_node((30.0, 30.0, 15.0), 6.0, 60.0)
    put_node(voxels, given(fat), look(12, 0.0, 0.8), node, np.random.default_rng(0))
    expected = 160 * 4 / 3 * np.pi * 6**3 / 2.5
    assert float((voxels - fat).sum()) == pytest.approx(expected, rel=0.02)
    assert voxels[6, 30, 30] == 60


def test_a_node_thinner_than_the_slice_is_diluted() -> None:
    fat = np.full((5, 40, 40), -100, dtype=np.int16)
    voxels = fat.copy()
    scan = GivenScan(fat, (5.0, 1.0, 1.0), 5.0)
    node = replace(plain_node((20.0, 20.0, 10.0), 6.0, 60.0), semi_axes_mm=np.array([6, 6, 1.25]))
    put_node(voxels, scan, look(5, 0.0, 0.0), node, np.random.default_rng(0))
    share = (voxels[2, 20, 20] + 100) / 160
    assert share == pytest.approx(2.5 / 5, abs=0.2)
    assert voxels[1, 20, 20] == voxels[3, 20, 20] == -100


def test_noise_inside_nodes_is_that_of_muscle(make_neck: MakeNeck) -> None:
    """Two takes of one neck differ by noise alone, inside a node as outside."""
    node = plain_node((55.0, 95.0, 30.0), 8.0, 50.0)
    takes = []
    for seed in (1, 2):
        voxels = make_neck(seed=seed)
        rng = np.random.default_rng(seed)
        sections = put_node(voxels, given(voxels.copy()), look(24, 8.0, 0.8), node, rng)
        takes.append(voxels.astype(float))
    difference = (takes[0] - takes[1]) / np.sqrt(2)
    section = max(sections, key=lambda s: s.mask.sum())
    inside = [
        difference[s.slice_index][s.corner[0] :, s.corner[1] :][
            : s.mask.shape[0], : s.mask.shape[1]
        ][s.mask]
        for s in sections
        if s.mask.sum() > 0.7 * section.mask.sum()
    ]
    muscle = difference[:, 20:30, 70:90]
    assert np.concatenate(inside).std() == pytest.approx(muscle.std(), rel=0.15)


def test_what_a_node_covers_does_not_show_through() -> None:
    """A bright septum in fat is gone inside the node."""
    fat = np.full((12, 60, 60), -100, dtype=np.int16)
    fat[:, 30] = 40
    fat[:, 29] = fat[:, 31] = -30
    voxels = fat.copy()
    node = plain_node((30.0, 30.0, 15.0), 8.0, 50.0)
    put_node(voxels, given(fat), look(12, 5.0, 0.8), node, np.random.default_rng(0))
    assert voxels[6, 30, 26:35].mean() == pytest.approx(50, abs=10)
    assert voxels[6, 26:35, 30].mean() == pytest.approx(50, abs=5)


def test_texture_under_a_node_shows_through_no_more_than_two_deviations_of_the_noise() -> None:
    row, column = np.mgrid[:60, :60]
    board = np.where((row + column) % 2 == 0, -85, -115).astype(np.int16)
    voxels = np.stack([board] * 12)
    node = plain_node((30.0, 30.0, 15.0), 8.0, 50.0)
    put_node(voxels, given(voxels.copy()), look(12, 5.0, 0.8), node, np.random.default_rng(0))
    assert voxels[0].std() == 15
    assert voxels[6, 27:34, 27:34].std() <= 10.5


def test_fat_under_the_skin_without_muscle_over_it_takes_no_node(make_neck: MakeNeck) -> None:
    """Without the muscular ring only the fat around airway, spine and vessels remains."""
    voxels = make_neck()
    rows, columns = np.mgrid[:160, :160]
    radius_mm = np.hypot(rows - 79.5, columns - 79.5)
    voxels[:, (radius_mm > 42) & (radius_mm < 62)] = -100
    nodes = insert_nodes(given(voxels), KINDS * 2, np.random.default_rng(0)).nodes
    assert nodes
    assert all(np.hypot(*(node.centre_mm[:2] - 79.5)) < 48 for node in nodes)


def test_the_same_seed_gives_the_same_voxels(
    neck: NDArray[np.int16], inserted: InsertedScan
) -> None:
    again = insert_nodes(given(neck), KINDS, np.random.default_rng(3))
    np.testing.assert_array_equal(again.voxels_hu, inserted.voxels_hu)
    other = insert_nodes(given(neck), KINDS, np.random.default_rng(4))
    assert (other.voxels_hu != inserted.voxels_hu).any()


def test_the_given_voxels_are_left_alone(make_neck: MakeNeck) -> None:
    voxels = make_neck()
    before = voxels.copy()
    insert_nodes(given(voxels), ["benign"], np.random.default_rng(0))
    np.testing.assert_array_equal(voxels, before)


def test_a_neck_without_fat_between_its_muscles_takes_no_node(make_neck: MakeNeck) -> None:
    voxels = make_neck()
    inner = voxels[:, 25:135, 25:135]
    inner[(inner > -200) & (inner < 20)] = 55
    assert insert_nodes(given(voxels), KINDS, np.random.default_rng(0)).nodes == ()


def test_levels_with_a_skull_or_lungs_take_no_node(make_neck: MakeNeck) -> None:
    voxels = make_neck(30)
    rows, columns = np.mgrid[:160, :160]
    ring = np.hypot(rows - 80, columns - 80)
    voxels[24:, (ring > 36) & (ring < 42)] = 900
    voxels[:4, (np.hypot(rows - 80, columns - 50) < 22)] = -850
    inserted = insert_nodes(given(voxels), KINDS, np.random.default_rng(0))
    assert (inserted.neck.start, inserted.neck.stop) == (4, 24)
    assert {s.slice_index for s in inserted.sections} <= set(range(3, 25))
    assert inserted.nodes


def test_a_scan_without_airway_and_spine_is_refused() -> None:
    rows, columns = np.mgrid[:100, :100]
    disc = np.where(np.hypot(rows - 50, columns - 50) < 40, -100, -1000).astype(np.int16)
    with pytest.raises(InputError, match=r"expected a neck.*got airway and spine on 0 of 20"):
        insert_nodes(given(np.stack([disc] * 20)), KINDS, np.random.default_rng(0))


@pytest.mark.slow
def test_nodes_go_into_a_lifelike_phantom_as_into_a_scan() -> None:
    scan = make_scan(31, 0, "lifelike")
    plan = scan.plan
    spacing = (plan.spacing_mm, plan.pixel_mm, plan.pixel_mm)
    result = insert_nodes(
        GivenScan(scan.voxels_hu, spacing, plan.thickness_mm), KINDS, np.random.default_rng(0)
    )
    assert len(result.nodes) == len(KINDS)
    assert result.look.tissue.phase > 0.5
    assert result.look.sharpness.psf_px[0] * plan.pixel_mm == pytest.approx(plan.psf_mm, rel=0.4)
