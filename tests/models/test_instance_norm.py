"""Tests of the instance norm that keeps the memory layout."""

import pytest
import torch
from torch import nn

from lnmdetect.models.instance_norm import LayoutKeepingInstanceNorm3d, keep_layout

VOLUMES = (3, 4, 2, 5, 6)
LAYOUTS = (torch.contiguous_format, torch.channels_last_3d)


def _pair() -> tuple[nn.InstanceNorm3d, LayoutKeepingInstanceNorm3d]:
    """Return torch's norm and ours with the same weights, which are not those of the start."""
    torch.manual_seed(0)
    theirs = nn.InstanceNorm3d(VOLUMES[1], eps=1e-3, affine=True).double()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter)
    ours = nn.Sequential(theirs)
    keep_layout(ours)
    assert isinstance(ours[0], LayoutKeepingInstanceNorm3d)
    return theirs, ours[0].double()


@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("training", [True, False])
def test_values_and_gradients_are_those_of_torch(
    layout: torch.memory_format, *, training: bool
) -> None:
    theirs, ours = _pair()
    start = torch.randn(VOLUMES, dtype=torch.float64).contiguous(memory_format=layout) * 3 + 5
    slopes = torch.randn(VOLUMES, dtype=torch.float64)
    answers = []
    for norm in (theirs.train(training), ours.train(training)):
        volumes = start.clone().requires_grad_()
        out = norm(volumes)
        out.backward(slopes)
        weight, bias = norm.weight.grad, norm.bias.grad
        assert volumes.grad is not None
        assert weight is not None
        assert bias is not None
        answers.append([out.detach(), volumes.grad, weight, bias])
    for one, other in zip(*answers, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels_last"])
def test_the_layout_goes_through_unchanged(layout: torch.memory_format) -> None:
    volumes = torch.randn(VOLUMES).contiguous(memory_format=layout)
    out = LayoutKeepingInstanceNorm3d(VOLUMES[1], affine=True)(volumes)
    assert out.is_contiguous(memory_format=layout)


def test_each_norm_of_a_network_is_replaced_however_deep_it_sits() -> None:
    network = nn.ModuleList([nn.Sequential(nn.InstanceNorm3d(2), nn.ReLU()), nn.InstanceNorm3d(2)])
    keep_layout(network)
    kinds = [type(part) for part in network.modules() if isinstance(part, nn.InstanceNorm3d)]
    assert kinds == [LayoutKeepingInstanceNorm3d] * 2
