"""The segmentation arm as a task."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

pytest.importorskip("monai", reason="the extra `segmentation` is not installed")

from lnmdetect.core.segmenter_config import SegmenterConfig, SegmenterRecipe
from lnmdetect.datasets.segmentation_plan import ScanShape, plan_segmentation
from lnmdetect.datasets.segmenter_data import SegmenterItem, collate_segmenter
from lnmdetect.io.machine import usable_cores
from lnmdetect.io.recipes import read_recipe
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict
from lnmdetect.training.segmenter_task import SegmenterTask, WindowAnswers

Fields = Callable[..., dict[str, Any]]
CPU = torch.device("cpu")
SHAPE = ScanShape((6, 96, 96), (3.0, 0.5, 0.5))


@pytest.fixture
def task(recipe_fields: Fields) -> SegmenterTask:
    torch.manual_seed(0)
    bare = SegmenterRecipe(**recipe_fields("segmenter"))
    plan = plan_segmentation([SHAPE], bare)
    return SegmenterTask(bare.model_copy(update={"plan": plan}), CPU)


def patch(seed: int) -> SegmenterItem:
    """A bright block of class 2 beside a duller one of class 1."""
    labels = np.zeros((4, 16, 16), dtype=np.uint8)
    labels[1:3, 3:8, 3:8], labels[1:3, 9:14, 9:14] = 1, 2
    noise = np.random.default_rng(seed).normal(0, 0.02, labels.shape)
    channels = (0.2 + 0.3 * labels + noise).astype(np.float32)
    return SegmenterItem(channels[None], labels)


def test_a_few_steps_learn_two_blocks_and_the_score_says_so(task: SegmenterTask) -> None:
    optimiser = torch.optim.AdamW(task.module.parameters(), lr=0.02)
    batches = [collate_segmenter([patch(2 * n), patch(2 * n + 1)]) for n in range(40)]
    before = task.score(list(predict(task, batches[:1], Compute(CPU))))
    for batch in batches:
        task.module.train()
        optimiser.zero_grad()
        torch.stack(list(task.losses(batch).values())).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    after = task.score(list(predict(task, batches[:1], Compute(CPU))))
    assert before["dice"] < 0.2 < 0.8 < after["dice"]
    assert after["dice_metastatic"] > 0.8


def test_answers_count_each_voxel_once_by_truth_and_answer(task: SegmenterTask) -> None:
    first, second = predict(task, [collate_segmenter([patch(0), patch(1)])], Compute(CPU))
    assert first.shape == (3, 3)
    assert first.sum(axis=1).tolist() == second.sum(axis=1).tolist() == [924, 50, 50]


@pytest.mark.skipif(usable_cores() < 2, reason="one core")
def test_one_thread_and_two_answer_a_window_of_the_compact_network_alike() -> None:
    """A network of a size at which torch shares the work out, which tiny ones are not."""
    bare = read_recipe("compact", "segmenter")
    assert isinstance(bare, SegmenterRecipe)
    plan = plan_segmentation([ScanShape((80, 512, 512), (2.0, 0.5, 0.5))], bare)
    torch.manual_seed(0)
    task = SegmenterTask(bare.model_copy(update={"plan": plan}), CPU)
    noise = np.random.default_rng(0).random((1, *plan.patch), dtype=np.float32)
    answers: list[NDArray[np.float32]] = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        batch = collate_segmenter([SegmenterItem(noise)])
        answers += predict(WindowAnswers(task), [batch], Compute(CPU))
    torch.set_num_threads(before)
    np.testing.assert_array_equal(answers[0], answers[1])


def test_windows_are_answered_by_shares_that_sum_to_one(task: SegmenterTask) -> None:
    batch = collate_segmenter([SegmenterItem(patch(0).channels)])
    assert batch.labels is None
    (shares,) = predict(WindowAnswers(task), [batch], Compute(CPU))
    assert shares.shape == (3, 4, 16, 16)
    assert shares.sum(axis=0) == pytest.approx(np.ones((4, 16, 16)), abs=1e-5)


def test_the_score_names_each_class_of_the_truth_beside_all_merged(task: SegmenterTask) -> None:
    confusion = np.array([[900, 10, 0], [10, 30, 10], [5, 0, 0]])
    assert task.score([confusion]) == {
        "dice": pytest.approx(2 * 40 / (55 + 50)),
        "dice_negative": pytest.approx(2 * 30 / (50 + 40)),
        "dice_metastatic": 0.0,
    }
    # Dice of what truth does not hold says nothing, answered or not.
    without = np.array([[900, 10, 3], [10, 30, 0], [0, 0, 0]])
    assert list(task.score([without])) == ["dice", "dice_negative"]


def test_the_plans_memory_is_what_a_step_keeps_and_a_little_more(recipe_fields: Fields) -> None:
    sizes = {"base_filters": 16, "max_filters": 64}
    bare = SegmenterRecipe(**recipe_fields("segmenter", model=sizes))
    plan = plan_segmentation([SHAPE], bare)
    task = SegmenterTask(bare.model_copy(update={"plan": plan}), CPU)
    own = {p.untyped_storage().data_ptr() for p in task.module.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    task.module.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        terms = task.losses(collate_segmenter([patch(0), patch(1)]))
    sizes_gb = [t.untyped_storage().nbytes() / 1e9 for p, t in kept.items() if p not in own]
    assert terms
    assert sum(sizes_gb) < plan.memory_gb < 1.5 * sum(sizes_gb)


@pytest.mark.parametrize(
    ("wanted", "levels", "answers"),
    [(None, 6, 4), (None, 4, 2), (None, 2, 1), (2, 6, 3), (9, 4, 3)],
)
def test_all_levels_but_the_two_coarsest_are_supervised_unless_the_recipe_says_how_many(
    wanted: int | None, levels: int, answers: int
) -> None:
    assert 1 + SegmenterConfig(supervised_levels=wanted).coarser_supervised(levels) == answers


def test_each_coarser_level_weighs_half_of_the_finer_one(
    recipe_fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = SegmenterRecipe(**recipe_fields("segmenter", model={"supervised_levels": 1}))
    plan = plan_segmentation([SHAPE], bare)
    task = SegmenterTask(bare.model_copy(update={"plan": plan}), CPU)
    assert len(plan.strides) == 3
    by_size = {16: 3.0, 8: 9.0}
    monkeypatch.setattr(task, "_losses", lambda x, _: {"t": torch.tensor(by_size[x.shape[-1]])})
    task.module.train()
    term = task.losses(collate_segmenter([patch(0)]))["t"]
    assert float(term) == pytest.approx((3 * 2 + 9) / 3)
