"""Whose word the classes of a file are: its segmenter's, or its classifier's."""

from collections.abc import Mapping
from typing import Any

NO_SOURCE = "the file, which names no model"


def class_source(info: Mapping[str, Any]) -> str:
    """Return who called the nodes of a file, by its `info`.

    A classifier's answer replaces the segmenter's, but it does not tell extranodal extension:
    which of the nodes it calls metastatic have that stays the segmenter's word.
    """
    segmenter, classifier = (_name(info, arm) for arm in ("segmenter", "classifier"))
    if classifier is None:
        tool = info.get("masks_from")
        return segmenter or (f"masks read from {tool}" if tool else NO_SOURCE)
    if segmenter is None:
        return classifier
    return f"{classifier}; extranodal extension: {segmenter}"


def _name(info: Mapping[str, Any], arm: str) -> str | None:
    model = info.get(arm)
    if model is None:
        return None
    name = model.get("name") if isinstance(model, Mapping) else None
    return f"{arm} {name}" if name else arm
