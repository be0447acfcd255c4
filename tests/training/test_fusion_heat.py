"""Heat of a fusion network: what autograd itself says, on the image and frame it belongs to."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lnmdetect.core.fusion_config import FusionRecipe
from lnmdetect.datasets.fusion_data import FusionBatch, FusionItem, collate_fusion
from lnmdetect.models.fusion_branches import BRANCHES
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict
from lnmdetect.training.fusion_heat import FusionHeat
from lnmdetect.training.fusion_task import FusionTask
from lnmdetect.transforms.heat import Heat, spread_cells

Fields = Callable[..., dict[str, Any]]
CPU = torch.device("cpu")
SIDE, FRAMES = 48, 2


@pytest.fixture
def task(recipe_fields: Fields) -> Callable[..., tuple[FusionTask, FusionRecipe]]:
    def build(**changes: Any) -> tuple[FusionTask, FusionRecipe]:
        fields = recipe_fields("fusion")
        model = {**fields["model"], "frames": FRAMES, **changes}
        recipe = FusionRecipe(**{**fields, "model": model})
        torch.manual_seed(1)
        return FusionTask(recipe, CPU), recipe

    return build


def batch(labels: Sequence[int], side: int = SIDE) -> FusionBatch:
    rng = np.random.default_rng(0)
    items = [
        FusionItem(rng.random((1, side, side)), rng.random((FRAMES, 1, side, side)), 1.0, label)
        for label in labels
    ]
    return collate_fusion(items)


def heat_of(heat: FusionHeat, given: FusionBatch) -> list[Heat]:
    return list(predict(heat, [given], Compute(CPU)))


@pytest.mark.parametrize("modality", ["bmode", "ceus"])
def test_heat_is_the_map_weighted_by_the_mean_gradient_of_the_logit(
    task: Callable[..., Any], modality: str
) -> None:
    built, recipe = task()
    heat = FusionHeat(built, modality, recipe.model)
    found = heat_of(heat, batch([1, 0]))
    maps: list[Tensor] = []
    body = built.module.branches[modality].body
    hook = body.get_submodule(heat.stage.layer).register_forward_hook(
        lambda part, inputs, output: maps.append(output)
    )
    logits = built.module.eval()(built.inputs(batch([1, 0])))
    hook.remove()
    for number, sign in ((0, 1), (1, -1)):  # what speaks for benign speaks against metastatic
        (gradient,) = torch.autograd.grad(logits[number], maps[0], retain_graph=True)
        cells = sign * (gradient.mean(dim=(2, 3), keepdim=True) * maps[0]).sum(dim=1).detach()
        frames = 1 if modality == "bmode" else FRAMES
        own = cells[number * frames : (number + 1) * frames].numpy()
        expected = [spread_cells(one, heat.grid, size_px=(SIDE, SIDE)) for one in own]
        assert found[number].shape == (frames, SIDE, SIDE)
        assert np.abs(found[number]).max() > 0
        np.testing.assert_allclose(found[number], np.stack(expected), rtol=1e-4, atol=1e-7)


def test_the_deepest_map_of_seven_cells_a_side_is_read(task: Callable[..., Any]) -> None:
    built, recipe = task(size_px=112)
    stage = FusionHeat(built, "bmode", recipe.model).stage
    assert (stage.layer, stage.cells) == ("layer3", (7, 7))
    wider, model = built, recipe.model.model_copy(update={"size_px": 224})
    assert FusionHeat(wider, "ceus", model).stage.layer == "layer4"


@pytest.mark.parametrize(("backbone", "side"), [("vgg11", 32), ("inception_v3", 107)])
def test_every_backbone_can_be_explained(
    task: Callable[..., Any], backbone: str, side: int
) -> None:
    built, recipe = task(backbone=backbone, width=1, size_px=side)
    assert backbone in BRANCHES
    (found,) = heat_of(FusionHeat(built, "bmode", recipe.model), batch([1], side))
    assert found.shape == (1, side, side)
    assert np.isfinite(found).all()
    assert np.ptp(found) > 0


def test_no_weight_gets_a_gradient_and_the_answer_stays(task: Callable[..., Any]) -> None:
    built, recipe = task()
    given = batch([1, 1])
    before = list(predict(built, [given], Compute(CPU)))
    heat_of(FusionHeat(built, "bmode", recipe.model), given)
    assert all(weight.grad is None for weight in built.module.parameters())
    assert list(predict(built, [replace(given)], Compute(CPU))) == before
