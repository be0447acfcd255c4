"""Pieces of a mask against scipy's labelling of the whole volume."""

import numpy as np
import pytest
from scipy import ndimage

from lnmdetect.transforms.mask_pieces import Piece, PieceJoiner

WITHIN_SLICES_ALSO_CORNERS = np.zeros((3, 3, 3), dtype=bool)
WITHIN_SLICES_ALSO_CORNERS[1] = True
WITHIN_SLICES_ALSO_CORNERS[:, 1, 1] = True


def pieces_of(volume: np.ndarray, maps: np.ndarray | None = None) -> list[Piece]:
    joiner = PieceJoiner()
    if maps is None:
        maps = np.ones((len(volume), 1, *volume.shape[1:]), dtype=np.float32)
    found = [
        p
        for i, (mask, own) in enumerate(zip(volume, maps, strict=True))
        for p in joiner.add(i, mask, own)
    ]
    return [*found, *joiner.finish()]


@pytest.mark.parametrize("seed", range(8))
def test_pieces_are_those_of_the_whole_volume(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=(11, 30, 34))
    volume = ndimage.gaussian_filter(noise, 1.4) > 0.06
    labels, count = ndimage.label(volume, WITHIN_SLICES_ALSO_CORNERS)
    pieces = pieces_of(volume)
    assert count > 5
    drawn = np.zeros_like(labels)
    for number, piece in enumerate(pieces, start=1):
        for section in piece.sections:
            (row, column), (rows, columns) = section.corner, section.inside.shape
            drawn[section.index, row : row + rows, column : column + columns][section.inside] = (
                number
            )
    pairs = {(int(a), int(b)) for a, b in zip(labels.ravel(), drawn.ravel(), strict=True)}
    assert len(pairs) == count + 1 == len(pieces) + 1


def test_two_branches_that_meet_on_a_later_slice_are_one_piece() -> None:
    volume = np.zeros((3, 4, 9), dtype=bool)
    volume[0, 1, [1, 7]] = volume[1, 1, [1, 7]] = True
    volume[2, 1, 1:8] = True
    (piece,) = pieces_of(volume)
    assert piece.voxels == 4 + 7
    assert [section.index for section in piece.sections] == [0, 0, 1, 1, 2]


def test_a_piece_is_given_out_as_soon_as_a_slice_does_not_go_on_with_it() -> None:
    joiner, mask = PieceJoiner(), np.eye(3, dtype=bool)
    maps = np.zeros((1, 3, 3), dtype=np.float32)
    assert not list(joiner.add(0, mask, maps))
    (whole,) = joiner.add(1, np.zeros_like(mask), maps)
    assert whole.voxels == 3
    assert not list(joiner.finish())


def test_means_are_over_the_voxels_of_the_piece_alone() -> None:
    volume = np.zeros((2, 3, 3), dtype=bool)
    volume[0, 0, :2] = volume[1, 0, 0] = True
    maps = np.full((2, 2, 3, 3), 9, dtype=np.float32)
    maps[0, :, 0, :2] = [[0.2, 0.4], [0.8, 0.6]]
    maps[1, :, 0, 0] = [0.6, 0.1]
    (piece,) = pieces_of(volume, maps)
    assert piece.means == pytest.approx([0.4, 0.5])
    assert piece.sections[0].box_xyxy == (0, 0, 2, 1)
