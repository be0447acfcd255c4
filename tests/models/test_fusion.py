"""The fusion network: its widths and parameters, absent modalities, frames and gates."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from lnmdetect.core.errors import UsageError
from lnmdetect.models.fusion import (
    FramePooling,
    FusionInputs,
    FusionNet,
    FusionSizes,
    ImageBranch,
)
from lnmdetect.models.fusion_branches import branch_kind

SCALES = {"bmode": (0.25, 0.5), "ceus": (0.0, 1.0)}
ALL = ("bmode", "ceus", "finding")
TINY_PX = 64


def sizes(modalities: tuple[str, ...] = ALL, **changes: Any) -> FusionSizes:
    return FusionSizes(modalities, SCALES, **{"width": 1 / 32, "size_px": TINY_PX, **changes})


def tiny(modalities: tuple[str, ...] = ALL, **changes: Any) -> FusionNet:
    torch.manual_seed(0)
    return FusionNet(sizes(modalities, **changes)).eval()


def inputs(count: int = 3, frames: int = 1) -> FusionInputs:
    generator = torch.Generator().manual_seed(1)
    return FusionInputs(
        bmode=torch.rand(count, 1, TINY_PX, TINY_PX, generator=generator),
        ceus=torch.rand(count, frames, 1, TINY_PX, TINY_PX, generator=generator),
        finding=torch.tensor([[1.0], [-1.0], [0.0]])[:count],
        has_bmode=torch.ones(count, dtype=torch.bool),
        has_ceus=torch.ones(count, dtype=torch.bool),
    )


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def full_width(modalities: tuple[str, ...], **changes: Any) -> FusionNet:
    with torch.device("meta"):  # sizes without values
        return FusionNet(FusionSizes(modalities, SCALES, **changes))


def test_the_papers_network_joins_2048_2048_and_1_into_4097_features() -> None:
    network = full_width(ALL)
    assert network.widths == [2048, 2048, 1]
    assert network.fused_features == network.fc.in_features == 4097
    assert count(network.fc) == 4098


@pytest.mark.parametrize(
    ("modalities", "width"),
    [
        (("bmode",), 2048),
        (("finding",), 1),
        (("bmode", "ceus"), 4096),
        (("ceus", "finding"), 2049),
    ],
)
def test_any_subset_of_the_modalities_is_as_wide_as_its_parts(
    modalities: tuple[str, ...], width: int
) -> None:
    network = full_width(modalities)
    assert network.fc.in_features == width
    assert set(network.branches) == set(modalities) - {"finding"}


# torchvision's counts for three colours and 1000 classes, less the fully connected layers, less two
# colours of the first convolution.
@pytest.mark.parametrize(
    ("backbone", "features", "parameters"),
    [
        ("resnet50", 2048, 25_557_032 - 2_049_000 - 2 * 64 * 7 * 7),
        ("inception_v3", 2048, 27_161_264 - 3_326_696 - 2_049_000 - 2 * 32 * 3 * 3),
        ("vgg11", 512, 132_863_336 - 123_642_856 - 2 * 64 * 3 * 3),
    ],
)
def test_a_branch_has_the_published_parameters(
    backbone: str, features: int, parameters: int
) -> None:
    network = full_width(ALL, backbone=backbone)
    assert count(network.branches["bmode"]) == count(network.branches["ceus"]) == parameters
    assert network.fused_features == 2 * features + 1


@pytest.mark.parametrize(
    ("backbone", "features"), [("resnet50", 512), ("inception_v3", 512), ("vgg11", 128)]
)
def test_at_a_quarter_of_the_width_every_layer_has_a_quarter_of_its_channels(
    backbone: str, features: int
) -> None:
    wide, narrow = (full_width(("bmode",), backbone=backbone, width=w) for w in (1, 0.25))
    assert narrow.fused_features == features
    shapes = [[tuple(p.shape) for p in net.branches.parameters()] for net in (wide, narrow)]
    first_wide, first_narrow = shapes[0][0], shapes[1][0]
    assert first_narrow == (first_wide[0] // 4, 1, *first_wide[2:])
    quartered = [
        (s[0] // 4, s[1] // 4, *s[2:]) if len(s) > 1 else (s[0] // 4,) for s in shapes[0][1:]
    ]
    assert shapes[1][1:] == quartered


@pytest.mark.parametrize("backbone", ["vgg11", "inception_v3"])
def test_the_other_backbones_answer_and_give_gradients_to_their_first_layer(backbone: str) -> None:
    torch.manual_seed(0)
    network = FusionNet(sizes(("bmode", "finding"), backbone=backbone, width=1, size_px=112))
    few = inputs(2)
    image = torch.rand(2, 1, 112, 112)
    logits = network(replace(few, bmode=image))
    assert logits.shape == (2,)
    logits.sum().backward()
    first = next(network.branches["bmode"].parameters())
    assert first.grad is not None
    assert float(first.grad.abs().max()) > 0


def test_an_absent_modality_contributes_zeros_whatever_its_pixels_are() -> None:
    network, given = tiny(), inputs()
    absent = replace(given, has_ceus=torch.tensor([True, False, True]))
    blank = replace(absent, ceus=absent.ceus.index_fill(0, torch.tensor([1]), 7.0))
    fused = network.fuse(absent)
    assert fused.shape == (3, 64 + 64 + 1)
    assert bool((fused[1, 64:128] == 0).all())
    assert bool((fused[0, 64:128] != 0).any())
    assert torch.equal(fused, network.fuse(blank))
    assert fused[:, 128].tolist() == [1, -1, 0]


def test_the_others_answer_as_if_a_case_with_an_absent_modality_were_not_there() -> None:
    network, given = tiny().train(), inputs()
    for part in network.modules():  # with the statistics of the batch
        if isinstance(part, nn.BatchNorm2d):
            nn.init.ones_(part.weight)
    absent = replace(given, has_bmode=torch.tensor([True, False, True]))
    without = FusionInputs(*(getattr(given, name)[[0, 2]] for name in FusionInputs.__annotations__))
    # The CEUS branch still sees all three, so only the B-mode features are compared.
    torch.testing.assert_close(network.fuse(absent)[[0, 2], :64], network.fuse(without)[:, :64])


def test_a_batch_in_which_nothing_has_a_modality_is_answered() -> None:
    network = tiny()
    nothing = replace(inputs(), has_ceus=torch.zeros(3, dtype=torch.bool))
    assert bool(torch.isfinite(network(nothing)).all())
    assert bool((network.fuse(nothing)[:, 64:128] == 0).all())


def test_the_logit_is_one_fully_connected_layer_over_the_joined_features() -> None:
    network, given = tiny(), inputs()
    by_hand = network.fuse(given) @ network.fc.weight[0] + network.fc.bias
    torch.testing.assert_close(network(given), by_hand)


def test_images_are_normalised_by_their_own_modality() -> None:
    network, given = tiny(), inputs()
    branch = network.branches["bmode"]
    assert isinstance(branch, ImageBranch)
    expected = branch.body((given.bmode - 0.25) / 0.5).mean(dim=(2, 3))
    torch.testing.assert_close(network.fuse(given)[:, :64], expected)


def test_normalisation_is_no_part_of_the_weights() -> None:
    assert not any(name.endswith((".mean", ".sd")) for name in tiny().state_dict())


def test_frames_are_averaged_with_weights_that_sum_to_1_whatever_their_order() -> None:
    torch.manual_seed(0)
    pooling = FramePooling(4)
    features = torch.rand(2, 3, 4)
    weights = pooling.weights(features)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))
    by_hand = torch.einsum("nf,nfk->nk", weights, features)
    torch.testing.assert_close(pooling(features), by_hand)
    torch.testing.assert_close(pooling(features.flip(1)), by_hand)
    nn.init.zeros_(pooling.score.weight)
    torch.testing.assert_close(pooling(features), features.mean(dim=1))


def test_only_several_frames_are_pooled() -> None:
    assert tiny().pooling is None
    assert tiny(("bmode", "finding"), frames=3).pooling is None
    several = tiny(frames=3)
    assert several.pooling is not None
    assert several(inputs(frames=3)).shape == (3,)


def test_equal_frames_answer_as_one_of_them() -> None:
    network, one = tiny(frames=3), inputs()
    thrice = replace(one, ceus=one.ceus.expand(-1, 3, -1, -1, -1))
    torch.testing.assert_close(network(one), network(thrice))


def test_a_gate_multiplies_all_features_of_its_modality() -> None:
    network, given = tiny(fusion="gated"), inputs()
    assert network.gates is not None
    network.gates.bias.data = torch.tensor([0.0, math.log(3), -50.0])
    gated = network.fuse(given)
    gates, network.gates = network.gates, None
    plain = network.fuse(given)
    torch.testing.assert_close(gated[:, :64], plain[:, :64] / 2)
    torch.testing.assert_close(gated[:, 64:128], plain[:, 64:128] * 0.75)
    assert float(gated[:, 128].detach().abs().max()) < 1e-20
    assert gates.in_features == 64 + 64 + 1 + 3


def test_a_gate_knows_what_is_absent() -> None:
    network, given = tiny(fusion="gated"), inputs()
    assert network.gates is not None
    network.gates.weight.data[0, -1] = 4.0  # B-mode's gate looks at whether there is a finding
    gated = network.fuse(given)[:, :64]
    network.gates = None
    ratios = gated.sum(dim=1) / network.fuse(given)[:, :64].sum(dim=1)
    there = 1 / (1 + math.exp(-4))
    assert ratios.tolist() == pytest.approx([there, there, 0.5], rel=1e-4)


def test_images_that_a_backbone_cannot_take_are_refused() -> None:
    with pytest.raises(UsageError, match=r"size_px: expected 107 or more for inception_v3"):
        branch_kind("inception_v3", 106)
    with pytest.raises(UsageError, match="expected one of resnet50, vgg11, inception_v3"):
        branch_kind("resnet51", 224)


@pytest.mark.parametrize(("backbone", "width"), [("resnet50", 1 / 32), ("inception_v3", 1)])
def test_the_smallest_images_that_are_taken_can_be_trained_on_one_at_a_time(
    backbone: str, width: float
) -> None:
    least = branch_kind(backbone, 999).min_px
    torch.manual_seed(0)
    network = FusionNet(sizes(("bmode",), backbone=backbone, width=width, size_px=least)).train()
    one = replace(inputs(1), bmode=torch.rand(1, 1, least, least))
    assert bool(torch.isfinite(network(one)).all())
