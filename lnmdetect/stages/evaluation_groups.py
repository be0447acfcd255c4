"""Groups of an evaluation: the short axis, and any column of truth.json that is asked for."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.columns import Values
from lnmdetect.core.errors import UsageError
from lnmdetect.core.records import CATEGORY_NAMES
from lnmdetect.metrics.average_precision import SIZES_MM, size_names
from lnmdetect.metrics.groups import GroupFigures, GroupInputs, image_group, truth_group
from lnmdetect.stages.evaluation_truth import Truth

SHORT_AXIS = "short_axis_mm"
CLASS = "class"
MAX_GROUPS = 24
NUMERIC_GROUPS = 4
"""A column of many numbers is cut at its quartiles."""
NOT_GIVEN = "not given"

Labels = Sequence[str]
Grouping = Callable[[str, NDArray[np.bool_], GroupInputs], GroupFigures]


def groups_by(
    columns: Sequence[str], truth: Truth, inputs: GroupInputs
) -> Mapping[str, tuple[GroupFigures, ...]]:
    """Return the figures by the short axis, where truth tells it, and by each column.

    Raises:
        UsageError: truth has no such column, or it has too many values to group by.
    """
    found = {}
    if np.isfinite(truth.columns.nodes.short_axis_mm).any():
        labels, names = _by_short_axis(truth)
        found[SHORT_AXIS] = _figures(labels, names, truth_group, inputs)
    for column in columns:
        if column not in found:
            labels, names, grouping = _by_column(column, truth)
            found[column] = _figures(labels, names, grouping, inputs)
    return found


def _figures(
    labels: Labels, names: Sequence[str], grouping: Grouping, inputs: GroupInputs
) -> tuple[GroupFigures, ...]:
    column = np.array(labels, dtype=object)
    return tuple(grouping(name, np.asarray(column == name), inputs) for name in names)


def _by_short_axis(truth: Truth) -> tuple[Labels, Sequence[str]]:
    axis_mm = truth.columns.nodes.short_axis_mm
    names = (*size_names(), NOT_GIVEN)
    places = np.where(np.isnan(axis_mm), len(names) - 1, np.digitize(axis_mm, SIZES_MM))
    labels = [names[place] for place in places]
    return labels, [name for name in names if name != NOT_GIVEN or NOT_GIVEN in labels]


def _by_column(column: str, truth: Truth) -> tuple[Labels, Sequence[str], Grouping]:
    """Return the label of each row, the groups in order, and whether rows are boxes or images."""
    values, grouping = _column(column, truth)
    labels = _labels(values)
    names = sorted(set(labels) - {NOT_GIVEN}, key=_natural)
    if len(names) > MAX_GROUPS:
        raise UsageError(
            f"--by {column}",
            expected=f"a column of at most {MAX_GROUPS} different values, or of numbers",
            got=f"{len(names)} different values",
            remedy="Write a coarser column into the truth file.",
        )
    return labels, [*names, *([NOT_GIVEN] if NOT_GIVEN in labels else [])], grouping


def _column(column: str, truth: Truth) -> tuple[Values, Grouping]:
    if column == CLASS:
        return [CATEGORY_NAMES[int(key)] for key in truth.columns.nodes.category], truth_group
    of_nodes = truth.columns.node_column(column)
    if of_nodes is not None:
        return of_nodes, truth_group
    of_images = truth.columns.image_column(column)
    if of_images is not None:
        return of_images, image_group
    raise UsageError(
        f"--by {column}",
        expected="a field of the annotations, of the images or of their lnmdetect block in truth, "
        f"or {CLASS}",
        got="none of that name",
        remedy="Look at a record of the truth file for the names it has.",
    )


def _labels(values: Values) -> Labels:
    """Return the name of each value's group: numbers of many values by quartile."""
    values = [None if value == "" else value for value in values]
    given = [value for value in values if value is not None]
    if not _are_numbers(given) or len(set(given)) <= NUMERIC_GROUPS * 2:
        return [NOT_GIVEN if value is None else _name(value) for value in values]
    cuts = np.unique(np.quantile(given, np.arange(1, NUMERIC_GROUPS) / NUMERIC_GROUPS))
    texts = _texts_of_cuts(cuts, given)
    names = [f"under {texts[0]}"]
    names += [f"{low} to {high}" for low, high in pairwise(texts)]
    names.append(f"{texts[-1]} or more")
    return [
        NOT_GIVEN if value is None else names[int(np.digitize(value, cuts))] for value in values
    ]


def _are_numbers(given: Values) -> bool:
    """Return whether all values are numbers that 64 bits can hold, and there is one."""
    return bool(given) and all(
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max
        for value in given
    )


def _texts_of_cuts(cuts: NDArray[np.float64], given: Values) -> Sequence[str]:
    """Return (K,) cuts as texts, with as many digits as leave every given value on its side."""
    groups, texts = np.digitize(given, cuts), list[str]()
    whole = len(f"{np.abs(cuts).max():.0f}")
    for digits in range(max(4, min(whole, 17)), 18):
        texts = [f"{cut:.{digits}g}" for cut in cuts]
        if np.array_equal(np.digitize(given, np.array(texts, dtype=np.float64)), groups):
            break
    return texts


def _name(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()  # as the file has it
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _natural(name: str) -> tuple[int, float, bool, str]:
    """Return a key that puts numbers before words, by size, and "under 5" before "5 to 8"."""
    under, words = name.startswith("under "), name.removeprefix("under ").split(" ")
    try:
        number = float(words[0])
    except ValueError:
        number = math.nan
    is_word = not math.isfinite(number)
    return (int(is_word), 0.0 if is_word else number, not under, name)
