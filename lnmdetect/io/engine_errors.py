"""Errors of engines of other libraries, told as ours; theirs are classes without a common one."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from lnmdetect.core.errors import LnmDetectError, ModelError

Kinds = tuple[type[Exception], ...]
LONGEST = 200
"""Characters of an engine's own words that are passed on."""
_PATH = re.compile(r"[/\\]\S|\b[A-Za-z]:\S")
"""Where a path ends nobody can tell: there may be spaces in it."""


def errors_of(module: ModuleType) -> Kinds:
    """Return the exceptions of its own that a module shows.

    Args:
        module: of an engine.
    """
    shown = (one for one in vars(module).values() if isinstance(one, type))
    own = {one for one in shown if issubclass(one, Exception) and one.__module__ != "builtins"}
    return tuple(sorted(own, key=lambda kind: kind.__name__))


@contextmanager
def told_as_ours(
    kinds: Kinds,
    where: str,
    *,
    expected: str,
    remedy: str,
    line: int = -1,
    error: type[LnmDetectError] = ModelError,
) -> Iterator[None]:
    """Let an engine's errors within such a block be told as one of ours.

    Args:
        kinds: its errors.
        where: what asked for it.
        expected: what it could not do.
        remedy: what to do about it.
        line: of its own words, that says most.
        error: ours.
    """
    try:
        yield
    except kinds as fault:
        got = _said(fault, line)
        raise error(where, expected=expected, got=got, remedy=remedy) from None


def _said(fault: Exception, line: int) -> str:
    """Return a line of an engine's words; none with a path, which may name a user or patient."""
    lines = [text for text in map(str.strip, str(fault).splitlines()) if text]
    told = lines[line] if lines and not _PATH.search(lines[line]) else ""
    return f"{type(fault).__name__}: {told.strip(' .')[:LONGEST]}".rstrip(": ")
