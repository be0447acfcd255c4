"""`eval --compare` of boxes, linked nodes and masks, node by node."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from rich.console import Console

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.records import BENIGN, METASTATIC, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import write_coco
from lnmdetect.stages.comparison import CompareRequest, compare, table_path
from lnmdetect.stages.comparison_result import Comparison
from lnmdetect.stages.comparison_tables import comparison_tables
from lnmdetect.stages.nodes import NodesRequest, link_nodes

SIDE, SLICES, PATIENTS = 40, 4, 3
IMAGES = tuple(
    ImageRecord(
        1 + z + SLICES * patient, f"{patient}_{z}.dcm", SIDE, SIDE, f"p{patient}", f"s{patient}",
        f"1.{patient}.{z}", z, 2.0 * z, (0.5, 0.5),
    )
    for patient in range(PATIENTS)
    for z in range(SLICES)
)  # fmt: skip
CLASSIFIER = {"classifier": {"name": "c"}, "classifier_threshold": 0.5}
SEGMENTER = {"operating_threshold": 0.0, "segmenter": {"name": "s"}}
Write = Callable[..., Path]


def block(patient: int, z: int, corner: int, side: int, **fields: Any) -> NodeAnnotation:
    """A square of a node, with its mask; the annotation's number is set when written."""
    plane = np.zeros((SIDE, SIDE), dtype=np.uint8, order="F")
    plane[corner : corner + side, corner : corner + side] = 1
    coded = coco_mask.encode(plane)
    told = {
        "category_id": BENIGN,
        "segmentation": {"size": [SIDE, SIDE], "counts": coded["counts"].decode()},
        **fields,
    }
    box = (float(corner), float(corner), float(corner + side), float(corner + side))
    return NodeAnnotation(annotation_id=0, image_id=1 + z + SLICES * patient, box_xyxy=box, **told)


def chance(p: float) -> dict[str, float]:
    return {"benign": round(1 - p, 6), "metastatic": round(p, 6)}


def truth_nodes() -> list[NodeAnnotation]:
    """Of each patient a benign node of 10 px on slices 0 to 2, a metastatic of 8 px on 1 and 2."""
    return [
        block(patient, z, corner, side, node_id=name, category_id=category,
              slice_short_axis_mm=side * 0.5)
        for patient in range(PATIENTS)
        for name, corner, side, category, slices in (
            ("a", 2, 10, BENIGN, (0, 1, 2)), ("b", 24, 8, METASTATIC, (1, 2)),
        )
        for z in slices
    ]  # fmt: skip


def answers(*, masks: bool, p: tuple[float, float] = (0.2, 0.8)) -> list[NodeAnnotation]:
    """What was found of truth: all; boxes are a pixel larger, masks a pixel smaller a side."""
    found = []
    for node in truth_nodes():
        x1, _, x2, _ = (int(side) for side in node.box_xyxy)
        patient, z = divmod(node.image_id - 1, SLICES)
        grow = -1 if masks else 1
        said = chance(p[node.category_id == METASTATIC])
        own = block(patient, z, x1 - grow, x2 - x1 + 2 * grow, score=0.9, probabilities=said)
        if not masks:
            own = replace(own, segmentation=None)
        found.append(replace(own, node_id=node.node_id if masks else None))
    return found


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, records: list[NodeAnnotation], info: dict[str, Any]) -> Path:
        numbered = tuple(replace(one, annotation_id=k) for k, one in enumerate(records, 1))
        write_coco(CocoDataset(info, IMAGES, numbered), tmp_path / name, overwrite=True)
        return tmp_path / name

    return written


@pytest.fixture
def routes(write: Write, tmp_path: Path) -> dict[str, Path]:
    write("truth.json", truth_nodes(), {})
    boxes = write("nodes.json", answers(masks=False), {"operating_threshold": 0.5, **CLASSIFIER})
    link_nodes(NodesRequest(boxes, tmp_path / "linked.json", boxes_only=True))
    own = answers(masks=True, p=(0.6, 0.4))
    both = {**SEGMENTER, **CLASSIFIER}
    return {
        "boxes": boxes,
        "linked": tmp_path / "linked.json",
        "masks": write("segments.json", own, SEGMENTER),
        "classified": write("classified.json", answers(masks=True), both),
    }


def beside(routes: dict[str, Path], *names: str, **options: Any) -> Comparison:
    first, second, *more = (routes[name] for name in names)
    truth = (first.parent / "truth.json",)
    return compare(
        CompareRequest(first, second, tuple(more), **{"truth": truth, "bootstrap": 50, **options})
    )


def shown(result: Comparison) -> str:
    console = Console(width=220)
    with console.capture() as said:
        console.print(comparison_tables(result))
    return " ".join(said.get().split())


def values(result: Comparison, name: str) -> list[float | None]:
    assert result.nodes is not None
    return [figure.value for figure in result.nodes.comparison.figures[name].values]


def test_boxes_linked_nodes_and_masks_stand_in_one_table(routes: dict[str, Path]) -> None:
    result = beside(routes, "boxes", "masks", "classified", "linked")
    assert result.nodes is not None
    files = result.nodes.files
    assert list(files) == ["A", "B", "C", "D"]
    assert [file.nodes_are for file in files.values()] == [
        "boxes linked across slices", "nodes of the masks", "nodes of the masks", "linked nodes",
    ]  # fmt: skip
    assert [file.nodes for file in files.values()] == [6, 6, 6, 6]
    assert values(result, "found_centre") == [1, 1, 1, 1]
    assert values(result, "auc") == [1, 0, 1, 1]
    # Sides are 1 mm too long; an ellipse of a square's moments is 2 / sqrt(3) of its side wide.
    masks = (2 / np.sqrt(3) * np.array([4, 3]) - [5, 4]).mean()
    assert values(result, "short_axis_error_mm") == pytest.approx([1, masks, masks, 1], abs=1e-3)
    assert "A - D" in shown(result)


def test_it_is_told_whose_the_classes_are_and_what_the_axes_are_of(
    routes: dict[str, Path],
) -> None:
    result = beside(routes, "boxes", "masks", "classified")
    assert result.nodes is not None
    files = result.nodes.files.values()
    assert [file.classes_of for file in files] == [
        "classifier c", "segmenter s", "classifier c; extranodal extension: segmenter s",
    ]  # fmt: skip
    assert [file.axes_of for file in files] == ["box", "outline", "outline"]
    assert "segments.json: 6 nodes (nodes of the masks); classes: segmenter s" in shown(result)


def test_nodes_that_were_linked_before_are_those_that_the_comparison_links(
    routes: dict[str, Path],
) -> None:
    result = beside(routes, "linked", "boxes")
    assert (result.detection, result.classes) == (None, None)
    assert result.nodes is not None
    for figure in result.nodes.comparison.figures.values():
        assert figure.differences[0].value == pytest.approx(0, abs=1e-6)
    text = shown(result)
    assert "No boxes are compared: A (linked.json) holds nodes in 3-D." in text
    assert "A (linked.json) holds nodes alone" in text
    assert result.a.detections == 15


def test_masks_keep_the_nodes_they_name_though_they_touch(
    write: Write, routes: dict[str, Path]
) -> None:
    own = answers(masks=True)
    twins = [replace(one, node_id="twin") for one in own if one.node_id == "a"]
    routes["masks"] = write("segments.json", [*own, *twins], SEGMENTER)
    result = beside(routes, "masks", "boxes")
    assert result.nodes is not None
    assert result.nodes.files["A"].nodes == 9
    # Two of one truth node are one hit and no false positive.
    assert values(result, "false_positives_per_scan_centre") == [0, 0]


def test_the_probability_of_a_node_is_the_mean_by_area_over_its_slices(
    write: Write, routes: dict[str, Path]
) -> None:
    """Benign nodes: 0.9 on a small slice and 0.1 on a large one; the others lie between."""
    found = []
    for patient in range(PATIENTS):
        for z, side, p in ((0, 4, 0.9), (1, 8, 0.1)):
            shift = (10 - side) // 2
            own = block(patient, z, 2 + shift, side, score=0.9, node_id="a")
            found.append(replace(own, probabilities=chance(p)))
        own = block(patient, 1, 25, 6, score=0.9, node_id="b", probabilities=chance(0.35))
        found.append(own)
    routes["masks"] = write("segments.json", found, SEGMENTER)
    # (16 x 0.9 + 64 x 0.1) / 80 = 0.26 < 0.35; the plain mean, 0.5, and the highest are above it.
    assert values(beside(routes, "masks", "boxes"), "auc")[0] == 1


def test_the_axis_of_a_node_is_that_of_its_largest_mask(
    write: Write, routes: dict[str, Path]
) -> None:
    found = [
        block(patient, z, 2 + (10 - side) // 2, side, score=0.9, node_id="a")
        for patient in range(PATIENTS)
        for z, side in ((0, 4), (1, 10), (2, 6))
    ]
    routes["masks"] = write("segments.json", found, SEGMENTER)
    expected = 2 / np.sqrt(3) * 5 - 5
    error = values(beside(routes, "masks", "boxes"), "short_axis_error_mm")[0]
    assert error == pytest.approx(expected, abs=1e-3)


def test_the_table_goes_beside_the_file_as_csv(routes: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "comparison.json"
    result = beside(routes, "boxes", "masks", "classified", output=output)
    written = json.loads(output.read_text())
    assert written["nodes"]["comparison"]["figures"]["auc"]["values"][1]["value"] == 0
    rows = [line.split(",") for line in table_path(output).read_text().splitlines()]
    nodes = [row for row in rows if row[:2] == ["nodes", "auc"]]
    assert [row[2:5] for row in nodes] == [
        ["A", "nodes.json", "1.0"], ["B", "segments.json", "0.0"], ["C", "classified.json", "1.0"],
        ["A - B", "", "1.0"], ["A - C", "", "0.0"],
    ]  # fmt: skip
    assert result.nodes is not None


def test_where_nodes_cannot_be_compared_it_is_said_why(
    write: Write, routes: dict[str, Path]
) -> None:
    routes["bare"] = write("bare.json", answers(masks=True), {})
    result = beside(routes, "masks", "bare")
    assert result.nodes is None
    assert "No nodes are compared: B (bare.json) gives no operating threshold" in shown(result)
    assert beside(routes, "masks", "bare", threshold=0.5).nodes is not None
    unscored = [replace(one, score=None, node_id=None) for one in answers(masks=False)]
    routes["truth boxes"] = write("of_truth.json", unscored, CLASSIFIER)
    text = shown(beside(routes, "masks", "truth boxes"))
    assert "No nodes are compared: B (of_truth.json) holds truth boxes." in text
    write("truth.json", truth_nodes(), {"coverage": "key_images"})
    text = shown(beside(routes, "masks", "boxes"))
    assert "No nodes are compared: truth of key images." in text


def test_linked_nodes_of_other_slices_are_refused(routes: dict[str, Path]) -> None:
    other = json.loads(routes["linked"].read_text())
    other["nodes"][0]["sections"][0]["sop_instance_uid"] = "9.9"
    routes["linked"].write_text(json.dumps(other))
    with pytest.raises(InputError, match="one that it does not list"):
        beside(routes, "masks", "linked")


def test_a_linked_node_on_slices_of_two_scans_is_refused(routes: dict[str, Path]) -> None:
    mixed = json.loads(routes["linked"].read_text())
    first, other = mixed["nodes"][0], mixed["nodes"][-1]
    other["sections"][0]["sop_instance_uid"] = "1.1.0"
    first["sections"][0]["sop_instance_uid"] = "1.2.0"
    routes["linked"].write_text(json.dumps(mixed))
    with pytest.raises(InputError, match="one on slices of 2 scans"):
        beside(routes, "masks", "linked")


def test_a_segmenter_that_found_nothing_has_found_no_node(
    write: Write, routes: dict[str, Path]
) -> None:
    routes["none"] = write("none.json", [], SEGMENTER)
    result = beside(routes, "boxes", "none")
    assert result.nodes is not None
    assert result.nodes.files["B"].nodes_are == "nodes of the masks"
    assert values(result, "found_centre") == [1, 0]
    assert values(result, "short_axis_error_mm") == [None, None]


def test_a_mask_that_cannot_be_decoded_is_named(write: Write, routes: dict[str, Path]) -> None:
    bad = answers(masks=True)
    bad[1] = replace(bad[1], segmentation={"size": [SIDE, SIDE], "counts": [5, 5]})
    routes["bad"] = write("bad.json", bad, SEGMENTER)
    with pytest.raises(InputError, match=r"bad\.json: annotations\[1\]\.segmentation"):
        beside(routes, "boxes", "bad")


def test_no_more_files_than_letters_and_none_twice(routes: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="the same content twice"):
        beside(routes, "boxes", "masks", "boxes")
    with pytest.raises(UsageError, match="at most 24 files beside A and B, got 25"):
        beside(routes, "boxes", "masks", *["classified"] * 25)
