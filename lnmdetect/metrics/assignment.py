"""The optimal one-to-one assignment where most choices are clear.

Pairs that compete with no other are taken at once; the few that do fall into small groups, each of
which is solved exactly by itself. scipy, which takes longer to load than all of an evaluation to
run, is only asked about groups too large for that.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Numbers = NDArray[np.float64]

SMALL = 6
"""Columns of a group, or rows, up to which all its subsets (64) are gone through."""


def best_pairs(affinity: Numbers) -> tuple[Places, Places]:
    """Return the rows and columns of the pairs whose affinities sum to most, one to one.

    Args:
        affinity: (N, M), 0 where two may not be paired, else above 0.
    """
    rows, columns = np.nonzero(affinity > 0)
    row_choices = np.bincount(rows, minlength=affinity.shape[0])[rows]
    column_choices = np.bincount(columns, minlength=affinity.shape[1])[columns]
    clear = (row_choices == 1) & (column_choices == 1)
    first, second = rows[clear].tolist(), columns[clear].tolist()
    for group_rows, group_columns in _groups(rows[~clear], columns[~clear]):
        part = affinity[np.ix_(group_rows, group_columns)]
        for row, column in _solved(part):
            first.append(group_rows[row])
            second.append(group_columns[column])
    return np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)


def _groups(rows: Places, columns: Places) -> Iterator[tuple[list[int], list[int]]]:
    """Give the rows and columns of each group of pairs that compete, however far round."""
    group_of_row: dict[int, tuple[set[int], set[int]]] = {}
    group_of_column: dict[int, tuple[set[int], set[int]]] = {}
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        merged: tuple[set[int], set[int]] = ({row}, {column})
        for group in (group_of_row.get(row), group_of_column.get(column)):
            if group is not None:
                merged[0].update(group[0])
                merged[1].update(group[1])
        group_of_row.update(dict.fromkeys(merged[0], merged))
        group_of_column.update(dict.fromkeys(merged[1], merged))
    for one in {id(group): group for group in group_of_row.values()}.values():
        yield sorted(one[0]), sorted(one[1])


def _solved(affinity: Numbers) -> list[tuple[int, int]]:
    """Return the best pairs of one group."""
    if affinity.shape[1] <= SMALL:
        return _by_subsets(affinity)
    if affinity.shape[0] <= SMALL:
        return [(row, column) for column, row in _by_subsets(affinity.T)]
    from scipy.optimize import linear_sum_assignment

    found = zip(*linear_sum_assignment(affinity, maximize=True), strict=True)
    return [(int(row), int(column)) for row, column in found if affinity[row, column] > 0]


def _by_subsets(affinity: Numbers) -> list[tuple[int, int]]:
    """Return the best pairs, row by row over the sets of columns that are taken so far."""
    best: dict[int, tuple[float, list[tuple[int, int]]]] = {0: (0.0, [])}
    for row, values in enumerate(affinity.tolist()):
        following = dict(best)
        for taken, (total, pairs) in best.items():
            for column, value in enumerate(values):
                key = taken | 1 << column
                if value <= 0 or key == taken:
                    continue
                if key not in following or following[key][0] < total + value:
                    following[key] = (total + value, [*pairs, (row, column)])
        best = following
    return max(best.values(), key=lambda entry: entry[0])[1]
