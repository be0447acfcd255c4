"""The plan of a segmenter against the rules of nnU-Net, worked out by hand."""

from typing import Any

import numpy as np
import pytest

from lnmdetect.core.config_parts import AugmentationConfig, InputConfig, OptimiserConfig
from lnmdetect.core.segmenter_config import SegmenterConfig, SegmenterPlanning, SegmenterRecipe
from lnmdetect.datasets.segmentation_plan import ScanShape, plan_segmentation
from lnmdetect.io.recipes import read_recipe


def recipe(*, base_filters: int = 32, max_filters: int = 320, **planning: Any) -> SegmenterRecipe:
    return SegmenterRecipe(
        name="tiny",
        source="a test",
        input=InputConfig(windows_hu=((-160, 240),), slice_offsets_mm=(0.0,)),
        model=SegmenterConfig(base_filters=base_filters, max_filters=max_filters),
        planning=SegmenterPlanning(**planning),
        augmentation=AugmentationConfig(),
        optimiser=OptimiserConfig(
            name="sgd", learning_rate=0.01, weight_decay=0, epochs=1, batch_size=2
        ),
    )


NECK = ScanShape((90, 512, 512), (2.0, 0.5, 0.5))


def test_the_spacing_is_the_median_of_the_scans() -> None:
    scans = [ScanShape((90, 512, 512), (z, xy, xy)) for z, xy in ((1, 0.4), (1.5, 0.5), (1, 0.9))]
    assert plan_segmentation(scans, recipe()).spacing_mm == (1.0, 0.5, 0.5)


def test_an_axis_three_times_coarser_gets_the_tenth_percentile_of_its_spacings() -> None:
    scans = [ScanShape((90, 512, 512), (z, 0.5, 0.5)) for z in (1.0, 2.0, 3.0, 4.0, 5.0)]
    assert plan_segmentation(scans, recipe()).spacing_mm[0] == pytest.approx(1.4)


def test_a_recipe_can_say_the_spacing_and_the_patch() -> None:
    wanted = recipe(spacing_mm=(2.5, 0.8, 0.8), patch=(16, 96, 96), levels_max=4)
    plan = plan_segmentation([NECK], wanted)
    assert plan.spacing_mm == (2.5, 0.8, 0.8)
    assert plan.patch == (16, 96, 96)
    assert plan.median_shape == (72, 320, 320)


def test_coarse_axes_are_neither_halved_nor_convolved_over_until_the_others_have_caught_up() -> (
    None
):
    wanted = recipe(spacing_mm=(2.5, 0.8, 0.8), patch=(16, 96, 96), levels_max=4)
    plan = plan_segmentation([NECK], wanted)
    assert plan.strides == ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2))
    assert plan.kernels == ((1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))


def test_no_axis_is_halved_below_four_voxels() -> None:
    plan = plan_segmentation([NECK], recipe(spacing_mm=(1, 1, 1), patch=(16, 64, 32)))
    coarsest = np.array(plan.patch) // np.prod(plan.strides, axis=0)
    assert coarsest.min() >= 4
    # Rows stop at 8: they could be halved alone, and an axis alone is halved from 12 on.
    assert np.prod(plan.strides, axis=0).tolist() == [4, 8, 8]


def test_an_axis_that_can_be_halved_no_more_does_not_stop_the_others() -> None:
    plan = plan_segmentation([NECK], recipe(spacing_mm=(1, 1, 1), patch=(16, 128, 128)))
    # Slices stop at 4 of 4 mm; rows and columns go on to 4 of 32 mm.
    assert plan.strides == ((1, 1, 1), (2, 2, 2), (2, 2, 2), (1, 2, 2), (1, 2, 2), (1, 2, 2))
    # They have been convolved over once and stay so, though the slices are finer at the end.
    assert set(plan.kernels) == {(3, 3, 3)}


# Worked out by hand from the rules (online methods and supplement note 2 of Isensee et al. 2021).
@pytest.mark.parametrize(
    ("spacing_mm", "patch", "strides", "kernels"),
    [
        (
            (1, 1, 1),
            (96, 96, 96),
            ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
            ((3, 3, 3),) * 5,
        ),
        (
            (2, 0.5, 0.5),
            (32, 160, 160),
            ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
            ((1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
        ),
        (
            (5, 0.5, 0.5),
            (16, 256, 256),
            ((1, 1, 1), (1, 2, 2), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2)),
            ((1, 3, 3), (1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
        ),
    ],
)
def test_levels_follow_the_spacing(
    spacing_mm: tuple[float, float, float],
    patch: tuple[int, int, int],
    strides: tuple[tuple[int, int, int], ...],
    kernels: tuple[tuple[int, int, int], ...],
) -> None:
    plan = plan_segmentation([NECK], recipe(spacing_mm=spacing_mm, patch=patch, levels_max=9))
    assert plan.strides == strides
    assert plan.kernels == kernels


def test_the_coarsest_level_convolves_over_all_axes() -> None:
    plan = plan_segmentation([NECK], recipe(spacing_mm=(9, 0.5, 0.5), patch=(4, 32, 32)))
    assert plan.kernels[-2:] == ((1, 3, 3), (3, 3, 3))


def test_many_coarse_slices_keep_their_median_and_none_gets_finer_than_the_pixels() -> None:
    steps = (1.0, 2.0, 3.0, 4.0, 5.0)
    # 200 of 3 mm are a long axis of 600 mm, not one with few voxels.
    long = [ScanShape((200, 512, 512), (z, 0.5, 0.5)) for z in steps]
    assert plan_segmentation(long, recipe()).spacing_mm == (3.0, 0.5, 0.5)
    mixed = [ScanShape((90, 512, 512), (z, 0.9, 0.9)) for z in (0.5, 0.5, 3.0, 3.0, 3.0)]
    assert plan_segmentation(mixed, recipe()).spacing_mm == (0.9, 0.9, 0.9)


def test_the_depth_alone_fits_the_memory_where_the_patch_in_the_plane_is_said() -> None:
    wide, narrow = (
        plan_segmentation([NECK], recipe(in_plane_patch=(64, 96), memory_gb=gb)) for gb in (4, 0.7)
    )
    assert wide.patch[1:] == narrow.patch[1:] == (64, 96)
    assert narrow.memory_gb <= 0.7 < wide.memory_gb <= 4
    assert narrow.patch[0] < wide.patch[0] < 90 + 16


def test_the_patch_shrinks_until_a_step_fits_into_memory() -> None:
    wide, narrow = (plan_segmentation([NECK], recipe(memory_gb=gb)) for gb in (40, 4))
    assert narrow.memory_gb <= 4 < wide.memory_gb <= 40
    assert np.prod(narrow.patch) < np.prod(wide.patch)


def test_the_patch_is_a_multiple_of_the_strides_and_no_larger_than_the_median_scan() -> None:
    plan = plan_segmentation([ScanShape((21, 200, 130), (3.0, 0.9, 0.9))], recipe(memory_gb=100))
    steps = np.prod(plan.strides, axis=0)
    assert (np.array(plan.patch) % steps == 0).all()
    assert (np.array(plan.patch) < np.array(plan.median_shape) + steps).all()


def test_memory_too_small_for_any_patch_ends_with_the_smallest() -> None:
    plan = plan_segmentation([NECK], recipe(memory_gb=1e-6))
    assert min(plan.patch) >= 4
    assert np.prod(plan.patch) <= 8**3


@pytest.mark.parametrize(
    ("name", "in_plane_mm", "in_plane_patch"),
    [("tzuchi2023-coarse", 0.89, (160, 192)), ("tzuchi2023", 0.48, (192, 224))],
)
def test_the_papers_stages_have_its_spacing_patches_and_optimiser(
    name: str, in_plane_mm: float, in_plane_patch: tuple[int, int]
) -> None:
    paper = read_recipe(name, "segmenter")
    assert isinstance(paper, SegmenterRecipe)
    for z_mm in (1.0, 2.0, 5.0):
        plan = plan_segmentation([ScanShape((90, 512, 512), (z_mm, 0.5, 0.5))], paper)
        assert plan.spacing_mm == (z_mm, in_plane_mm, in_plane_mm)
        assert plan.patch[1:] == in_plane_patch
        assert plan.patch[0] >= 32
        assert 5 < plan.memory_gb <= 11
        assert len(plan.strides) == 6
    optimiser = paper.optimiser
    assert (optimiser.name, optimiser.learning_rate, optimiser.nesterov) == ("sgd", 0.01, True)
    assert (optimiser.schedule, optimiser.epochs, optimiser.batch_size) == ("polynomial", 300, 2)
    assert paper.sampling.node_share >= 1 / 3
    assert paper.model.coarser_supervised(6) == 3
