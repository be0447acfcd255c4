"""Surface distances by hand, against distance maps of scipy, and against MONAI."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from lnmdetect.metrics.cohort import Cohort
from lnmdetect.metrics.mask_surface import (
    Plane,
    SurfaceDistances,
    VolumeGrid,
    matches,
    pair_distances,
    surface_distances,
    surface_figures,
    surface_points,
)
from lnmdetect.metrics.resampling import Resamples

SPACING_MM = (2.5, 0.5, 0.8)
GRID = VolumeGrid(np.array([SPACING_MM[0] * place for place in range(12)]), SPACING_MM[1:])


def planes(volume: NDArray[Any]) -> list[Plane]:
    """A volume's slices as planes, each cut to its own box."""
    found = []
    for place, mask in enumerate(volume):
        if mask.any():
            row, column = np.nonzero(mask)
            box = mask[row.min() : row.max() + 1, column.min() : column.max() + 1]
            found.append(Plane.of(place, (int(row.min()), int(column.min())), box))
    return found


def blobs(seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(seed)
    at = np.stack(np.meshgrid(*map(np.arange, (12, 30, 28)), indexing="ij"), axis=-1)
    made = []
    for _ in range(2):
        centre, radii = rng.uniform((4, 10, 10), (7, 18, 18)), rng.uniform((1, 3, 3), (3, 8, 8))
        made.append((((at - centre) / radii) ** 2).sum(axis=-1) <= 1)
    return made[0], made[1]


def of(first: NDArray[Any], second: NDArray[Any]) -> SurfaceDistances:
    return surface_distances(
        surface_points(planes(first), GRID), surface_points(planes(second), GRID)
    )


def test_two_voxels_are_as_far_apart_as_their_centres() -> None:
    first, second = np.zeros((2, 12, 30, 28), dtype=bool)
    first[3, 4, 5] = second[5, 8, 10] = True
    distance = np.sqrt((2 * 2.5) ** 2 + (4 * 0.5) ** 2 + (5 * 0.8) ** 2)
    found = of(first, second)
    assert found.mean == pytest.approx(distance)
    assert found.hausdorff_95 == pytest.approx(distance)


def test_a_slice_that_lies_further_off_counts_with_its_own_step() -> None:
    grid = VolumeGrid(np.array([0.0, 2.0, 7.0]), (1.0, 1.0))
    voxel = np.ones((1, 1), dtype=bool)
    points = [surface_points([Plane.of(place, (0, 0), voxel)], grid) for place in (1, 2)]
    assert surface_distances(*points).mean == pytest.approx(5)


def test_the_inside_of_a_block_is_no_surface() -> None:
    volume = np.zeros((12, 30, 28), dtype=bool)
    volume[2:5, 3:6, 3:6] = True
    assert len(surface_points(planes(volume), GRID)) == 27 - 1
    volume[3, 4, 4] = False  # a hole: its six neighbours were surface already
    assert len(surface_points(planes(volume), GRID)) == 26


def test_planes_on_one_slice_join_before_the_surface_is_taken() -> None:
    whole = np.ones((3, 6), dtype=bool)
    parts = [Plane.of(2, (1, 1), whole[:, :4]), Plane.of(2, (1, 4), whole[:, :3])]
    together = surface_points([Plane.of(2, (1, 1), whole)], GRID)
    np.testing.assert_array_equal(surface_points(parts, GRID), together)
    assert surface_points([], GRID).shape == (0, 3)


@pytest.mark.parametrize("seed", range(6))
def test_distances_are_those_of_distance_maps(seed: int) -> None:
    first, second = blobs(seed)
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (first, second)]
    maps = [ndimage.distance_transform_edt(~edge, sampling=SPACING_MM) for edge in edges]
    there, back = maps[1][edges[0]], maps[0][edges[1]]
    found = of(first, second)
    assert found.mean == pytest.approx(np.concatenate([there, back]).mean())
    percentiles = np.percentile(there, 95), np.percentile(back, 95)
    assert found.hausdorff_95 == pytest.approx(max(percentiles))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
def test_distances_are_those_of_monai() -> None:
    metrics, torch = pytest.importorskip("monai.metrics"), pytest.importorskip("torch")
    for seed in range(6):
        first, second = blobs(seed)
        pair = [torch.from_numpy(mask[None, None]) for mask in (second, first)]
        told = {"include_background": True, "spacing": list(SPACING_MM)}
        mean = metrics.compute_average_surface_distance(*pair, symmetric=True, **told)
        far = metrics.compute_hausdorff_distance(*pair, percentile=95, **told)
        found = of(first, second)
        assert found.mean == pytest.approx(float(mean), rel=1e-5)
        assert found.hausdorff_95 == pytest.approx(float(far), rel=1e-5)


def test_a_node_is_measured_against_all_answered_nodes_matched_with_it() -> None:
    volume = np.zeros((12, 30, 28), dtype=bool)
    volume[4, 4:8, 4:12] = True
    left, right = volume.copy(), volume.copy()
    left[:, :, 8:], right[:, :, :8] = False, False
    truth = {0: planes(volume), 1: planes(volume)}
    found = {5: planes(left), 6: planes(right)}
    both, one = pair_distances(np.array([[0, 5], [0, 6], [1, 5]]), truth, found, GRID)
    assert both == SurfaceDistances(0, 0)
    assert one.mean > 0


def test_an_answered_node_is_matched_with_the_one_node_it_shares_most_with() -> None:
    shared = np.array([[0, 5, 3], [1, 5, 8], [1, 6, 2], [2, 7, 4], [3, 7, 4]])
    assert matches(shared).tolist() == [[1, 5], [1, 6], [2, 7]]


def test_the_figure_is_the_mean_over_the_nodes_of_a_volume_and_then_over_volumes() -> None:
    cohort = Cohort(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]), Resamples(2, count=0))
    one, two, six = (SurfaceDistances(mm, mm + 1) for mm in (1.0, 2.0, 6.0))
    figures = surface_figures({0: (one, two), 1: (six,), 2: ()}, cohort)
    assert figures.nodes == 3
    assert figures.mean_mm.value == pytest.approx((1.5 + 6) / 2)
    assert figures.hausdorff_95_mm.value == pytest.approx((2.5 + 7) / 2)
    assert figures.mean_mm.n == 2


def test_without_a_matched_node_there_is_no_distance() -> None:
    figures = surface_figures({0: ()}, Cohort.without_patients(1))
    assert figures.mean_mm.value is None
    assert figures.mean_mm.reason == "no node of truth with an answered node on it"
