"""Windows merged plane by plane."""

import numpy as np
import pytest

from lnmdetect.transforms.slab_merge import SlabMerge, window_places, window_starts

PATCH = (4, 8, 8)


def importance() -> np.ndarray:
    return np.random.default_rng(1).uniform(0.01, 1, PATCH).astype(np.float32)


@pytest.mark.parametrize(
    ("length", "overlap", "starts"),
    [(8, 0.5, (0,)), (5, 0.5, (0,)), (9, 0.5, (0, 1)), (16, 0.5, (0, 4, 8)), (17, 0.0, (0, 4, 9))],
)
def test_windows_cover_an_axis_evenly(length: int, overlap: float, starts: tuple[int, ...]) -> None:
    assert window_starts(length, 8, overlap) == starts


@pytest.mark.parametrize("shape", [(13, 30, 25), (4, 8, 8), (3, 5, 25)])
def test_windows_of_a_volume_merge_to_the_volume(shape: tuple[int, int, int]) -> None:
    volume = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
    merge, planes = SlabMerge(2, importance(), shape), []
    for start in window_places(shape, PATCH, 0.5):
        planes += list(merge.advance(start[0]))
        z, y, x = start
        window = np.zeros((2, *PATCH), dtype=np.float32)
        part = volume[:, z : z + 4, y : y + 8, x : x + 8]
        window[:, : part.shape[1], : part.shape[2], : part.shape[3]] = part
        merge.add(start, window)
    planes += list(merge.advance(shape[0]))
    assert np.stack([p for p in planes if p is not None], axis=1) == pytest.approx(volume, abs=1e-6)


def test_overlapping_windows_weigh_by_their_importance() -> None:
    weights = np.ones((1, 1, 2), dtype=np.float32)
    weights[..., 1] = 3
    merge = SlabMerge(1, weights, (1, 1, 3))
    merge.add((0, 0, 0), np.full((1, 1, 1, 2), 10, dtype=np.float32))
    merge.add((0, 0, 1), np.full((1, 1, 1, 2), 2, dtype=np.float32))
    (plane,) = merge.advance(1)
    assert plane is not None
    assert plane[0, 0] == pytest.approx([10, (3 * 10 + 1 * 2) / 4, 2])


def test_planes_on_which_no_window_lies_are_none_and_what_is_beside_windows_is_zero() -> None:
    merge = SlabMerge(1, np.ones((2, 2, 2), dtype=np.float32), (9, 2, 4))
    assert list(merge.advance(5)) == [None] * 5
    merge.add((5, 0, 0), np.ones((1, 2, 2, 2), dtype=np.float32))
    first, second, *rest = merge.advance(9)
    assert first is not None
    assert second is not None
    assert first[0].tolist() == second[0].tolist() == [[1, 1, 0, 0]] * 2
    assert rest == [None, None]


def test_a_window_before_the_planes_given_out_is_refused() -> None:
    merge = SlabMerge(1, np.ones((2, 2, 2), dtype=np.float32), (9, 2, 2))
    list(merge.advance(3))
    with pytest.raises(AssertionError):
        merge.add((2, 0, 0), np.ones((1, 2, 2, 2), dtype=np.float32))
