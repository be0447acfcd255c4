"""A batch that several processes hold equal parts of: what their losses must know of the whole.

Under `torchrun` each process (a rank) holds the items of one part, in the order of the ranks. What
is drawn at random, counted or chosen over a batch is then drawn, counted or chosen over all parts,
so that the ranks' gradients average to those of one process with the whole batch. In one process
everything here leaves values as they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

from lnmdetect.core.errors import ModelError


def rank_count() -> int:
    """Return how many processes share each batch."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def own_rank() -> int:
    """Return the place of this process among them, from 0."""
    return dist.get_rank() if rank_count() > 1 else 0


def is_first() -> bool:
    """Return whether this process is the one that writes: the first, or the only one."""
    return own_rank() == 0


@contextmanager
def among_ranks() -> Iterator[None]:
    """Turn the failure of an exchange between ranks into a sentence.

    Raises:
        ModelError: another rank has ended, or did not answer in time.
    """
    try:
        yield
    except RuntimeError as error:
        raise ModelError(
            f"rank {own_rank()}",
            expected="an answer of every other rank",
            got="none: one of them has ended, or hangs",
            remedy="See what that one said, then go on from the last checkpoint with --resume.",
        ) from error


class _Gathered(torch.autograd.Function):
    """Joins the parts of all ranks; the gradient goes to the own part.

    Every rank computes the same loss from the whole, so each has the full gradient of its part.
    Gradients are averaged over the ranks afterwards, hence the factor.
    """

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        ctx.size = len(part)
        parts = [torch.empty_like(part) for _ in range(rank_count())]
        with among_ranks():
            dist.all_gather(parts, part)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        first = own_rank() * ctx.size
        return gradients[0][first : first + ctx.size] * rank_count()


def gathered(part: Tensor) -> Tensor:
    """Return the (N, ...) parts of all ranks as (ranks * N, ...), in their order.

    Args:
        part: of one shape on all ranks; a loss of the whole has the right gradient in it.
    """
    if rank_count() == 1:
        return part
    whole: Tensor = _Gathered.apply(part.contiguous())
    return whole


def as_share(terms: dict[str, Tensor], count: int, *, least: int = 0) -> dict[str, Tensor]:
    """Return the terms of a part, scaled so that their mean over the ranks is that of the whole.

    Terms of nothing are 0, and change no weight.

    Args:
        terms: sums over something, divided by how many there are of it in the part.
        count: how many there are.
        least: what the terms are divided by where there are fewer.
    """
    if max(count, least) == 0:  # 0 / 0
        terms = {name: term.nan_to_num(nan=0.0) for name, term in terms.items()}
    if rank_count() == 1:
        return terms
    device = next(iter(terms.values())).device
    total = torch.tensor(float(count), device=device)
    with among_ranks():
        dist.all_reduce(total)
    factor = max(count, least) * rank_count() / total.clamp(min=max(least, 1))
    return {name: term * factor for name, term in terms.items()}


def padded_alike(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) with zeros at the right and below, of one size on all ranks."""
    if rank_count() == 1:
        return images
    size = torch.tensor(images.shape[2:], device=images.device)
    with among_ranks():
        dist.all_reduce(size, op=dist.ReduceOp.MAX)
    height, width = size.tolist()
    padded = F.pad(images, (0, width - images.shape[3], 0, height - images.shape[2]))
    return padded.contiguous(memory_format=torch.channels_last)


class SharedSampler(BalancedPositiveNegativeSampler):  # type: ignore[misc]
    """torchvision's sampler of anchors and proposals, whose choice does not depend on the ranks.

    It draws for the images of all ranks in their order, as one process would, and so leaves the
    random state alike on all of them.
    """

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return masks (A,) of the chosen nodes and of the chosen background, of each image.

        Args:
            labels: (A,) of each image: 1 or more a node, 0 background, -1 neither.
        """
        if rank_count() == 1:
            chosen: tuple[list[Tensor], list[Tensor]] = super().__call__(labels)
            return chosen
        counts = torch.stack([torch.stack([(x >= 1).sum(), (x == 0).sum()]) for x in labels])
        first = own_rank() * len(labels)
        masks: list[tuple[Tensor, Tensor]] = []
        for number, (nodes, background) in enumerate(gathered(counts).tolist()):
            wanted = self._wanted(nodes, background)
            device = labels[0].device
            order = [torch.randperm(n, device=device) for n in (nodes, background)]
            if first <= number < first + len(labels):
                label = labels[number - first]
                groups = (label >= 1, label == 0)
                picked = [o[:n] for o, n in zip(order, wanted, strict=True)]
                masks.append((_mask(groups[0], picked[0]), _mask(groups[1], picked[1])))
        return [mask for mask, _ in masks], [mask for _, mask in masks]

    def chosen(self, labels: list[Tensor]) -> int:
        """Return how many anchors or proposals of images are chosen."""
        return sum(sum(self._wanted(int((x >= 1).sum()), int((x == 0).sum()))) for x in labels)

    def _wanted(self, nodes: int, background: int) -> tuple[int, int]:
        of_nodes = min(nodes, int(self.batch_size_per_image * self.positive_fraction))
        return of_nodes, min(background, self.batch_size_per_image - of_nodes)


def shared_sampler(sampler: BalancedPositiveNegativeSampler) -> SharedSampler:
    """Return a sampler of the same numbers that does not depend on the ranks."""
    return SharedSampler(sampler.batch_size_per_image, sampler.positive_fraction)


def _mask(group: Tensor, picked: Tensor) -> Tensor:
    """Return (A,) uint8: the members of a group (A,) bool that are picked by their places in it."""
    mask = torch.zeros_like(group, dtype=torch.uint8)
    mask[torch.where(group)[0][picked]] = 1
    return mask


class SharedDropout(nn.Dropout):
    """Dropout whose mask is drawn for the items of all ranks, as one process would."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` (N, ...), in training with some values 0 and the others raised."""
        if rank_count() == 1 or not self.training:
            return super().forward(x)
        ones = x.new_ones(rank_count() * len(x), *x.shape[1:])
        first = own_rank() * len(x)
        return x * F.dropout(ones, self.p)[first : first + len(x)]


def share_dropout(network: nn.Module) -> None:
    """Put dropout that does not depend on the ranks in the place of each `nn.Dropout`."""
    for part in list(network.modules()):
        for name, child in part.named_children():
            if type(child) is nn.Dropout:
                setattr(part, name, SharedDropout(child.p))
