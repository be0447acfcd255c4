"""The two arms: what they answer, and how they are scored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike

from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe, TableRecipe
from lnmdetect.core.records import ImageRecord
from lnmdetect.datasets.classifier_data import ClassifierBatch, collate_crops
from lnmdetect.datasets.detector_data import DetectorItem, TruthSlice, collate_detector
from lnmdetect.datasets.volume_cache import CachedSeries
from lnmdetect.io.recipes import read_recipe
from lnmdetect.models.norms import FrozenNorm2d
from lnmdetect.training.classifier_task import ClassifierTask, build_classifier
from lnmdetect.training.detector_task import (
    DetectorTask,
    build_detector,
    truth_boxes,
    with_detections,
)
from lnmdetect.transforms.grid import plan_grid

Fields = Callable[..., dict[str, Any]]
CPU = torch.device("cpu")
IMAGE = ImageRecord(1, "1.dcm", 200, 180, "p", "s", "1", 0, 0.0, (0.7, 0.7))
GRID = plan_grid((20, 10, 150, 140), (0.7, 0.7), 1.4)  # 130 px become 65


@pytest.fixture
def detector(recipe_fields: Fields) -> DetectorTask:
    torch.manual_seed(0)
    return DetectorTask(DetectorRecipe(**recipe_fields("detector")), CPU)


@pytest.fixture
def classifier(recipe_fields: Fields) -> ClassifierTask:
    torch.manual_seed(0)
    fields = recipe_fields("classifier")
    return ClassifierTask(ClassifierRecipe(**fields), CPU, [0, 1, 1, 0])


def item(**changes: Any) -> DetectorItem:
    channels = np.random.default_rng(0).random((3, 65, 65), dtype=np.float32)
    boxes = np.array([[10.0, 20, 20, 32], [40, 40, 50, 50]])
    return DetectorItem(channels, boxes, np.array([False, True]), **changes)


def part() -> TruthSlice:
    """The slice that `item(image=IMAGE, grid=GRID)` shows."""
    series = CachedSeries((IMAGE,), GRID, Path("unread.npy"))
    shown = item()
    return TruthSlice(series, 0, shown.boxes_xyxy, shown.ignored, (None, None))


def found(boxes: ArrayLike, scores: list[float]) -> Any:
    def forward(images: torch.Tensor) -> list[dict[str, torch.Tensor]]:
        return [
            {
                "boxes": torch.tensor(np.asarray(boxes, dtype=np.float32)),
                "scores": torch.tensor(scores),
            }
        ] * len(images)

    return forward


def test_boxes_come_back_in_original_pixels_within_the_image(
    detector: DetectorTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The padding begins at 65 of 96 px; a box wholly in it is dropped, one half in it is cut.
    boxes = np.array([[10, 20, 20, 32], [60, 60, 90, 90], [70, 70, 90, 90], [3, 3, 3.1, 9]])
    monkeypatch.setattr(detector.module, "forward", found(boxes, [0.9, 0.8, 0.7, 0.6]))
    (answer,) = detector.predict(collate_detector([item(image=IMAGE, grid=GRID)]))
    assert answer.boxes_xyxy == pytest.approx(np.array([[40, 50, 60, 74], [140, 130, 150, 140]]))
    assert answer.scores == pytest.approx([0.9, 0.8])


def test_boxes_without_a_grid_stay_where_they_are(
    detector: DetectorTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector.module, "forward", found([[1.0, 2, 9, 8]], [0.5]))
    (answer,) = detector.predict(collate_detector([item()]))
    assert answer.boxes_xyxy.tolist() == [[1, 2, 9, 8]]


def test_no_boxes_are_an_answer(detector: DetectorTask, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = [{"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}]
    monkeypatch.setattr(detector.module, "forward", lambda _: empty)
    (answer,) = detector.predict(collate_detector([item(image=IMAGE, grid=GRID)]))
    assert answer.boxes_xyxy.shape == (0, 4)
    assert len(answer) == 0


def test_truth_goes_back_to_the_original_image() -> None:
    truth = truth_boxes(part())
    assert truth.truth_xyxy == pytest.approx(np.array([[40, 50, 60, 74], [100, 90, 120, 110]]))
    assert truth.truth_ignored.tolist() == [False, True]


def test_a_detector_is_scored_by_ap50_on_its_validation_items(
    recipe_fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = [item(image=IMAGE, grid=GRID)] * 2
    recipe = DetectorRecipe(**recipe_fields("detector"))
    task = DetectorTask(recipe, CPU, [truth_boxes(part())] * 2)
    boxes = [[10, 20, 20, 32], [40, 40, 50, 50], [0, 0, 5, 5]]
    monkeypatch.setattr(task.module, "forward", found(boxes, [0.9, 0.8, 0.7]))
    answers = task.predict(collate_detector(pair))
    assert task.score(answers) == {"ap50": pytest.approx(1.0)}
    # Two false positives rank first: precision at both hits is 2 / 4.
    monkeypatch.setattr(task.module, "forward", found(boxes[::-2], [0.9, 0.8]))
    assert task.score(task.predict(collate_detector(pair))) == {"ap50": pytest.approx(0.5)}


def test_a_validation_set_without_nodes_scores_0(detector: DetectorTask) -> None:
    assert detector.score([]) == {"ap50": 0}


def test_truth_and_answers_join() -> None:
    truth = truth_boxes(part())
    task_answer = found([[1.0, 2, 9, 8]], [0.5])(torch.zeros(1, 3, 32, 32))[0]
    assert set(task_answer) == {"boxes", "scores"}
    joined = with_detections(truth, _Answer())  # type: ignore[arg-type]
    assert joined.truth_xyxy is truth.truth_xyxy
    assert joined.scores.tolist() == [0.25]


class _Answer:
    boxes_xyxy = np.array([[1.0, 2, 9, 8]])
    scores = np.array([0.25])


def test_a_classifiers_probabilities_sum_to_1(classifier: ClassifierTask) -> None:
    classifier.module.eval()
    crops = np.random.default_rng(0).random((5, 2, 32, 32), dtype=np.float32)
    with torch.inference_mode():
        answers = classifier.predict(collate_crops([(crop, -1) for crop in crops]))
    assert np.stack(answers).shape == (5, 2)
    assert np.stack(answers).sum(axis=1) == pytest.approx(np.ones(5), abs=1e-12)


def test_the_loss_is_the_cross_entropy_by_hand(
    classifier: ClassifierTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, np.log(3.0)]])
    monkeypatch.setattr(classifier.module, "forward", lambda _: logits)
    crops = np.zeros((2, 32, 32), dtype=np.float32)
    losses = classifier.losses(collate_crops([(crops, 0), (crops, 1)]))
    assert set(losses) == {"cross_entropy"}
    assert float(losses["cross_entropy"]) == pytest.approx((np.log(2) - np.log(0.75)) / 2)


def test_a_classifier_is_scored_by_auc_of_metastatic_against_benign(
    classifier: ClassifierTask,
) -> None:
    # labels 0 1 1 0: metastatic 0.9 and 0.4, benign 0.6 and 0.1; 3 of 4 pairs are in order
    metastatic = np.array([0.6, 0.9, 0.4, 0.1])
    scores = classifier.score([np.array([1 - p, p]) for p in metastatic])
    assert scores == {"auc": pytest.approx(0.75), "accuracy": pytest.approx(0.5)}


def test_background_is_left_out_of_the_auc(recipe_fields: Fields) -> None:
    fields = recipe_fields("classifier", model={"classes": ["not_a_node", "benign", "metastatic"]})
    task = ClassifierTask(ClassifierRecipe(**fields), CPU, [0, 1, 2])
    answers = [np.array([0.0, 0.0, 1.0]), np.array([0.1, 0.6, 0.3]), np.array([0.2, 0.3, 0.5])]
    assert task.score(answers) == {"auc": 1.0, "accuracy": pytest.approx(2 / 3)}


def test_one_class_alone_scores_a_half(recipe_fields: Fields) -> None:
    task = ClassifierTask(ClassifierRecipe(**recipe_fields("classifier")), CPU, [1, 1])
    assert task.score([np.array([0.5, 0.5])] * 2)["auc"] == 0.5


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_bundled_recipes_build_the_networks_they_promise() -> None:
    sizes = {
        ("compact", "detector"): pytest.approx(2_600_000, rel=0.01),
        ("compact", "classifier"): pytest.approx(4_330_000, rel=0.01),
        ("wang2023", "detector"): 41_352_281,
        ("wang2023", "classifier"): 68_756_170,
    }
    for (name, arm), size in sizes.items():
        recipe = read_recipe(name, "detector" if arm == "detector" else "classifier")
        assert isinstance(recipe, TableRecipe)
        with torch.device("meta"):  # sizes without values
            built = (
                build_detector(recipe)
                if isinstance(recipe, DetectorRecipe)
                else build_classifier(recipe)
            )
        assert count(built) == size, (name, arm)


def test_frozen_norms_of_the_papers_classifier_leave_its_attention_norms_that_learn() -> None:
    recipe = read_recipe("wang2023", "classifier")
    assert isinstance(recipe, ClassifierRecipe)
    model = recipe.model.model_copy(update={"norm": "frozen"})
    with torch.device("meta"):
        built = build_classifier(recipe.model_copy(update={"model": model}))
    kinds = (torch.nn.BatchNorm2d, torch.nn.GroupNorm, FrozenNorm2d)
    norms = {name: type(part) for name, part in built.named_modules() if isinstance(part, kinds)}
    assert {kind for name, kind in norms.items() if "attention" in name} == {torch.nn.GroupNorm}
    assert {kind for name, kind in norms.items() if "attention" not in name} == {FrozenNorm2d}


@pytest.mark.slow
def test_the_papers_detector_takes_one_training_step_and_finds_boxes() -> None:
    recipe = read_recipe("wang2023", "detector")
    assert isinstance(recipe, DetectorRecipe)
    task = DetectorTask(recipe, CPU)
    channels = np.random.default_rng(0).random((3, 128, 128), dtype=np.float32)
    boxes = np.array([[40.0, 40, 60, 56]])
    batch = collate_detector([DetectorItem(channels, boxes, np.zeros(1, dtype=bool))])
    _one_step(task, batch)
    with torch.inference_mode():
        (answer,) = task.predict(batch)
    assert len(answer) <= 100


@pytest.mark.slow
def test_the_papers_classifier_takes_one_training_step_and_classifies() -> None:
    recipe = read_recipe("wang2023", "classifier")
    assert isinstance(recipe, ClassifierRecipe)
    task = ClassifierTask(recipe, CPU)
    crops = np.random.default_rng(0).random((2, 3, 64, 64), dtype=np.float32)
    batch = collate_crops([(crops[0], 0), (crops[1], 1)])
    _one_step(task, batch)
    with torch.inference_mode():
        assert np.stack(task.predict(batch)).sum(axis=1) == pytest.approx([1, 1])


def _one_step(task: DetectorTask | ClassifierTask, batch: Any) -> None:
    optimiser = torch.optim.SGD(task.module.parameters(), lr=0.001)
    before = [p.detach().clone() for p in task.module.parameters()]
    task.module.train()
    total = torch.stack(list(task.losses(batch).values())).sum()
    assert torch.isfinite(total)
    total.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    moved = [bool((a != b).any()) for a, b in zip(task.module.parameters(), before, strict=True)]
    assert moved[0]  # the stem: the gradient has come all the way
    assert moved[-1]
    task.module.eval()


def test_a_finished_classifier_answers_alike_for_a_crop_and_its_mirror_image(
    recipe_fields: Fields,
) -> None:
    recipe = ClassifierRecipe.model_validate(
        recipe_fields("classifier", model={"flip_average": True})
    )
    torch.manual_seed(0)
    task = ClassifierTask(recipe, torch.device("cpu"))
    task.module.eval()
    crops = torch.rand(3, recipe.input.channels, 32, 32)
    batch, mirrored = (ClassifierBatch(c, torch.zeros(3)) for c in (crops, crops.flip(3)))
    with torch.inference_mode():
        single, other = np.stack(task.predict(batch)), np.stack(task.predict(mirrored))
        assert np.abs(single - other).max() > 1e-6  # one view tells them apart
        task.finish()
        answer = np.stack(task.predict(batch))
        np.testing.assert_allclose(answer, np.stack(task.predict(mirrored)), atol=1e-9)
    np.testing.assert_allclose(answer.sum(axis=1), 1)


@pytest.mark.parametrize("classes", [["benign", "metastatic"], None])
def test_a_temperature_divides_the_logits_and_of_several_views_those_of_the_mean(
    classes: list[str] | None, recipe_fields: Fields
) -> None:
    classes = classes or ["not_a_node", "benign", "metastatic"]
    model = {"classes": classes, "flip_average": True}
    recipe = ClassifierRecipe(**recipe_fields("classifier", model=model))
    torch.manual_seed(0)
    task = ClassifierTask(recipe, CPU, temperature=2.5)
    torch.nn.init.normal_(task.module.get_parameter("fc.weight"), std=2.0)
    task.module.eval()
    crops = torch.rand(3, recipe.input.channels, 32, 32)
    batch = ClassifierBatch(crops, torch.zeros(3))
    with torch.inference_mode():
        logits = task.module(task._crops(batch)).double()
        expected = (logits / 2.5).softmax(dim=1).numpy()
        np.testing.assert_allclose(np.stack(task.predict(batch)), expected, atol=1e-12)
        task.finish()
        flips = [torch.flip(crops, axes) for axes in ([], [3], [2], [2, 3])]
        views = [task.module(flipped).double().softmax(dim=1) for flipped in flips]
        mean = torch.stack(views).mean(dim=0)
        expected = (mean.log() / 2.5).softmax(dim=1).numpy()
        np.testing.assert_allclose(np.stack(task.predict(batch)), expected, atol=1e-6)
