"""Groups of an evaluation: the short axis, and any column of truth.json that is asked for."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.columns import Values
from lnmdetect.core.errors import UsageError
from lnmdetect.metrics.average_precision import SIZES_MM, size_names
from lnmdetect.metrics.groups import GroupFigures, GroupInputs, image_group, truth_group
from lnmdetect.stages.evaluation_truth import Truth

SHORT_AXIS = "short_axis_mm"
CLASS = "class"
MAX_GROUPS = 24
NUMERIC_GROUPS = 4
"""A column of many numbers is cut at its quartiles."""
NOT_GIVEN = "not given"
_CLASS_NAMES = {1: "benign", 2: "metastatic", 3: "lymph_node"}

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
        if column != SHORT_AXIS:
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
        return [_CLASS_NAMES[int(key)] for key in truth.columns.nodes.category], truth_group
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
    given = [value for value in values if value is not None]
    numeric = bool(given) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in given
    )
    if not numeric or len(set(given)) <= NUMERIC_GROUPS * 2:
        return [NOT_GIVEN if value is None else _name(value) for value in values]
    cuts = np.unique(np.quantile(given, np.arange(1, NUMERIC_GROUPS) / NUMERIC_GROUPS))
    names = [f"under {cuts[0]:.4g}"]
    names += [f"{low:.4g} to {high:.4g}" for low, high in pairwise(cuts)]
    names.append(f"{cuts[-1]:.4g} or more")
    return [
        NOT_GIVEN if value is None else names[int(np.digitize(value, cuts))] for value in values
    ]


def _name(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _natural(name: str) -> tuple[int, float, str]:
    """Return a key that puts "under" first and numbers before words, by size."""
    words = name.removeprefix("under ").split(" ")
    try:
        return (0, float(words[0]) - (0.5 if name.startswith("under ") else 0), name)
    except ValueError:
        return (1, 0.0, name)
