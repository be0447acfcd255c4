"""Convolutions in fewer multiplications answer as PyTorch's."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lnmdetect.models import packing
from lnmdetect.models.packed_convolution import PackedConv2d
from lnmdetect.models.winograd import WinogradConv2d, pays, suits, transforms


def errors(way: nn.Module, plain: nn.Conv2d, image: Tensor) -> float:
    """The root mean square of a way's errors over the spread of the exact answers."""
    exact = nn.Conv2d(plain.in_channels, plain.out_channels, 3, padding=1).double()
    exact.load_state_dict(plain.state_dict())
    with torch.inference_mode():
        truth = exact(image.double())
        return float((way(image).double() - truth).square().mean().sqrt() / truth.std())


def test_a_row_of_six_values_gives_the_four_outputs_of_three_weights() -> None:
    of = transforms()
    values, weights = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0]), np.array([2.0, -1.0, 0.5])
    # 2 * 3 - 1 + 4 / 2; 2 - 4 + 1 / 2; 2 * 4 - 1 + 5 / 2; 2 - 5 + 9 / 2
    found = of.products @ ((of.weights @ weights) * (of.image @ values))
    np.testing.assert_allclose(found, [7.0, -1.5, 9.5, 1.5], atol=1e-12)


@pytest.mark.parametrize("size", [(16, 16), (17, 30), (3, 5), (4, 70)])
@pytest.mark.parametrize("bias", [True, False])
def test_every_size_has_pytorchs_answer(size: tuple[int, int], bias: bool) -> None:
    plain = nn.Conv2d(24, 40, 3, padding=1, bias=bias).requires_grad_(False)
    image = torch.randn(2, 24, *size).contiguous(memory_format=torch.channels_last)
    found = WinogradConv2d(plain)(image)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, plain(image), atol=1e-5, rtol=1e-5)


def test_images_whose_tiles_come_in_several_chunks_have_pytorchs_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lnmdetect.models.winograd.CHUNK", 36 * 8 * 5 * 2)  # two rows of tiles
    plain = nn.Conv2d(8, 6, 3, padding=1).requires_grad_(False)
    image = torch.randn(2, 8, 21, 18)
    torch.testing.assert_close(WinogradConv2d(plain)(image), plain(image), atol=1e-5, rtol=1e-5)


def test_rounding_errors_stay_in_the_last_digits() -> None:
    plain = nn.Conv2d(256, 256, 3, padding=1).requires_grad_(False)
    image = torch.randn(1, 256, 32, 32).relu()
    # The plain way's are 1.7e-7; with the points 0, 1, -1, 2, -2 it is 1.9e-6.
    assert errors(WinogradConv2d(plain), plain, image) < 1.2e-6


def test_an_image_has_the_same_answer_beside_any_others() -> None:
    way = WinogradConv2d(nn.Conv2d(256, 256, 3, padding=1).requires_grad_(False))
    images = torch.randn(3, 256, 20, 24).contiguous(memory_format=torch.channels_last)
    assert torch.equal(way(images)[1:2], way(images[1:2]))


@pytest.mark.parametrize(
    ("convolution", "expected"),
    [
        (nn.Conv2d(192, 512, 3, padding=1), True),
        (nn.Conv2d(128, 256, 3, padding=1), False),
        (nn.Conv2d(256, 768, 3, padding=1), False),
        (nn.Conv2d(256, 256, 3), False),
        (nn.Conv2d(256, 256, 3, padding=1, stride=2), False),
        (nn.Conv2d(256, 256, 3, padding=1, groups=2), False),
        (nn.Conv2d(256, 256, 3, padding=1, dilation=2), False),
        (nn.Conv2d(256, 256, 3, padding=1, padding_mode="reflect"), False),
        (nn.Conv2d(128, 128, 1), False),
        (nn.Conv2d(256, 256, 3, padding=1).bfloat16(), False),
    ],
)
def test_only_what_gains_goes_this_way(convolution: nn.Conv2d, expected: bool) -> None:
    assert suits(convolution) is expected


def test_small_maps_do_not_go_this_way() -> None:
    narrow, wide = nn.Conv2d(192, 256, 3), nn.Conv2d(512, 256, 3)
    assert pays(narrow, 13, 13)  # 4 x 4 tiles, not all of them full
    assert not pays(narrow, 12, 20)
    assert pays(wide, 16, 32)
    assert not pays(wide, 16, 16)


@pytest.mark.skipif(not packing.CAN_PACK, reason="this PyTorch cannot pack weights")
@pytest.mark.parametrize(("side", "weights_packed"), [(20, 0), (8, 1)])
def test_a_packed_convolution_takes_the_faster_way(side: int, weights_packed: int) -> None:
    plain = nn.Conv2d(256, 256, 3, padding=1).requires_grad_(False)
    packed, image = PackedConv2d(plain), torch.randn(1, 256, side, side)
    torch.testing.assert_close(packed(image), plain(image), atol=1e-5, rtol=1e-5)
    assert len(packed._packed) == weights_packed
    assert ("by_winograd" in vars(packed)) is not bool(weights_packed)  # else they only take memory
