"""Whole phantom scans: determinism, truth against voxels, look-alikes."""

import numpy as np
import pytest
from scipy import ndimage

from lnmdetect.phantom.anatomy import Anatomy, Grid
from lnmdetect.phantom.appearance import draw_appearance
from lnmdetect.phantom.patient import draw_anatomy
from lnmdetect.phantom.scan import NODE_REGION_MM, PhantomScan, _place_nodes, make_scan
from lnmdetect.phantom.scan_plan import draw_plan
from lnmdetect.phantom.tissues import LOOKALIKE_TISSUES

SMALL_SEED, SMALL_INDEX = 7, 11
"""A training phantom with few slices."""
LIFELIKE_SEED = 4100


@pytest.fixture(scope="module")
def scan() -> PhantomScan:
    return make_scan(SMALL_SEED, SMALL_INDEX, "training")


def test_the_same_seed_gives_the_same_scan(scan: PhantomScan) -> None:
    again = make_scan(SMALL_SEED, SMALL_INDEX, "training")
    np.testing.assert_array_equal(again.voxels_hu, scan.voxels_hu)
    assert len(again.sections) == len(scan.sections)


def test_values_are_hounsfield_units_of_twelve_bits(scan: PhantomScan) -> None:
    assert scan.voxels_hu.dtype == np.int16
    assert scan.voxels_hu.min() >= -1024
    assert scan.voxels_hu.max() <= 3071
    assert scan.voxels_hu.max() > 800


def test_every_node_of_the_truth_shows_on_a_slice(scan: PhantomScan) -> None:
    assert len(scan.nodes) >= 3
    seen = {section.node_index for section in scan.sections}
    assert len(seen) >= len(scan.nodes) - 1


def test_masks_are_filled_by_something_brighter_than_fat(scan: PhantomScan) -> None:
    for section in scan.sections:
        row, column = section.corner
        rows, columns = section.mask.shape
        window = scan.voxels_hu[section.slice_index, row : row + rows, column : column + columns]
        if section.mask.sum() > 40:
            assert np.percentile(window[section.mask], 95) > -20


def lookalikes(z_levels: range, seed: int) -> int:
    """Count the vessel and gland cross-sections 3 to 20 mm across."""
    anatomy = draw_anatomy(np.random.default_rng(seed), 1.0)
    grid = Grid((256, 256), 0.8, (0.0, 5.0))
    labels = [i for i, tissue in enumerate(anatomy.tissues) if tissue in LOOKALIKE_TISSUES]
    count = 0
    for z in z_levels:
        components, _ = ndimage.label(np.isin(anatomy.paint(float(z), grid), labels))
        for rows, columns in ndimage.find_objects(components):
            sides = (0.8 * (rows.stop - rows.start), 0.8 * (columns.stop - columns.start))
            count += min(sides) >= 3 and max(sides) <= 20
    return count


def test_vessels_and_glands_of_node_size_outnumber_nodes() -> None:
    slices = range(-80, 60, 4)
    most_nodes_a_scan = 22
    sections_a_node = 4 / 2
    assert lookalikes(slices, 0) > most_nodes_a_scan * sections_a_node


def round_lookalikes(anatomy: Anatomy, z_mm: float) -> int:
    """Count the vessel and gland cross-sections of a node's size and shape on one level.

    3 to 20 mm across, sides within 1 : 2, and filling their box as a disc does (0.785) or nearly.
    """
    grid = Grid((256, 256), 0.8, (0.0, 5.0))
    labels = [i for i, tissue in enumerate(anatomy.tissues) if tissue in LOOKALIKE_TISSUES]
    components, _ = ndimage.label(np.isin(anatomy.paint(z_mm, grid), labels))
    count = 0
    for number, place in enumerate(ndimage.find_objects(components), start=1):
        shape = components[place] == number
        short, long = sorted(0.8 * side for side in shape.shape)
        count += short >= 3 and long <= min(20, 2 * short) and shape.mean() >= 0.6
    return count


@pytest.mark.parametrize("index", range(4))
def test_each_scan_has_more_round_vessel_and_gland_sections_than_its_own_node_sections(
    index: int,
) -> None:
    # As make_scan draws a lifelike patient, without rendering it.
    rng = np.random.default_rng((LIFELIKE_SEED, index, 0))
    plan = draw_plan("lifelike", rng)
    anatomy = draw_anatomy(rng, 1.0, plan.metal)
    nodes = _place_nodes(anatomy, draw_appearance(anatomy.tissues, rng, "lifelike"), plan, rng)
    step_mm = 6.0
    levels = np.arange(plan.levels_mm[0], plan.levels_mm[-1], step_mm)
    levels = levels[(levels >= NODE_REGION_MM[0]) & (levels <= NODE_REGION_MM[1])]
    assert nodes
    centres = np.array([node.centre_mm[2] for node in nodes])
    reach = np.array([node.semi_axes_mm[0] for node in nodes])  # the longest: at most so far in z
    of_nodes = int((np.abs(levels[:, None] - centres) < reach).sum())
    of_lookalikes = sum(round_lookalikes(anatomy, float(z)) for z in levels)
    assert of_lookalikes >= of_nodes > 0


def test_a_level_shows_body_bone_airway_and_vessels() -> None:
    anatomy = draw_anatomy(np.random.default_rng(1), 1.0)
    image = anatomy.paint(-45.0, Grid((256, 256), 0.8, (0.0, 5.0)))
    shown = {anatomy.tissues[label] for label in np.unique(image)}
    assert {"air", "skin", "fat", "muscle", "artery", "vein", "thyroid", "cord"} <= shown


def test_the_head_is_empty_above_the_vertex_but_for_the_couch() -> None:
    anatomy = draw_anatomy(np.random.default_rng(1), 1.0)
    image = anatomy.paint(225.0, Grid((256, 256), 1.2, (0.0, 5.0)))
    shown = {anatomy.tissues[label] for label in np.unique(image)}
    assert shown.isdisjoint({"skin", "fat", "brain", "cortex"})
