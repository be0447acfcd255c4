"""One slice of masks as counts: by hand, and against whole arrays."""

import numpy as np
import pytest

from lnmdetect.metrics.mask_slices import SectionMask, SliceCounts, count_slice

NEGATIVE, POSITIVE, EXTRANODAL, UNKNOWN = 1, 2, 3, 4


def block(
    row: int, column: int, rows: int = 2, columns: int = 2, *, node: int = 0, label: int = NEGATIVE,
    ignored: bool = False,
) -> SectionMask:  # fmt: skip
    inside = np.ones((rows, columns), dtype=bool)
    return SectionMask(node, label, (row, column), inside, ignored)


def rows(counts: SliceCounts) -> list[list[int]]:
    table: list[list[int]] = counts.confusion.tolist()
    return table


def test_pixels_are_counted_by_label_in_truth_and_answered() -> None:
    counts = count_slice([block(0, 0)], [block(0, 1, label=POSITIVE)], pixels=20)
    assert rows(counts) == [
        [14, 0, 2, 0, 0],
        [2, 0, 2, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    assert counts.covered.tolist() == [[0, 2, 0, 2, 0, 0]]
    assert counts.shared.tolist() == [[0, 0, 2]]
    assert counts.touches.tolist() == [True]


def test_a_slice_without_masks_is_background() -> None:
    counts = count_slice([], [], pixels=20)
    assert counts.confusion[0, 0] == counts.confusion.sum() == 20
    assert counts.covered.shape == (0, 6)
    assert counts.shared.shape == (0, 3)


def test_an_answer_on_an_ignored_mask_alone_is_left_out_whole() -> None:
    truth = [block(0, 0, ignored=True), block(0, 6, node=1)]
    counts = count_slice(truth, [block(0, 1, label=POSITIVE)], pixels=40)
    # The ignored block's 4 pixels are nobody's, the answer's 2 beyond it are background.
    assert rows(counts)[0] == [32, 0, 0, 0, 0]
    assert rows(counts)[1] == [4, 0, 0, 0, 0]
    assert counts.confusion.sum() == 36
    assert counts.touches.tolist() == [False]
    assert counts.touches_ignored.tolist() == [True]
    assert not counts.kept[0].any()


def test_of_an_answer_on_both_only_the_ignored_pixels_are_left_out() -> None:
    truth = [block(0, 0, ignored=True), block(0, 2, node=1)]
    counts = count_slice(truth, [block(0, 1, 2, 4)], pixels=40)
    assert rows(counts)[0] == [30, 2, 0, 0, 0]
    assert rows(counts)[1] == [0, 4, 0, 0, 0]
    assert counts.kept[0].tolist() == [[False, True, True, True]] * 2
    assert counts.touches.tolist() == counts.touches_ignored.tolist() == [True]


def test_an_ignored_mask_that_nobody_answers_does_not_harm() -> None:
    counts = count_slice([block(0, 0, ignored=True)], [], pixels=40)
    assert counts.confusion[0, 0] == counts.confusion.sum() == 36
    assert counts.covered.shape == (0, 6)


def test_where_an_ignored_mask_lies_on_one_that_counts_the_pixel_counts() -> None:
    counts = count_slice([block(0, 0), block(0, 0, node=1, ignored=True)], [block(0, 0)], pixels=9)
    assert rows(counts)[1] == [0, 4, 0, 0, 0]
    assert counts.touches_ignored.tolist() == [False]


@pytest.mark.parametrize("turned", [False, True])
def test_where_masks_overlap_the_later_label_counts_whatever_their_order(turned: bool) -> None:
    truth = [block(0, 0, label=POSITIVE), block(0, 1, node=1, label=EXTRANODAL)]
    found = [block(0, 0, label=NEGATIVE), block(0, 0, node=1, label=POSITIVE)]
    if turned:
        truth, found = truth[::-1], found[::-1]
    counts = count_slice(truth, found, pixels=9)
    assert rows(counts)[POSITIVE] == [0, 0, 2, 0, 0]
    assert rows(counts)[EXTRANODAL] == [2, 0, 2, 0, 0]
    covered = {row[0]: row[1:] for row in counts.covered.tolist()}
    assert covered == {0: [0, 0, 4, 0, 0], 1: [2, 0, 2, 0, 0]}


def test_counts_are_those_of_whole_arrays() -> None:
    rng = np.random.default_rng(0)
    height, width = 40, 50

    def draw(count: int) -> list[SectionMask]:
        return [
            SectionMask(
                node,
                int(rng.integers(1, 5)),
                (int(rng.integers(0, 25)), int(rng.integers(0, 30))),
                rng.random((15, 20)) < 0.7,
                bool(rng.random() < 0.3),
            )
            for node in range(count)
        ]

    for _ in range(30):
        truth, found = draw(int(rng.integers(0, 5))), draw(int(rng.integers(0, 5)))
        whole = np.zeros((2, len(truth) + len(found), height, width), dtype=bool)
        for place, one in enumerate([*truth, *found]):
            whole[0, place][one.place] = one.inside
        counted = [place for place, one in enumerate(truth) if not one.ignored]
        is_truth = whole[0, counted].any(axis=0)
        ignored = whole[0, [p for p, one in enumerate(truth) if one.ignored]].any(axis=0)
        ignored &= ~is_truth
        label, answer = np.zeros((height, width), int), np.zeros((height, width), int)
        for place in counted:
            label[whole[0, place]] = np.maximum(label[whole[0, place]], truth[place].label)
        for place, one in enumerate(found, start=len(truth)):
            mask = whole[0, place]
            if not ((mask & ignored).any() and not (mask & is_truth).any()):
                answer[mask & ~ignored] = np.maximum(answer[mask & ~ignored], one.label)
        expected = np.zeros((5, 5), int)
        np.add.at(expected, (label[~ignored], answer[~ignored]), 1)
        counts = count_slice(truth, found, pixels=height * width)
        np.testing.assert_array_equal(counts.confusion, expected)
        for row, place in zip(counts.covered.tolist(), counted, strict=True):
            assert row[1:] == np.bincount(answer[whole[0, place]], minlength=5).tolist()
        for node, other, pixels in counts.shared.tolist():
            meeting = whole[0, node] & whole[0, len(truth) + other] & ~ignored
            assert pixels == meeting.sum()
