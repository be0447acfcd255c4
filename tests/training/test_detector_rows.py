"""What recipes make of the dictionary of detectors; the bundled one finds what it always found."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.datasets.detector_data import DetectorItem, collate_detector
from lnmdetect.io.bundles import load_weights, read_bundle
from lnmdetect.io.recipes import parse_recipe, read_recipe
from lnmdetect.models.detector import NodeDetector
from lnmdetect.models.norms import FrozenNorm2d
from lnmdetect.models.one_stage import OneStageDetector
from lnmdetect.models.single_map_rcnn import SingleMapDetector
from lnmdetect.models.yolov3 import YoloV3
from lnmdetect.training.detector_task import DetectorTask, build_detector

Fields = Callable[..., dict[str, Any]]
CPU = torch.device("cpu")
SHAPES = [[6 * n, 6 * n] for n in range(1, 10)]
CLASSES: dict[str, tuple[type, dict[str, Any]]] = {
    "faster_rcnn": (NodeDetector, {}),
    "faster_rcnn on one map": (SingleMapDetector, {"fpn": False, "roi": "pool"}),
    "ssd": (OneStageDetector, {}),
    "yolov3": (YoloV3, {"anchor_shapes_px": SHAPES}),
    "retinanet": (OneStageDetector, {}),
    "fcos": (OneStageDetector, {}),
}


def drawn_neck() -> Tensor:
    """Five slices of a disc with organs and four bright nodes, (1, 5, 256, 256)."""
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")

    def disc(x0: float, y0: float, radius: float) -> Tensor:
        inside: Tensor = (x - x0) ** 2 + (y - y0) ** 2 < radius**2
        return inside

    image = torch.where(disc(128, 128, 110), 0.2, 0.0)
    organs = [(70, 100, 40, 0.5), (180, 90, 50, 0.52), (128, 180, 30, 0.55)]
    nodes = [(70, 100, 10, 0.7), (180, 90, 7, 0.65), (150, 170, 14, 0.7), (90, 180, 12, 0.62)]
    for x0, y0, radius, value in organs + nodes:
        image = torch.where(disc(x0, y0, radius), value, image)
    return torch.stack([image if n == 2 else image * 0.85 for n in range(5)])[None]


def test_the_bundled_detector_finds_the_boxes_it_found_when_it_was_bundled() -> None:
    bundle = read_bundle("compact", "detector")
    assert isinstance(bundle.recipe, DetectorRecipe)
    model = build_detector(bundle.recipe)
    assert isinstance(model, NodeDetector)
    load_weights(model, bundle)
    with torch.inference_mode():
        (found,) = model.eval()(drawn_neck())
    boxes = [
        [59.7879, 89.6751, 81.3902, 110.9650],
        [37.2282, 89.3341, 91.6040, 142.1946],
        [49.4880, 58.9703, 100.2481, 110.9687],
    ]
    torch.testing.assert_close(found["boxes"], torch.tensor(boxes), atol=0.01, rtol=0)
    scores = torch.tensor([0.9773, 0.1265, 0.0972])
    torch.testing.assert_close(found["scores"], scores, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", CLASSES)
def test_a_recipe_of_any_architecture_trains_and_predicts(name: str, recipe_fields: Fields) -> None:
    kind, model = CLASSES[name]
    fields = recipe_fields("detector", model={"architecture": name.split()[0], **model})
    torch.manual_seed(0)
    task = DetectorTask(DetectorRecipe(**fields), CPU)
    assert type(task.module) is kind
    channels = np.random.default_rng(0).random((3, 60, 90), dtype=np.float32)
    boxes = np.array([[10.0, 20, 24, 33], [40, 40, 52, 50]])
    batch = collate_detector([DetectorItem(channels, boxes, np.array([False, True]))])
    task.module.train()
    total = torch.stack(list(task.losses(batch).values())).sum()
    total.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(total)
    task.module.eval()
    with torch.inference_mode():
        (answer,) = task.predict(batch)
    assert len(answer) <= 100


def test_frozen_norms_are_those_of_the_body_and_yolos_head_has_norms_that_learn(
    recipe_fields: Fields,
) -> None:
    model = {"architecture": "yolov3", "anchor_shapes_px": SHAPES, "norm": "frozen"}
    built = build_detector(DetectorRecipe(**recipe_fields("detector", model=model)))
    kinds = (torch.nn.BatchNorm2d, torch.nn.GroupNorm, FrozenNorm2d)
    norms = {name: type(part) for name, part in built.named_modules() if isinstance(part, kinds)}
    of_body = {kind for name, kind in norms.items() if name.startswith("body.")}
    assert of_body == {FrozenNorm2d}
    assert {kind for name, kind in norms.items() if name.startswith("head.")} == {
        torch.nn.GroupNorm
    }


@pytest.mark.parametrize("architecture", ["ssd", "yolov3", "retinanet", "fcos"])
def test_any_architecture_is_one_line_on_the_compact_recipe(architecture: str) -> None:
    text = f"base: compact\nname: mine\nmodel: {{architecture: {architecture}}}\n"
    recipe = parse_recipe(text, where="mine.yaml", arm="detector")
    assert isinstance(recipe, DetectorRecipe)
    assert recipe.model.architecture == architecture
    assert recipe.model.width == 0.25


def test_the_papers_recipe_is_the_proposed_detector() -> None:
    recipe = read_recipe("wang2023", "detector")
    assert isinstance(recipe, DetectorRecipe)
    assert (recipe.model.architecture, recipe.model.fpn, recipe.model.roi) == (
        "faster_rcnn",
        True,
        "align",
    )
