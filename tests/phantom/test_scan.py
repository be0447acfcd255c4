"""Whole phantom scans: determinism, truth against voxels, look-alikes."""

import numpy as np
import pytest
from scipy import ndimage

from lnmdetect.phantom.anatomy import Grid
from lnmdetect.phantom.patient import draw_anatomy
from lnmdetect.phantom.scan import PhantomScan, make_scan
from lnmdetect.phantom.tissues import LOOKALIKE_TISSUES

SMALL_SEED, SMALL_INDEX = 7, 11
"""A training phantom with few slices."""


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
