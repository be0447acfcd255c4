"""Untrained bundles of tiny networks: they find and call at random, but always the same."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe
from lnmdetect.core.thresholds import Threshold
from lnmdetect.io.bundles import Bundle, write_bundle
from lnmdetect.models.classifier import NodeClassifier
from lnmdetect.models.detector import NodeDetector
from lnmdetect.training.classifier_task import ClassifierTask
from lnmdetect.training.detector_task import DetectorTask

Fields = Callable[..., dict[str, Any]]
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory, recipe_fields: Fields) -> Path:
    """A folder with the bundles detector-tiny, detector-blind (finds nothing), classifier-tiny."""
    root = tmp_path_factory.mktemp("bundles")
    torch.manual_seed(0)
    finder = DetectorTask(DetectorRecipe(**recipe_fields("detector")), CPU)
    caller = ClassifierTask(ClassifierRecipe(**recipe_fields("classifier")), CPU)
    assert isinstance(finder.module, NodeDetector)
    assert isinstance(caller.module, NodeClassifier)
    # Scores on both sides of a half.
    torch.nn.init.normal_(finder.module.roi_heads.box_predictor.cls_score.weight, std=0.1)
    torch.nn.init.normal_(caller.module.fc.weight, std=0.5)
    _write(root / "detector-tiny", finder, "detector", recipe_fields)
    _write(root / "classifier-tiny", caller, "classifier", recipe_fields)
    predictor = finder.module.roi_heads.box_predictor.cls_score
    torch.nn.init.zeros_(predictor.weight)
    predictor.bias.data = torch.tensor([10.0, -10.0])
    _write(root / "detector-blind", finder, "detector", recipe_fields)
    return root


def _write(
    folder: Path, task: DetectorTask | ClassifierTask, arm: str, recipe_fields: Fields
) -> None:
    fields = recipe_fields(arm)
    recipe = DetectorRecipe(**fields) if arm == "detector" else ClassifierRecipe(**fields)
    threshold = Threshold(0.5, "a rule", "validation patients")
    bundle = Bundle("tiny", recipe, threshold, True, {}, "", folder)
    write_bundle(bundle, task.module.state_dict(), "a card")


class PressCtrlC:
    """A progress that presses Ctrl-C before the training step counted from 0."""

    def __init__(self, step: int) -> None:
        self.step = step

    def track(
        self, items: Iterable[Any], *, description: str, total: int | None = None
    ) -> Iterator[Any]:
        for number, item in enumerate(items):
            if description == "training" and number == self.step:
                os.kill(os.getpid(), signal.SIGINT)
            yield item


@pytest.fixture
def press_ctrl_c() -> type[PressCtrlC]:
    return PressCtrlC
