"""Label volumes and patches of the toy data."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.node_classes import ONE, THREE, TWO
from lnmdetect.core.records import LYMPH_NODE, CocoDataset
from lnmdetect.core.run_lengths import mask_of_runs
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.datasets.draws import Draw
from lnmdetect.datasets.label_cache import LabelledSeries, label_series
from lnmdetect.datasets.segmentation_plan import ScanShape, plan_segmentation
from lnmdetect.datasets.segmenter_data import (
    Patches,
    TrainingPatches,
    ValidationPatches,
    collate_segmenter,
    is_on_node,
)
from lnmdetect.datasets.volume_cache import CachedSeries, cache_series, group_series
from lnmdetect.io.coco import read_coco
from lnmdetect.io.pixel_store import PixelStore

Fields = Callable[..., dict[str, Any]]
SHAPE = ScanShape((6, 96, 96), (3.0, 0.5, 0.5))


@pytest.fixture
def recipe(recipe_fields: Fields) -> SegmenterRecipe:
    bare = SegmenterRecipe(**recipe_fields("segmenter"))
    return bare.model_copy(update={"plan": plan_segmentation([SHAPE], bare)})


@pytest.fixture
def truth(masked_toy: Path) -> CocoDataset:
    return read_coco(masked_toy / "truth.json")


@pytest.fixture
def cached(
    masked_toy: Path, truth: CocoDataset, recipe: SegmenterRecipe, tmp_path: Path
) -> list[CachedSeries]:
    store = PixelStore(masked_toy / "scan")
    grid = recipe.input.model_copy(update={"spacing_mm": 1.0})
    return [cache_series(s, store, grid, tmp_path) for s in group_series(truth.images)]


@pytest.fixture
def labelled(cached: list[CachedSeries], truth: CocoDataset) -> list[LabelledSeries]:
    return [label_series(series, truth.by_image(), TWO) for series in cached]


def test_labels_lie_on_the_grid_of_the_pixels_and_tell_the_classes_apart(
    labelled: list[LabelledSeries],
) -> None:
    scan = labelled[0]
    labels, hu = scan.labels(), scan.series.volume()
    assert labels.shape == hu.shape
    assert labels[0].max() == labels[5].max() == 0
    # Discs of 5 and 6 px of 0.5 mm are 20 and 28 mm2, a voxel 1 mm2; half covered ones count.
    assert (labels[1] == 1).sum() == pytest.approx(np.pi * 2.5**2, rel=0.25)
    assert (labels[1] == 2).sum() == pytest.approx(np.pi * 3**2, rel=0.25)
    assert hu[labels == 2].mean() > hu[labels == 1].mean() + 50 > hu[labels == 0].mean() + 100


def test_a_voxel_belongs_to_a_node_that_covers_half_of_it(
    labelled: list[LabelledSeries], truth: CocoDataset
) -> None:
    scan = next(scan for scan in labelled if scan.series.grid.scale == (0.5, 0.5))
    x1, y1, x2, y2 = scan.series.grid.crop
    for index, image in enumerate(scan.series.images):
        for node in truth.by_image()[image.image_id]:
            assert node.segmentation is not None
            mask = mask_of_runs(node.segmentation, (96, 96))[y1:y2, x1:x2]
            covered = mask.reshape((y2 - y1) // 2, 2, (x2 - x1) // 2, 2).mean(axis=(1, 3))
            assert ((scan.labels()[index] == node.category_id) == (covered >= 0.5)).all()


def test_each_node_is_one_place_in_the_middle_of_its_cross_sections(
    labelled: list[LabelledSeries],
) -> None:
    scan = labelled[0]
    assert sorted(node.label for node in scan.nodes) == [1, 2]
    for node in scan.nodes:
        places = np.argwhere(scan.labels() == node.label)
        assert node.centre == pytest.approx(places.mean(axis=0) + np.array([0, 0.5, 0.5]), abs=0.6)


def test_a_node_without_a_mask_is_named_and_refused(
    cached: list[CachedSeries], truth: CocoDataset
) -> None:
    bare = replace(truth.annotations[0], segmentation=None)
    changed = replace(truth, annotations=(bare, *truth.annotations[1:]))
    with pytest.raises(InputError, match=r"annotation 1: .*got a box alone"):
        label_series(cached[0], changed.by_image(), TWO)


def test_a_mask_without_a_pixel_or_of_another_size_is_refused(
    cached: list[CachedSeries], truth: CocoDataset
) -> None:
    for mask, words in (
        ({"size": [96, 96], "counts": [96 * 96]}, r"annotation 1: .*got an empty one"),
        ({"size": [96, 95], "counts": [96 * 95]}, r"annotation 1: .*a size other than 96 x 96"),
    ):
        first = replace(truth.annotations[0], segmentation=mask)
        changed = replace(truth, annotations=(first, *truth.annotations[1:]))
        with pytest.raises(InputError, match=words):
            label_series(cached[0], changed.by_image(), TWO)


def test_a_node_of_unknown_status_is_refused_unless_all_classes_are_one(
    cached: list[CachedSeries], truth: CocoDataset
) -> None:
    unknown = tuple(replace(a, category_id=LYMPH_NODE) for a in truth.annotations)
    by_image = replace(truth, annotations=unknown).by_image()
    with pytest.raises(InputError, match="lymph_node, whose status is not known"):
        label_series(cached[0], by_image, THREE)
    assert label_series(cached[0], by_image, ONE).labels().max() == 1


def test_labels_are_drawn_anew_when_the_masks_or_the_classes_change(
    cached: list[CachedSeries], truth: CocoDataset
) -> None:
    moved = tuple(
        replace(a, segmentation=truth.annotations[1].segmentation) for a in truth.annotations
    )
    paths = {
        label_series(cached[0], truth.by_image(), TWO).path,
        label_series(cached[0], truth.by_image(), ONE).path,
        label_series(cached[0], replace(truth, annotations=moved).by_image(), TWO).path,
    }
    assert len(paths) == 3


def test_the_same_draw_gives_the_same_patch_and_another_draw_another(
    labelled: list[LabelledSeries], recipe: SegmenterRecipe
) -> None:
    data = TrainingPatches(labelled, recipe)
    first, again, other = (data[Draw(0, 0, number)] for number in (0, 0, 1))
    assert (first.channels == again.channels).all()
    assert not (first.channels == other.channels).all()
    assert first.channels.shape == (1, 4, 16, 16)
    assert first.labels is not None
    assert first.labels.shape == (4, 16, 16)


def test_patches_on_nodes_hold_one_of_each_class_as_often(
    labelled: list[LabelledSeries], recipe_fields: Fields, recipe: SegmenterRecipe
) -> None:
    always = SegmenterRecipe(**recipe_fields("segmenter", sampling={"node_share": 1.0}))
    data = TrainingPatches(labelled, always.model_copy(update={"plan": recipe.plan}))
    labels = (data[Draw(0, 0, number)].labels for number in range(60))
    held = [set(np.unique(own).tolist()) for own in labels if own is not None]
    # The disc on five slices in four may leave the patch when the window turns.
    assert np.mean([bool(own & {1, 2}) for own in held]) > 0.9
    assert sum(1 in own for own in held) > 20
    assert sum(2 in own for own in held) > 20


@pytest.mark.parametrize("share", [1 / 3, 0.34, 0.9, 1.0])
def test_of_any_first_patches_the_share_is_on_nodes_and_hardly_more(share: float) -> None:
    chosen = np.cumsum([is_on_node(number, share) for number in range(300)])
    wanted = share * np.arange(1, 301)
    assert (chosen > wanted - 1e-6).all()
    assert (chosen < wanted + 1).all()


def test_a_patch_on_a_node_that_has_left_it_is_drawn_again(
    labelled: list[LabelledSeries],
    recipe_fields: Fields,
    recipe: SegmenterRecipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    third = SegmenterRecipe(**recipe_fields("segmenter", sampling={"node_share": 1 / 3}))
    data = TrainingPatches(labelled, third.model_copy(update={"plan": recipe.plan}))
    own, asked = data.patches.place, []

    def place(rng: np.random.Generator, *, on_node: bool) -> Any:
        asked.append(on_node)
        scan, centre = own(rng, on_node=on_node)
        return scan, centre if len(asked) % 4 == 0 else (centre[0], -50.0, -50.0)

    monkeypatch.setattr(data.patches, "place", place)
    on_node, elsewhere = data[Draw(0, 3, 0)], data[Draw(0, 3, 1)]
    assert asked == [True] * 4 + [False]
    assert on_node.labels is not None
    assert elsewhere.labels is not None
    assert on_node.labels.any()
    assert not elsewhere.labels.any()


def test_a_rare_class_is_placed_on_as_often_as_a_common_one(
    labelled: list[LabelledSeries], recipe_fields: Fields, recipe: SegmenterRecipe
) -> None:
    rare, common = ([n for n in labelled[i].nodes if n.label == i + 1] for i in (0, 1))
    series = [
        replace(labelled[0], nodes=tuple(rare)),
        replace(labelled[1], nodes=tuple(common) * 9),
    ]
    shares = []
    for balanced in (True, False):
        made = recipe_fields("segmenter", sampling={"class_balanced": balanced})
        patches = Patches(series, SegmenterRecipe(**made).model_copy(update={"plan": recipe.plan}))
        rng = np.random.default_rng(0)
        places = [patches.place(rng, on_node=True)[0] for _ in range(300)]
        shares.append(sum(scan is series[0] for scan in places) / 300)
    assert shares == [pytest.approx(0.5, abs=0.07), pytest.approx(0.1, abs=0.05)]


def test_nodes_lie_anywhere_within_their_patches(
    labelled: list[LabelledSeries], recipe_fields: Fields, recipe: SegmenterRecipe
) -> None:
    still = {"sampling": {"node_share": 1.0}, "augmentation": {"rotation_deg": 0, "mirror": 0}}
    always = SegmenterRecipe(**recipe_fields("segmenter", **still))
    data = TrainingPatches(labelled, always.model_copy(update={"plan": recipe.plan}))
    labels = (data[Draw(0, 2, number)].labels for number in range(80))
    middles = np.array([np.argwhere(own).mean(axis=0) for own in labels if own is not None])
    # 4 x 16 x 16 voxels, and a middle up to 0.4 of a side away from the patch's.
    assert (middles.min(axis=0) < [1.0, 3.5, 3.5]).all()
    assert (middles.max(axis=0) > [2.0, 11.5, 11.5]).all()


def test_the_labels_of_a_changed_patch_stay_on_their_pixels(
    labelled: list[LabelledSeries], recipe_fields: Fields, recipe: SegmenterRecipe
) -> None:
    changes = {"sampling": {"node_share": 1.0}, "augmentation": {"rotation_deg": 90, "scale": 0.2}}
    turned = SegmenterRecipe(**recipe_fields("segmenter", **changes))
    data = TrainingPatches(labelled, turned.model_copy(update={"plan": recipe.plan}))
    inside, outside = [], []
    for number in range(40):
        item = data[Draw(0, 1, number)]
        assert item.labels is not None
        inside.append(item.channels[0][item.labels == 2])
        outside.append(item.channels[0][item.labels == 0])
    assert np.median(np.concatenate(inside)) > 0.6 > 0.3 > np.median(np.concatenate(outside))


def test_validation_patches_are_the_same_at_every_pass(
    labelled: list[LabelledSeries], recipe: SegmenterRecipe
) -> None:
    data = ValidationPatches(labelled, recipe)
    assert len(data) == 4
    assert (data[2].channels == data[2].channels).all()
    batch = collate_segmenter([data[0], data[1]])
    assert batch.volumes.shape == (2, 1, 4, 16, 16)
    assert batch.labels is not None
    assert batch.labels.dtype.is_signed
