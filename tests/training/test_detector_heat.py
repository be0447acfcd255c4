"""Heat of a box score: where it lies, and what is explained where no detection lies."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.geometry import as_boxes
from lnmdetect.datasets.detector_data import DetectorBatch, DetectorItem, collate_detector
from lnmdetect.training.detector_heat import DetectorHeat, ScoredHeat, best_overlap
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict

Fields = Callable[..., dict[str, Any]]
CPU = torch.device("cpu")
BOX = (20.0, 8.0, 28.0, 16.0)


class FirstPixels(nn.Module):
    """A body of one map: every fourth pixel, as convolutions of stride 4 are centred."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(1, stride=4)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.pool(images)]


class OneBox(nn.Module):
    """Finds one box, the surer the brighter the image is there."""

    def __init__(self) -> None:
        super().__init__()
        self.body = FirstPixels()

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        (cells,) = self.body(images)
        score = torch.sigmoid(cells[0, 0, 2:4, 5:7].mean())
        return [{"boxes": torch.tensor([BOX]), "scores": score[None]}]


class TwoLevels(nn.Module):
    """Two maps of one picture, the second of twice the stride."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return [images[..., ::4, ::4], images[..., ::8, ::8]]


class TwoPixels(nn.Module):
    """Scores its one box by a cell of each level, both as much."""

    def __init__(self) -> None:
        super().__init__()
        self.body = TwoLevels()

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        fine, coarse = self.body(images)
        score = fine[0, 0, 3, 6] + coarse[0, 0, 1, 1]
        return [{"boxes": torch.tensor([BOX]), "scores": score[None]}]


def batch_of(channels: np.ndarray[Any, np.dtype[np.float32]], *boxes: Any) -> DetectorBatch:
    ignored = np.zeros(1, dtype=bool)
    return collate_detector([DetectorItem(channels, as_boxes([b]), ignored) for b in boxes])


@pytest.fixture
def one_box() -> DetectorHeat:
    return DetectorHeat(cast(DetectorTask, SimpleNamespace(device=CPU, module=OneBox())))


@pytest.fixture
def spot() -> np.ndarray[Any, np.dtype[np.float32]]:
    channels = np.zeros((1, 30, 62), dtype=np.float32)
    channels[0, 12, 24] = 1
    return channels


def heats(heat: DetectorHeat, batch: DetectorBatch) -> list[ScoredHeat]:
    return list(predict(heat, [batch], Compute(CPU)))


def test_heat_of_a_score_lies_where_the_detector_is_known_to_look(
    one_box: DetectorHeat, spot: np.ndarray[Any, np.dtype[np.float32]]
) -> None:
    (found,) = heats(one_box, batch_of(spot, BOX))
    assert found.heat.shape == (30, 62)
    assert divmod(int(found.heat.argmax()), 62) == (12, 24)
    assert found.score == pytest.approx(1 / (1 + np.exp(-0.25)))


def test_levels_on_which_a_score_rests_alike_are_alike_hot(
    spot: np.ndarray[Any, np.dtype[np.float32]],
) -> None:
    spot[0, 8, 8] = 1  # on the coarse level; on the fine one it has no say, and its weight's heat
    both = DetectorHeat(cast(DetectorTask, SimpleNamespace(device=CPU, module=TwoPixels())))
    (found,) = heats(both, batch_of(spot, BOX))
    # A channel lights up wherever its map is bright: (8, 8) on both levels, (12, 24) on the fine.
    assert found.heat[8, 8] == pytest.approx(2 * found.heat[12, 24])


def test_where_no_detection_lies_there_is_neither_score_nor_heat(
    one_box: DetectorHeat, spot: np.ndarray[Any, np.dtype[np.float32]]
) -> None:
    (found,) = heats(one_box, batch_of(spot, (0, 0, 8, 8)))
    assert found.score == 0
    assert not found.heat.any()


def test_the_box_that_overlaps_most_is_explained_and_none_below_a_half() -> None:
    boxes = as_boxes([(0, 0, 10, 10), (1, 0, 11, 10), (5, 0, 15, 10)])
    assert best_overlap(boxes, as_boxes([(1, 0, 11, 11)])) == 1
    assert best_overlap(boxes, as_boxes([(0, 8, 10, 18)])) is None
    assert best_overlap(as_boxes([]), as_boxes([(0, 0, 1, 1)])) is None


@pytest.fixture
def tiny(recipe_fields: Fields) -> DetectorTask:
    torch.manual_seed(0)
    task = DetectorTask(DetectorRecipe(**recipe_fields("detector")), CPU)
    nn.init.normal_(task.module.get_parameter("roi_heads.box_predictor.cls_score.weight"), std=0.1)
    return task


def test_the_score_explained_is_the_detectors_own(tiny: DetectorTask) -> None:
    channels = np.random.default_rng(0).random((3, 64, 64), dtype=np.float32)
    (found,) = predict(tiny, [batch_of(channels, BOX)], Compute(CPU))
    box, score = found.boxes_xyxy[0], found.scores[0]
    (heat,) = heats(DetectorHeat(tiny), batch_of(channels, box))
    assert heat.score == pytest.approx(score, abs=1e-6)
    assert np.isfinite(heat.heat).all()
    assert np.abs(heat.heat).max() > 0


def test_a_pyramid_is_explained_where_its_heads_read_it(tiny: DetectorTask) -> None:
    assert DetectorHeat(tiny).layer == "fpn"
