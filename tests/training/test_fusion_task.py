"""The ultrasound arm as a task: loss, probabilities, score."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lnmdetect.core.errors import UsageError
from lnmdetect.core.fusion_config import FusionRecipe
from lnmdetect.datasets.fusion_data import FusionItem, collate_fusion
from lnmdetect.io.recipes import read_recipe
from lnmdetect.training.fusion_task import FusionTask, branch_weights, chosen_branch, fusion_sizes

Fields = Callable[..., dict[str, Any]]
CPU = torch.device("cpu")
SIDE = 48


def build(recipe_fields: Fields, labels: tuple[int, ...] = (), **model: Any) -> FusionTask:
    torch.manual_seed(0)
    task = FusionTask(FusionRecipe(**recipe_fields("fusion", model=model)), CPU, labels)
    task.module.eval()
    return task


def items(count: int = 4) -> list[FusionItem]:
    rng = np.random.default_rng(0)
    return [
        FusionItem(
            rng.random((1, SIDE, SIDE), dtype=np.float32),
            rng.random((1, 1, SIDE, SIDE), dtype=np.float32) if number % 2 else None,
            float(number % 3 - 1),
            number % 2,
        )
        for number in range(count)
    ]


def test_the_loss_is_the_binary_cross_entropy_by_hand(
    recipe_fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = build(recipe_fields)
    logits = torch.tensor([0.0, np.log(3.0)])
    monkeypatch.setattr(task.module, "forward", lambda _: logits)
    losses = task.losses(collate_fusion(items(2)))  # benign, then metastatic
    assert set(losses) == {"cross_entropy"}
    assert float(losses["cross_entropy"]) == pytest.approx((np.log(2) - np.log(0.75)) / 2)


def test_an_answer_is_the_probability_of_metastasis(
    recipe_fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = build(recipe_fields)
    monkeypatch.setattr(task.module, "forward", lambda _: torch.tensor([0.0, np.log(3.0)]))
    assert task.predict(collate_fusion(items(2))) == pytest.approx([0.5, 0.75])


def test_a_case_is_answered_alike_alone_and_in_a_batch(recipe_fields: Fields) -> None:
    task = build(recipe_fields)
    with torch.inference_mode():
        together = task.predict(collate_fusion(items()))
        alone = [task.predict(collate_fusion([item]))[0] for item in items()]
    assert together == pytest.approx(alone, abs=1e-6)
    assert len(set(together)) == 4


@pytest.mark.parametrize("modality", ["bmode", "ceus", "finding"])
def test_what_one_modality_alone_shows_is_learnt_from_it(
    recipe_fields: Fields, modality: str
) -> None:
    rng = np.random.default_rng(0)
    labels = (0, 1) * 6

    def image(is_bright: bool, *axes: int) -> Any:
        low = 0.5 if is_bright else 0.0
        return rng.uniform(low, low + 0.5, (*axes, SIDE, SIDE)).astype(np.float32)

    cases = [
        FusionItem(
            image(modality == "bmode" and label == 1, 1),
            image(modality == "ceus" and label == 1, 1, 1),
            2.0 * label - 1 if modality == "finding" else 1.0,
            label,
        )
        for label in labels
    ]
    task = build(recipe_fields, labels)
    batch = collate_fusion(cases)
    optimiser = torch.optim.Adam(task.module.parameters(), lr=0.02)
    for _ in range(20):
        task.module.train()
        (loss,) = task.losses(batch).values()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    task.module.eval()
    with torch.inference_mode():
        assert task.score(task.predict(batch))["auc"] > 0.9


def test_cases_are_scored_by_auc_and_accuracy(recipe_fields: Fields) -> None:
    # metastatic 0.9 and 0.4, benign 0.6 and 0.1: 3 of 4 pairs are in order, 2 of 4 calls right
    task = build(recipe_fields, (0, 1, 1, 0))
    assert task.score([0.6, 0.9, 0.4, 0.1]) == {"auc": 0.75, "accuracy": 0.5}
    assert build(recipe_fields, (1, 1)).score([0.2, 0.5]) == {"auc": 0.5, "accuracy": 0.5}


def test_a_recipes_numbers_reach_the_network(recipe_fields: Fields) -> None:
    given = {"normalisation": {"bmode": {"mean": 0.25, "sd": 0.125}}}
    others = {"fusion": "gated", "frames": 3, "dropout": 0.25, "modalities": ["ceus", "bmode"]}
    sizes = fusion_sizes(FusionRecipe(**recipe_fields("fusion", model=given | others)))
    assert sizes.scales == {"bmode": (0.25, 0.125), "ceus": (0.0, 1.0)}
    assert (sizes.fusion, sizes.frames, sizes.dropout) == ("gated", 3, 0.25)
    assert sizes.modalities == ("bmode", "ceus")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("guang2023", 2 * 23_501_760 + 4098), ("compact", pytest.approx(2_960_000, rel=0.02))],
)
def test_the_bundled_recipes_build_the_networks_they_promise(name: str, parameters: Any) -> None:
    recipe = read_recipe(name, "fusion")
    assert isinstance(recipe, FusionRecipe)
    with torch.device("meta"):  # sizes without values
        network = FusionTask(recipe, torch.device("meta")).module
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_the_papers_recipe_has_the_papers_numbers() -> None:
    recipe = read_recipe("guang2023", "fusion")
    assert isinstance(recipe, FusionRecipe)
    model, training = recipe.model, recipe.optimiser
    assert (model.backbone, model.width, model.fusion, model.frames) == ("resnet50", 1, "concat", 1)
    assert (training.name, training.learning_rate, training.schedule) == ("adam", 0.001, "plateau")
    assert recipe.validation_share == 0.2
    assert model.modality_dropout == 0  # ours, not the paper's


def test_what_cannot_be_built_or_begun_is_refused(recipe_fields: Fields) -> None:
    small = FusionRecipe(**recipe_fields("fusion", model={"size_px": 32}))
    with pytest.raises(UsageError, match=r"model\.size_px: expected 33 or more for resnet50"):
        chosen_branch(small)
    for model in ({}, {"width": 1, "modalities": ["finding"]}):
        recipe = FusionRecipe(**recipe_fields("fusion", model=model))
        with pytest.raises(UsageError, match="--init imagenet: expected a recipe of width 1"):
            branch_weights(recipe)
