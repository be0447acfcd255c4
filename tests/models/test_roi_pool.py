"""Pooling proposals from the map of their size."""

import pytest
import torch
import torchvision

from lnmdetect.models.roi_align import PyramidRoIAlign
from lnmdetect.models.roi_pool import LevelPool

BOXES = [
    torch.tensor([[10.3, 12.7, 40.1, 33.9], [0, 0, 250, 250]]),
    torch.tensor([[5.0, 6, 125, 130]]),
]


def maps() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, 3, 256 // s, 256 // s) for s in (4, 8, 16, 32)]


def test_roi_pooling_takes_the_largest_value_of_each_cell() -> None:
    feature = torch.arange(16.0).reshape(1, 1, 4, 4)
    pool = LevelPool(4, 4, how="pool", cells=2)
    # Corners are rounded to cells 0 and 3, both included: a pooled cell covers 2 x 2 of the 4 x 4.
    found = pool([feature], [torch.tensor([[0.0, 0, 50, 50]])])
    assert found.tolist() == [[[[5, 7], [13, 15]]]]


def test_each_box_is_pooled_from_the_map_of_its_size() -> None:
    # sides of 25, 250 and 122 px: P2 (from 4 + log2(25 / 224) = 0.8), P4, P3
    found = LevelPool(2, 5, how="pool")(maps(), BOXES)
    rois = [torch.tensor([[0, 10.3, 12.7, 40.1, 33.9]]), torch.tensor([[0, 0.0, 0, 250, 250]])]
    rois.append(torch.tensor([[1, 5.0, 6, 125, 130]]))
    levels = [(0, 1 / 4), (2, 1 / 16), (1, 1 / 8)]
    for row, roi, (level, scale) in zip(found, rois, levels, strict=True):
        expected = torchvision.ops.roi_pool(maps()[level], roi, 7, scale)[0]
        torch.testing.assert_close(row, expected)


def test_aligned_cells_are_those_of_the_pyramids_own_roi_align() -> None:
    found = LevelPool(2, 5, how="align")(maps(), BOXES)
    torch.testing.assert_close(found, PyramidRoIAlign()(maps(), BOXES))


@pytest.mark.parametrize("how", ["pool", "align"])
def test_no_proposals_give_no_cells(how: str) -> None:
    found = LevelPool(4, 4, how=how)([maps()[2]], [torch.zeros(0, 4), torch.zeros(0, 4)])
    assert found.shape == (0, 3, 7, 7)


@pytest.mark.parametrize("how", ["pool", "align"])
def test_bfloat16_maps_are_pooled_in_single_precision_and_rounded_where_nothing_casts(
    how: str,
) -> None:
    pool, rounded = LevelPool(4, 4, how=how), maps()[2].bfloat16()
    exact = pool([rounded.float()], BOXES)
    assert exact.dtype == torch.float32
    found = pool([rounded], BOXES)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, exact.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(pool([rounded], BOXES), exact)
