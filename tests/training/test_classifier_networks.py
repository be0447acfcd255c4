"""Every network learns and answers through the same task and engine as the proposed one.

At the smallest legal size and, where the network scales, an eighth of the width.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lnmdetect.core.config import ClassifierRecipe
from lnmdetect.core.errors import UsageError
from lnmdetect.datasets.classifier_data import ClassifierBatch, collate_crops
from lnmdetect.io.run_files import KEPT, load_kept
from lnmdetect.models.backbones import BACKBONES, ClassifierSizes
from lnmdetect.training import engine
from lnmdetect.training.classifier_task import ClassifierTask, build_classifier, classifier_sizes
from lnmdetect.training.devices import Compute, training_compute
from lnmdetect.training.engine import fit, predict
from lnmdetect.training.fit_settings import FitSettings

Fields = Callable[..., dict[str, Any]]
CPU = Compute(torch.device("cpu"))
TRAINING = training_compute(CPU.device)
LABELS = [0, 1, 1, 0]
HEAVY = ("vgg16", "vgg19", "inceptionresnetv2")
NETWORKS = [pytest.param(n, marks=pytest.mark.slow if n in HEAVY else ()) for n in BACKBONES]


def recipe_of(name: str, fields: Fields, **model: Any) -> ClassifierRecipe:
    sizes = {"backbone": name, "size_px": BACKBONES[name].min_px, **model}
    steps = {"epochs": 1, "steps_an_epoch": 1, "batch_size": len(LABELS), "gradient_clip": 5.0}
    return ClassifierRecipe(**fields("classifier", model=sizes, optimiser=steps))


def batch_of(recipe: ClassifierRecipe) -> ClassifierBatch:
    side = recipe.model.size_px
    shape = (recipe.input.channels + recipe.model.size_channel, side, side)
    crops = np.random.default_rng(3).random((len(LABELS), *shape), dtype=np.float32)
    return collate_crops(list(zip(crops, LABELS, strict=True)))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_a_step_and_answers(
    name: str, recipe_fields: Fields, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "save_state", lambda *_, **__: None)  # more than 1 GB of VGG
    recipe = recipe_of(name, recipe_fields, size_channel=True)
    torch.manual_seed(0)
    task = ClassifierTask(recipe, CPU.device, LABELS)
    before = {k: v.clone() for k, v in task.module.named_parameters()}
    batch = batch_of(recipe)

    def batches(epoch: int, first_step: int) -> Iterable[ClassifierBatch]:
        return [batch]

    settings = FitSettings(recipe.optimiser, TRAINING, 1, tmp_path)
    fitted = fit(task, batches, [batch], settings)
    (row,) = fitted.rows
    assert 0.3 < row["cross_entropy"] < 1.5  # of a coin: 0.69
    moved = [k for k, v in task.module.named_parameters() if not torch.equal(before[k], v)]
    assert len(moved) > 0.5 * len(before)
    assert f"{BACKBONES[name].head}.weight" in moved
    answers = np.stack(list(predict(task, [batch], CPU)))
    assert answers.shape == (4, 2)
    np.testing.assert_allclose(answers.sum(axis=1), 1)
    best = load_kept(tmp_path)
    assert set(best) == set(task.module.state_dict())
    assert all(torch.isfinite(v.half()).all() for v in best.values() if v.is_floating_point())
    (tmp_path / KEPT).unlink()


def test_without_a_name_a_recipe_means_the_wide_resnet50(recipe_fields: Fields) -> None:
    recipe = ClassifierRecipe(**recipe_fields("classifier"))
    assert recipe.model.backbone == "resnet50"
    names = set(build_classifier(recipe).state_dict())
    assert "body.layer1.0.attention.conv1.weight" in names


def test_the_sizes_are_the_recipes(recipe_fields: Fields) -> None:
    model = {
        **{"width": 0.5, "bottleneck_factor": 1, "attention": False, "dropout": 0.3},
        **{"classes": ["not_a_node", "benign", "metastatic"], "size_channel": True},
    }
    recipe = ClassifierRecipe(**recipe_fields("classifier", model=model))  # two windows
    expected = ClassifierSizes(
        in_channels=3, classes=3, width=0.5, dropout=0.3, factor=1, attention=False
    )
    assert classifier_sizes(recipe) == expected
    assert ClassifierSizes() != expected


@pytest.mark.parametrize("name", ["resnet51", "inceptionv3"])
def test_a_network_that_cannot_be_is_refused(name: str, recipe_fields: Fields) -> None:
    recipe = ClassifierRecipe(**recipe_fields("classifier", model={"backbone": name}))
    with pytest.raises(UsageError, match=r"recipe: model\.(backbone|size_px): expected"):
        ClassifierTask(recipe, CPU.device)  # crops of 32 px
