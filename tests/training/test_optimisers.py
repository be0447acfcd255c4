"""Learning rates by hand."""

import math

import pytest
import torch
from pydantic import ValidationError

from lnmdetect.core.config_parts import OptimiserConfig
from lnmdetect.training.optimisers import (
    build_optimiser,
    learning_rate,
    plateau_drops,
    scheduled_step,
)


def config(**changes: object) -> OptimiserConfig:
    fields = {
        "name": "sgd",
        "learning_rate": 0.1,
        "weight_decay": 0.01,
        "epochs": 4,
        "batch_size": 1,
        **changes,
    }
    return OptimiserConfig.model_validate(fields)


def rates(config: OptimiserConfig, steps: int, steps_an_epoch: int) -> list[float]:
    return [learning_rate(config, step, steps_an_epoch) for step in range(steps)]


def test_a_constant_rate_stays_after_the_warm_up() -> None:
    found = rates(config(warmup_steps=4), 7, 5)
    assert found == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1, 0.1])


def test_steps_multiply_by_gamma_every_so_many_epochs() -> None:
    found = rates(config(schedule="step", gamma=0.1, step_epochs=2, epochs=6), 18, 3)
    assert found == pytest.approx([0.1] * 6 + [0.01] * 6 + [0.001] * 6)


def test_the_papers_detector_falls_to_a_third_every_hundred_epochs() -> None:
    paper = config(schedule="step", gamma=0.33, step_epochs=100, learning_rate=0.001, epochs=500)
    assert learning_rate(paper, 99 * 10 + 9, 10) == 0.001
    assert learning_rate(paper, 100 * 10, 10) == pytest.approx(0.00033)
    assert learning_rate(paper, 4999, 10) == pytest.approx(0.001 * 0.33**4)


def test_a_cosine_falls_from_the_end_of_the_warm_up_to_nearly_0() -> None:
    found = rates(config(schedule="cosine", warmup_steps=2), 12, 3)
    cosine = [0.05 * (1 + math.cos(math.pi * k / 10)) for k in range(10)]
    assert found == pytest.approx([0.05, 0.1, *cosine])
    assert found[-1] < 0.003


def test_a_cosine_stays_at_0_past_its_end() -> None:
    assert learning_rate(config(schedule="cosine"), 99, 3) == pytest.approx(0)


def test_optimisers_have_the_recipes_numbers() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    frozen = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
    sgd = build_optimiser([weight, frozen], config(momentum=0.8))
    assert isinstance(sgd, torch.optim.SGD)
    (group,) = sgd.param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.1, 0.8, 0.01)
    assert len(group["params"]) == 1
    adamw = build_optimiser([weight], config(name="adamw"))
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.param_groups[0]["weight_decay"] == 0.01
    adam = build_optimiser([weight], config(name="adam"))
    assert (type(adam), adam.param_groups[0]["lr"]) == (torch.optim.Adam, 0.1)


def test_a_step_of_sgd_is_the_gradient_and_the_weight_decay_by_hand() -> None:
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    sgd = build_optimiser([weight], config())
    (3 * weight).sum().backward()  # type: ignore[no-untyped-call]
    sgd.step()
    assert float(weight.detach()) == pytest.approx(2 - 0.1 * (3 + 0.01 * 2))


def test_time_that_is_gone_moves_the_schedule_on_but_not_the_warm_up() -> None:
    warming = config(warmup_steps=2)  # 4 epochs of 5 steps
    assert scheduled_step(warming, 1, 5, 0.9) == 1
    assert scheduled_step(warming, 3, 5, 0.5) == 10
    assert scheduled_step(warming, 12, 5, 0.5) == 12
    assert scheduled_step(warming, 3, 5, 0.0) == 3
    cosine = config(schedule="cosine")
    due = scheduled_step(cosine, 0, 5, 0.5)
    assert learning_rate(cosine, due, 5) == pytest.approx(0.05)


def test_the_rate_drops_after_epochs_without_a_better_score_and_waits_anew() -> None:
    assert plateau_drops([], 2) == 0
    assert plateau_drops([0.5, 0.5], 2) == 0
    assert plateau_drops([0.5, 0.5, 0.4], 2) == 1
    assert plateau_drops([0.5, 0.5, 0.4, 0.4], 2) == 1
    assert plateau_drops([0.5, 0.5, 0.4, 0.4, 0.5], 2) == 2
    assert plateau_drops([0.5, 0.5, 0.6, 0.6, 0.7], 2) == 0
    plateau = config(schedule="plateau", plateau_epochs=2, gamma=0.1)
    assert [learning_rate(plateau, 7, 5, drops=k) for k in (0, 2)] == pytest.approx([0.1, 0.001])
    with pytest.raises(ValidationError, match="plateau_epochs: expected a number"):
        config(schedule="plateau")
