"""Heat of a classifier: where it lies on the crop, and which method and map are chosen."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lnmdetect.core.config import ClassifierRecipe
from lnmdetect.core.errors import UsageError
from lnmdetect.core.pretrained import Pretrained
from lnmdetect.datasets.classifier_data import ClassifierBatch
from lnmdetect.models.backbones import BACKBONES, Backbone, ClassifierSizes
from lnmdetect.training.classifier_heat import ClassifierHeat, Method
from lnmdetect.training.classifier_task import ClassifierTask
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict

Fields = Callable[..., dict[str, Any]]
CPU = torch.device("cpu")
SIDE = 32


class Spots(nn.Module):
    """Calls metastatic what is bright on the mean: its heat is known to be the brightness."""

    def __init__(self, sizes: ClassifierSizes) -> None:
        super().__init__()
        self.maps = nn.AvgPool2d(4)
        self.fc = nn.Linear(sizes.in_channels, sizes.classes)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)
        nn.init.ones_(self.fc.weight[1:])

    def forward(self, crops: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.maps(crops).mean(dim=(2, 3)))
        return logits


def no_weights(sizes: ClassifierSizes) -> Pretrained:
    raise AssertionError(sizes)


SPOTS = Backbone(Spots, "maps", "fc", no_weights, min_px=SIDE)


@pytest.fixture
def spots(recipe_fields: Fields, monkeypatch: pytest.MonkeyPatch) -> ClassifierTask:
    monkeypatch.setitem(cast(dict[str, Backbone], BACKBONES), "spots", SPOTS)
    fields = recipe_fields("classifier", model={"backbone": "spots", "flip_average": True})
    return ClassifierTask(ClassifierRecipe(**fields), CPU)


@pytest.fixture
def tiny(recipe_fields: Fields) -> ClassifierTask:
    torch.manual_seed(0)
    task = ClassifierTask(ClassifierRecipe(**recipe_fields("classifier")), CPU)
    nn.init.normal_(cast(Tensor, task.module.get_parameter("fc.weight")), std=0.5)
    return task


def batch_of(crops: Tensor, label: int = 1) -> ClassifierBatch:
    return ClassifierBatch(crops, torch.full((len(crops),), label))


def corner() -> Tensor:
    """Return one crop of two channels, dark but for 4 px square near its upper right corner."""
    crops = torch.zeros(1, 2, SIDE, SIDE)
    crops[:, :, 4:8, 24:28] = 1
    return crops


@pytest.mark.parametrize("all_views", [False, True])
@pytest.mark.parametrize("method", ["cam", "gradcam"])
def test_heat_lies_where_the_network_is_known_to_look(
    spots: ClassifierTask, method: Method, all_views: bool
) -> None:
    if all_views:
        spots.finish()
    heat = ClassifierHeat(spots, SPOTS, method, corner())
    (found,) = predict(heat, [batch_of(corner())], Compute(CPU))
    places = np.arange(SIDE) + 0.5
    assert found.shape == (SIDE, SIDE)
    assert (found @ places).sum() / found.sum() == pytest.approx(26, abs=0.1)  # across
    assert (found.T @ places).sum() / found.sum() == pytest.approx(6, abs=0.1)  # down
    assert found[5, 25] > 10 * abs(found[:, :16]).max()


def test_heat_of_the_other_class_has_the_other_sign(spots: ClassifierTask) -> None:
    heat = ClassifierHeat(spots, SPOTS, "cam", corner())
    (found,) = predict(heat, [batch_of(corner(), label=0)], Compute(CPU))
    assert found.max() <= 0
    assert found.min() < 0


def test_each_item_has_its_own_heat(spots: ClassifierTask) -> None:
    crops = torch.cat([corner(), corner().flip(3), corner().flip(2)])
    heat = ClassifierHeat(spots, SPOTS, "auto", corner())
    first, second, third = predict(heat, [batch_of(crops)], Compute(CPU))
    np.testing.assert_allclose(second, first[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(third, first[::-1], atol=1e-5)


def test_auto_is_cam_where_the_last_map_is_fine_enough(spots: ClassifierTask) -> None:
    heat = ClassifierHeat(spots, SPOTS, "auto", corner())
    assert (heat.method, heat.layer, heat.stage.cells) == ("cam", "maps", (8, 8))


def test_auto_is_grad_cam_on_a_finer_stage_where_it_is_not(tiny: ClassifierTask) -> None:
    heat = ClassifierHeat(tiny, BACKBONES["resnet50"], "auto", torch.zeros(1, 2, SIDE, SIDE))
    assert (heat.method, heat.layer, heat.stage.cells) == ("gradcam", "body.layer1", (8, 8))
    assert (heat.stage.number, heat.stage.of, heat.last.layer) == (2, 5, "body.layer4")


@pytest.mark.parametrize("method", ["cam", "gradcam"])
def test_a_method_that_is_asked_for_reads_the_last_map(
    tiny: ClassifierTask, method: Method
) -> None:
    heat = ClassifierHeat(tiny, BACKBONES["resnet50"], method, torch.zeros(1, 2, 64, 64))
    assert (heat.method, heat.layer, heat.stage.cells) == (method, "body.layer4", (2, 2))


def test_cam_is_refused_where_the_head_does_not_read_the_mean(spots: ClassifierTask) -> None:
    dense = replace(SPOTS, reads_mean=False)
    with pytest.raises(UsageError, match="--method: expected gradcam: CAM needs a network whose"):
        ClassifierHeat(spots, dense, "cam", corner())
    assert ClassifierHeat(spots, dense, "auto", corner()).method == "gradcam"


def test_explaining_leaves_the_answers_as_they_are(tiny: ClassifierTask) -> None:
    crops = torch.rand(2, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    tiny.finish()
    before = list(predict(tiny, [batch_of(crops)], Compute(CPU)))
    heat = ClassifierHeat(tiny, BACKBONES["resnet50"], "auto", crops)
    list(predict(heat, [batch_of(crops)], Compute(CPU)))
    np.testing.assert_array_equal(list(predict(tiny, [batch_of(crops)], Compute(CPU))), before)
