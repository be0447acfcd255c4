"""`eval` of masks: what counts, what is ignored, and that boxes alone cost nothing more."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from rich.console import Console

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import (
    BENIGN,
    LYMPH_NODE,
    METASTATIC,
    CocoDataset,
    ImageRecord,
    NodeAnnotation,
)
from lnmdetect.io.coco import write_coco
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_masks import MaskFigures
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.evaluation_result import EvalResult
from lnmdetect.stages.evaluation_tables import result_tables
from lnmdetect.stages.mask_tables import text_tables

SIDE, SLICES = 20, 4
SCANS = ("a", "b")
IMAGES = tuple(
    ImageRecord(
        1 + z + SLICES * scan, f"{name}{z}.dcm", SIDE, SIDE, name, name, f"1.{scan}.{z}", z,
        3.0 * z, (0.5, 0.8),
    )
    for scan, name in enumerate(SCANS)
    for z in range(SLICES)
)  # fmt: skip
SEGMENTS: Mapping[str, Any] = {"operating_threshold": 0.0, "segmenter": {"name": "tiny"}}
Write = Callable[..., EvalRequest]


def section(
    image: int,
    corner: tuple[int, int],
    node_id: str | None,
    size: tuple[int, int] = (4, 4),
    **fields: Any,
) -> NodeAnnotation:
    """A block of a mask at (row, column); the annotation's number is set when written."""
    (row, column), (rows, columns) = corner, size
    plane = np.zeros((SIDE, SIDE), dtype=np.uint8, order="F")
    plane[row : row + rows, column : column + columns] = 1
    coded = coco_mask.encode(plane)
    box = (float(column), float(row), float(column + columns), float(row + rows))
    told = {
        "category_id": BENIGN,
        "node_id": node_id,
        "segmentation": {"size": [SIDE, SIDE], "counts": coded["counts"].decode()},
        **fields,
    }
    return NodeAnnotation(annotation_id=0, image_id=image, box_xyxy=box, **told)


def answer(
    image: int,
    corner: tuple[int, int],
    node_id: str | None,
    size: tuple[int, int] = (4, 4),
    **fields: Any,
) -> NodeAnnotation:
    return section(image, corner, node_id, size, **{"score": 0.9, **fields})


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(
        truth: list[NodeAnnotation],
        found: list[NodeAnnotation],
        info: Mapping[str, Any] = SEGMENTS,
        truth_info: Mapping[str, Any] | None = None,
    ) -> EvalRequest:
        for name, head, records in (
            ("truth", truth_info or {}, truth),
            ("segments", dict(info), found),
        ):
            numbered = tuple(replace(one, annotation_id=k) for k, one in enumerate(records, 1))
            dataset = CocoDataset(head, IMAGES, numbered)
            write_coco(dataset, tmp_path / f"{name}.json", overwrite=True)
        paths = (tmp_path / "truth.json",), (tmp_path / "segments.json",)
        return EvalRequest(paths[0], nodes=paths[1], bootstrap=50)

    return written


def scored(request: EvalRequest) -> MaskFigures:
    found = evaluate(request).masks
    assert found is not None
    return found


def shown(result: EvalResult) -> str:
    console = Console(width=200)
    with console.capture() as said:
        console.print(result_tables(result))
    return said.get()


# Truth: of scan a, n1 on slices 1 and 2 and n2 (metastatic) on slice 2; of scan b, n1 on slice 5.
TRUTH = [
    section(1, (2, 2), "n1", short_axis_mm=4.0),
    section(2, (2, 2), "n1", short_axis_mm=4.0),
    section(2, (12, 12), "n2", category_id=METASTATIC, kind="extranodal", short_axis_mm=12.0),
    section(5, (8, 8), "n1", category_id=METASTATIC, short_axis_mm=7.0),
]


def test_figures_of_a_cohort_are_those_counted_by_hand(write: Write) -> None:
    found = [
        answer(1, (2, 2), "x"),  # all 16 px of n1 here
        answer(2, (2, 4), "x"),  # 8 of 16 px, and 8 px beside
        answer(3, (12, 12), "y"),  # nothing: a false positive on two slices
        answer(4, (12, 12), "y"),
        answer(5, (10, 8), "x", category_id=METASTATIC),  # 8 of 16 px of scan b's n1
    ]
    masks = scored(write(TRUTH, found))
    assert (masks.truth_nodes, masks.ignored_truth_nodes, masks.answered_nodes) == (3, 0, 3)
    # Scan a: slices 1; 2 * 8 / (32 + 16); 0; 0. Scan b: 16 / 32.
    assert masks.dice.per_slice["all"].value == pytest.approx(((1 + 1 / 3) / 4 + 1 / 2) / 2)
    # Scan a: 2 * 24 / (48 + 64).
    assert masks.dice.per_volume["all"].value == pytest.approx((48 / 112 + 1 / 2) / 2)
    assert masks.dice.per_volume["metastatic"].value == pytest.approx((0 + 1 / 2) / 2)
    rates = masks.detection
    assert rates["all"].over_0.value == pytest.approx(2 / 3)
    assert rates["all"].over_half.value == pytest.approx(1 / 3)  # n1 of a: 24 of 32; b: just half
    assert rates["extranodal_extension"].over_0.value == 0
    assert rates["positive"].called_over_0.value == 1
    assert (masks.false_positives.nodes, masks.false_positives.sections) == (1, 2)
    assert masks.false_positives.per_volume.value == pytest.approx(1 / 2)
    assert masks.false_positives.per_image.value == pytest.approx(2 / 8)
    assert masks.false_positives.per_volume_by_class["negative"].value == pytest.approx(1 / 2)
    assert masks.pixels.pixels[1] == (8, 24, 0, 0)
    assert masks.pixels.by_truth[2][2].value == pytest.approx(1 / 2)
    assert sum(map(sum, masks.pixels.pixels)) == SIDE * SIDE * SLICES * 2
    sizes = {(row.short_axis, row.node_class): row for row in masks.detection_by_size}
    assert sizes["10 to 15 mm", "extranodal_extension"].over_0.value == 0
    assert sizes["under 5 mm", "negative"].over_half.value == 1
    assert masks.found_classes.nodes == 2
    assert masks.found_classes.merged.accuracy.value == 1


def test_surfaces_are_measured_in_mm_between_slices_and_within(write: Write) -> None:
    truth = [section(1, (2, 2), "n1", (1, 1)), section(5, (2, 2), "n1", (1, 1))]
    found = [
        answer(1, (2, 2), "x", (1, 1)), answer(2, (2, 2), "x", (1, 1)),  # one slice too many: 3 mm
        answer(5, (2, 2), "x", (1, 2)),  # a column too many: 0.8 mm
    ]  # fmt: skip
    surface = scored(write(truth, found)).surface
    assert surface.nodes == 2
    assert surface.mean_mm.value == pytest.approx((3 / 3 + 0.8 / 3) / 2)
    far = [np.percentile([0, mm], 95) for mm in (3, 0.8)]
    assert surface.hausdorff_95_mm.value == pytest.approx(np.mean(far))


def test_the_order_of_the_slices_in_the_file_does_not_matter(write: Write, tmp_path: Path) -> None:
    # Of three slices the middle one has an inside, which is no surface, only between the others.
    truth = [section(image, (2, 2), "n1", (5, 5)) for image in (1, 2, 3)]
    found = [answer(image, (4, 4), "x", (5, 5)) for image in (1, 2, 3)]
    request = write(truth, found)
    expected = scored(request)
    shuffled = tuple(IMAGES[place] for place in (2, 5, 0, 3, 1, 7, 4, 6))
    records = tuple(replace(one, annotation_id=k) for k, one in enumerate(truth, 1))
    write_coco(CocoDataset({}, shuffled, records), tmp_path / "truth.json", overwrite=True)
    again = scored(request)
    assert again.surface.mean_mm.value == pytest.approx(expected.surface.mean_mm.value)
    assert again.dice.per_slice["all"].value == expected.dice.per_slice["all"].value


def test_a_name_is_a_nodes_within_its_scan_and_the_nameless_stand_alone(write: Write) -> None:
    found = [answer(image, (2, 14), None) for image in (1, 2)] + [answer(5, (2, 14), "x")]
    masks = scored(write(TRUTH, [*found, answer(1, (2, 2), "x")]))
    assert masks.answered_nodes == 4
    assert masks.false_positives.nodes == 3


def test_a_node_called_differently_on_its_slices_has_the_class_of_most_of_its_pixels(
    write: Write,
) -> None:
    """A classifier calls slice by slice, as it calls boxes."""
    said = [{"benign": round(1 - p, 1), "metastatic": p} for p in (0.8, 0.1, 0.3)]
    found = [
        answer(1, (2, 2), "x", (2, 2), category_id=METASTATIC, probabilities=said[0]),
        answer(2, (2, 2), "x", (4, 4), probabilities=said[1]),  # 4 and 16 px: benign, 0.24
        answer(5, (8, 8), "x", category_id=METASTATIC, probabilities=said[2]),
    ]  # fmt: skip
    told = scored(write(TRUTH, found, {**SEGMENTS, "classifier": {"name": "c"}}))
    assert told.found_classes.confusion == ((1, 0, 0), (0, 1, 0), (0, 0, 0))
    # 0.24 < 0.3; the plain mean, 0.45, and the highest, 0.8, are above it.
    assert told.found_classes.auc.value == 1
    assert told.classes_of == "classifier c; extranodal extension: segmenter tiny"


def test_ignored_cross_sections_neither_help_nor_harm(write: Write) -> None:
    pole = section(3, (2, 2), "n1", ignored=True)
    right = [answer(1, (2, 2), "x"), answer(2, (2, 2), "x"), answer(2, (12, 12), "y")]
    right.append(answer(5, (8, 8), "x"))
    plain = scored(write([*TRUTH, pole], right))
    larger = scored(write([*TRUTH, pole], [*right, answer(3, (1, 1), "x", (6, 6))]))
    assert plain.dice.per_slice["all"].value == larger.dice.per_slice["all"].value == 1
    assert plain.detection == larger.detection
    assert plain.surface.hausdorff_95_mm.value == larger.surface.hausdorff_95_mm.value == 0
    alone = scored(write([*TRUTH, pole], [*right, answer(3, (4, 4), "z")]))
    assert (alone.left_out_nodes, alone.false_positives.nodes) == (1, 0)


def test_a_node_none_of_whose_masks_counts_is_not_to_be_found(write: Write) -> None:
    masks = scored(write([*TRUTH, section(7, (2, 2), "pole", ignored=True)], []))
    assert (masks.truth_nodes, masks.ignored_truth_nodes) == (3, 1)


def test_truth_boxes_without_a_mask_are_ignored_and_told(write: Write) -> None:
    bare = replace(section(3, (2, 2), "n3"), segmentation=None)
    request = write([*TRUTH, bare], [answer(3, (2, 2), "x"), answer(1, (2, 2), "y")])
    result = evaluate(request)
    assert result.masks is not None
    assert (result.masks.truth_nodes, result.masks.truth_without_mask) == (3, 1)
    assert (result.masks.left_out_nodes, result.masks.false_positives.nodes) == (1, 0)
    note = "1 truth box has no mask: the figures of masks ignore the pixels of the box."
    assert note in result.info.notes


def test_masks_of_truth_without_a_node_leave_the_detection_rate_undefined(write: Write) -> None:
    nameless = [replace(one, node_id=None) for one in TRUTH]
    result = evaluate(write(nameless, [answer(1, (2, 2), "x")]))
    assert result.masks is not None
    assert result.masks.detection["all"].over_0.value is None
    assert result.masks.false_positives.nodes == 0
    assert result.masks.dice.per_volume["all"].value is not None
    assert "4 masks of truth name no node (node_id)" in " ".join(result.info.notes)


def test_nodes_of_unknown_status_count_as_nodes_of_no_class(write: Write) -> None:
    unknown = [replace(one, category_id=LYMPH_NODE) for one in TRUTH]
    masks = scored(write(unknown, [answer(1, (2, 2), "x"), answer(2, (2, 2), "x")]))
    assert masks.detection["all"].nodes == 3
    assert masks.detection["negative"].nodes == 0
    assert masks.pixels.labels[-1] == "unknown"
    assert masks.found_classes.nodes == 0


def test_only_nodes_at_or_above_the_threshold_are_scored(write: Write) -> None:
    request = write(TRUTH, [answer(1, (2, 2), "x"), answer(3, (2, 14), "y", score=0.3)])
    assert scored(request).answered_nodes == 2
    assert scored(replace(request, threshold=0.5)).answered_nodes == 1


def test_a_segmenter_that_found_nothing_has_a_dice_of_0(write: Write) -> None:
    masks = scored(write(TRUTH, []))
    assert masks.dice.per_slice["all"].value == masks.detection["all"].over_0.value == 0
    assert masks.surface.mean_mm.reason == "no node of truth with an answered node on it"
    other_tool = {"operating_threshold": 0.0, "masks_from": "nnunet"}
    assert scored(write(TRUTH, [], other_tool)).dice.per_volume["all"].value == 0
    assert evaluate(write(TRUTH, [], {"operating_threshold": 0.0})).masks is None


def test_key_images_make_no_volume(write: Write) -> None:
    truth_info = {"coverage": "key_images"}
    masks = scored(write(TRUTH, [answer(1, (2, 2), "x")], truth_info=truth_info))
    assert masks.surface.mean_mm.value is None
    assert masks.surface.mean_mm.reason == (
        "the slices make no volume: key images, or two at one position"
    )
    assert masks.detection["all"].over_0.value == pytest.approx(1 / 3)


def test_truth_boxes_that_were_classified_are_no_masks_to_score(write: Write) -> None:
    said = {"benign": 0.4, "metastatic": 0.6}
    classified = [replace(one, probabilities=said, category_id=METASTATIC) for one in TRUTH]
    assert evaluate(write(TRUTH, classified, {})).masks is None


def test_masks_without_scores_are_scored_as_masks(write: Write) -> None:
    found = [section(1, (2, 2), "x"), section(2, (2, 2), "x")]
    result = evaluate(write(TRUTH, found, {}))
    assert result.detection is None
    assert result.masks is not None
    assert result.masks.detection["negative"].over_half.value == 1


@pytest.mark.parametrize("which", ["truth", "segments"])
def test_a_mask_that_cannot_be_decoded_is_named(write: Write, which: str) -> None:
    bad = {"size": [SIDE, SIDE], "counts": [5, 5]}
    truth, found = list(TRUTH), [answer(1, (2, 2), "x"), answer(5, (8, 8), "x")]
    (truth if which == "truth" else found)[1] = replace(
        (truth if which == "truth" else found)[1], segmentation=bad
    )
    place = rf"{which}\.json: annotations\[1\]\.segmentation"
    with pytest.raises(InputError, match=rf"{place}.*runs of 10 px in all on 20 x 20"):
        evaluate(write(truth, found))


def test_several_files_are_pooled(write: Write, tmp_path: Path) -> None:
    found = [answer(1, (2, 2), "x"), answer(5, (8, 8), "x")]
    request = write(TRUTH, found)
    whole = scored(request)
    folds = []
    for fold, images in enumerate((IMAGES[:SLICES], IMAGES[SLICES:])):
        ids = {image.image_id for image in images}
        for name, records in (("truth", TRUTH), ("segments", found)):
            own = [one for one in records if one.image_id in ids]
            numbered = tuple(replace(one, annotation_id=k) for k, one in enumerate(own, 1))
            info = {} if name == "truth" else dict(SEGMENTS)
            write_coco(CocoDataset(info, images, numbered), tmp_path / f"{name}{fold}.json")
        folds.append((tmp_path / f"truth{fold}.json", tmp_path / f"segments{fold}.json"))
    truth, nodes = zip(*folds, strict=True)
    pooled = scored(replace(request, truth=truth, nodes=nodes))
    assert pooled.classes_of == "segmenter tiny in segments0.json, the first"
    assert replace(pooled, files=whole.files, classes_of=whole.classes_of) == whole


def test_the_tables_say_what_is_counted(write: Write) -> None:
    text = shown(evaluate(write(TRUTH, [answer(1, (2, 2), "x"), answer(3, (12, 12), "y")])))
    assert (
        "Masks: 3 nodes of truth (0 more ignored), 2 nodes answered, of which 1 touch no mask of "
        "truth on any slice (false positives, on 1 slice) and 0 only ignored ones."
    ) in " ".join(text.split())
    for title in (
        "Masks by class of the node in truth",
        "Nodes found at any overlap, by short axis and class",
        "Pixels, of those of each class in truth, %",
        "Class of the nodes found by masks, said by segmenter tiny",
        "Nodes found, class in truth and as said",
        "Surface distance of found nodes, mean, mm",
    ):
        assert title in text


def test_nodes_under_10_mm_are_summed_as_the_paper_has_them(write: Write) -> None:
    sizes = next(text_tables(scored(write(TRUTH, []))))  # axes of 4, 12 and 7 mm
    assert sizes.rows[4][:3] == ("of these under 10 mm", "2 (67 %)", "1 (100 %)")
    assert sizes.rows[5][:3] == ("all", "3 (100 %)", "1 (100 %)")


def test_boxes_alone_have_no_figures_of_masks_and_load_no_scipy(write: Write) -> None:
    bare = [replace(one, segmentation=None) for one in TRUTH]
    found = [replace(answer(1, (2, 2), "x"), segmentation=None)]
    request = write(bare, found, {"operating_threshold": 0.5})
    result = evaluate(request)
    assert result.masks is None
    assert result.metrics_json()["masks"] is None
    assert "Masks" not in shown(result)
    paths = (str(request.truth[0]), str(request.nodes[0]))
    code = (
        "import sys; from pathlib import Path; from lnmdetect.stages.evaluate import evaluate; "
        "from lnmdetect.stages.evaluation_request import EvalRequest; "
        f"evaluate(EvalRequest((Path({paths[0]!r}),), nodes=(Path({paths[1]!r}),), bootstrap=0)); "
        "print(sorted({'scipy', 'torch'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_ap50_alone_leaves_masks_out(write: Write) -> None:
    request = replace(write(TRUTH, [answer(1, (2, 2), "x")]), ap50_only=True)
    assert evaluate(request).masks is None
