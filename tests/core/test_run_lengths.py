"""Masks of run lengths, against pycocotools and by hand."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from lnmdetect.core.run_lengths import cut_mask_of_runs, mask_of_runs


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


@pytest.mark.parametrize("share", [0.001, 0.02, 0.5, 1.0])
def test_a_cut_mask_is_the_mask_within_its_box(share: float) -> None:
    mask = np.random.default_rng(1).random((37, 90)) < share
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    (row, column), inside = cut_mask_of_runs(rle["counts"].decode(), (37, 90))
    x, y, width, height = coco_mask.toBbox(rle).astype(int).tolist()
    assert (column, row, *inside.shape) == (x, y, height, width)
    np.testing.assert_array_equal(inside, mask[y : y + height, x : x + width])
    assert inside.sum() == mask.sum()


@pytest.mark.parametrize("counts", [[6], [6, 0], "6"])
def test_a_cut_empty_mask_has_no_pixel(counts: Any) -> None:
    corner, inside = cut_mask_of_runs(counts, (2, 3))
    assert corner == (0, 0)
    assert inside.shape == (0, 0)


def test_a_cut_mask_takes_memory_by_its_pixels_alone() -> None:
    tracemalloc.start()
    _, inside = cut_mask_of_runs([10**10, 3, 10**10 - 3], (10**5, 2 * 10**5))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert inside.tolist() == [[True], [True], [True]]
    assert peak < 10**5


def test_a_cut_mask_of_runs_that_do_not_fill_the_slice_is_refused() -> None:
    with pytest.raises(ValueError, match="runs of 5 px in all on 2 x 3"):
        cut_mask_of_runs([1, 4], (2, 3))
