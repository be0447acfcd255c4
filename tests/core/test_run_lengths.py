"""Masks of run lengths, against pycocotools and by hand."""

from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from lnmdetect.core.run_lengths import mask_of_runs


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_a_text_of_pycocotools_gives_its_mask(share: float) -> None:
    mask = np.random.default_rng(0).random((37, 90)) < share
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    found = mask_of_runs({"size": [37, 90], "counts": rle["counts"].decode()}, (37, 90))
    np.testing.assert_array_equal(found, mask)


def test_listed_runs_go_down_the_columns_and_begin_outside() -> None:
    found = mask_of_runs({"size": [2, 3], "counts": [1, 3, 2]}, (2, 3))
    assert found.astype(int).tolist() == [[0, 1, 0], [1, 1, 0]]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ("zzzz!!", "counts that are no run lengths"),
        ("zz", "counts that are no run lengths"),
        ("é", "counts that are no run lengths"),
        ("o", "counts that break off within a run"),
        ("", "runs of 0 px in all on 2 x 3"),
        ([1, 3], "runs of 4 px in all on 2 x 3"),
        ([1, -1, 6], "counts that are no run lengths"),
        ([1.0, 5.0], "counts that are no run lengths"),
        ([True, 5], "counts that are no run lengths"),
        (None, "counts that are no run lengths"),
    ],
)
def test_runs_that_make_no_mask_are_refused(counts: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mask_of_runs({"size": [2, 3], "counts": counts}, (2, 3))


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="a size other than 2 x 3"):
        mask_of_runs({"size": [3, 2], "counts": [6]}, (2, 3))
