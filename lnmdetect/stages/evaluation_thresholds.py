"""The operating thresholds that prediction files carry, and where they came from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnmdetect.core.columns import CocoColumns, NodeColumns
from lnmdetect.core.records import BENIGN, METASTATIC
from lnmdetect.core.wording import counted

_ROUNDING = 1e-6
"""To which files round a probability and its threshold."""


@dataclass(frozen=True)
class Threshold:
    """An operating threshold, None where it is not known or not the same in all files.

    Attributes:
        value: in [0, 1].
        source: where it came from, or why there is none.
        values: of each file, where several files have thresholds of their own.
    """

    value: float | None
    source: str
    values: tuple[float, ...] | None = None


def detector_threshold(name: str, info: Mapping[str, Any]) -> Threshold:
    """Return the threshold that the `info` of the file `name` gives for the detector."""
    value, source = info.get("operating_threshold"), info.get("operating_threshold_source")
    if value is None:
        return Threshold(None, f"{name} gives no info.operating_threshold")
    return Threshold(float(value), f"{name}, from {source}" if source else name)


def classifier_threshold(name: str, columns: CocoColumns) -> Threshold:
    """Return the threshold at which the boxes of the file `name` were called metastatic."""
    info = columns.info
    given = columns.nodes.threshold
    values = np.unique(given[np.isfinite(given)]).tolist()
    if not values and info.get("classifier_threshold") is not None:
        values = [float(info["classifier_threshold"])]
    if not values and not np.isfinite(columns.nodes.p_metastatic).any():
        return Threshold(None, f"{name} holds no class probabilities")
    got = f"{len(values)} different thresholds" if values else "no threshold of the classifier"
    if len(values) == 1:
        against = _called_against(values[0], columns.nodes)
        if not against:
            source = info.get("classifier_threshold_source")
            return Threshold(values[0], f"{name}, from {source}" if source else name)
        boxes = counted(against, "box", "boxes")
        got = f"{boxes} called against its threshold of {values[0]:.4g}"
    return Threshold(None, f"{name} gives {got}; each box counts as the category it has")


def _called_against(threshold: float, nodes: NodeColumns) -> int:
    """Return how many boxes have the category that the threshold on P(metastatic) denies."""
    above = nodes.p_metastatic > threshold + _ROUNDING
    below = nodes.p_metastatic < threshold - _ROUNDING
    benign, metastatic = nodes.category == BENIGN, nodes.category == METASTATIC
    return int(((above & benign) | (below & metastatic)).sum())


def one_threshold(thresholds: Sequence[Threshold]) -> Threshold:
    """Return what the thresholds of several files have in common."""
    values = [one.value for one in thresholds if one.value is not None]
    if len(thresholds) == 1 or len(values) < len(thresholds):
        return next((one for one in thresholds if one.value is None), thresholds[0])
    source = "; ".join(dict.fromkeys(one.source for one in thresholds))
    same = values[0] if len(set(values)) == 1 else None
    return Threshold(same, source, None if same is not None else tuple(values))


def threshold_text(threshold: Threshold) -> str:
    """Return a threshold and where it came from, in words."""
    if threshold.values is not None:
        low, high = min(threshold.values), max(threshold.values)
        return f"{low:.4g} to {high:.4g}, each file its own ({threshold.source})"
    if threshold.value is None:
        return f"none ({threshold.source})"
    return f"{threshold.value:.4g} ({threshold.source})"
