"""Scores of nodes by the probabilities of their voxels, as `lnmdetect segment` scores its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.grid_match import GridMatch
from lnmdetect.core.node_classes import NODE
from lnmdetect.core.structure_names import category_and_kind
from lnmdetect.io.label_sets import LabelFile
from lnmdetect.io.nifti import NiftiFile
from lnmdetect.io.nnunet_probabilities import read_probabilities
from lnmdetect.stages.convert_nodes import FoundNode

Maps = Sequence[NDArray[np.float32]]
"""Of each value of a label map its probability, (slices, rows, columns); background first."""


def scored_nodes(
    nodes: list[FoundNode],
    classes: Callable[[], Mapping[int, str]],
    label_map: tuple[LabelFile, NiftiFile, GridMatch],
) -> list[FoundNode]:
    """Return the nodes scored by the probabilities beside their label map; as they are without.

    Args:
        nodes: of one label map of nnU-Net.
        classes: returns value to class, of those values that are nodes.
        label_map: the file, its header, and how it lies on the scan.

    Raises:
        InputError: the probabilities cannot be read, or are of other classes.
    """
    file, nifti, match = label_map
    path = file.path.with_name(f"{file.case}.npz")
    stored = read_probabilities(path, nifti.sides)
    if stored is None:
        return nodes
    named = classes()
    if max(named, default=0) >= len(stored):
        raise InputError(
            path.name,
            expected=f"probabilities of the values {', '.join(map(str, sorted(named)))}",
            got=f"those of {len(stored) - 1}",
            remedy="Give the dataset.json of this very training beside the predictions.",
        )
    maps = [match.turned(channel) for channel in stored]
    return [scored(node, maps, named) for node in nodes]


def scored(node: FoundNode, maps: Maps, classes: Mapping[int, str]) -> FoundNode:
    """Return the node with its score, the shares of its classes, and the likeliest of them.

    The score is the mean over its voxels of P(node), a class's share its part of that.
    """
    means: dict[str, float] = {}
    for value, name in classes.items():
        means[name] = means.get(name, 0.0) + _mean(node, maps[value])
    total = sum(means.values())
    if total <= 0:
        return replace(node, score=0.0)
    shares = {name: mean / total for name, mean in means.items()}
    category, kind = category_and_kind(max(shares, key=lambda name: shares[name]))
    return replace(
        node,
        category_id=category,
        kind=kind,
        score=min(total, 1.0),
        class_probabilities=None if NODE in shares else shares,
    )


def _mean(node: FoundNode, probability: NDArray[np.float32]) -> float:
    inside = []
    for section in node.sections:
        (row, column), (rows, columns) = section.corner, section.inside.shape
        part = probability[section.index, row : row + rows, column : column + columns]
        inside.append(part[section.inside])
    return float(np.concatenate(inside).mean(dtype=np.float64))
