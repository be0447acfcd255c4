"""The best boxes that lie apart are those of torchvision's suppression of all boxes."""

import pytest
import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

from lnmdetect.models.best_apart import best_apart

IOU = 0.7


def drawn(count: int, places: int) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes around so many places, their scores and their groups."""
    corners = (torch.rand(places, 2) * 400)[torch.randint(places, (count,))]
    corners = corners + torch.randn(count, 2)
    boxes = torch.cat([corners, corners + 20 + torch.randn(count, 2)], dim=1)
    return boxes, torch.rand(count), torch.randint(3, (count,))


@pytest.mark.parametrize("places", [3, 40, 300, 3000])
@pytest.mark.parametrize("most", [1, 900, 4000])
@pytest.mark.parametrize("count", [600, 2500])
def test_they_are_the_first_of_all_that_are_kept(count: int, places: int, most: int) -> None:
    boxes, scores, group = drawn(count, places)
    expected = batched_nms(boxes, scores, group, IOU)[:most]
    assert torch.equal(best_apart(boxes, scores, group, iou=IOU, most=most), expected)


def test_of_equal_scores_the_first_comes_first() -> None:
    corners = torch.arange(2000) % 1400 * 20.0  # 600 boxes come twice
    boxes = torch.stack([corners, corners, corners + 10, corners + 10], dim=1)
    group = torch.zeros(len(boxes)).long()
    found = best_apart(boxes, torch.ones(len(boxes)), group, iou=IOU, most=900)
    assert found.tolist() == list(range(900))


def test_without_boxes_there_are_none() -> None:
    none = torch.zeros(0)
    assert len(best_apart(torch.zeros(0, 4), none, none.long(), iou=IOU, most=5)) == 0


@pytest.mark.parametrize(("places", "looks"), [(9000, [1200]), (1, [1200, 2400])])
def test_no_more_boxes_are_compared_than_needed(
    places: int, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []

    def counted(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
        compared.append(len(boxes))
        kept: Tensor = nms(boxes, scores, iou)
        return kept

    monkeypatch.setattr("lnmdetect.models.best_apart.nms", counted)
    boxes, scores, _ = drawn(3000, places)
    best_apart(boxes, scores, torch.zeros(3000).long(), iou=IOU, most=800)
    assert compared == looks
