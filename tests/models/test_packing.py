"""Convolutions with packed weights answer as PyTorch's."""

import pytest
import torch
from torch import nn

from lnmdetect.models import packing
from lnmdetect.models.packed_convolution import SHAPES_KEPT, PackedConv2d
from lnmdetect.models.packing import pack_convolutions

pytestmark = pytest.mark.skipif(not packing.CAN_PACK, reason="this PyTorch cannot pack weights")

KINDS = {
    "3x3": nn.Conv2d(8, 16, 3, padding=1),
    "1x1 without bias": nn.Conv2d(8, 16, 1, bias=False),
    "stride": nn.Conv2d(8, 16, 3, stride=2),
    "dilation": nn.Conv2d(8, 16, 3, padding=2, dilation=2),
    "groups": nn.Conv2d(8, 16, 3, groups=4),
    "depthwise": nn.Conv2d(8, 8, 3, groups=8),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_call_of_every_shape_has_pytorchs_answer(name: str) -> None:
    torch.manual_seed(0)
    plain = KINDS[name].eval()
    packed = PackedConv2d(plain)
    with torch.inference_mode():
        for size in ((9, 12), (9, 12), (9, 12), (16, 5), (16, 5), (9, 12)):
            for image in (torch.randn(1, 8, *size), torch.randn(3, 8, *size)):
                last = image.contiguous(memory_format=torch.channels_last)
                torch.testing.assert_close(packed(last), plain(last), atol=1e-5, rtol=1e-5)


def test_weights_are_packed_once_a_shape_and_kept_for_the_last_few() -> None:
    packed = PackedConv2d(nn.Conv2d(3, 4, 3).requires_grad_(False))
    first = torch.rand(1, 3, 8, 8)
    packed(first)
    (kept,) = packed._packed.values()
    packed(first)
    assert packed._packed[1, 3, 8, 8] is kept
    for side in range(9, 9 + SHAPES_KEPT):
        packed(torch.rand(1, 3, side, side))
    assert len(packed._packed) == SHAPES_KEPT
    assert (1, 3, 8, 8) not in packed._packed


def test_an_answer_does_not_depend_on_the_images_before() -> None:
    torch.manual_seed(0)
    packed = PackedConv2d(nn.Conv2d(64, 64, 1).requires_grad_(False))
    image = torch.randn(1, 64, 20, 30).contiguous(memory_format=torch.channels_last)
    first = packed(image)
    for side in (20, 30, 40):
        packed(torch.rand(1, 64, side, side))
    assert torch.equal(packed(image), first)


@pytest.mark.skipif(
    not (packing.CAN_PACK and torch.ops.mkldnn._is_mkldnn_bf16_supported()),
    reason="this CPU has no bfloat16",
)
def test_bfloat16_weights_are_packed_too() -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 16, 3).bfloat16().requires_grad_(False)
    network = nn.Sequential(plain)
    pack_convolutions(network)
    image = torch.randn(1, 8, 9, 9).bfloat16()
    with torch.inference_mode():
        network(image)
        torch.testing.assert_close(network(image), plain(image), atol=0.02, rtol=0.02)
    assert isinstance(network[0], PackedConv2d)
    assert len(network[0]._packed) == 1


def test_what_is_no_plain_convolution_stays() -> None:
    network = nn.Sequential(
        nn.ConvTranspose2d(3, 4, 2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 1).double(),
        nn.Sequential(nn.Conv2d(4, 4, 1)),
    )
    pack_convolutions(network)
    assert [type(part) for part in network[:4]] == [nn.ConvTranspose2d, *[nn.Conv2d] * 3]
    assert isinstance(network.get_submodule("4.0"), PackedConv2d)


def test_another_precision_than_the_weights_goes_pytorchs_way() -> None:
    packed = PackedConv2d(nn.Conv2d(3, 4, 3).requires_grad_(False))
    with torch.autocast("cpu", torch.bfloat16):
        assert packed(torch.rand(1, 3, 8, 8).bfloat16()).dtype == torch.bfloat16
    assert list(packed._packed) == []


def test_without_the_operators_convolutions_stay_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "CAN_PACK", False)
    network = nn.Sequential(nn.Conv2d(3, 4, 3))
    pack_convolutions(network)
    assert type(network[0]) is nn.Conv2d
