"""Networks with their batch norms folded answer as they did."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lnmdetect.models.backbones import BACKBONES, ClassifierSizes
from lnmdetect.models.classifier import NodeClassifier
from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.detectors import DETECTORS
from lnmdetect.models.folding import fold_batch_norms
from lnmdetect.models.resnet import ResNet34, ResNet50

AREAS = (64.0, 144.0, 256.0, 576.0, 1024.0)
PRIORS = tuple((float(side), float(side)) for side in range(6, 51, 5))


def seasoned(network: nn.Module) -> nn.Module:
    """The network in eval mode with norms that do something, as after a training."""
    torch.manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            nn.init.normal_(part.running_mean, std=0.2)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.2)
    return network.eval()


def norms(network: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())


def test_a_folded_convolution_is_scaled_and_shifted_by_its_norm() -> None:
    pair = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0)).eval()
    values = {"0.weight": 3.0, "0.bias": 1.0, "1.running_mean": 2.0, "1.running_var": 4.0}
    values |= {"1.weight": 5.0, "1.bias": 7.0}
    state = pair.state_dict()
    pair.load_state_dict(
        {name: torch.full_like(state[name], values.get(name, 0)) for name in state}
    )
    folded = fold_batch_norms(pair)
    # (3 x + 1 - 2) / 2 * 5 + 7
    assert folded.get_parameter("0.weight").item() == 7.5
    assert folded.get_parameter("0.bias").item() == 4.5
    assert norms(folded) == 0


@pytest.mark.parametrize(
    "build",
    [
        lambda: ResNet34(5, width=0.125),
        lambda: ResNet50(5, width=0.125),
        lambda: ResNet50(5, width=0.25, factor=2, groups=32),
        lambda: NodeClassifier(5, 3, width=0.125),
    ],
)
def test_resnets_have_no_norm_left_and_the_same_answer(build: Callable[[], nn.Module]) -> None:
    network = seasoned(build())
    folded = fold_batch_norms(network)
    assert norms(folded) == 0
    assert norms(network) > 30  # the original is left alone
    with torch.inference_mode():
        x = torch.rand(2, 5, 64, 96)
        torch.testing.assert_close(folded(x), network(x), atol=1e-4, rtol=1e-4)


def test_weights_lie_channels_last_and_ask_for_no_gradient() -> None:
    folded = fold_batch_norms(seasoned(ResNet50(3, width=0.125)))
    weight = folded.get_parameter("layer1.0.conv2.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    assert not any(one.requires_grad for one in folded.parameters())


@pytest.mark.parametrize("fpn", [True, False])
@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_finds_the_same(name: str, fpn: bool) -> None:
    sizes = DetectorSizes(
        AREAS,
        width=0.125,
        fpn=fpn,
        anchor_shapes_px=PRIORS if name == "yolov3" else (),
        proposals_test=20,
        score_min=0.0,
        detections_max=10,
    )
    network = seasoned(DETECTORS[name](sizes))
    folded = fold_batch_norms(network)
    assert norms(folded) < norms(network)
    with torch.inference_mode():
        x = torch.rand(1, 3, 128, 96)
        (expected,), (found,) = network(x), folded(x)
    order = _nearest(found["boxes"], expected["boxes"])
    assert sorted(order.tolist()) == list(range(10))
    torch.testing.assert_close(found["boxes"][order], expected["boxes"], atol=0.01, rtol=0)
    torch.testing.assert_close(found["scores"][order], expected["scores"], atol=1e-4, rtol=0)


def _nearest(boxes: Tensor, to: Tensor) -> Tensor:
    return (to[:, None] - boxes[None]).abs().amax(dim=-1).argmin(dim=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_every_classifier_answers_the_same(name: str) -> None:
    network = seasoned(BACKBONES[name].build(ClassifierSizes(width=0.25)))
    with torch.inference_mode():
        x = torch.rand(2, 3, 96, 96)
        torch.testing.assert_close(fold_batch_norms(network)(x), network(x), atol=1e-3, rtol=1e-3)
