"""Torch loaders whose items depend on nothing but seed, epoch and place."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from lnmdetect.core.config_parts import OptimiserConfig
from lnmdetect.core.read_ahead import read_ahead
from lnmdetect.datasets.draws import EpochBatches
from lnmdetect.models.shared_batch import own_rank, rank_count
from lnmdetect.training.fit_settings import BatchSource

Collate = Callable[[Any], Any]


def steps_an_epoch(items: int, config: OptimiserConfig) -> int:
    """Return the optimiser steps of an epoch: the recipe's, else one pass over `items`."""
    return config.steps_an_epoch or max(1, items // (config.batch_size * config.accumulate))


def training_batches(
    data: Dataset[Any],
    collate: Collate,
    config: OptimiserConfig,
    *,
    steps: int,
    seed: int,
    workers: int = 0,
) -> BatchSource:
    """Return a source of training batches by epoch and first step, or of this rank's part of each.

    Args:
        data: takes draws as keys.
        collate: joins items to a batch.
        config: gives the batch size, and how many batches a step has.
        steps: of the optimiser an epoch.
        seed: of all random choices.
        workers: processes that prepare batches; 0 prepares them in a thread beside the network.
    """

    def source(epoch: int, first_step: int) -> Iterable[Any]:
        first, last = (count * config.accumulate for count in (first_step, steps))
        batches = EpochBatches(
            seed,
            epoch,
            last,
            config.batch_size,
            first,
            part=own_rank(),
            parts=rank_count(),
        )
        loader: DataLoader[Any] = DataLoader(
            data,
            batch_sampler=batches,
            collate_fn=collate if workers else list,
            num_workers=workers,
            generator=torch.Generator().manual_seed(seed),  # leaves the global state alone
        )
        # Joined here: torch in a second thread would start threads of its own on the same cores.
        return loader if workers else map(collate, read_ahead(loader))

    return source


def plain_batches(
    data: Dataset[Any], collate: Collate, *, batch_size: int, workers: int = 0
) -> DataLoader[Any]:
    """Return the items in order, for validation; iterating leaves the global random state alone."""
    return DataLoader(
        data,
        batch_size=batch_size,
        collate_fn=collate,
        num_workers=workers,
        generator=torch.Generator(),
    )
