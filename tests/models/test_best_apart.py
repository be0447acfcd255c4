"""The best boxes that lie apart are those of torchvision's suppression of all boxes."""

import pytest
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from lnmdetect.models.best_apart import best_apart

IOU = 0.7


def drawn(count: int, places: int) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes around so many places, their scores and their groups."""
    corners = (torch.rand(places, 2) * 400)[torch.randint(places, (count,))]
    corners = corners + torch.randn(count, 2)
    boxes = torch.cat([corners, corners + 20 + torch.randn(count, 2)], dim=1)
    return boxes, torch.randperm(count) / count, torch.randint(3, (count,))


@pytest.mark.parametrize("places", [3, 40, 300, 3000])
@pytest.mark.parametrize("most", [1, 900, 4000])
@pytest.mark.parametrize("count", [600, 2500])
def test_they_are_the_first_of_all_that_are_kept(count: int, places: int, most: int) -> None:
    boxes, scores, group = drawn(count, places)
    expected = batched_nms(boxes, scores, group, IOU)[:most]
    assert torch.equal(best_apart(boxes, scores, group, iou=IOU, most=most), expected)


@pytest.mark.parametrize("most", [900, 1400])
def test_of_equal_scores_the_first_comes_first(most: int) -> None:
    corners = torch.arange(2000) % 1400 * 20.0  # 600 boxes come twice
    boxes = torch.stack([corners, corners, corners + 10, corners + 10], dim=1)
    group = torch.zeros(len(boxes)).long()
    found = best_apart(boxes, torch.ones(len(boxes)), group, iou=IOU, most=most)
    assert found.tolist() == list(range(most))


def test_without_boxes_there_are_none() -> None:
    none = torch.zeros(0)
    assert len(best_apart(torch.zeros(0, 4), none, none.long(), iou=IOU, most=5)) == 0


@pytest.mark.parametrize(
    ("total", "places", "of", "looks"),
    [
        (3000, 1, 1, [1200]),
        (3000, 2, 3, [1200]),  # just 800 are kept of 1200
        (3000, 1, 2, [1200, 2400]),  # 600 are kept of 1200: 1.5 * 1200 * 800 / 600 come next
        (3000, 1, 3000, [1200, 3000]),  # one is kept: all come next
        (1200, 1, 1200, [1200]),
    ],
)
def test_no_more_boxes_are_compared_than_needed(
    total: int, places: int, of: int, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []

    def counted(boxes: Tensor, scores: Tensor, group: Tensor, iou: float) -> Tensor:
        compared.append(len(boxes))
        kept: Tensor = batched_nms(boxes, scores, group, iou)
        return kept

    monkeypatch.setattr("lnmdetect.models.best_apart.batched_nms", counted)
    place = torch.arange(total) * places // of
    corners = place * 20.0
    boxes = torch.stack([corners, corners, corners + 10, corners + 10], dim=1)
    scores = torch.arange(total, 0, -1) / total
    found = best_apart(boxes, scores, torch.zeros(total).long(), iou=IOU, most=800)
    first = torch.cat([torch.tensor([True]), place.diff() > 0]).nonzero()[:800, 0]
    assert found.tolist() == first.tolist()
    assert compared == looks


def test_few_boxes_are_compared_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def counted(boxes: Tensor, *_: object) -> Tensor:
        compared.append(len(boxes))
        return torch.arange(len(boxes))

    monkeypatch.setattr("lnmdetect.models.best_apart.batched_nms", counted)
    for count in (1000, 1001, 1002):
        best_apart(*drawn(count, 3000), iou=IOU, most=5)
    assert compared == [1000, 1001, 1001]
