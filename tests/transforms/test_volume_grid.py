"""Parts of a volume: interpolated along z, cut in the plane."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from lnmdetect.transforms.volume_grid import Window, blend_slices, cut_labels, cut_volume
from lnmdetect.transforms.windows import AIR_HU

POSITIONS_MM = np.array([-10.0, -7.0, -4.0, -1.0])
VOLUME = np.random.default_rng(0).integers(-100, 200, (4, 6, 7)).astype(np.int16)
WHOLE = Window((0, 0), (6, 7))


def test_planes_between_slices_are_linear_as_scipy_has_them() -> None:
    planes_mm = np.array([-10, -8.2, -4, -1.3])
    cut = cut_volume(VOLUME, blend_slices(POSITIONS_MM, planes_mm), WHOLE)
    z, y, x = np.meshgrid((planes_mm + 10) / 3, np.arange(6), np.arange(7), indexing="ij")
    assert cut == pytest.approx(map_coordinates(VOLUME.astype(float), [z, y, x], order=1), abs=1e-3)


def test_half_a_step_beyond_the_ends_is_the_end_slice_and_farther_out_is_air() -> None:
    planes_mm = np.array([-11.6, -11.4, 0.4, 0.6])
    blend = blend_slices(POSITIONS_MM, planes_mm)
    cut = cut_volume(VOLUME, blend, WHOLE)
    assert (cut[[0, 3]] == AIR_HU).all()
    assert (cut[1] == VOLUME[0]).all()
    assert (cut[2] == VOLUME[3]).all()
    labels = cut_labels(np.ones((4, 6, 7), dtype=np.uint8), blend, WHOLE)
    assert labels.max(axis=(1, 2)).tolist() == [0, 1, 1, 0]


def test_a_window_that_hangs_over_the_edge_is_padded_with_air_and_background() -> None:
    blend = blend_slices(POSITIONS_MM, POSITIONS_MM[:1])
    cut = cut_volume(VOLUME, blend, Window((-2, 5), (4, 4)))
    assert (cut[0, 2:, :2] == VOLUME[0, :2, 5:]).all()
    assert (cut[0, :2] == AIR_HU).all()
    assert (cut[0, :, 2:] == AIR_HU).all()
    labels = cut_labels(VOLUME.astype(np.uint8), blend, Window((-2, 5), (4, 4)))
    assert (labels[0, 2:, :2] == VOLUME[0, :2, 5:].astype(np.uint8)).all()
    assert labels[0, :2].max() == 0


@pytest.mark.parametrize("corner", [(-9, 0), (6, 0), (0, -8), (0, 30)])
def test_a_window_wholly_outside_is_air(corner: tuple[int, int]) -> None:
    blend = blend_slices(POSITIONS_MM, POSITIONS_MM)
    assert (cut_volume(VOLUME, blend, Window(corner, (4, 4))) == AIR_HU).all()


def test_a_plane_takes_the_labels_of_the_nearest_slice() -> None:
    labels = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 6, 7), dtype=np.uint8)
    blend = blend_slices(POSITIONS_MM, np.array([-8.6, -8.4, -1.0]))
    assert cut_labels(labels, blend, WHOLE)[:, 0, 0].tolist() == [0, 1, 3]


def test_a_single_slice_gives_the_planes_within_no_step_of_it() -> None:
    blend = blend_slices(np.array([5.0]), np.array([5.0, 6.0]))
    assert blend.lower.tolist() == blend.upper.tolist() == [0, 0]
