"""Norms that do not measure the batch, in the place of batch norms."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from lnmdetect.core.config_parts import Norm
from lnmdetect.models.backbones import BACKBONES, ClassifierSizes
from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.detectors import DETECTORS
from lnmdetect.models.folding import fold_batch_norms
from lnmdetect.models.norms import FrozenNorm2d, group_norm, with_norm
from lnmdetect.models.resnet import ResNet50


def seasoned(channels: int) -> nn.BatchNorm2d:
    """A batch norm as after a training."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(channels, eps=0.001)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_a_frozen_norm_gives_torchvisions_values_and_has_its_state() -> None:
    norm = seasoned(4)
    theirs = FrozenBatchNorm2d(4, eps=0.001)
    theirs.load_state_dict(norm.state_dict())
    ours, x = FrozenNorm2d(norm), torch.randn(2, 4, 3, 5)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=1e-5)
    assert set(ours.state_dict()) == set(theirs.state_dict())
    assert ours(x.bfloat16()).dtype == torch.bfloat16
    assert parameters(ours) == 0


def test_training_leaves_a_frozen_norm_as_it_was_and_passes_gradients_on() -> None:
    convolution = nn.Conv2d(1, 4, 3)
    network = with_norm(nn.Sequential(convolution, seasoned(4)), "frozen").train()
    before = {name: value.clone() for name, value in network[1].state_dict().items()}
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, weight_decay=0.1)
    network(torch.randn(2, 1, 6, 6)).square().sum().backward()
    assert convolution.weight.grad is not None
    assert convolution.weight.grad.abs().sum() > 0
    optimiser.step()
    assert all(torch.equal(value, before[name]) for name, value in network[1].state_dict().items())


@pytest.mark.parametrize(
    ("channels", "groups"), [(2048, 32), (64, 32), (48, 24), (16, 8), (8, 4), (10, 5), (3, 1)]
)
def test_groups_are_32_or_the_most_that_leave_two_channels_each(channels: int, groups: int) -> None:
    made = group_norm(nn.BatchNorm2d(channels))
    assert made.num_groups == groups
    assert made.eps == 1e-5


def test_an_item_under_group_norms_does_not_depend_on_those_beside_it() -> None:
    torch.manual_seed(0)
    bodies = {norm: with_norm(ResNet50(1, width=0.125), norm).train() for norm in kinds()}
    x = torch.randn(3, 1, 64, 64)
    alone = {norm: body(x[:1])[-1] for norm, body in bodies.items()}
    beside = {norm: body(x)[-1][:1] for norm, body in bodies.items()}
    torch.testing.assert_close(alone["group"], beside["group"], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(alone["frozen"], beside["frozen"], atol=1e-5, rtol=1e-4)
    assert (alone["batch"] - beside["batch"]).abs().max() > 0.01


def kinds() -> tuple[Norm, ...]:
    return ("batch", "frozen", "group")


def _detector(name: str) -> nn.Module:
    shapes = tuple((float(side), float(side)) for side in range(6, 51, 5))
    areas = (64.0, 144.0, 256.0, 576.0, 1024.0)
    return DETECTORS[name](DetectorSizes(areas, width=0.125, anchor_shapes_px=shapes))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{name: lambda name=name: _detector(name) for name in ("faster_rcnn", "yolov3")},  # type: ignore[misc]
    **{
        name: lambda name=name: BACKBONES[name].build(ClassifierSizes(width=0.125, attention=True))  # type: ignore[misc]
        for name in ("resnet50", "mobilenetv2", "densenet121")
    },
}


@pytest.mark.parametrize("name", NETWORKS)
def test_no_batch_norm_is_left_and_only_frozen_ones_take_parameters_away(name: str) -> None:
    sizes = {}
    for norm in kinds():
        with torch.device("meta"):
            network = with_norm(NETWORKS[name](), norm)
        left = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
        assert (len(left) > 0) == (norm == "batch")
        sizes[norm] = parameters(network)
    norms = [p for p in NETWORKS[name]().modules() if isinstance(p, nn.BatchNorm2d)]
    assert sizes["group"] == sizes["batch"]
    assert sizes["frozen"] == sizes["batch"] - sum(2 * norm.num_features for norm in norms)


def test_norms_that_the_first_weights_do_not_fill_become_group_norms() -> None:
    made = nn.Sequential(nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm2d(4)))
    network = with_norm(made, "frozen", is_filled=lambda name: name != "1.0")
    assert isinstance(network[0], FrozenNorm2d)
    assert isinstance(network.get_submodule("1.0"), nn.GroupNorm)
    grouped = with_norm(nn.Sequential(nn.BatchNorm2d(4)), "group")
    assert isinstance(grouped[0], nn.GroupNorm)


def test_norms_that_hold_an_activation_keep_it() -> None:
    torch.manual_seed(0)
    network = BACKBONES["mobilenetv2"].build(ClassifierSizes()).eval()
    x = torch.rand(2, 3, 64, 64)
    expected = network(x)
    torch.testing.assert_close(with_norm(network, "frozen")(x), expected, atol=1e-5, rtol=1e-4)


def test_frozen_norms_are_folded_and_group_norms_stay() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 1, 64, 64)
    for norm, left in (("frozen", 0), ("group", 53)):
        body = ResNet50(1, width=0.125)
        for part in body.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.load_state_dict(seasoned(part.num_features).state_dict())
        body = with_norm(body, norm).eval()  # type: ignore[arg-type]
        folded = fold_batch_norms(body)
        kinds_left = [p for p in folded.modules() if isinstance(p, FrozenNorm2d | nn.GroupNorm)]
        assert len(kinds_left) == left
        scale = body(x)[-1].abs().max()
        assert (folded(x)[-1] - body(x)[-1]).abs().max() < 1e-5 * scale
