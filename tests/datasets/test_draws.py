"""Which item comes when depends on seed, epoch and place alone."""

from lnmdetect.datasets.draws import Draw, EpochBatches, permuted


def test_a_resumed_epoch_continues_where_it_stopped() -> None:
    whole = list(EpochBatches(seed=3, epoch=2, steps=5, batch_size=4))
    rest = EpochBatches(seed=3, epoch=2, steps=5, batch_size=4, first_step=3)
    assert list(rest) == whole[3:]
    assert len(rest) == 2


def test_an_epochs_items_are_numbered_once_each() -> None:
    draws = [draw for batch in EpochBatches(0, 1, 3, 2) for draw in batch]
    assert draws == [Draw(0, 1, number) for number in range(6)]


def test_a_draw_gives_the_same_choices_at_every_call_and_others_give_others() -> None:
    def choices(draw: Draw) -> tuple[float, ...]:
        return tuple(draw.generator().random(4))

    assert choices(Draw(0, 0, 0)) == choices(Draw(0, 0, 0))
    others = {choices(d) for d in (Draw(0, 0, 0), Draw(1, 0, 0), Draw(0, 1, 0), Draw(0, 0, 1))}
    assert len(others) == 4


def test_each_pass_visits_every_item_once_in_its_own_order() -> None:
    visited = [permuted(Draw(0, 0, number), 7) for number in range(21)]
    passes = [visited[:7], visited[7:14], visited[14:]]
    assert all(sorted(one) == list(range(7)) for one in passes)
    assert len({tuple(one) for one in passes}) == 3
    assert [permuted(Draw(0, 1, number), 7) for number in range(7)] != passes[0]


def test_parts_of_a_batch_are_its_draws_in_order() -> None:
    whole = list(EpochBatches(7, 2, 3, 6, 1))
    parts = [list(EpochBatches(7, 2, 3, 6, 1, part=part, parts=3)) for part in range(3)]
    assert [[*a, *b, *c] for a, b, c in zip(*parts, strict=True)] == whole
    assert all(len(batch) == 2 for part in parts for batch in part)
