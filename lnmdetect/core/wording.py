"""Words that every layer's sentences share."""


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun; `many` where the plural is not `one` with an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"
