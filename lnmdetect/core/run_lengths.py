"""Masks from run lengths (COCO RLE), refused where they do not make one.

The runs go down the columns, the first of them outside. As a text a run takes 5 bits a character,
least first, and from the fourth on the difference to the run before the last
(`rleFrString` of pycocotools, whose decoder leaves what too short runs do not fill undefined).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FIRST = ord("0")
_BITS, _SIGN, _MORE = 0x1F, 0x10, 0x20
_ABSOLUTE = 3
"""So many runs stand as they are."""


def mask_of_runs(rle: Mapping[str, Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the (H, W) mask of an RLE whose `counts` are a text or a list of runs.

    Raises:
        ValueError: it is of another size, or its runs do not fill that size exactly.
    """
    height, width = shape
    if list(rle.get("size", ())) != [height, width]:
        raise ValueError(f"a size other than {height} x {width}")
    counts = rle.get("counts")
    runs = _runs_of_text(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise ValueError("counts that are no run lengths")
    if sum(runs) != height * width:
        raise ValueError(f"runs of {sum(runs)} px in all on {height} x {width}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def _runs_of_text(text: str) -> list[int]:
    runs: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - _FIRST
        if not 0 <= code <= _BITS | _MORE:
            raise ValueError("counts that are no run lengths")
        value |= (code & _BITS) << shift
        shift += 5
        if code & _MORE:
            continue
        if code & _SIGN:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) >= _ABSOLUTE else 0))
        value = shift = 0
    if shift:
        raise ValueError("counts that break off within a run")
    return runs
