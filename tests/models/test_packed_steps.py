"""ReLUs and sums that convolutions do themselves change no answer."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from lnmdetect.models import packing
from lnmdetect.models.coordinate_attention import CoordinateAttention
from lnmdetect.models.folding import fold_batch_norms
from lnmdetect.models.packed_convolution import PackedConv2d
from lnmdetect.models.packed_steps import PackedBlock
from lnmdetect.models.packing import pack_convolutions
from lnmdetect.models.resnet import BasicBlock, Bottleneck, ResNet34, ResNet50
from tests.models.test_folding import seasoned

pytestmark = pytest.mark.skipif(not packing.CAN_PACK, reason="this PyTorch cannot pack weights")

BLOCKS: dict[str, Callable[[], BasicBlock | Bottleneck]] = {
    "basic": lambda: BasicBlock(8, 8, 1),
    "basic, narrower": lambda: BasicBlock(8, 12, 2),
    "basic, by Winograd": lambda: BasicBlock(256, 256, 1),
    "bottleneck": lambda: Bottleneck(32, 8, 1),
    "bottleneck, projected": lambda: Bottleneck(8, 8, 2),
    "gated": lambda: Bottleneck(32, 8, 1, attention=CoordinateAttention),
}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("plus", [False, True])
def test_a_block_answers_as_it_did(name: str, layout: torch.memory_format, plus: bool) -> None:
    block = seasoned(BLOCKS[name]())
    channels = block.get_parameter("conv1.weight").shape[1]
    network = fold_batch_norms(nn.Sequential(block, nn.Identity()))
    pack_convolutions(network)
    assert isinstance(network[0], PackedBlock)
    image = torch.randn(2, channels, 18, 21).contiguous(memory_format=layout) + plus
    with torch.inference_mode():
        before = image.clone()
        torch.testing.assert_close(network(image), block(image), atol=1e-4, rtol=1e-4)
        assert torch.equal(image, before)


@pytest.mark.parametrize("build", [ResNet34, ResNet50, partial(ResNet50, groups=4)])
def test_a_network_has_no_relu_left_and_answers_as_it_did(
    build: Callable[..., ResNet34 | ResNet50],
) -> None:
    plain = seasoned(build(3, width=0.125))
    network = fold_batch_norms(plain)
    pack_convolutions(network)
    assert not [part for part in network.modules() if isinstance(part, nn.ReLU)]
    image = torch.rand(1, 3, 64, 96).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        for found, expected in zip(network(image), plain(image), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_only_a_relu_right_after_a_convolution_is_taken_in() -> None:
    relu = nn.ReLU()
    network = nn.Sequential(
        *(nn.Conv2d(4, 4, 1), nn.Identity(), relu),
        *(nn.Conv2d(4, 4, 1), nn.AvgPool2d(2), relu),
        *(nn.Conv2d(4, 4, 1), nn.ReLU6()),
    ).requires_grad_(False)
    image = torch.randn(1, 4, 8, 8)
    expected = network(image)
    pack_convolutions(network)
    torch.testing.assert_close(network(image), expected)
    packed = [part for part in network if isinstance(part, PackedConv2d)]
    assert [part.relu for part in packed] == [True, False, False]
    assert [type(network[place]) for place in (2, 5, 7)] == [nn.Identity, nn.ReLU, nn.ReLU6]


def test_a_block_whose_norms_are_left_stays() -> None:
    network = nn.Sequential(seasoned(Bottleneck(32, 8, 1)))
    pack_convolutions(network)
    assert type(network[0]) is Bottleneck


def test_another_precision_than_the_weights_gets_its_sum_and_relu_too() -> None:
    packed = PackedConv2d(nn.Conv2d(4, 4, 1).requires_grad_(False))
    packed.relu = True
    image, plus = torch.randn(1, 4, 8, 8).bfloat16(), torch.randn(1, 4, 8, 8).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        expected = (packed.plain(image) + plus).relu()
        torch.testing.assert_close(packed(image, plus), expected)


@pytest.mark.skipif(
    not (packing.CAN_PACK and torch.ops.mkldnn._is_mkldnn_bf16_supported()),
    reason="this CPU has no bfloat16",
)
@pytest.mark.parametrize("relu", [False, True])
def test_in_bfloat16_a_sum_is_rounded_once(relu: bool) -> None:
    plain = nn.Conv2d(16, 16, 1).bfloat16().requires_grad_(False)
    packed = PackedConv2d(plain)
    packed.relu = relu
    image, plus = torch.randn(2, 1, 16, 8, 8).bfloat16()
    exact = nn.functional.conv2d(image.double(), plain.weight.double(), plain.bias.double())  # type: ignore[union-attr]
    exact = (exact + plus.double()).clamp(min=0 if relu else -torch.inf)
    with torch.inference_mode():
        found = packed(image, plus)
    assert found.dtype == torch.bfloat16
    # Half a step of 8 bits; to round before the sum, too, may take a whole one.
    torch.testing.assert_close(found.double(), exact, atol=1e-3, rtol=2**-8)
