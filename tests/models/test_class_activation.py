"""CAM and Grad-CAM: their sums, their agreement, and where their cells lie."""

import pytest
import torch
from torch import Tensor, nn

from lnmdetect.core.cell_grid import CellGrid
from lnmdetect.models.backbones import BACKBONES, ClassifierSizes
from lnmdetect.models.class_activation import (
    cell_grid,
    class_activation,
    gradient_activation,
    locating_stage,
    margins,
    stages,
)
from lnmdetect.models.classifier import NodeClassifier

LAST = "body.layer4"


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    built = NodeClassifier(3, 3, width=0.125).eval()
    for part in built.modules():  # residual branches start at 0 otherwise
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)
    nn.init.normal_(built.fc.weight, std=0.5)
    return built


@pytest.fixture(scope="module")
def crops() -> Tensor:
    return torch.rand(3, 3, 96, 96, generator=torch.Generator().manual_seed(1))


def test_a_margin_is_the_logit_minus_the_mean_of_the_others() -> None:
    logits = torch.tensor([[1.0, 2.0, 6.0], [1.0, 2.0, 6.0]])
    assert margins(logits, torch.tensor([2, 0])).tolist() == [4.5, -3.0]


def test_of_two_classes_the_margin_is_the_log_odds() -> None:
    logits = torch.tensor([[0.3, -1.2]])
    share = logits.softmax(dim=1)[0]
    assert margins(logits, torch.tensor([0])).item() == pytest.approx(
        torch.log(share[0] / share[1]).item()
    )


def test_the_mean_of_cam_and_the_bias_make_the_margin(network: nn.Module, crops: Tensor) -> None:
    classes = torch.tensor([0, 1, 2])
    heat = class_activation(network, crops, classes, layer=LAST, head="fc")
    bias = network.get_submodule("fc").get_parameter("bias")
    expected = margins(network(crops), classes) - margins(bias.expand(3, 3), classes)
    torch.testing.assert_close(heat.mean(dim=(1, 2)), expected, rtol=1e-4, atol=1e-4)


def test_grad_cam_is_cam_over_the_number_of_cells(network: nn.Module, crops: Tensor) -> None:
    classes = torch.tensor([0, 1, 2])
    cam = class_activation(network, crops, classes, layer=LAST, head="fc")
    grad_cam = gradient_activation(network, crops, classes, layer=LAST)
    assert cam.shape == (3, 3, 3)
    assert cam.std() > 0.01
    torch.testing.assert_close(grad_cam * 9, cam, rtol=1e-4, atol=1e-5)


def test_grad_cam_of_a_middle_stage_is_the_definition_of_the_paper(
    network: nn.Module, crops: Tensor
) -> None:
    stage: list[Tensor] = []
    hook = network.get_submodule("body.layer2").register_forward_hook(
        lambda part, inputs, output: stage.append(output)
    )
    logits = network(crops[:1])
    hook.remove()
    score = logits[0, 1] - (logits[0, 0] + logits[0, 2]) / 2
    (gradient,) = torch.autograd.grad(score, stage[0])
    expected = torch.zeros(12, 12)
    for channel in range(stage[0].shape[1]):
        expected += gradient[0, channel].mean() * stage[0][0, channel].detach()
    heat = gradient_activation(network, crops[:1], torch.tensor([1]), layer="body.layer2")
    torch.testing.assert_close(heat[0], expected, rtol=1e-4, atol=1e-6)


def test_no_weight_receives_a_gradient(network: nn.Module, crops: Tensor) -> None:
    gradient_activation(network, crops, torch.tensor([0, 1, 2]), layer=LAST)
    assert all(weight.grad is None for weight in network.parameters())


def test_grad_cam_does_without_gradients_of_the_weights(network: nn.Module, crops: Tensor) -> None:
    classes = torch.tensor([0, 1, 2])
    expected = gradient_activation(network, crops, classes, layer=LAST)
    network.requires_grad_(False)
    try:
        with torch.no_grad():
            heat = gradient_activation(network, crops, classes, layer=LAST)
    finally:
        network.requires_grad_(True)
    torch.testing.assert_close(heat, expected)


@pytest.mark.parametrize(
    ("layer", "step"), [("body.layer1", 4), ("body.layer2", 8), ("body.layer4", 32)]
)
def test_cells_of_a_resnet_start_on_the_first_pixel(
    network: nn.Module, crops: Tensor, layer: str, step: float
) -> None:
    assert cell_grid(network, crops, layer=layer) == CellGrid((0.5, 0.5), (step, step))


def test_cells_lie_where_their_receptive_fields_have_their_centre() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 1, (3, 5), stride=2, padding=(0, 2)),
        nn.MaxPool2d(2),
        nn.Conv2d(1, 1, 3, padding=1, dilation=1),
    )
    crop = torch.rand(1, 1, 41, 41)
    grid = cell_grid(network, crop, layer="2")
    # x: 5 px, padded by 2, step 2: first centre on pixel 0; pooled in pairs: between 0 and 2.
    # y: 3 px, not padded: first centre on pixel 1; pooled in pairs: between 1 and 3.
    assert grid == CellGrid((1.5, 2.5), (4.0, 4.0))


def test_the_deepest_stage_with_enough_cells_is_chosen(network: nn.Module, crops: Tensor) -> None:
    found = stages(network, crops, last=LAST)
    chosen = {cells: locating_stage(found, cells=cells).layer for cells in (3, 4, 7, 24, 99)}
    assert chosen == {
        3: "body.layer4",
        4: "body.layer3",
        7: "body.layer2",
        24: "body.layer1",
        99: "body.layer4",
    }


def test_a_stage_ends_with_the_last_map_of_its_stride(network: nn.Module, crops: Tensor) -> None:
    found = stages(network, crops, last=LAST)
    assert [(stage.layer, stage.cells, stage.number, stage.of) for stage in found[1:]] == [
        ("body.layer1", (24, 24), 2, 5),
        ("body.layer2", (12, 12), 3, 5),
        ("body.layer3", (6, 6), 4, 5),
        (LAST, (3, 3), 5, 5),
    ]


@pytest.mark.parametrize(
    ("name", "layer", "cells"), [("vgg16", "features.22", 12), ("inceptionv3", "Mixed_5d", 9)]
)
def test_stages_are_found_where_layers_stand_in_a_row_and_where_blocks_branch(
    name: str, layer: str, cells: int
) -> None:
    row = BACKBONES[name]
    built = row.build(ClassifierSizes(in_channels=1)).eval()
    found = stages(built, torch.zeros(1, 1, 96, 96), last=row.features)
    chosen = locating_stage(found)
    assert (chosen.layer, chosen.cells) == (layer, (cells, cells))
    assert found[-1].layer == row.features
