"""Ultrasound cases as items and batches."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.fusion_config import FusionConfig, FusionRecipe
from lnmdetect.core.ultrasound import ImagePlace, UltrasoundCase
from lnmdetect.datasets.draws import Draw
from lnmdetect.datasets.fusion_data import (
    FusionItem,
    PlainCases,
    TrainingCases,
    can_be_answered,
    collate_fusion,
    left_out,
    measure_scale,
    read_item,
    spread_frames,
)

Fields = Callable[..., dict[str, Any]]
SIDE = 48


def place(number: int) -> ImagePlace:
    return ImagePlace(f"{number}.png")


def case(**changes: Any) -> UltrasoundCase:
    values: dict[str, Any] = {
        "case_id": "c1",
        "patient": "p1",
        "bmode": place(0),
        "ceus": tuple(place(number) for number in range(1, 6)),
        "finding": "absent",
        "label": "metastatic",
        **changes,
    }
    return UltrasoundCase(**values)


def read(where: ImagePlace) -> NDArray[np.float32]:
    """An image as grey as its file's number says."""
    return np.full((20, 20), int(where.file_name[0]) / 8, dtype=np.float32)


def item(**changes: Any) -> FusionItem:
    values: dict[str, Any] = {
        "bmode": np.full((1, SIDE, SIDE), 0.5, dtype=np.float16),
        "ceus": np.full((2, 1, SIDE, SIDE), 0.25, dtype=np.float16),
        "finding": 1.0,
        "label": 1,
        **changes,
    }
    return FusionItem(**values)


def test_a_case_is_read_with_the_modalities_of_the_network_only() -> None:
    both = read_item(case(), read, FusionConfig(size_px=32, frames=2))
    assert both.bmode is not None
    assert both.bmode.shape == (1, 32, 32)
    assert both.bmode.dtype == np.float16
    assert both.ceus is not None
    assert both.ceus.shape == (2, 1, 32, 32)
    assert both.ceus[:, 0, 0, 0].tolist() == [2 / 8, 4 / 8]  # the 2nd and 4th of five
    assert (both.finding, both.label) == (-1.0, 1)
    one = read_item(case(), read, FusionConfig(size_px=32, modalities=("ceus",)))
    assert (one.bmode, one.finding, one.there) == (None, 0.0, ("ceus",))
    assert one.ceus is not None
    assert one.ceus[:, 0, 0, 0].tolist() == [3 / 8]  # of one frame the middle


def test_an_image_that_cannot_be_read_is_named_by_its_case() -> None:
    def read(where: ImagePlace) -> NDArray[np.float32]:
        if where == place(2):
            raise InputError(where.file_name, expected="an image", got="none", remedy="Mend it.")
        return np.zeros((4, 4), np.float32)

    with pytest.raises(InputError, match=r"^case 'c1': ceus\[1\]: expected an image, got none"):
        read_item(case(), read, FusionConfig(frames=5))


def test_what_a_case_has_not_got_is_none_and_an_unlabelled_case_has_no_label() -> None:
    bare = case(bmode=None, ceus=(), finding="unknown", label=None)
    assert read_item(bare, read, FusionConfig()) == FusionItem(None, None, 0.0, None)
    assert not can_be_answered(bare, FusionConfig())
    with_finding = replace(bare, finding="present")
    assert can_be_answered(with_finding, FusionConfig())
    assert not can_be_answered(with_finding, FusionConfig(modalities=("bmode", "ceus")))


@pytest.mark.parametrize(
    ("count", "wanted", "expected"),
    [(1, 1, [0]), (3, 1, [1]), (5, 5, [0, 1, 2, 3, 4]), (6, 3, [1, 3, 5]), (2, 4, [0, 0, 1, 1])],
)
def test_frames_are_spread_evenly(count: int, wanted: int, expected: list[int]) -> None:
    assert spread_frames(count, wanted) == expected


def test_a_batch_is_black_where_a_case_has_no_image_and_says_so() -> None:
    batch = collate_fusion([item(), item(bmode=None, ceus=None, finding=0.0, label=0)])
    assert batch.bmode.shape == (2, 1, SIDE, SIDE)
    assert batch.ceus.shape == (2, 2, 1, SIDE, SIDE)
    assert batch.bmode.dtype == batch.ceus.dtype == batch.finding.dtype
    assert [float(image.max()) for image in batch.bmode] == [0.5, 0]
    assert batch.has_bmode.tolist() == batch.has_ceus.tolist() == [True, False]
    assert batch.finding.tolist() == [[1.0], [0.0]]
    assert batch.labels is not None
    assert batch.labels.tolist() == [1, 0]
    assert len(batch) == 2


def test_a_batch_with_an_unknown_label_has_none() -> None:
    assert collate_fusion([item(), item(label=None)]).labels is None


def test_a_batch_without_any_image_is_one_of_findings() -> None:
    batch = collate_fusion([item(bmode=None, ceus=None)] * 3)
    assert batch.finding.tolist() == [[1.0]] * 3
    assert batch.has_bmode.tolist() == [False] * 3


def test_mean_and_deviation_are_those_of_all_pixels() -> None:
    halves = np.array([[[0.0, 1.0], [0.0, 1.0]]])
    scale = measure_scale([halves, None, np.full((1, 2, 2), 0.5)])
    assert scale is not None
    assert scale.mean == pytest.approx(0.5)
    assert scale.sd == pytest.approx((4 * 0.25 / 8) ** 0.5)
    assert measure_scale([None]) is None
    black = measure_scale([np.zeros((1, 2, 2))])
    assert black is not None
    assert black.sd > 0


def test_modalities_are_left_out_as_often_as_is_asked_but_never_all() -> None:
    rng = np.random.default_rng(0)
    drawn = [left_out(("bmode", "ceus", "finding"), 0.4, rng) for _ in range(4000)]
    assert max(map(len, drawn)) == 2
    # Alone gone: 0.4; of these 0.4^3 come back in one case of three.
    for modality in ("bmode", "ceus", "finding"):
        share = sum(modality in gone for gone in drawn) / len(drawn)
        assert share == pytest.approx(0.4 - 0.4**3 / 3, abs=0.015)
    assert left_out(("bmode",), 0.9, rng) == []
    assert left_out((), 0.9, rng) == []
    assert all(left_out(("bmode", "ceus"), 0.0, rng) == [] for _ in range(50))


def test_validation_cases_are_as_they_are_or_without_what_is_taken_away() -> None:
    whole = item()
    assert PlainCases([whole])[0] == whole
    (taken,) = (PlainCases([whole], without=("ceus", "finding"))[i] for i in range(1))
    assert (taken.there, taken.label) == (("bmode",), 1)


@pytest.fixture
def training(recipe_fields: Fields) -> TrainingCases:
    noise = np.random.default_rng(3).random((3, SIDE, SIDE)).astype(np.float16)
    cases = [item(label=n % 2, bmode=noise[:1], ceus=noise[1:, None]) for n in range(4)]
    recipe = FusionRecipe(**recipe_fields("fusion", model={"frames": 2, "modality_dropout": 0.0}))
    return TrainingCases(cases, recipe)


def test_the_same_draw_gives_the_same_changes_and_another_does_not(
    training: TrainingCases,
) -> None:
    first, again, other = (training[Draw(0, 0, number)] for number in (1, 1, 5))
    assert first.bmode is not None
    assert first.ceus is not None
    assert first.bmode.shape == (1, SIDE, SIDE)
    assert first.ceus.shape == (2, 1, SIDE, SIDE)
    assert first.bmode.dtype == np.float32
    assert np.array_equal(first.bmode, np.asarray(again.bmode))
    assert not np.array_equal(first.bmode, np.asarray(other.bmode))
    assert 0 <= float(first.ceus.min()) <= float(first.ceus.max()) <= 1


def test_each_pass_visits_every_case_once(training: TrainingCases) -> None:
    assert len(training) == 4
    labels = [training[Draw(0, 1, number)].label for number in range(4)]
    assert sorted(label for label in labels if label is not None) == [0, 0, 1, 1]


def test_an_epoch_passes_each_case_as_often_as_the_recipe_says(recipe_fields: Fields) -> None:
    recipe = FusionRecipe(**recipe_fields("fusion", augmentation={"copies": 3}))
    assert len(TrainingCases([item()] * 4, recipe)) == 12


def test_images_move_by_as_much_as_the_recipe_says(recipe_fields: Fields) -> None:
    still = {"mirror": 0, "scale": 0, "brightness": 0, "contrast": 0}
    image = np.zeros((1, SIDE, SIDE), dtype=np.float16)
    image[:, 20:28, 20:28] = 1
    shifts = []
    for shift in (0.0, 0.25):
        model = {"shift": shift, "modality_dropout": 0.0}
        recipe = FusionRecipe(**recipe_fields("fusion", augmentation=still, model=model))
        data = TrainingCases([item(bmode=image)], recipe)
        moved = [np.asarray(data[Draw(0, 0, number)].bmode)[0] for number in range(12)]
        centres = [np.argwhere(pixels > 0.5).mean(axis=0) - 23.5 for pixels in moved]
        shifts.append(float(np.abs(centres).max()))
    assert shifts[0] == pytest.approx(0, abs=0.01)
    assert 0.15 * SIDE < shifts[1] < 0.26 * SIDE


def test_all_frames_of_a_case_move_alike(recipe_fields: Fields) -> None:
    noise = np.random.default_rng(3).random((1, 1, SIDE, SIDE)).astype(np.float16)
    frames = np.concatenate([noise, noise])
    recipe = FusionRecipe(**recipe_fields("fusion", model={"modality_dropout": 0.0}))
    changed = TrainingCases([item(ceus=frames)], recipe)[Draw(0, 0, 0)].ceus
    assert changed is not None
    assert np.array_equal(changed[0], changed[1])
    assert not np.allclose(changed[0], noise[0], atol=1e-2)


def test_training_leaves_modalities_out(recipe_fields: Fields) -> None:
    recipe = FusionRecipe(**recipe_fields("fusion", model={"modality_dropout": 0.9}))
    data = TrainingCases([item()], recipe)
    there = {data[Draw(0, 0, number)].there for number in range(30)}
    assert {("bmode",), ("ceus",), ("finding",)} <= there
    assert () not in there
