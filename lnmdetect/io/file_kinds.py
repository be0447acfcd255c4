"""Files of lnmdetect that may be given in each other's place, told by a field that each has."""

from dataclasses import dataclass
from typing import Any

from lnmdetect.core.errors import InputError


@dataclass(frozen=True)
class FileKind:
    """One kind of file.

    Attributes:
        field: which it has at the top, and no other kind.
        words: what is in it.
        named: how such files are mostly called.
        goes_to: who takes it.
    """

    field: str
    words: str
    named: str
    goes_to: str


ULTRASOUND_CASES = FileKind(
    "cases", "ultrasound cases", "ultrasound.json", "`lnmdetect train fusion` or `fuse`"
)
CT_SLICES = FileKind(
    "images",
    "CT slices",
    "truth.json, boxes.json or nodes.json",
    "`lnmdetect train detector`, `train classifier` or `train segmenter`",
)
FOLDS = FileKind("folds", "folds of patients", "folds.json", "`lnmdetect train` with --folds")
_KINDS = (ULTRASOUND_CASES, CT_SLICES, FOLDS)


def require_kind(data: Any, wanted: FileKind, name: str) -> None:
    """Return nothing unless parsed JSON is known to be another kind of file than is wanted.

    Args:
        data: of the file.
        wanted: its kind.
        name: of the file, for the message.

    Raises:
        InputError: it is another; says which, and who takes that.
    """
    if not isinstance(data, dict) or wanted.field in data:
        return
    for kind in _KINDS:
        if kind.field in data:
            raise InputError(
                name,
                expected=wanted.words,
                got=kind.words,
                remedy=f"Give a file such as {wanted.named}; this one is for {kind.goes_to}.",
            )
