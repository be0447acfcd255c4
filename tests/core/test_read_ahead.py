"""read_ahead: items made by a thread while earlier ones are worked on."""

import threading
from collections.abc import Iterator

import pytest

from lnmdetect.core.read_ahead import read_ahead

WAIT_S = 30


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("read-ahead")]


@pytest.mark.parametrize("count", [0, 1, 3, 50])
def test_every_item_comes_once_in_order(count: int) -> None:
    assert list(read_ahead(iter(range(count)), 3)) == list(range(count))
    assert threads() == []


def test_an_item_that_is_none_or_false_is_an_item() -> None:
    assert list(read_ahead([None, 0, None, ()])) == [None, 0, None, ()]


def test_the_next_items_are_made_while_one_is_worked_on_and_no_more() -> None:
    made, third = [], threading.Event()

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(threading.current_thread().name)
            if number == 2:
                third.set()
            yield number

    ahead = read_ahead(items(), 2)
    assert next(ahead) == 0
    assert third.wait(WAIT_S)  # 1 and 2 are made though nobody asks for them
    ahead.close()
    assert len(made) == 3  # the one that is worked on, and two ahead
    assert all(name.startswith("read-ahead") for name in made)


def test_an_error_comes_at_its_place_and_ends_the_thread() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third is damaged")

    ahead = read_ahead(items())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(ValueError, match="the third is damaged"):
        next(ahead)
    assert threads() == []


def test_who_stops_early_leaves_no_thread() -> None:
    ahead = read_ahead(iter(range(1000)))
    assert next(ahead) == 0
    assert threads() != []
    ahead.close()
    assert threads() == []
