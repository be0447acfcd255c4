"""Loaders give the same batches whoever prepares them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.config_parts import OptimiserConfig
from lnmdetect.datasets.detector_data import TrainingWindows, collate_detector, truth_slices
from lnmdetect.datasets.draws import Draw
from lnmdetect.datasets.volume_cache import cache_series, group_series
from lnmdetect.io.coco import read_coco
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.training.loaders import plain_batches, steps_an_epoch, training_batches


class Numbers(Dataset[float]):
    def __getitem__(self, draw: Draw) -> float:
        return float(draw.generator().random())

    def __len__(self) -> int:
        return 12


def config(**changes: Any) -> OptimiserConfig:
    fields = {
        "name": "sgd",
        "learning_rate": 0.1,
        "weight_decay": 0,
        "epochs": 1,
        "batch_size": 4,
        **changes,
    }
    return OptimiserConfig.model_validate(fields)


@pytest.mark.parametrize(("items", "steps"), [(40, 10), (43, 10), (3, 1), (0, 1)])
def test_an_epoch_is_one_pass_over_whole_batches(items: int, steps: int) -> None:
    assert steps_an_epoch(items, config()) == steps


def test_the_recipe_may_say_how_long_an_epoch_is() -> None:
    assert steps_an_epoch(1000, config(steps_an_epoch=7)) == 7


def test_a_source_continues_within_an_epoch_and_leaves_the_random_state_alone() -> None:
    source = training_batches(Numbers(), torch.tensor, config(), steps=5, seed=3)
    before = torch.get_rng_state()
    whole = [batch.tolist() for batch in source(2, 0)]
    assert [batch.tolist() for batch in source(2, 3)] == whole[3:]
    assert [len(batch) for batch in whole] == [4] * 5
    assert [batch.tolist() for batch in source(1, 0)] != whole
    assert torch.equal(torch.get_rng_state(), before)


def test_validation_comes_in_order_and_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    loader = plain_batches([1.0, 2.0, 3.0], torch.tensor, batch_size=2)  # type: ignore[arg-type]
    assert [batch.tolist() for batch in loader] == [[1, 2], [3]]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_workers_prepare_the_same_windows_to_the_bit(
    toy_data: Path, tmp_path: Path, recipe_fields: Callable[..., dict[str, Any]]
) -> None:
    recipe = DetectorRecipe(**recipe_fields("detector"))
    truth = read_coco(toy_data / "truth.json")
    store = PixelStore(toy_data / "scan")
    series = [cache_series(s, store, recipe.input, tmp_path) for s in group_series(truth.images)]
    data = TrainingWindows(truth_slices(truth, series), recipe)

    def pictures(workers: int, first_step: int) -> list[bytes]:
        source = training_batches(
            data, collate_detector, config(), steps=3, seed=1, workers=workers
        )
        return [batch.images.numpy().tobytes() for batch in source(0, first_step)]

    alone = pictures(0, 0)
    assert pictures(2, 0) == alone
    assert pictures(2, 1) == alone[1:]
