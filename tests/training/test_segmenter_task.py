"""The segmentation arm as a task."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("monai", reason="the extra `segmentation` is not installed")

from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.datasets.segmentation_plan import ScanShape, plan_segmentation
from lnmdetect.datasets.segmenter_data import SegmenterItem, collate_segmenter
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


def test_windows_are_answered_by_shares_that_sum_to_one(task: SegmenterTask) -> None:
    batch = collate_segmenter([SegmenterItem(patch(0).channels)])
    assert batch.labels is None
    (shares,) = predict(WindowAnswers(task), [batch], Compute(CPU))
    assert shares.shape == (3, 4, 16, 16)
    assert shares.sum(axis=0) == pytest.approx(np.ones((4, 16, 16)), abs=1e-5)


def test_the_score_names_each_class_beside_all_merged(task: SegmenterTask) -> None:
    confusion = np.array([[900, 10, 0], [10, 30, 10], [0, 0, 0]])
    assert task.score([confusion]) == {
        "dice": pytest.approx(2 * 40 / (50 + 50)),
        "dice_negative": pytest.approx(2 * 30 / (50 + 40)),
        "dice_metastatic": 0.0,
    }
