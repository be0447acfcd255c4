"""YOLOv3: its size, its losses by hand, and what costs nothing."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.yolo_targets import Priors, encode, grid_priors, responsible
from lnmdetect.models.yolov3 import YoloHead, YoloV3, darknet53, yolo_losses

MakeTarget = Callable[..., dict[str, Tensor]]
MakeSizes = Callable[..., DetectorSizes]
SHAPES = ((6, 6), (9, 8), (12, 10), (15, 14), (18, 19), (24, 22), (30, 31), (40, 38), (60, 60))
BOX = [14.0, 30.0, 26.0, 41.0]


@pytest.fixture
def priors() -> Priors:
    return grid_priors([torch.zeros(1, 1, n, n) for n in (8, 4, 2)], SHAPES)


def answers(priors: Priors, value: float = 0.0) -> Tensor:
    return torch.full((1, len(priors.boxes), 6), value)


def test_the_full_width_has_the_published_parameters() -> None:
    with torch.device("meta"):
        body = darknet53(3, 1)
        coco = YoloHead([256, 512, 1024], 1, classes=80)
        node = YoloHead([256, 512, 1024], 1)
    counts = [sum(p.numel() for p in part.parameters()) for part in (body, coco, node)]
    assert counts[0] + counts[1] == 61_949_149  # the authors' yolov3.weights, 80 classes
    assert counts[0] + counts[2] == 61_523_734
    assert counts[0] == 40_584_928  # timm's darknet53 without its classifier


def test_a_width_scales_body_and_head(make_sizes: MakeSizes) -> None:
    with torch.device("meta"):
        model = YoloV3(make_sizes(width=0.25, in_channels=5))
    assert sum(p.numel() for p in model.parameters()) == 3_861_502


def test_the_body_gives_maps_at_strides_8_16_and_32() -> None:
    with torch.inference_mode():
        maps = darknet53(2, 0.125)(torch.rand(1, 2, 64, 96))
    assert [tuple(x.shape) for x in maps] == [(1, 32, 8, 12), (1, 64, 4, 6), (1, 128, 2, 3)]


def test_answers_come_finest_map_first_in_the_order_of_the_priors() -> None:
    head = YoloHead([32, 64, 128], 0.125).eval()
    maps = [torch.rand(1, c, n, n) for c, n in ((32, 8), (64, 4), (128, 2))]
    with torch.inference_mode():
        before = head(maps)
        # The finest answer's third shape begins at channel 2 * 6.
        head.answers[2][1].bias[12 + 4] += 7  # type: ignore[index]
        moved = (head(maps) - before)[0]
    cells = torch.nonzero(moved[:, 4] > 1).flatten()
    assert cells.tolist() == list(range(2, 3 * 64, 3))


def test_objectness_starts_at_one_percent(make_sizes: MakeSizes) -> None:
    torch.manual_seed(0)
    model = YoloV3(make_sizes())
    said, _ = model.answers(torch.rand(1, 1, 64, 64))
    torch.testing.assert_close(
        said[..., 4].sigmoid(), torch.full_like(said[..., 4], 0.01), atol=0.005, rtol=0
    )


def test_a_box_scores_objectness_times_class(
    make_sizes: MakeSizes, priors: Priors, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = YoloV3(make_sizes()).eval()
    said = answers(priors)
    said[..., 4] = -20
    said[0, 5 * 3, 4:] = torch.tensor([1.0, 2.0])  # fifth cell of the first row, 6 x 6 px
    monkeypatch.setattr(model, "answers", lambda images: (said, priors))
    (found,) = model(torch.zeros(1, 1, 64, 64))
    assert found["boxes"].tolist() == [[41, 1, 47, 7]]
    expected = 1 / (1 + math.exp(-1)) / (1 + math.exp(-2))
    torch.testing.assert_close(found["scores"], torch.tensor([expected]))


def test_the_losses_of_a_network_that_says_nothing_are_known(
    priors: Priors, make_target: MakeTarget
) -> None:
    # BOX is 12 x 11 px around (20, 35.5): cell (2, 4) of the first map, shape 12 x 10.
    losses = yolo_losses(answers(priors), priors, [make_target([BOX])])
    # Of 252 priors 9 x 8 in the same cell overlaps BOX by more than a half (72 / 132) alone.
    assert losses["loss_objectness"].item() == pytest.approx(251 * math.log(2), rel=1e-5)
    assert losses["loss_class"].item() == pytest.approx(math.log(2))
    wrong = [0.5 - 4 / 8, 0.5 - 3.5 / 8, 0, math.log(11 / 10)]
    assert losses["loss_box"].item() == pytest.approx(sum(x * x for x in wrong) / 2, rel=1e-4)


def test_a_network_that_says_all_right_loses_nothing(
    priors: Priors, make_target: MakeTarget
) -> None:
    target = make_target([BOX])
    chosen = responsible(target["boxes"], priors)
    said = answers(priors)
    said[..., 4] = -50
    said[0, chosen, 4:] = 50
    ideal = encode(target["boxes"], priors, chosen)
    said[0, chosen, :2], said[0, chosen, 2:4] = torch.logit(ideal[:, :2]), ideal[:, 2:]
    losses = yolo_losses(said, priors, [target])
    assert all(term.item() == pytest.approx(0, abs=1e-6) for term in losses.values())


def test_images_without_boxes_only_teach_background(
    priors: Priors, make_target: MakeTarget
) -> None:
    losses = yolo_losses(answers(priors), priors, [make_target()])
    assert losses["loss_objectness"].item() == pytest.approx(252 * math.log(2), rel=1e-5)
    assert losses["loss_class"].item() == losses["loss_box"].item() == 0


def test_what_is_said_over_an_ignored_box_costs_exactly_nothing(
    priors: Priors, make_target: MakeTarget
) -> None:
    target = make_target([[40, 40, 50, 52]], [BOX])
    said = answers(priors)
    before = yolo_losses(said, priors, [target])
    second = (4 * 8 + 2) * 3 + 1  # the first overlaps it by 36 / 132 and is background
    said[0, second : second + 2] = torch.tensor([9.0, -9, 3, 3, 40, 40])
    after = yolo_losses(said, priors, [target])
    assert {k: v.item() for k, v in after.items()} == {k: v.item() for k, v in before.items()}
    said[0, 0, 4] = 40  # far from it
    assert yolo_losses(said, priors, [target])["loss_objectness"] > before["loss_objectness"]
