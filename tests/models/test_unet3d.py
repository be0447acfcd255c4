"""The 3-D network in the shape of a plan."""

import pytest
import torch

pytest.importorskip("monai", reason="the extra `segmentation` is not installed")

from lnmdetect.models.unet3d import UNet3d, UNetSizes

SIZES = UNetSizes(
    in_channels=1,
    out_channels=3,
    filters=(4, 8, 8),
    strides=((1, 1, 1), (1, 2, 2), (2, 2, 2)),
    kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3)),
    supervised_levels=1,
)


def test_while_training_each_supervised_level_answers_at_its_own_size() -> None:
    net = UNet3d(SIZES).train()
    answers = net(torch.zeros(2, 1, 8, 16, 16))
    assert [tuple(a.shape) for a in answers] == [(2, 3, 8, 16, 16), (2, 3, 8, 8, 8)]


def test_otherwise_only_the_finest_answers() -> None:
    net = UNet3d(SIZES).eval()
    assert net(torch.zeros(1, 1, 4, 32, 24)).shape == (1, 3, 4, 32, 24)


def test_no_weight_is_named_twice() -> None:
    net = UNet3d(SIZES)
    state = net.state_dict()
    assert len({value.data_ptr() for value in state.values()}) == len(state)
    assert sum(v.numel() for v in state.values()) == sum(p.numel() for p in net.parameters())


def test_every_weight_but_the_unsupervised_gets_a_gradient() -> None:
    net = UNet3d(SIZES).train()
    sum(a.square().mean() for a in net(torch.randn(1, 1, 8, 16, 16))).backward()
    assert all(p.grad is not None for p in net.parameters())
