import contextlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lnmdetect.core.geometry import xyxy_to_xywh
from lnmdetect.metrics.matching import find_overlaps, match, match_images
from lnmdetect.metrics.tables import BoxTables, ImageBoxes

Make = Callable[..., ImageBoxes]
Random = Callable[..., list[ImageBoxes]]
BOX = (10.0, 10.0, 20.0, 20.0)
OTHER = (30.0, 30.0, 40.0, 40.0)


def match_image(image: ImageBoxes) -> tuple[NDArray[Any], NDArray[Any]]:
    """Which detections count, best first, and the truth box of each."""
    matches = match_images([image])
    return matches.found_index, matches.truth_index


def test_the_best_scored_box_hits_and_its_double_is_a_false_positive(make_image: Make) -> None:
    image = make_image([BOX], [BOX, (10, 10, 20, 21)], [0.4, 0.9])
    order, taken = match_image(image)
    assert order.tolist() == [1, 0]
    assert taken.tolist() == [0, -1]


def test_an_iou_of_exactly_half_is_a_hit_and_just_less_is_none(make_image: Make) -> None:
    half = make_image([BOX], [(10, 10, 20, 15)], [0.9])
    less = make_image([BOX], [(10, 10, 20, 14.999)], [0.9])
    assert match_image(half)[1].tolist() == [0]
    assert match_image(less)[1].tolist() == [-1]


def test_half_stays_half_for_boxes_whose_sides_are_no_binary_fractions(make_image: Make) -> None:
    # x + width and back again loses the last bits: 0.1 + 0.7 - 0.1 is not 0.7.
    x, width = 0.1, 0.7
    image = make_image([(x, 0, x + width, 2)], [(x, 0, x + width, 1)], [0.9])
    assert match_image(image)[1].tolist() == [0]


def test_a_detection_takes_the_truth_it_overlaps_most(make_image: Make) -> None:
    image = make_image([(10, 10, 20, 22), BOX], [BOX], [0.9])
    assert match_image(image)[1].tolist() == [1]


def test_of_truth_overlapped_equally_the_last_is_taken_first(make_image: Make) -> None:
    # As COCO's evaluation does, which matters where the two are of different classes.
    image = make_image([BOX, OTHER, BOX], [BOX, BOX], [0.9, 0.8])
    assert match_image(image)[1].tolist() == [2, 0]


def test_ignored_truth_takes_any_number_of_boxes_and_neither_hits_nor_misses(
    make_image: Make,
) -> None:
    image = make_image([BOX], [BOX, BOX, (50, 50, 60, 60)], [0.9, 0.8, 0.7], ignored=[True])
    matches = match_images([image])
    assert matches.truths == 0
    assert matches.hit.tolist() == [False, False, False]
    assert matches.ignored.tolist() == [True, True, False]
    assert matches.false_positive.tolist() == [False, False, True]


def test_truth_that_counts_goes_before_ignored_truth(make_image: Make) -> None:
    image = make_image([BOX, (10, 10, 20, 18)], [BOX], [0.9], ignored=[True, False])
    assert match_image(image)[1].tolist() == [1]


def test_only_a_hundred_boxes_an_image_count(make_image: Make) -> None:
    far = [(50.0, 50.0, 60.0, 60.0)] * 100
    image = make_image([BOX], [*far, BOX], [0.9] * 100 + [0.1])
    order, taken = match_image(image)
    assert len(order) == 100
    assert (taken == -1).all()


def test_matching_no_image_gives_empty_tables() -> None:
    matches = match_images([])
    assert (matches.images, matches.truths, len(matches.scores)) == (0, 0, 0)
    assert matches.hit.shape == (0,)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("iou", [0.5, 0.75])
def test_matches_are_those_of_pycocotools(
    make_random_images: Random, seed: int, iou: float
) -> None:
    images = make_random_images(seed, crowded=seed == 7)
    matches = match_images(images, iou=iou)
    expected = pycocotools_matches(images, iou)
    first_box = np.cumsum([0, *(len(image.scores) for image in images)])
    first_truth = np.cumsum([0, *(len(image.truth_ignored) for image in images)])
    found = [
        (int(i), int(b - first_box[i]), int(t - first_truth[i]) if t >= 0 else -1, bool(g))
        for i, b, t, g in zip(
            matches.image_index,
            matches.found_index,
            matches.truth_index,
            matches.ignored,
            strict=True,
        )
    ]
    assert found == expected
    assert sum(t >= 0 for _, _, t, _ in found) > 20


def pycocotools_matches(images: list[ImageBoxes], iou: float) -> list[tuple[int, int, int, bool]]:
    """(image, box, truth or -1, ignored) of every counted detection."""
    truth, found = [], []
    for key, image in enumerate(images):
        for place, box in enumerate(xyxy_to_xywh(image.truth_xyxy)):
            crowd = int(image.truth_ignored[place])
            truth.append(entry(key, box.round(6), iscrowd=crowd, place=place))
        for place, box in enumerate(xyxy_to_xywh(image.boxes_xyxy)):
            found.append(entry(key, box.round(6), score=image.scores[place], place=place))
    with contextlib.redirect_stdout(io.StringIO()):
        truth_coco, found_coco = coco(len(images), truth), coco(len(images), found)
        run = COCOeval(truth_coco, found_coco, "bbox")
        run.params.iouThrs = np.array([iou])
        run.evaluate()
    rows = []
    for image_result in run.evalImgs[: len(images)]:  # the first area range is "all"
        if image_result is None:
            continue
        for d, g, skip in zip(
            image_result["dtIds"],
            image_result["dtMatches"][0],
            image_result["dtIgnore"][0],
            strict=True,
        ):
            place = truth_coco.anns[int(g)]["place"] if g else -1
            rows.append((image_result["image_id"], found_coco.anns[d]["place"], place, bool(skip)))
    return rows


def entry(image_id: int, box: np.ndarray, **fields: object) -> dict[str, object]:
    sides = [float(side) for side in box]
    area = sides[2] * sides[3]
    return {"image_id": image_id, "category_id": 1, "bbox": sides, "area": area, **fields}


def coco(images: int, annotations: list[dict[str, object]]) -> COCO:
    built = COCO()
    built.dataset = {
        "images": [{"id": key} for key in range(images)],
        "categories": [{"id": 1, "name": "node"}],
        "annotations": [{**a, "id": number} for number, a in enumerate(annotations, start=1)],
    }
    built.createIndex()
    return built


def test_scores_that_do_not_fit_the_boxes_are_refused(make_image: Make) -> None:
    with pytest.raises(ValueError, match="one finite score for each of 1 boxes"):
        make_image([], [BOX], [0.1, 0.2])
    with pytest.raises(ValueError, match="one finite score"):
        make_image([], [BOX], [float("nan")])
    with pytest.raises(ValueError, match="one flag and class for each of 1 boxes"):
        make_image([BOX], ignored=[True, False])


def test_the_tables_do_not_depend_on_how_many_pairs_are_taken_at_a_time(
    make_random_images: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = make_random_images(5)
    at_once = match_images(images)
    monkeypatch.setattr("lnmdetect.metrics.matching._PAIRS_AT_A_TIME", 3)
    in_parts = match_images(images)
    assert in_parts.found_index.tolist() == at_once.found_index.tolist()
    assert in_parts.truth_index.tolist() == at_once.truth_index.tolist()


def test_truth_ignored_here_is_taken_once_and_gives_way_to_truth_that_counts(
    make_image: Make,
) -> None:
    image = make_image([BOX, OTHER], [BOX, BOX, OTHER], [0.9, 0.8, 0.7])
    overlaps = find_overlaps(BoxTables.of_images([image]))
    matches = match(overlaps, also_ignored=np.array([True, False]))
    assert matches.truth_index.tolist() == [0, -1, 1]
    assert matches.ignored.tolist() == [True, False, False]
    assert (matches.truths, matches.hit.tolist()) == (1, [False, False, True])


def test_boxes_on_an_image_that_is_not_there_are_refused(make_image: Make) -> None:
    tables = BoxTables.of_images([make_image([BOX], [BOX], [0.5])])
    with pytest.raises(ValueError, match=r"expected a place in 0\.\.-1"):
        BoxTables(0, tables.truth, tables.found)
