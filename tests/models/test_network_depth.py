"""The longest chain of weighted layers, by hand on tiny networks."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lnmdetect.models.classifier import NodeClassifier
from lnmdetect.models.detector import NodeDetector
from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.network_depth import network_depth, tensors_in

IMAGES = torch.zeros(1, 2, 8, 8)


class Branches(nn.Module):
    """1 + max(1 x 1 convolution, two 3 x 3 convolutions), joined by `join`, then a linear layer."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor], channels: int) -> None:
        super().__init__()
        self.join = join
        self.stem = nn.Conv2d(2, 4, 1)
        self.short = nn.Conv2d(4, 4, 1)
        self.long = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
        self.fc = nn.Linear(channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        joined = self.join(self.short(x), self.long(x))
        logits: Tensor = self.fc(joined.relu_().mean(dim=(2, 3)))
        return logits


def test_norms_activations_and_pooling_do_not_count() -> None:
    chain = nn.Sequential(
        *(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2, bias=False)),
    )
    assert network_depth(chain, IMAGES) == 3


@pytest.mark.parametrize(
    ("join", "channels"),
    [
        (torch.add, 4),
        (lambda a, b: a + b, 4),
        (lambda a, b: a.mul_(b), 4),
        (lambda a, b: torch.cat([a, b], dim=1), 8),
        (lambda a, b: torch.stack([b, a]).sum(dim=0), 4),
    ],
    ids=["add", "plus", "in place", "cat", "stack"],
)
def test_of_two_branches_the_longer_counts(
    join: Callable[[Tensor, Tensor], Tensor], channels: int
) -> None:
    assert network_depth(Branches(join, channels), IMAGES) == 1 + 2 + 1


def test_a_branch_that_reaches_no_output_does_not_count() -> None:
    assert network_depth(Branches(lambda short, long: short, 4), IMAGES) == 1 + 1 + 1


def test_a_layer_used_three_times_counts_three_times() -> None:
    shared = nn.Conv2d(2, 2, 1)
    assert network_depth(nn.Sequential(shared, shared, shared), IMAGES) == 3


def test_a_network_without_weights_has_depth_0() -> None:
    assert network_depth(nn.Sequential(nn.ReLU(), nn.Flatten()), IMAGES) == 0


def test_the_deepest_of_several_outputs_counts() -> None:
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(2, 2, 1)

        def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
            once = self.layer(x)
            return [{"once": once}, {"thrice": self.layer(self.layer(once)), "none": x}]

    assert network_depth(Several(), IMAGES) == 3


def test_transposed_and_three_dimensional_convolutions_count() -> None:
    network = nn.Sequential(nn.Conv3d(1, 2, 1), nn.ConvTranspose3d(2, 1, 2, stride=2))
    assert network_depth(network, torch.zeros(1, 1, 2, 4, 4)) == 2


def test_coordinate_attention_adds_two_layers_a_bottleneck() -> None:
    with torch.device("meta"):
        depths = [
            network_depth(NodeClassifier(attention=gate), torch.zeros(1, 3, 64, 64))
            for gate in (False, True)
        ]
    assert depths == [50, 50 + 2 * 16]


def test_a_detectors_depth_runs_through_proposals_and_box_head() -> None:
    torch.manual_seed(0)
    sizes = DetectorSizes((64, 144, 256, 400, 900), width=0.125, proposals_test=5)
    # 49 convolutions of ResNet-50, 1 x 1 and 3 x 3 of the pyramid, 2 of the RPN, 2 hidden layers
    # and the predictor.
    assert network_depth(NodeDetector(sizes), torch.rand(1, 3, 64, 64)) == 49 + 2 + 2 + 3


def test_the_network_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5))
    network.train()
    network[1].eval()  # as where a norm is frozen
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network_depth(network, torch.ones(4, 2, 3, 3))
    assert [part.training for part in network] == [True, False, True]
    assert network.training
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    assert not any(p.grad is not None for p in network.parameters())


def test_a_network_that_fails_is_left_as_it_was_too() -> None:
    network = nn.Sequential(nn.Linear(3, 3)).train()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        network_depth(network, torch.zeros(1, 4))
    assert network.training


def test_tensors_are_found_in_nested_values() -> None:
    a, b = torch.zeros(1), torch.ones(2)
    assert list(tensors_in({"x": (a, [b, "text", 3, None])})) == [a, b]
