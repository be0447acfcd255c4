"""Anchor sets: their shapes, what they cover, and the fit."""

import numpy as np
import pytest

from lnmdetect.models.anchors import (
    PAPER_ANCHORS,
    TORCHVISION_ANCHORS,
    AnchorSet,
    coverage,
    fit_anchors,
    fit_ratios,
    fit_shapes,
    grid_coverage,
)


def centred_boxes(sizes_wh: list[list[float]], centre: tuple[float, float]) -> np.ndarray:
    half = np.asarray(sizes_wh) / 2
    return np.concatenate([np.asarray(centre) - half, np.asarray(centre) + half], axis=1)


def test_the_papers_anchors_have_its_areas_and_ratios() -> None:
    assert PAPER_ANCHORS.areas_px2 == pytest.approx((256, 576, 1282, 1600, 3136))
    assert PAPER_ANCHORS.ratios == (0.5, 1.0, 2.0)


def test_a_ratio_is_height_over_width_and_corners_lie_on_whole_pixels() -> None:
    # sqrt(0.5) = 0.7071: half sides 16 / 0.7071 / 2 = 11.31 -> 11 and 16 * 0.7071 / 2 = 5.66 -> 6
    shapes = PAPER_ANCHORS.level_shapes_wh(0)
    assert shapes.tolist() == [[22, 12], [16, 16], [12, 22]]


def test_level_shapes_equal_torchvisions_own_cell_anchors() -> None:
    generator = pytest.importorskip("torchvision").models.detection.anchor_utils.AnchorGenerator
    anchors = AnchorSet((9.7, 24, 35.8, 40, 56), (0.4, 1.0, 1.9))
    cells = generator([[size] for size in anchors.sizes_px], [anchors.ratios] * 5).cell_anchors
    for level, cell in enumerate(cells):
        theirs = (cell[:, 2:] - cell[:, :2]).double().numpy()
        np.testing.assert_array_equal(anchors.level_shapes_wh(level), theirs)


@pytest.mark.parametrize("sizes", [(), (0.0,), (-1.0,), (float("nan"),), (float("inf"),)])
def test_an_anchor_set_without_a_positive_size_is_refused(sizes: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="sizes_px: expected one or more numbers above 0"):
        AnchorSet(sizes)


def test_coverage_is_the_best_shape_iou_over_levels_and_ratios() -> None:
    anchors = AnchorSet((10, 20), (1.0,))
    # 10 x 5 in 10 x 10: 50 / 100; 20 x 20 is met; 16 x 20 in 20 x 20: 320 / 400
    best = coverage(anchors, [[10, 5], [20, 20], [16, 20]])
    np.testing.assert_allclose(best, [0.5, 1.0, 0.8])


def test_a_10_px_node_is_missed_by_torchvisions_default() -> None:
    # its smallest anchors are 32 x 32 and, on whole pixels, 46 x 22
    assert coverage(TORCHVISION_ANCHORS, [[10, 10]])[0] == pytest.approx(100 / (46 * 22))


def test_grid_coverage_counts_the_distance_to_the_nearest_anchor_centre() -> None:
    anchors = AnchorSet((16,), (1.0,))
    boxes = centred_boxes([[16, 16]], (64, 64))
    moved = centred_boxes([[16, 16]], (72, 64))
    assert grid_coverage(anchors, boxes, strides_px=(32,))[0] == pytest.approx(1.0)
    # centre (72, 64): 8 px from (64, 64); overlap 8 x 16 = 128, union 2 * 256 - 128
    assert grid_coverage(anchors, moved, strides_px=(32,))[0] == pytest.approx(128 / 384)
    # at stride 4 the shifted box is met again
    assert grid_coverage(anchors, moved, strides_px=(4,))[0] == pytest.approx(1.0)


def test_grid_coverage_equals_torchvisions_anchors_laid_out_over_an_image() -> None:
    torch = pytest.importorskip("torch")
    utils = pytest.importorskip("torchvision").models.detection
    rng = np.random.default_rng(3)
    corner, size = rng.uniform(80, 150, (40, 2)), rng.uniform(6, 60, (40, 2))
    boxes = np.concatenate([corner, corner + size], axis=1)
    generator = utils.anchor_utils.AnchorGenerator(
        [[size] for size in PAPER_ANCHORS.sizes_px], [PAPER_ANCHORS.ratios] * 5
    )
    images = utils.image_list.ImageList(torch.zeros(1, 1, 256, 256), [(256, 256)])
    maps = [torch.zeros(1, 1, 256 // stride, 256 // stride) for stride in (4, 8, 16, 32, 64)]
    laid_out = generator(images, maps)[0].double()
    overlap = pytest.importorskip("torchvision").ops.box_iou(torch.from_numpy(boxes), laid_out)
    np.testing.assert_allclose(grid_coverage(PAPER_ANCHORS, boxes), overlap.amax(dim=1).numpy())


def test_grid_coverage_wants_one_stride_a_level() -> None:
    with pytest.raises(ValueError, match="strides_px: expected 1, one a size, got 2"):
        grid_coverage(AnchorSet((8,)), [[0, 0, 8, 8]], strides_px=(4, 8))


def test_no_boxes_have_no_coverage() -> None:
    assert coverage(PAPER_ANCHORS, np.zeros((0, 2))).shape == (0,)
    assert grid_coverage(PAPER_ANCHORS, []).shape == (0,)


def test_the_fit_finds_sizes_that_the_boxes_were_made_of() -> None:
    made_of = [8.0, 14.0, 20.0, 32.0, 48.0]
    boxes = centred_boxes([[side, side] for side in made_of for _ in range(20)], (128, 128))
    fitted = fit_anchors(boxes, ratios=(1.0,), on_grid=False)
    assert fitted.sizes_px == pytest.approx(made_of, rel=0.07)
    assert coverage(fitted, [[side, side] for side in made_of]).min() == pytest.approx(1.0)


def lognormal_boxes(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    side, ratio = np.exp(rng.normal(np.log(14), 0.5, count)), np.exp(rng.normal(0, 0.25, count))
    sizes = np.stack([side / np.sqrt(ratio), side * np.sqrt(ratio)], axis=1)
    centres = rng.uniform(100, 400, (count, 2))
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)


@pytest.mark.parametrize("on_grid", [True, False])
def test_a_fitted_set_covers_unseen_boxes_better_than_the_papers_and_the_default(
    on_grid: bool,
) -> None:
    fitted = fit_anchors(lognormal_boxes(800, seed=1), on_grid=on_grid)
    unseen = lognormal_boxes(800, seed=2)

    def score(anchors: AnchorSet) -> float:
        sizes = unseen[:, 2:] - unseen[:, :2]
        best = grid_coverage(anchors, unseen) if on_grid else coverage(anchors, sizes)
        return float(best.mean())

    assert score(fitted) > score(PAPER_ANCHORS) + 0.05 > score(TORCHVISION_ANCHORS) + 0.1


def test_the_fit_is_the_same_each_time_and_rises_with_the_level() -> None:
    boxes = lognormal_boxes(300, seed=4)
    first, second = fit_anchors(boxes), fit_anchors(boxes.copy())
    assert first == second
    assert list(first.sizes_px) == sorted(first.sizes_px)


def test_a_fit_on_the_grid_beats_a_fit_by_shape_where_anchors_stand() -> None:
    boxes = lognormal_boxes(600, seed=5)
    on_grid = grid_coverage(fit_anchors(boxes, on_grid=True), boxes)
    by_shape = grid_coverage(fit_anchors(boxes, on_grid=False), boxes)
    assert (on_grid >= 0.5).mean() > (by_shape >= 0.5).mean() + 0.1


def test_a_few_large_nodes_among_many_small_ones_keep_their_anchor() -> None:
    small, large = lognormal_boxes(2000, seed=7), lognormal_boxes(30, seed=8)
    centres, sizes = (large[:, :2] + large[:, 2:]) / 2, np.full((30, 2), 60.0)
    large = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    fitted = fit_anchors(np.concatenate([small, large]))
    assert (grid_coverage(fitted, large) >= 0.5).mean() > 0.9


def test_more_boxes_than_the_limit_are_thinned_evenly() -> None:
    boxes = lognormal_boxes(12_000, seed=6)
    assert fit_anchors(boxes) == fit_anchors(boxes[::3])


def test_nothing_to_fit_to_is_refused() -> None:
    with pytest.raises(ValueError, match="boxes: expected at least one"):
        fit_anchors([])


def test_fitted_ratios_are_evenly_spaced_quantiles_of_height_over_width() -> None:
    boxes = centred_boxes([[10, 5], [10, 10], [10, 20]], (50, 50))
    # at shares 1/6, 1/2, 5/6 between the sorted ratios 0.5, 1, 2: 1/3, 1, 5/3 of the way
    assert fit_ratios(boxes) == pytest.approx((0.667, 1.0, 1.667), abs=1e-3)


def test_shapes_fitted_by_iou_find_the_groups_the_boxes_come_from() -> None:
    groups = [[8, 8], [10, 20], [20, 10], [40, 40]]
    rng = np.random.default_rng(0)
    sizes = np.repeat(groups, 25, axis=0) * rng.uniform(0.95, 1.05, (100, 2))
    boxes = centred_boxes(sizes.tolist(), (100, 100))[rng.permutation(100)]
    shapes = fit_shapes(boxes, count=4)
    assert sorted(shapes.round().tolist()) == groups
    assert (np.diff(shapes.prod(axis=1)) >= 0).all()  # smallest area first
    np.testing.assert_array_equal(fit_shapes(boxes, count=4), shapes)


def test_more_shapes_than_boxes_are_the_boxes_themselves() -> None:
    shapes = fit_shapes(centred_boxes([[4, 6], [8, 9]], (10, 10)), count=9)
    assert shapes.shape == (9, 2)
    assert {tuple(shape) for shape in shapes.tolist()} == {(4, 6), (8, 9)}


def test_shapes_of_no_boxes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one to fit shapes to, got none"):
        fit_shapes(np.zeros((0, 4)))
