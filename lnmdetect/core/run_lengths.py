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
    runs = _checked(rle.get("counts"), shape)
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def cut_mask_of_runs(
    counts: object, shape: tuple[int, ...]
) -> tuple[tuple[int, int], NDArray[np.bool_]]:
    """Return (row, column) of the first pixel of the mask's box, and the mask cut to that box.

    Takes memory by the pixels of the mask and its box, not by the (H, W) of the slice. An empty
    mask is (0, 0) large.

    Args:
        counts: of an RLE, a text or a list of runs.
        shape: H and W.

    Raises:
        ValueError: the runs do not fill that size exactly.
    """
    runs = np.array(_checked(counts, shape), dtype=np.int64)
    lengths, ends = runs[1::2], np.cumsum(runs)[1::2]
    if not lengths.any():
        return (0, 0), np.zeros((0, 0), dtype=np.bool_)
    before = np.cumsum(lengths) - lengths
    pixels = np.arange(lengths.sum()) + np.repeat(ends - lengths - before, lengths)
    columns, rows = np.divmod(pixels, shape[0])
    row, column = int(rows.min()), int(columns.min())
    inside = np.zeros((int(rows.max()) - row + 1, int(columns.max()) - column + 1), dtype=np.bool_)
    inside[rows - row, columns - column] = True
    return (row, column), inside


def _checked(counts: object, shape: tuple[int, ...]) -> list[int]:
    height, width = shape
    runs = _runs_of_text(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise ValueError("counts that are no run lengths")
    if sum(runs) != height * width:
        raise ValueError(f"runs of {sum(runs)} px in all on {height} x {width}")
    return runs


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
