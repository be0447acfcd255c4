"""Every network that can classify a crop: its size, its depth, its map and its smallest input."""

from collections.abc import Iterator

import pytest
import torch
import torchvision
from torch import Tensor, nn

from lnmdetect.core.errors import UsageError
from lnmdetect.models.backbones import BACKBONES, Backbone, ClassifierSizes, backbone
from lnmdetect.models.network_depth import network_depth

IMAGENET = ClassifierSizes(in_channels=3, classes=1000)

TORCHVISION = {
    "resnet50": "ResNet50_Weights.IMAGENET1K_V1",
    "resnet34": "ResNet34_Weights.IMAGENET1K_V1",
    "resnext50": "ResNeXt50_32X4D_Weights.IMAGENET1K_V1",
    "mobilenetv2": "MobileNet_V2_Weights.IMAGENET1K_V1",
    "shufflenetv2": "ShuffleNet_V2_X1_0_Weights.IMAGENET1K_V1",
    "densenet121": "DenseNet121_Weights.IMAGENET1K_V1",
    "densenet169": "DenseNet169_Weights.IMAGENET1K_V1",
    "efficientnet_b0": "EfficientNet_B0_Weights.IMAGENET1K_V1",
    "vgg16": "VGG16_Weights.IMAGENET1K_V1",
    "vgg19": "VGG19_Weights.IMAGENET1K_V1",
}
"""Whose documentation gives the number of parameters with 1000 classes."""
PARAMETERS = {
    "resnet50": 25_557_032,
    "resnet34": 21_797_672,
    "resnext50": 25_028_904,
    "mobilenetv2": 3_504_872,
    "shufflenetv2": 2_278_604,
    "densenet121": 7_978_856,
    "densenet169": 14_149_480,
    "efficientnet_b0": 5_288_548,
    "regnet": 22_118_248,  # 22.1 M: Radosavovic et al. 2020, table 10; exactly: below
    "inceptionv3": 23_834_568,  # of these three Keras tells rounded numbers: below
    "inceptionresnetv2": 55_843_464,
    "xception": 22_855_952,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
}
HEAD_INPUTS = {
    **{"resnet50": 2048, "resnet34": 512, "resnext50": 2048, "mobilenetv2": 1280},
    **{"shufflenetv2": 1024, "densenet121": 1024, "densenet169": 1664, "efficientnet_b0": 1280},
    **{"regnet": 1360, "inceptionv3": 2048, "xception": 2048, "inceptionresnetv2": 1536},
    **{"vgg16": 4096, "vgg19": 4096},
}
DEPTHS = {
    **{"resnet50": 50, "resnet34": 34, "resnext50": 50},  # their papers' names
    **{"densenet121": 121, "densenet169": 169, "vgg16": 16, "vgg19": 19},
    # MATLAB's documentation, which counts as we do.
    **{"mobilenetv2": 53, "inceptionv3": 48, "xception": 71},
    # The others by hand. Stem, 16 units of 3, last convolution, head.
    "shufflenetv2": 1 + 16 * 3 + 1 + 1,
    # Stem, a block of 4 and 15 of 5 (two are squeeze-and-excitation's), last convolution, head.
    "efficientnet_b0": 1 + 4 + 15 * 5 + 1 + 1,
    # Stem, 2 + 5 + 14 + 2 blocks of 3, head.
    "regnet": 1 + 23 * 3 + 1,
    # Stem, mixed 5b, 10 blocks of 4, mixed 6a, 20 of 4, mixed 7a, 10 of 4, last, head; MATLAB's
    # documentation says 164.
    "inceptionresnetv2": 5 + 3 + 10 * 4 + 3 + 20 * 4 + 3 + 10 * 4 + 1 + 1,
}


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.fixture
def without_values() -> Iterator[None]:
    """Networks of sizes without values: nothing is computed."""
    with torch.device("meta"):
        yield


def test_the_networks_are_those_of_the_two_papers() -> None:
    assert set(BACKBONES) == set(PARAMETERS) == set(DEPTHS) == set(HEAD_INPUTS)


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.usefixtures("without_values")
def test_the_number_of_parameters_is_the_published_one(name: str) -> None:
    assert count(BACKBONES[name].build(IMAGENET)) == PARAMETERS[name]
    if name in TORCHVISION:
        meta = torchvision.models.get_weight(TORCHVISION[name]).meta
        assert meta["num_params"] == PARAMETERS[name]


@pytest.mark.parametrize(
    ("name", "scales", "millions"),
    [("inceptionv3", 0, 23.9), ("inceptionresnetv2", 0, 55.9), ("xception", 1, 22.9)],
)
@pytest.mark.usefixtures("without_values")
def test_keras_tells_as_many_with_its_norms(name: str, scales: int, millions: float) -> None:
    """Keras counts each norm's mean and variance too; in its Inceptions norms have no scale."""
    network = BACKBONES[name].build(IMAGENET)
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    channels = sum(norm.num_features for norm in norms)
    assert round((PARAMETERS[name] + (1 + scales) * channels) / 1e6, 1) == millions


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.usefixtures("without_values")
def test_two_classes_cost_998_rows_less(name: str) -> None:
    built = BACKBONES[name].build(ClassifierSizes(in_channels=3, classes=2))
    assert count(built) == PARAMETERS[name] - 998 * (HEAD_INPUTS[name] + 1)


def test_regnet_has_the_parameters_of_its_stages_by_hand() -> None:
    """RegNetX-4.0GF: depths, widths and group width of Radosavovic et al. 2020, table 10."""
    before, total = 32, 3 * 32 * 9 + 2 * 32
    for depth, width in zip((2, 5, 14, 2), (80, 240, 560, 1360), strict=True):
        total += before * width + 2 * width  # the first shortcut
        for _ in range(depth):
            total += before * width + width * 40 * 9 + width * width + 3 * 2 * width
            before = width
    assert total + 1360 * 1000 + 1000 == PARAMETERS["regnet"]


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.usefixtures("without_values")
def test_the_measured_depth_is_the_published_one(name: str) -> None:
    network = BACKBONES[name].build(IMAGENET)
    assert network_depth(network, torch.zeros(1, 3, 224, 224)) == DEPTHS[name]


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.usefixtures("without_values")
def test_any_number_of_channels_comes_in_at_the_smallest_size(name: str) -> None:
    row = BACKBONES[name]
    network = row.build(ClassifierSizes(in_channels=7, classes=3, width=0.25)).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 7, row.min_px, row.min_px)).shape == (2, 3)


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.usefixtures("without_values")
def test_width_scales_the_resnets_and_no_other(name: str) -> None:
    row = BACKBONES[name]
    whole, quarter = (count(row.build(ClassifierSizes(width=width))) for width in (1, 0.25))
    assert row.scales is (name in ("resnet50", "resnet34", "resnext50"))
    assert 0.05 < quarter / whole < 0.08 if row.scales else quarter == whole


def test_narrow_networks_have_the_parameters_of_hand_arithmetic() -> None:
    """Stem of 16, stages of 16 to 128 planes; ResNeXt in 8 groups of as many channels as at 1."""
    basic = grouped = 3 * 49 * 16 + 2 * 16
    basic_in, grouped_in = 16, 16
    for blocks, planes in zip((3, 4, 6, 3), (16, 32, 64, 128), strict=True):
        out, inner = 4 * planes, 2 * planes
        basic += basic_in * planes + 2 * planes if planes > 16 else 0
        grouped += grouped_in * out + 2 * out
        for _ in range(blocks):
            basic += 9 * basic_in * planes + 9 * planes * planes + 4 * planes
            grouped += grouped_in * inner + 9 * inner * inner // 8 + inner * out
            grouped += 4 * inner + 2 * out
            basic_in, grouped_in = planes, out
    sizes = ClassifierSizes(width=0.25)
    with torch.device("meta"):
        assert count(BACKBONES["resnet34"].build(sizes)) == basic + 2 * 129
        assert count(BACKBONES["resnext50"].build(sizes)) == grouped + 2 * 513


@pytest.mark.usefixtures("without_values")
def test_factor_and_attention_act_on_resnet50_alone() -> None:
    gated = ClassifierSizes(factor=2, attention=True)
    for name in ("resnet34", "resnext50", "shufflenetv2", "mobilenetv2"):
        row = BACKBONES[name]
        assert count(row.build(gated)) == count(row.build(ClassifierSizes()))
    assert count(BACKBONES["resnet50"].build(gated)) == 68_756_170  # A-ResNet50-W


def last_map(row: Backbone, network: nn.Module, crops: Tensor) -> tuple[Tensor, Tensor]:
    """What `features` names gave while the network answered, and the answer."""
    seen: list[Tensor] = []
    hook = network.get_submodule(row.features).register_forward_hook(
        lambda _module, _inputs, output: seen.append(output)
    )
    with torch.inference_mode():
        logits = network(crops)
    hook.remove()
    (found,) = seen
    return found, logits


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.usefixtures("without_values")
def test_the_named_map_is_the_last_with_places_in_it(name: str) -> None:
    row = BACKBONES[name]
    network = row.build(ClassifierSizes()).eval()
    found, _ = last_map(row, network, torch.zeros(2, 3, 224, 224))
    channels = 512 if name.startswith("vgg") else HEAD_INPUTS[name]
    side = 14 if name.startswith("vgg") else 5 if name.startswith("inception") else 7
    assert tuple(found.shape) == (2, channels, side, side)


@pytest.mark.parametrize("name", [n for n, row in BACKBONES.items() if row.reads_mean])
def test_the_head_reads_the_mean_of_the_named_map(name: str) -> None:
    row = BACKBONES[name]
    torch.manual_seed(0)
    network = row.build(ClassifierSizes(width=0.125)).eval()
    crops = torch.rand(1, 3, row.min_px + 32, row.min_px + 32)
    found, logits = last_map(row, network, crops)
    assert found.shape[-1] > 1
    with torch.inference_mode():
        by_hand = network.get_submodule(row.head)(found.mean(dim=(2, 3)))
    torch.testing.assert_close(logits, by_hand)


WITHOUT_A_LAYER = ("mobilenetv2", "efficientnet_b0", "xception")
"""These networks of timm drop in their forward pass."""


@pytest.mark.parametrize("name", [n for n in BACKBONES if n not in WITHOUT_A_LAYER])
@pytest.mark.usefixtures("without_values")
@pytest.mark.parametrize("rate", [0.0, 0.37])
def test_all_dropout_is_the_recipes(name: str, rate: float) -> None:
    network = BACKBONES[name].build(ClassifierSizes(dropout=rate))
    assert {part.p for part in network.modules() if isinstance(part, nn.Dropout)} == {rate}


@pytest.mark.parametrize("name", WITHOUT_A_LAYER)
@pytest.mark.parametrize("rate", [0.0, 0.9])
def test_dropout_acts_in_training_where_it_is_no_layer(name: str, rate: float) -> None:
    torch.manual_seed(0)
    row = BACKBONES[name]
    network = row.build(ClassifierSizes(dropout=rate)).train()
    crops = torch.rand(2, 3, row.min_px, row.min_px)
    with torch.no_grad():
        assert torch.equal(network(crops), network(crops)) is (rate == 0)


@pytest.mark.parametrize(
    ("name", "factor", "weights"),
    [
        ("resnet50", 1, "ResNet50_Weights.IMAGENET1K_V1"),
        ("resnet50", 2, "Wide_ResNet50_2_Weights.IMAGENET1K_V1"),
        ("resnet34", 3, "ResNet34_Weights.IMAGENET1K_V1"),  # which has no bottleneck
    ],
)
def test_imagenet_weights_are_those_of_the_bottlenecks_width(
    name: str, factor: int, weights: str
) -> None:
    assert BACKBONES[name].imagenet(ClassifierSizes(factor=factor)).name == weights


@pytest.mark.parametrize(
    ("sizes", "got"),
    [
        (ClassifierSizes(width=0.25, factor=2), "width 0.25 and bottleneck_factor 2"),
        (ClassifierSizes(factor=3), "width 1 and bottleneck_factor 3"),
    ],
)
def test_sizes_without_published_weights_are_refused(sizes: ClassifierSizes, got: str) -> None:
    with pytest.raises(UsageError, match=f"--init imagenet: expected .* got {got}"):
        BACKBONES["resnet50"].imagenet(sizes)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"model\.backbone: expected one of resnet50, .*vgg19"):
        backbone("resnet51", 224)


@pytest.mark.parametrize(
    ("name", "least"),
    [("inceptionv3", 75), ("inceptionresnetv2", 75), ("xception", 71), ("vgg16", 32)],
)
def test_a_crop_that_is_too_small_is_refused_in_a_sentence(name: str, least: int) -> None:
    assert backbone(name, least) is BACKBONES[name]
    with pytest.raises(UsageError, match=f"size_px: expected {least} or more for {name}, got"):
        backbone(name, least - 1)


@pytest.mark.parametrize("name", ["inceptionv3", "inceptionresnetv2", "densenet121", "vgg16"])
@pytest.mark.usefixtures("without_values")
def test_below_the_smallest_size_these_would_crash(name: str) -> None:
    network = BACKBONES[name].build(ClassifierSizes()).eval()
    side = 28 if name == "densenet121" else BACKBONES[name].min_px - 1
    with pytest.raises(RuntimeError), torch.inference_mode():
        network(torch.zeros(1, 3, side, side))
