"""Untrained bundles of tiny networks: they find and call at random, but always the same."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe
from lnmdetect.core.fusion_config import FusionRecipe
from lnmdetect.core.records import Detections
from lnmdetect.core.thresholds import Threshold
from lnmdetect.core.ultrasound import ImagePlace, UltrasoundCase, UltrasoundDataset
from lnmdetect.io.bundles import Bundle, write_bundle
from lnmdetect.io.ultrasound_files import write_ultrasound
from lnmdetect.models.classifier import NodeClassifier
from lnmdetect.models.detector import NodeDetector
from lnmdetect.training.classifier_task import ClassifierTask
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.training.fusion_task import FusionTask

Fields = Callable[..., dict[str, Any]]
CPU = torch.device("cpu")
ULTRASOUND_PATIENTS = 10


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


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The uids of the slices that a detector's network meets."""
    slices: list[str] = []
    predict = DetectorTask.predict

    def counted(task: DetectorTask, batch: Any) -> list[Detections]:
        slices.extend(item.image.sop_instance_uid for item in batch.items)
        return predict(task, batch)

    monkeypatch.setattr(DetectorTask, "predict", counted)
    return slices


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


@pytest.fixture(scope="session")
def ultrasound_toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ultrasound.json and 10 patients, every other one metastatic; never written to.

    Patient p2 has no CEUS, p3 no B-mode image; p4's finding is not known.
    """
    folder = tmp_path_factory.mktemp("ultrasound")
    rng = np.random.default_rng(0)
    cases = []
    for number in range(ULTRASOUND_PATIENTS):
        names = [f"p{number}_{kind}.png" for kind in ("bmode", "ceus1", "ceus2")]
        for name in names:
            pixels = rng.integers(0, 128 + 64 * (number % 2), (50, 60)).astype(np.uint8)
            assert cv2.imwrite(str(folder / name), pixels)
        cases.append(
            UltrasoundCase(
                case_id=f"c{number}",
                patient=f"p{number}",
                bmode=None if number == 3 else ImagePlace(names[0]),
                ceus=() if number == 2 else (ImagePlace(names[1]), ImagePlace(names[2])),
                finding="unknown" if number == 4 else "present" if number % 3 else "absent",
                label="metastatic" if number % 2 else "benign",
            )
        )
    dataset = UltrasoundDataset({"phantom": True, "seed": 7}, tuple(cases))
    write_ultrasound(dataset, folder / "ultrasound.json")
    return folder


@pytest.fixture
def fusion_bundle(tmp_path: Path, recipe_fields: Fields) -> Callable[..., Path]:
    """A function that writes an untrained fusion bundle; changes go to the recipe's model."""

    def write(name: str = "tiny", **changes: Any) -> Path:
        fields = recipe_fields("fusion")
        recipe = FusionRecipe(**{**fields, "model": {**fields["model"], **changes}})
        torch.manual_seed(0)
        module = FusionTask(recipe, CPU).module
        torch.nn.init.normal_(module.fc.weight, std=3)  # probabilities on both sides of a half
        threshold = Threshold(0.5, "a rule", "validation patients")
        bundle = Bundle("tiny", recipe, threshold, True, {}, "", tmp_path / name)
        write_bundle(bundle, module.state_dict(), "a card", overwrite=True)
        return bundle.folder

    return write
