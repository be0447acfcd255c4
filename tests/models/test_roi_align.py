"""RoIAlign against torchvision's, values and gradients."""

import pytest
import torch
import torchvision
from torchvision.ops import MultiScaleRoIAlign

from lnmdetect.models.roi_align import PyramidRoIAlign, roi_align

# (image, x1, y1, x2, y2) on a 96 x 64 px image: inside, at each border, outside, thin, tiny, whole.
ROIS = torch.tensor(
    [
        [0, 10.3, 12.7, 40.1, 33.9],
        [1, -6, 5, 20, 30],
        [0, 80, 40, 104, 70],
        [1, 95.5, 63.5, 96, 64],
        [0, -40, -40, -20, -20],
        [1, 200, 200, 260, 260],
        [0, 30, 20, 30.2, 60],
        [1, 50, 30, 50, 30],
        [0, 0, 0, 96, 64],
        [1, 91.9, 0.1, 96.0, 3.9],
    ]
)


def feature_map(scale: float) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 5, round(64 * scale), round(96 * scale), dtype=torch.float32)


@pytest.mark.parametrize("scale", [1, 1 / 4, 1 / 8, 1 / 32])
@pytest.mark.parametrize(("cells", "ratio"), [(7, 2), (3, 1), (4, 3)])
def test_values_and_gradients_equal_torchvisions(scale: float, cells: int, ratio: int) -> None:
    ours = feature_map(scale).requires_grad_()
    theirs = feature_map(scale).requires_grad_()
    found = roi_align(ours, ROIS, scale=scale, cells=cells, ratio=ratio)
    expected = torchvision.ops.roi_align(theirs, ROIS, cells, scale, ratio, aligned=False)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    weight = torch.randn_like(expected)
    torch.autograd.backward([(found * weight).sum(), (expected * weight).sum()])
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-4)


def test_a_map_of_one_pixel_gives_its_value() -> None:
    feature = torch.full((1, 2, 1, 1), 3.0)
    rois = torch.tensor([[0, 0.0, 0.0, 32.0, 32.0]])
    expected = torchvision.ops.roi_align(feature, rois, 7, 1 / 32, 2, aligned=False)
    torch.testing.assert_close(roi_align(feature, rois, scale=1 / 32), expected)


def test_channels_last_features_give_the_same() -> None:
    feature = feature_map(1 / 4)
    last = feature.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(
        roi_align(last, ROIS, scale=1 / 4), roi_align(feature, ROIS, scale=1 / 4)
    )


def test_bfloat16_features_are_pooled_to_their_precision() -> None:
    feature = feature_map(1 / 4)
    found = roi_align(feature.bfloat16(), ROIS, scale=1 / 4)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(
        found.float(), roi_align(feature, ROIS, scale=1 / 4), atol=0.05, rtol=0.02
    )


def pyramid() -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(2, 4, 512 // stride, 512 // stride) for stride in (4, 8, 16, 32)]


def boxes_of_all_sizes() -> list[torch.Tensor]:
    torch.manual_seed(2)
    corner = torch.rand(40, 2) * 500 - 50
    size = 2 ** (torch.rand(40, 1) * 8 + 1) * (1 + torch.rand(40, 2))
    return [torch.cat([corner, corner + size], dim=1), torch.zeros(0, 4)]


def test_each_box_is_read_from_the_level_torchvision_reads_it_from() -> None:
    maps, boxes = pyramid(), boxes_of_all_sizes()
    theirs = MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=7, sampling_ratio=2)
    named = {str(number): feature for number, feature in enumerate(maps)}
    expected = theirs(named, boxes, [(512, 512)] * 2)
    pool = PyramidRoIAlign()
    torch.testing.assert_close(pool(maps, boxes), expected, atol=1e-4, rtol=1e-4)
    assert set(pool.level_of(boxes[0]).tolist()) == {0, 1, 2, 3}  # every level took part


@pytest.mark.parametrize(
    ("side", "level"), [(4, 0), (111.9, 0), (112, 1), (223.9, 1), (224, 2), (448, 3), (2000, 3)]
)
def test_a_box_of_224_px_is_read_from_p4(side: float, level: int) -> None:
    box = torch.tensor([[0, 0, side, side]])
    assert PyramidRoIAlign().level_of(box).tolist() == [level]


def test_no_boxes_give_an_empty_result() -> None:
    assert PyramidRoIAlign()(pyramid(), [torch.zeros(0, 4)] * 2).shape == (0, 4, 7, 7)
