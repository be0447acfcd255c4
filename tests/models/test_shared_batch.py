"""Losses over parts of a batch that hold different numbers of what the losses are means over."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lnmdetect.models import shared_batch, two_stage
from lnmdetect.models.detector import NodeDetector
from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.shared_batch import as_share

MakeTarget = Callable[..., dict[str, Tensor]]
MakeSizes = Callable[..., DetectorSizes]


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """A function that lets this process be one of so many ranks, which hold so much in all."""

    def be(ranks: int, total: int) -> None:
        monkeypatch.setattr(shared_batch, "rank_count", lambda: ranks)
        monkeypatch.setattr("torch.distributed.all_reduce", lambda held: held.fill_(total))
        monkeypatch.setattr("torch.distributed.get_rank", lambda: 0)

    return be


def mean_of(values: list[float], weight: Tensor) -> dict[str, Tensor]:
    """The mean of weighted values and another one, as torchvision's losses take them."""
    terms = torch.tensor(values) * weight
    zeros = torch.zeros_like(terms)
    return {"mean": terms.mean(), "sum": F.l1_loss(terms, zeros, reduction="sum") / terms.numel()}


def test_shares_average_to_the_mean_of_the_whole(parts: Callable[[int, int], None]) -> None:
    parts(2, 4)
    weight = torch.ones(())
    first, second = as_share(mean_of([1.0], weight), 1), as_share(mean_of([2.0, 3, 6], weight), 3)
    for name in ("mean", "sum"):
        assert (first[name] + second[name]).item() / 2 == pytest.approx(12 / 4)


@pytest.mark.parametrize(("ranks", "total"), [(2, 3), (2, 0), (1, 0)])
def test_a_part_of_nothing_adds_nothing_and_changes_no_weight(
    parts: Callable[[int, int], None], ranks: int, total: int
) -> None:
    parts(ranks, total)
    weight = torch.ones((), requires_grad=True)
    shares = as_share(mean_of([], weight), 0)
    assert [share.item() for share in shares.values()] == [0, 0]
    torch.stack(list(shares.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert weight.grad.item() == 0


def test_the_rank_that_has_all_answers_for_the_whole(parts: Callable[[int, int], None]) -> None:
    parts(2, 3)
    share = as_share(mean_of([2.0, 3, 7], torch.ones(())), 3)["mean"]
    assert share.item() / 2 == pytest.approx(4)


def test_a_wrong_term_of_something_stays_wrong(parts: Callable[[int, int], None]) -> None:
    parts(2, 2)
    assert as_share({"mean": torch.tensor(torch.nan)}, 1)["mean"].isnan()


def test_an_image_of_which_nothing_may_be_learnt_has_finite_losses(
    make_sizes: MakeSizes, make_target: MakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        two_stage, "touches_ignored", lambda boxes, _: torch.ones(len(boxes), dtype=torch.bool)
    )
    model = NodeDetector(make_sizes()).train()
    terms = model.losses(torch.rand(1, 1, 64, 64), [make_target()])
    assert {name: term.item() for name, term in terms.items()} == dict.fromkeys(terms, 0.0)
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all((gradient == 0).all() for gradient in gradients)
