"""ResNet-50 against torchvision's."""

import pytest
import torch
from torchvision.models import resnet50, wide_resnet50_2

from lnmdetect.models.coordinate_attention import CoordinateAttention
from lnmdetect.models.resnet import Bottleneck, ResNet50, scaled


def without_head(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


@pytest.mark.parametrize(
    ("build", "factor", "count"), [(resnet50, 1, 23_508_032), (wide_resnet50_2, 2, 66_834_240)]
)
def test_the_body_computes_what_torchvisions_does_with_its_weights(
    build: type, factor: int, count: int
) -> None:
    torch.manual_seed(0)
    theirs = build(weights=None).eval()
    ours = ResNet50(factor=factor).eval()
    ours.load_state_dict(without_head(theirs.state_dict()))  # strict: every name and size fits
    assert sum(p.numel() for p in ours.parameters()) == count
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        maps = ours(x)
        stem = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x))))
        for number, found in enumerate(maps, start=1):
            stem = theirs.get_submodule(f"layer{number}")(stem)
            torch.testing.assert_close(found, stem)


def test_the_four_maps_have_strides_4_to_32_and_scaled_channels() -> None:
    body = ResNet50(5, width=0.125).eval()
    with torch.inference_mode():
        shapes = [tuple(x.shape) for x in body(torch.zeros(2, 5, 64, 96))]
    assert shapes == [(2, 32, 16, 24), (2, 64, 8, 12), (2, 128, 4, 6), (2, 256, 2, 3)]
    assert body.out_channels == [32, 64, 128, 256]


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
