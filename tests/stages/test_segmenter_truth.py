"""What a truth file must be for a segmenter to learn from it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.node_classes import ONE, THREE
from lnmdetect.core.records import LYMPH_NODE, CocoDataset
from lnmdetect.io.coco import read_coco
from lnmdetect.stages.segmenter_truth import require_labelled_volumes, require_nodes

Change = Callable[[CocoDataset], CocoDataset]


@pytest.fixture
def truth(masked_toy: Path) -> CocoDataset:
    return read_coco(masked_toy / "truth.json")


def image_at(place: int, **fields: Any) -> Change:
    """A change of one of the first scan's six slices."""
    return lambda truth: replace(
        truth,
        images=(
            *truth.images[:place],
            replace(truth.images[place], **fields),
            *truth.images[place + 1 :],
        ),
    )


def first_node(**fields: Any) -> Change:
    return lambda truth: replace(
        truth, annotations=(replace(truth.annotations[0], **fields), *truth.annotations[1:])
    )


def without_image(place: int) -> Change:
    def changed(truth: CocoDataset) -> CocoDataset:
        gone = truth.images[place].image_id
        images = tuple(image for image in truth.images if image.image_id != gone)
        nodes = tuple(node for node in truth.annotations if node.image_id != gone)
        return replace(truth, images=images, annotations=nodes)

    return changed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: replace(t, info={**t.info, "coverage": "key_images"}), "got key images, whose"),
        (lambda t: replace(t, images=t.images[:1], annotations=()), "slices or more .*got one"),
        (without_image(2), r"every 3\.00 mm, got 6\.00 mm between those at 3\.00 and 9\.00 mm"),
        (image_at(5, position_mm=12.5), r"every 3\.00 mm, got 0\.50 mm between those at 12\.00"),
        (image_at(1, position_mm=0.0), r"every 3\.00 mm, got 0\.00 mm between those at 0\.00"),
        (first_node(segmentation=None), "annotation 1: .*got a box alone"),
        (first_node(category_id=LYMPH_NODE), "annotation 1: .*--classes one"),
    ],
)
def test_what_cannot_be_learnt_from_is_told_in_a_sentence(
    truth: CocoDataset, change: Change, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        require_labelled_volumes(change(truth), THREE)


def test_slices_all_at_one_place_are_no_scan(truth: CocoDataset) -> None:
    stacked = replace(truth, images=tuple(replace(i, position_mm=0.0) for i in truth.images))
    with pytest.raises(InputError, match="expected each slice at its own place"):
        require_labelled_volumes(stacked, THREE)


def test_the_last_slice_may_be_missing_and_a_status_where_none_is_asked(truth: CocoDataset) -> None:
    assert require_labelled_volumes(without_image(5)(truth), THREE) == ()
    assert require_labelled_volumes(first_node(category_id=LYMPH_NODE)(truth), ONE) == ()


def test_pixels_in_two_masks_are_counted_and_said_to_be_the_later_ones(truth: CocoDataset) -> None:
    first, second = truth.annotations[:2]
    assert first.image_id == second.image_id
    twice = replace(second, segmentation=first.segmentation, box_xyxy=first.box_xyxy)
    both = replace(truth, annotations=(first, twice, *truth.annotations[2:]))
    # A disc of 6 px radius around a corner of pixels.
    assert require_labelled_volumes(both, THREE) == (
        "112 pixels claimed by two masks: the later annotation has them",
    )


def test_a_side_of_the_split_without_a_node_is_refused(truth: CocoDataset) -> None:
    bare = replace(truth.select_patients({"p0", "p1"}), annotations=())
    require_nodes(truth, "training")
    with pytest.raises(InputError, match="got none in 2 validation scans"):
        require_nodes(bare, "validation")
