"""Whose word the classes of a file are."""

from typing import Any

import pytest

from lnmdetect.stages.class_source import class_source

SEGMENTER, CLASSIFIER = {"segmenter": {"name": "s"}}, {"classifier": {"name": "c"}}


@pytest.mark.parametrize(
    ("info", "source"),
    [
        (SEGMENTER, "segmenter s"),
        (CLASSIFIER, "classifier c"),
        (SEGMENTER | CLASSIFIER, "classifier c; extranodal extension: segmenter s"),
        ({"masks_from": "nnunet"}, "masks read from nnunet"),
        ({"masks_from": "nnunet"} | CLASSIFIER, "classifier c"),
        ({"segmenter": {"sha256": "0"}}, "segmenter"),
        ({}, "the file, which names no model"),
    ],
)
def test_the_last_who_called_the_nodes_is_named(info: dict[str, Any], source: str) -> None:
    assert class_source(info) == source
