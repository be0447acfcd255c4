"""Coordinate attention against the paper's numbers and timm's implementation."""

import math

import pytest
import torch
from timm.layers.coord_attn import CoordAttn

from lnmdetect.models.coordinate_attention import CoordinateAttention, hidden_channels
from lnmdetect.models.resnet import EXPANSION, STAGE_PLANES


def papers(channels: int) -> CoordAttn:
    """Timm's with the paper's r = 32 and biased convolutions; sigmoid gates are its default."""
    return CoordAttn(channels, rd_ratio=1 / 32, se_factor=1.0, bias=True)


@pytest.mark.parametrize(
    ("channels", "hidden"), [(8, 8), (64, 8), (256, 8), (264, 8), (512, 16), (1024, 32), (2048, 64)]
)
def test_the_hidden_width_is_a_32nd_and_at_least_8(channels: int, hidden: int) -> None:
    assert hidden_channels(channels) == hidden


def test_every_stage_of_the_full_network_has_the_papers_hidden_width() -> None:
    for planes, hidden in zip(STAGE_PLANES, (8, 16, 32, 64), strict=True):
        gate = CoordinateAttention(planes * EXPANSION)
        assert gate.conv1.weight.shape == (hidden, planes * EXPANSION, 1, 1)
        assert gate.conv_h.weight.shape == (planes * EXPANSION, hidden, 1, 1)
        assert gate.conv_w.weight.shape == (planes * EXPANSION, hidden, 1, 1)


@pytest.mark.parametrize("training", [True, False])
def test_values_and_gradients_equal_timms_with_the_same_weights(training: bool) -> None:
    torch.manual_seed(0)
    ours, theirs = CoordinateAttention(256), papers(256)
    theirs.load_state_dict(ours.state_dict())
    ours.train(training)
    theirs.train(training)
    x = torch.randn(2, 256, 7, 11)
    first, second = x.clone().requires_grad_(), x.clone().requires_grad_()
    a, b = ours(first), theirs(second)
    torch.testing.assert_close(a, b)
    a.square().sum().backward()
    b.square().sum().backward()
    torch.testing.assert_close(first.grad, second.grad)
    torch.testing.assert_close(
        ours.conv1.weight.grad, theirs.conv1.weight.grad, atol=1e-3, rtol=1e-4
    )


def test_timms_defaults_are_not_the_papers() -> None:
    default = CoordAttn(512)
    assert default.conv1.weight.shape[0] != hidden_channels(512) or default.conv1.bias is None


def test_the_gate_of_a_constant_map_is_the_product_of_two_sigmoids() -> None:
    # All weights 0, biases h = log 3 and w = 0: gates 3/4 and 1/2.
    gate = CoordinateAttention(8).eval()
    for parameter in gate.parameters():
        torch.nn.init.zeros_(parameter)
    assert gate.conv_h.bias is not None
    torch.nn.init.constant_(gate.conv_h.bias, math.log(3))
    x = torch.full((1, 8, 2, 3), 8.0)
    torch.testing.assert_close(gate(x), torch.full((1, 8, 2, 3), 3.0))


def test_rows_and_columns_are_gated_apart() -> None:
    """A change in one row moves the height gate of that row only, the width gate of its column."""
    torch.manual_seed(1)
    gate = CoordinateAttention(8).eval()
    x = torch.ones(1, 8, 4, 5)
    changed = x.clone()
    changed[0, :, 1, 2] += 1
    moved = (gate(changed) / changed - gate(x) / x).abs().amax(dim=1)[0] > 1e-7
    expected = torch.zeros(4, 5, dtype=torch.bool)
    expected[1, :] = True
    expected[:, 2] = True
    assert torch.equal(moved, expected)
