"""Words that every layer's sentences share."""

import re

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters but tab and newline, marks that turn the writing, halves of characters."""


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun; `many` where the plural is not `one` with an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def visible(text: str) -> str:
    """Return the text with what would steer a terminal shown as an escape, as `\\x1b`."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
