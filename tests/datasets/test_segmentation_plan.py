"""The plan of a segmenter against the rules of nnU-Net, worked out by hand."""

from typing import Any

import numpy as np
import pytest

from lnmdetect.core.config_parts import AugmentationConfig, InputConfig, OptimiserConfig
from lnmdetect.core.segmenter_config import SegmenterConfig, SegmenterPlanning, SegmenterRecipe
from lnmdetect.datasets.segmentation_plan import ScanShape, plan_segmentation


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
    # Rows stop at 8: they are then twice as coarse as the slices, which can be halved no more.
    assert np.prod(plan.strides, axis=0).tolist() == [4, 8, 8]


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
