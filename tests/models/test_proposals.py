"""Proposals, chosen before they are decoded, against those of torchvision's network."""

from itertools import groupby
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork

from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.two_stage import ExactAnchorGenerator, IgnoringRPN, build_rpn

AREAS = (64.0, 256.0, 1024.0)
SIZE = (64, 96)
CHANNELS = 8


def networks(kept: int) -> tuple[IgnoringRPN, RegionProposalNetwork]:
    """Ours and torchvision's, of the same weights."""
    torch.manual_seed(0)
    anchors = ExactAnchorGenerator(tuple((a**0.5,) for a in AREAS), ((0.5, 1.0, 2.0),) * 3)
    ours = build_rpn(
        DetectorSizes(AREAS, proposals_train=kept, proposals_test=kept), CHANNELS, anchors
    )
    for layer in ours.head.parameters():
        torch.nn.init.normal_(layer, std=0.2)
    counts = {"training": 2 * kept, "testing": kept}, {"training": kept, "testing": kept}
    theirs = RegionProposalNetwork(anchors, ours.head, 0.7, 0.3, 256, 0.5, *counts, 0.7)
    return ours, theirs


def maps() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {
        str(level): torch.randn(2, CHANNELS, SIZE[0] // stride, SIZE[1] // stride)
        for level, stride in enumerate((4, 8, 32))
    }


def images() -> ImageList:
    return ImageList(torch.rand(2, 3, *SIZE), [SIZE] * 2)


def target() -> dict[str, Tensor]:
    boxes = torch.tensor([[20.0, 20, 30, 32], [50.0, 5, 58, 12]])
    return {"boxes": boxes, "labels": torch.ones(2, dtype=torch.long)}


# 18 anchors lie on the last map, so that 50 a map are more than it has.
@pytest.mark.parametrize("kept", [3, 50])
def test_each_image_has_torchvisions_proposals_in_its_order(kept: int) -> None:
    ours, theirs = (network.eval() for network in networks(kept))
    with torch.no_grad():
        found, losses = ours(images(), maps())
        expected, _ = theirs(images(), maps())
    assert losses == {}
    for mine, other in zip(found, expected, strict=True):
        assert 0 < len(mine) <= kept
        torch.testing.assert_close(mine, other, rtol=0, atol=0)


def test_each_image_has_all_of_torchvisions_proposals_where_they_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = (network.eval() for network in networks(5000))
    filtered: list[tuple[list[Tensor], list[Tensor]]] = []
    chosen = theirs.filter_proposals

    def noted(*given: Any) -> tuple[list[Tensor], list[Tensor]]:
        filtered.append(chosen(*given))
        return filtered[-1]

    monkeypatch.setattr(theirs, "filter_proposals", noted)
    with torch.no_grad():
        found = ours(images(), maps())[0]
        theirs(images(), maps())
    for mine, other, scores in zip(found, *filtered[0], strict=True):
        assert len(mine) > 1000  # of which torchvision leaves the order of equal scores open
        equal = [len(list(run)) for _, run in groupby(scores.tolist())]
        for some, others in zip(torch.split(mine, equal), torch.split(other, equal), strict=True):
            assert sorted(some.tolist()) == sorted(others.tolist())


def test_equal_scores_keep_torchvisions_order() -> None:
    ours, theirs = (network.eval() for network in networks(20))
    flat = {level: torch.ones_like(x) for level, x in maps().items()}
    with torch.no_grad():
        found, expected = ours(images(), flat)[0], theirs(images(), flat)[0]
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)


def test_training_has_torchvisions_proposals_losses_and_gradients() -> None:
    empty = torch.zeros(0, 4)
    answers = []
    for network in networks(50):
        network.train().zero_grad()
        torch.manual_seed(2)  # of the sampled anchors
        proposals, losses = network(images(), maps(), [{**target(), "ignored": empty}] * 2)
        sum(losses.values()).backward()
        gradients = [weight.grad for weight in network.head.parameters()]
        answers.append((proposals, losses, gradients))
    torch.testing.assert_close(answers[0], answers[1], rtol=0, atol=0)
    assert len(answers[0][0][0]) > 0
