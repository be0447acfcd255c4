"""ResNet-34, ResNet-50 and ResNeXt-50 against torchvision's."""

from collections.abc import Callable

import pytest
import torch
from torchvision.models import resnet34, resnet50, resnext50_32x4d, wide_resnet50_2

from lnmdetect.models.coordinate_attention import CoordinateAttention
from lnmdetect.models.resnet import BasicBlock, Bottleneck, ResNet, ResNet34, ResNet50, scaled


def without_head(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


@pytest.mark.parametrize(
    ("build", "body", "count"),
    [
        (resnet50, lambda: ResNet50(factor=1), 23_508_032),
        (wide_resnet50_2, lambda: ResNet50(factor=2), 66_834_240),
        (resnext50_32x4d, lambda: ResNet50(factor=2, groups=32), 25_028_904 - 2_049_000),
        (resnet34, ResNet34, 21_797_672 - 513_000),
    ],
    ids=["plain", "wide", "grouped", "basic"],
)
def test_the_body_computes_what_torchvisions_does_with_its_weights(
    build: Callable[..., torch.nn.Module], body: Callable[[], ResNet], count: int
) -> None:
    torch.manual_seed(0)
    theirs = build(weights=None).eval()
    ours = body().eval()
    ours.load_state_dict(without_head(theirs.state_dict()))  # strict: every name and size fits
    assert sum(p.numel() for p in ours.parameters()) == count
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        maps = ours(x)
        stem = x
        for name in ("conv1", "bn1", "relu", "maxpool"):
            stem = theirs.get_submodule(name)(stem)
        for number, found in enumerate(maps, start=1):
            stem = theirs.get_submodule(f"layer{number}")(stem)
            torch.testing.assert_close(found, stem)


def test_the_four_maps_have_strides_4_to_32_and_scaled_channels() -> None:
    body = ResNet50(5, width=0.125).eval()
    with torch.inference_mode():
        shapes = [tuple(x.shape) for x in body(torch.zeros(2, 5, 64, 96))]
    assert shapes == [(2, 32, 16, 24), (2, 64, 8, 12), (2, 128, 4, 6), (2, 256, 2, 3)]
    assert body.out_channels == [32, 64, 128, 256]


def test_a_narrow_basic_resnet_has_scaled_channels_too() -> None:
    assert ResNet34(width=0.25).out_channels == [16, 32, 64, 128]


@pytest.mark.parametrize(
    ("width", "groups"), [(1, {32}), (0.25, {8}), (0.5, {16}), (0.3, {2}), (0.01, {1})]
)
def test_groups_scale_with_the_width_and_divide_the_channels(
    width: float, groups: set[int]
) -> None:
    with torch.device("meta"):
        body = ResNet50(width=width, factor=2, groups=32)
    blocks = [part for part in body.modules() if isinstance(part, Bottleneck)]
    assert {block.conv2.groups for block in blocks} == groups
    assert all(block.conv1.groups == block.conv3.groups == 1 for block in blocks)


def test_every_block_starts_as_its_shortcut() -> None:
    for body in (ResNet34(width=0.125), ResNet50(width=0.125)):
        norms = [part.bn2 for part in body.modules() if isinstance(part, BasicBlock)]
        norms += [part.bn3 for part in body.modules() if isinstance(part, Bottleneck)]
        assert len(norms) == 16
        assert not any(norm.weight.any() for norm in norms)


def test_every_bottleneck_is_gated_where_attention_is_asked_for() -> None:
    gated = ResNet50(width=0.125, attention=CoordinateAttention)
    blocks = [part for part in gated.modules() if isinstance(part, Bottleneck)]
    assert len(blocks) == 3 + 4 + 6 + 3
    assert all(isinstance(block.attention, CoordinateAttention) for block in blocks)
    plain = [part for part in ResNet50(width=0.125).modules() if isinstance(part, Bottleneck)]
    assert all(block.attention is None for block in plain)


def test_the_gate_stands_before_the_residual_sum() -> None:
    class Shut(torch.nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(x)

    block = Bottleneck(32, 8, 1, attention=Shut).eval()
    x = torch.randn(1, 32, 4, 4)
    torch.testing.assert_close(block(x), x.relu())  # the shortcut alone is left


@pytest.mark.parametrize(
    ("channels", "width", "expected"), [(64, 1, 64), (64, 0.25, 16), (64, 0.01, 8), (256, 0.3, 77)]
)
def test_channels_scale_to_whole_numbers_of_at_least_8(
    channels: int, width: float, expected: int
) -> None:
    assert scaled(channels, width) == expected
