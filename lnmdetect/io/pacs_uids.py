"""UIDs that come over a network: what may become a file's name, and what may not."""

import re

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_MAX_LENGTH = 64  # PS3.5 9.1


def is_uid(text: str) -> bool:
    """Return whether the text is digits and single dots, at most 64, so safe as a file's name."""
    return len(text) <= _MAX_LENGTH and _UID.fullmatch(text) is not None
