"""How a stage tells how far it is, without knowing who listens."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Something that watches a loop: a bar on the command line, nothing in a library call."""

    def track(
        self, items: Iterable[T], *, description: str, total: int | None = None
    ) -> Iterator[T]:
        """Yield `items` unchanged; `total` is their number where `len` cannot tell."""
        ...


class SilentProgress:
    """A progress that shows nothing."""

    def track(
        self, items: Iterable[T], *, description: str, total: int | None = None
    ) -> Iterator[T]:
        """Yield `items` unchanged."""
        yield from items


SILENT: Progress = SilentProgress()
