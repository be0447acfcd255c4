"""Items made in a thread of their own while earlier ones are worked on."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")

DEPTH = 4
"""Items made ahead: enough to bridge a slow read, few enough to hold."""


def read_ahead(items: Iterable[T], depth: int = DEPTH) -> Generator[T, None, None]:
    """Yield `items` in order while at most `depth` more are made by one thread.

    What making an item raises is raised at its place. The thread ends with the iterator, also where
    that is closed early.

    Args:
        items: advanced by the thread alone.
        depth: at least 1.
    """
    source, end = iter(items), object()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as thread:
        made: deque[Future[object]] = deque()
        try:
            made.extend(thread.submit(next, source, end) for _ in range(depth))
            while (item := made.popleft().result()) is not end:
                made.append(thread.submit(next, source, end))
                yield cast(T, item)
        finally:
            thread.shutdown(cancel_futures=True)
