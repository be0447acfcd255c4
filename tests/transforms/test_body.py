"""The patient is kept and the couch is not, on drawn slices."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.transforms.body import body_mask, mask_box

SPACING = (0.5, 0.5)
ROWS, COLUMNS = np.mgrid[:512, :512]
NECK = ((COLUMNS - 256) / 130) ** 2 + ((ROWS - 220) / 120) ** 2 < 1
AIRWAY = ((COLUMNS - 256) / 20) ** 2 + ((ROWS - 200) / 25) ** 2 < 1
COUCH = (ROWS > 400) & (ROWS < 410)  # a 5 mm sheet
HOLDER = (np.abs(np.hypot(COLUMNS - 256, ROWS - 220) - 170) < 4) & (ROWS > 220)  # 4 mm shell


def slice_hu(*parts: NDArray[np.bool_]) -> NDArray[np.int16]:
    hu = np.full((512, 512), -1000, dtype=np.int16)
    for part in parts:
        hu[part] = 60
    hu[AIRWAY] = -1000
    return hu


def test_the_patient_is_kept_whole_cavities_included() -> None:
    mask = body_mask(slice_hu(NECK), SPACING)
    assert mask[NECK].all()
    assert mask[AIRWAY].all()


def test_the_margin_beyond_the_skin_is_a_few_millimetres() -> None:
    mask = body_mask(slice_hu(NECK), SPACING)
    columns = np.flatnonzero(mask[220])
    # The skin lies at 126 and 386 px; 4 mm are 8 px, the working grid adds up to 4 px.
    assert 126 - 14 <= columns[0] <= 126 - 4
    assert 385 + 4 <= columns[-1] <= 385 + 14


def test_couch_and_head_holder_are_no_patient() -> None:
    mask = body_mask(slice_hu(NECK, COUCH, HOLDER), SPACING)
    assert mask[NECK].all()
    far = ~body_mask(slice_hu(NECK), SPACING)
    assert not mask[(COUCH | HOLDER) & far].any()


def test_a_couch_that_touches_the_patient_is_cut_off() -> None:
    touching = (ROWS > 334) & (ROWS < 349) & (np.abs(COLUMNS - 256) < 240)  # 7 mm under the neck
    mask = body_mask(slice_hu(NECK, touching), SPACING)
    assert mask[NECK].all()
    assert not mask[touching & (np.abs(COLUMNS - 256) > 150)].any()


def test_two_arms_stay_beside_the_chest() -> None:
    arm = ((COLUMNS - 450) / 50) ** 2 + ((ROWS - 220) / 80) ** 2 < 1
    assert body_mask(slice_hu(NECK, arm), SPACING)[arm].all()


def test_spacing_counts_in_mm_along_each_axis() -> None:
    # The same neck at 0.5 x 1 mm: every second column.
    mask = body_mask(np.ascontiguousarray(slice_hu(NECK, COUCH)[:, ::2]), (0.5, 1.0))
    assert mask[NECK[:, ::2]].all()
    assert not mask[404].any()


@pytest.mark.parametrize("shape", [(1, 1), (4, 6), (511, 511), (512, 300)])
def test_any_matrix_size_gives_a_mask_of_that_size(shape: tuple[int, int]) -> None:
    mask = body_mask(np.full(shape, -1000, dtype=np.int16), SPACING)
    assert mask.shape == shape
    assert mask.dtype == np.bool_
    assert not mask.any()


def test_the_slice_is_left_as_it_was() -> None:
    hu = slice_hu(NECK)
    before = hu.copy()
    body_mask(hu, SPACING)
    assert np.array_equal(hu, before)


def test_the_box_of_a_mask_has_an_exclusive_far_edge() -> None:
    mask = np.zeros((10, 20), dtype=bool)
    mask[2:5, 7:8] = True
    assert mask_box(mask) == (7, 2, 8, 5)


def test_an_empty_mask_keeps_the_whole_slice() -> None:
    assert mask_box(np.zeros((10, 20), dtype=bool)) == (0, 0, 20, 10)
