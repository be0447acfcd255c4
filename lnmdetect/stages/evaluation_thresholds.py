"""The operating thresholds that prediction files carry, and where they came from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnmdetect.core.columns import CocoColumns


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
    if len(values) == 1:
        source = info.get("classifier_threshold_source")
        return Threshold(values[0], f"{name}, from {source}" if source else name)
    got = f"{len(values)} different thresholds" if values else "no threshold of the classifier"
    return Threshold(None, f"{name} gives {got}; each box counts as the category it has")


def one_threshold(thresholds: Sequence[Threshold]) -> Threshold:
    """Return what the thresholds of several files have in common."""
    values = [one.value for one in thresholds if one.value is not None]
    if len(thresholds) == 1 or len(values) < len(thresholds):
        return next((one for one in thresholds if one.value is None), thresholds[0])
    source = "; ".join(dict.fromkeys(one.source for one in thresholds))
    same = values[0] if len(set(values)) == 1 else None
    return Threshold(same, source, None if same is not None else tuple(values))
