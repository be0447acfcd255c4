"""A task small enough to train in milliseconds, with all that makes resuming hard."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lnmdetect.core.config_parts import OptimiserConfig
from lnmdetect.datasets.draws import EpochBatches
from lnmdetect.training.devices import Compute
from lnmdetect.training.fit_settings import FitSettings

CPU = Compute(torch.device("cpu"))


class LineTask:
    """Learns y = 2 x through batch norm and dropout; `scores` are given out epoch by epoch."""

    monitor = "figure"

    def __init__(self, scores: Sequence[float] = ()) -> None:
        torch.manual_seed(5)
        self.module = nn.Sequential(
            nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1)
        )
        self.scores = list(scores)
        self.asked = 0

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        found = self.module(batch)
        return {"squares": (found - 2 * batch).square().mean(), "size": 0.01 * found.abs().mean()}

    def predict(self, batch: Tensor) -> list[float]:
        torch.rand(3)  # a validation that draws must not disturb the training
        return [float(value) for value in self.module(batch)]

    def score(self, predictions: Sequence[float]) -> dict[str, float]:
        self.asked += 1
        figure = self.scores.pop(0) if self.scores else float(self.asked)
        return {"figure": figure, "answers": float(len(predictions))}


def line_batches(epoch: int, first_step: int) -> Iterable[Tensor]:
    for draws in EpochBatches(seed=1, epoch=epoch, steps=4, batch_size=8, first_step=first_step):
        values = [draw.generator().normal() for draw in draws]
        yield torch.tensor(values, dtype=torch.float32)[:, None]


@pytest.fixture
def line_task() -> type[LineTask]:
    return LineTask


@pytest.fixture
def batches() -> Callable[[int, int], Iterable[Tensor]]:
    return line_batches


@pytest.fixture
def validation() -> list[Tensor]:
    return [torch.zeros(3, 1), torch.ones(2, 1)]


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., FitSettings]:
    """A function that gives settings of 4 steps an epoch; changes go to the optimiser."""

    def make(*, folder: Path = tmp_path, resume: bool = False, **changes: Any) -> FitSettings:
        fields = {
            "name": "adamw",
            "learning_rate": 0.01,
            "weight_decay": 0.01,
            "schedule": "cosine",
            "warmup_steps": 2,
            "epochs": 3,
            "batch_size": 8,
            **changes,
        }
        folder.mkdir(exist_ok=True)
        return FitSettings(OptimiserConfig(**fields), CPU, 4, folder, resume)

    return make
