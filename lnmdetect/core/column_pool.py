"""Files of disjoint slices as one: the folds of a cross-validation, the sites of a study."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from lnmdetect.core.columns import CocoColumns, ImageColumns, NodeColumns, Values

T = TypeVar("T", ImageColumns, NodeColumns)


def pooled(parts: Sequence[CocoColumns]) -> CocoColumns:
    """Return the records of all files, numbered anew; `info` is the first file's.

    Of the fold (`info.split`) that of a file goes first whose deal has a warning.

    Args:
        parts: one or more files whose slices are distinct, which the caller has checked.
    """
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0, *(len(part.images) for part in parts)])
    nodes = [
        replace(part.nodes, image=part.nodes.image + offset)
        for part, offset in zip(parts, offsets, strict=False)
    ]
    images = _joined(ImageColumns, [part.images for part in parts])
    joined = _joined(NodeColumns, nodes)
    return CocoColumns(
        info=_pooled_info([part.info for part in parts]),
        images=replace(images, ids=np.arange(1, len(images) + 1)),
        nodes=replace(joined, ids=np.arange(1, len(joined) + 1)),
        image_column=_pooled_column(
            [part.image_column for part in parts], [len(part.images) for part in parts]
        ),
        node_column=_pooled_column(
            [part.node_column for part in parts], [len(part.nodes) for part in parts]
        ),
    )


def _pooled_info(infos: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    for info in infos:
        fold = info.get("split")
        if isinstance(fold, Mapping) and fold.get("warning"):
            return {**infos[0], "split": fold}
    return infos[0]


def _joined(kind: type[T], parts: Sequence[T]) -> T:
    columns: dict[str, Any] = {}
    for field in fields(kind):
        values = [getattr(part, field.name) for part in parts]
        if isinstance(values[0], np.ndarray):
            columns[field.name] = np.concatenate(values)
        else:
            columns[field.name] = [item for column in values for item in column]
    return kind(**columns)


def _pooled_column(
    lookups: Sequence[Callable[[str], Values | None]], lengths: Sequence[int]
) -> Callable[[str], Values | None]:
    def column(name: str) -> Values | None:
        found = [lookup(name) for lookup in lookups]
        if all(values is None for values in found):
            return None
        filled = (
            [None] * length if values is None else values
            for values, length in zip(found, lengths, strict=True)
        )
        return [value for values in filled for value in values]

    return column
