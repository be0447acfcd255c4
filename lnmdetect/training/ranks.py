"""Several processes that train one network, as `torchrun` starts them.

Gradients are averaged after the backward pass, by one exchange: `DistributedDataParallel` would
wrap the module, of which tasks use more than `forward`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lnmdetect.core.errors import UsageError
from lnmdetect.io.machine import RankPlace
from lnmdetect.models.shared_batch import among_ranks, is_first, own_rank, rank_count
from lnmdetect.training.fit_settings import CountedBatches

T = TypeVar("T")

STEP_TIMEOUT = timedelta(minutes=10)
"""Within which every rank takes part in a step. A rank that ends is noticed at once on a CPU."""
LONG_TIMEOUT = timedelta(days=1)
"""Within which every rank has prepared its pixels, or has validated."""


def join_ranks(place: RankPlace, batch_size: int) -> None:
    """Join the other processes of the training; do nothing where there is one, or it is done.

    Args:
        place: among the processes.
        batch_size: of the recipe, which the ranks share.

    Raises:
        UsageError: the batch cannot be divided.
        ModelError: the others do not answer.
    """
    if batch_size % place.count:
        raise UsageError(
            "recipe: optimiser.batch_size",
            expected=f"a multiple of the {place.count} processes, which share each batch",
            got=str(batch_size),
            remedy="Change batch_size in the recipe, or --nproc-per-node.",
        )
    if place.count == 1 or rank_count() > 1:
        return
    backends = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with among_ranks():
        dist.init_process_group(backends, timeout=STEP_TIMEOUT)
        _patient_group()


def leave_ranks() -> None:
    """Leave the other processes; do nothing where there are none."""
    if rank_count() > 1:
        dist.destroy_process_group()


@cache
def _patient_group() -> Any:
    """Return the ranks as a group for exchanges that may take long."""
    return dist.new_group(backend="gloo", timeout=LONG_TIMEOUT)


def wait_for_all() -> None:
    """Return once every rank has come here."""
    if rank_count() > 1:
        with among_ranks():
            dist.barrier(group=_patient_group())


def first_then_others(make: Callable[[], T], take: Callable[[], T] | None = None) -> T:
    """Return what `make` gives on the first rank, and then `take` (else `make`) on the others.

    All return together: what follows may wait for the others only as long as a step.

    Args:
        make: writes what it makes to the disk.
        take: finds it there.
    """
    if is_first():
        made = make()
        wait_for_all()
    else:
        wait_for_all()
        made = (take or make)()
    wait_for_all()
    return made


def averaged(values: Mapping[str, float]) -> dict[str, float]:
    """Return the means of named values over the ranks."""
    if rank_count() == 1:
        return dict(values)
    numbers = torch.tensor(list(values.values()), dtype=torch.float64)
    with among_ranks():
        dist.all_reduce(numbers)
    return dict(zip(values, (numbers / rank_count()).tolist(), strict=True))


def highest(value: float) -> float:
    """Return the highest of the ranks' values, so that all decide alike."""
    if rank_count() == 1:
        return value
    number = torch.tensor(value, dtype=torch.float64)
    with among_ranks():
        dist.all_reduce(number, op=dist.ReduceOp.MAX)
    return float(number)


def average_gradients(module: nn.Module) -> None:
    """Average the gradients over the ranks, and what batch norms have measured.

    A parameter without a gradient on one rank counts as 0 there; without one on any it has none.
    """
    if rank_count() == 1:
        return
    parameters = [p for p in module.parameters() if p.requires_grad]
    measured = list(_measured(module))
    device = parameters[0].device
    has = torch.tensor([float(p.grad is not None) for p in parameters], device=device)
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    parts = [x.reshape(-1) for x in (has, *gradients, *measured)]
    flat = torch.cat(parts)
    with among_ranks():
        dist.all_reduce(flat)
    has, *means = torch.split(flat / rank_count(), [len(part) for part in parts])
    for parameter, mean, share in zip(parameters, means, has.tolist(), strict=False):
        if share:
            parameter.grad = torch.empty_like(parameter).copy_(mean.view(parameter.shape))
    for buffer, mean in zip(measured, means[len(parameters) :], strict=True):
        buffer.copy_(mean.view(buffer.shape))


def _measured(module: nn.Module) -> Sequence[Tensor]:
    norms = (m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))
    found = (x for norm in norms for x in (norm.running_mean, norm.running_var))
    return [x for x in found if x is not None]


def own_part(batches: CountedBatches) -> Iterable[Any]:
    """Return this rank's batches, those of all ranks in order being the whole."""
    if rank_count() == 1:
        return batches
    size = -(-len(batches) // rank_count())
    first = own_rank() * size
    return islice(batches, first, first + size)


def of_all_ranks(answers: list[T]) -> list[T]:
    """Return the answers of all ranks, in their order."""
    if rank_count() == 1:
        return answers
    found: list[Any] = [None] * rank_count()
    with among_ranks():
        dist.all_gather_object(found, answers, group=_patient_group())
    return [answer for part in found for answer in part]
