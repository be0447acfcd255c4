"""Priors, which of them answers for a box, and what it should say."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lnmdetect.models.yolo_targets import (
    Priors,
    decode,
    encode,
    grid_priors,
    objectness_targets,
    responsible,
)

MakeTarget = Callable[..., dict[str, Tensor]]
SHAPES = ((6, 6), (9, 8), (12, 10), (15, 14), (18, 19), (24, 22), (30, 31), (40, 38), (60, 60))
FIRST_OF_THIRD_MAP = 3 * (64 + 16)


@pytest.fixture
def priors() -> Priors:
    """Of a 64 x 64 px input: 8 x 8, 4 x 4 and 2 x 2 cells."""
    return grid_priors([torch.zeros(1, 1, n, n) for n in (8, 4, 2)], SHAPES)


def around(x: float, y: float, width: float, height: float) -> list[float]:
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def test_priors_stand_at_cell_centres_three_shapes_a_map(priors: Priors) -> None:
    assert len(priors.boxes) == 3 * (64 + 16 + 4)
    places = {
        0: around(4, 4, 6, 6),  # first map, first cell
        4: around(12, 4, 9, 8),  # first map, second column, second shape
        8 * 3 + 2: around(4, 12, 12, 10),  # first map, second row, third shape
        3 * 64: around(8, 8, 15, 14),  # second map
        FIRST_OF_THIRD_MAP + 3 * 3 + 2: around(48, 48, 60, 60),  # the last of all
    }
    for index, box in places.items():
        assert priors.boxes[index].tolist() == box


def test_maps_need_not_be_square() -> None:
    found = grid_priors([torch.zeros(1, 1, n, 2 * n) for n in (4, 2, 1)], SHAPES)
    assert found.boxes[3 * 7 : 3 * 7 + 1].tolist() == [around(60, 4, 6, 6)]


def test_the_cell_of_the_centre_and_the_best_shape_of_all_nine_answer(priors: Priors) -> None:
    boxes = torch.tensor(
        [
            around(21, 35, 12, 10),  # shape 2: map 1, column 21 // 8 = 2, row 35 // 8 = 4
            around(40, 20, 33, 31),  # shape 6: map 3, column 1, row 0
            around(15.9, 16, 14, 16),  # shape 3: map 2, column 0, row 1
        ]
    )
    expected = [(4 * 8 + 2) * 3 + 2, FIRST_OF_THIRD_MAP + 1 * 3, 3 * 64 + (1 * 4 + 0) * 3]
    assert responsible(boxes, priors).tolist() == expected


def test_a_centre_on_the_far_border_belongs_to_the_last_cell(priors: Priors) -> None:
    assert responsible(torch.tensor([around(64, 64, 6, 6)]), priors).tolist() == [63 * 3]


def test_no_boxes_have_no_prior(priors: Priors) -> None:
    assert responsible(torch.zeros(0, 4), priors).shape == (0,)


def test_what_the_network_should_say_is_place_in_the_cell_and_log_size_ratio(
    priors: Priors,
) -> None:
    boxes = torch.tensor([around(21, 35, 12, 10), around(40, 20, 33, 31)])
    said = encode(boxes, priors, responsible(boxes, priors))
    expected = [[5 / 8, 3 / 8, 0, 0], [8 / 32, 20 / 32, math.log(33 / 30), 0]]
    torch.testing.assert_close(said, torch.tensor(expected))


def test_a_box_comes_back_from_what_it_was_encoded_to(priors: Priors) -> None:
    torch.manual_seed(0)
    centres, sizes = torch.rand(20, 2) * 63, torch.rand(20, 2) * 50 + 3
    boxes = torch.cat([centres - sizes / 2, centres + sizes / 2], dim=1)
    chosen = responsible(boxes, priors)
    said = torch.zeros(1, len(priors.boxes), 4)
    for row, index in zip(encode(boxes, priors, chosen), chosen, strict=True):
        said[0, index] = row
        torch.testing.assert_close(decode(said, priors)[0, index], decode(said[0], priors)[index])
    for box, index in zip(boxes, chosen, strict=True):
        row = encode(box[None], priors, index[None])
        said[0, index] = row[0]
        torch.testing.assert_close(decode(said, priors)[0, index], box, atol=1e-4, rtol=1e-5)


def test_priors_over_a_node_that_are_not_its_best_are_not_asked(
    priors: Priors, make_target: MakeTarget
) -> None:
    target = make_target([around(20, 36, 12, 10)])
    chosen = responsible(target["boxes"], priors)
    holds, asked = objectness_targets(target, priors, chosen)
    cell = (4 * 8 + 2) * 3
    assert torch.nonzero(holds).flatten().tolist() == [cell + 2]
    # In that cell: 6 x 6 has IoU 36 / 120, 9 x 8 has 72 / 120 = 0.6. On the second map
    # 15 x 14 at (24, 40) shares 9.5 x 8 = 76 of 254. All other overlap less.
    assert torch.nonzero(~asked).flatten().tolist() == [cell + 1]


def test_nothing_is_asked_of_priors_over_ignored_boxes(
    priors: Priors, make_target: MakeTarget
) -> None:
    target = make_target(ignored=[around(20, 36, 12, 10)])
    holds, asked = objectness_targets(target, priors, responsible(target["boxes"], priors))
    assert not holds.any()
    cell = (4 * 8 + 2) * 3
    # IoU of 0.3 and more: 36 / 120, 72 / 120, 1; two cells beside it with 12 x 10 (40 / 200 and
    # 24 / 216) have less
    not_asked = torch.nonzero(~asked).flatten().tolist()
    assert not_asked[:3] == [cell, cell + 1, cell + 2]


def test_the_prior_that_an_ignored_box_would_have_is_not_asked_however_badly_it_fits(
    priors: Priors, make_target: MakeTarget
) -> None:
    target = make_target(ignored=[around(1, 1, 2, 2)])  # 4 of 36 px
    _, asked = objectness_targets(target, priors, responsible(target["boxes"], priors))
    assert torch.nonzero(~asked).flatten().tolist() == [0]


def test_the_best_prior_of_a_node_is_asked_though_an_ignored_box_lies_on_it(
    priors: Priors, make_target: MakeTarget
) -> None:
    target = make_target([around(20, 36, 12, 10)], [around(20, 36, 12, 10)])
    chosen = responsible(target["boxes"], priors)
    holds, asked = objectness_targets(target, priors, chosen)
    assert holds[chosen].all()
    assert asked[chosen].all()
