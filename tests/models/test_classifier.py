"""A-ResNet50-W: its size is the paper's arithmetic, and fixed."""

from typing import Any

import pytest
import torch

from lnmdetect.models.classifier import NodeClassifier


def count(*args: Any, **sizes: Any) -> int:
    with torch.device("meta"):  # sizes without values
        return sum(p.numel() for p in NodeClassifier(*args, **sizes).parameters())


STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))
"""Blocks and planes (He et al. 2016, table 1)."""


def attention_parameters(share: int = 1) -> int:
    """Three biased 1x1 convolutions and a norm in each of the 16 bottlenecks, by hand."""
    total = 0
    for blocks, planes in STAGES:
        channels = 4 * planes // share
        hidden = max(8, channels // 32)
        total += blocks * (
            channels * hidden + hidden + 2 * hidden + 2 * (hidden * channels + channels)
        )
    return total


def plain_parameters(in_channels: int, classes: int, share: int) -> int:
    """Convolutions and norms of a ResNet-50 with doubled inner width and 1 / share of all."""
    channels = 64 // share
    total = in_channels * channels * 49 + 2 * channels
    for blocks, planes in STAGES:
        inner, out = 2 * planes // share, 4 * planes // share
        total += channels * out + 2 * out  # the first shortcut
        for _ in range(blocks):
            total += channels * inner + 9 * inner * inner + inner * out + 4 * inner + 2 * out
            channels = out
    return total + channels * classes + classes


def test_a_resnet50_w_has_the_published_number_of_parameters() -> None:
    assert count() == 68_756_170
    assert count(attention=False) == 66_838_338
    assert attention_parameters() == 68_756_170 - 66_838_338
    assert plain_parameters(3, 2, 1) == 66_838_338


def test_without_the_wide_bottlenecks_it_is_resnet50() -> None:
    # torchvision's resnet50 has 25,557,032 with 1000 classes: 2048 * 1000 + 1000 in the last layer
    assert count(factor=1, attention=False) == 25_557_032 - 2_049_000 + 2 * 2049


def test_a_quarter_of_the_width_has_4_3_million_parameters() -> None:
    assert count(9, width=0.25) == 4_332_922
    assert plain_parameters(9, 2, 4) + attention_parameters(4) == 4_332_922


def test_a_crop_gives_one_logit_a_class() -> None:
    model = NodeClassifier(9, 3, width=0.125, dropout=0.5).eval()
    with torch.inference_mode():
        crops = torch.rand(2, 9, 32, 32)
        logits = model(crops)
        assert logits.shape == (2, 3)
        torch.testing.assert_close(logits, model(crops))  # dropout is off in eval mode


@pytest.mark.parametrize("dropout", [0.0, 0.9])
def test_dropout_acts_before_the_last_layer_in_training(dropout: float) -> None:
    torch.manual_seed(0)
    model = NodeClassifier(width=0.125, dropout=dropout).eval()
    model.dropout.train()
    crops = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        same = torch.equal(model(crops), model(crops))
    assert same is (dropout == 0)
