"""`eval` in 3-D: linked by itself, and with the file that `nodes` wrote."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.linked_nodes import LinkedNode, LinkedNodes, NodeSection
from lnmdetect.core.records import BENIGN, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import write_coco
from lnmdetect.io.linked_nodes_file import read_linked_nodes, write_linked_nodes
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_linked import Nodes3d
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.nodes import NodesRequest, link_nodes

SLICES = 4
BOX = (10.0, 10.0, 22.0, 20.0)
IMAGES = tuple(
    ImageRecord(z + 1, f"{z}.dcm", 64, 64, "p", "s", f"1.{z}", z, 2.0 * z, (0.5, 0.5))
    for z in range(SLICES)
)


def boxes(**fields: object) -> tuple[NodeAnnotation, ...]:
    plain = (NodeAnnotation(z + 1, z + 1, BENIGN, BOX) for z in range(SLICES))
    return tuple(replace(box, **fields) for box in plain)  # type: ignore[arg-type]


@pytest.fixture
def request_of(tmp_path: Path) -> EvalRequest:
    truth = boxes(node_id="a", short_axis_mm=4.0, slice_short_axis_mm=4.5)
    found = {"operating_threshold": 0.5}
    write_coco(CocoDataset({}, IMAGES, truth), tmp_path / "truth.json")
    write_coco(CocoDataset(found, IMAGES, boxes(score=0.9)), tmp_path / "nodes.json")
    return EvalRequest(
        (tmp_path / "truth.json",), nodes=(tmp_path / "nodes.json",), scan_rates=(1.0,)
    )


def scored(request: EvalRequest) -> Nodes3d:
    found = evaluate(request).nodes_3d
    assert found is not None
    return found


def write_linked(path: Path, *, file_name: str = "0.dcm", uid: str = "1.0") -> Path:
    section = NodeSection(
        uid, file_name, 0, 0.0, BOX, 0.9, (1,), None, "hu", 6.0, 4.75, 22.0, 5.0
    )  # fmt: skip
    node = LinkedNode(
        "n1", "p", "s", (section,), None, (16.0, 15.0), 0.0, 6.0, 4.75, 5.0,
        (6.0, 5.0, 2.0), 44.0, 80.0, 90.0, 5.0, None, 0.9, None,
    )  # fmt: skip
    write_linked_nodes(LinkedNodes({}, (node,)), path, overwrite=True)
    return path


def test_boxes_are_linked_without_pixels_and_only_their_sides_are_compared(
    request_of: EvalRequest,
) -> None:
    found = scored(request_of)
    assert (found.linked, found.truth, found.files) == (1, 1, ())
    assert found.figures.froc.points[0].sensitivity.value == 1.0
    assert found.figures.in_one_node.value == 1.0
    # Sides of 6 and 5 mm; the cross-section's own axis, 4.5 mm, goes before the node's 4.0.
    assert found.true_axis == "slice_short_axis_mm"
    assert found.figures.box_short_axis.mean_mm.value == pytest.approx(0.5)
    assert found.figures.short_axis.mean_mm.value is None


def test_linked_nodes_of_a_file_bring_their_axes(request_of: EvalRequest, tmp_path: Path) -> None:
    linked = write_linked(tmp_path / "linked.json")
    found = scored(replace(request_of, linked_nodes=(linked,)))
    assert found.files[0].file == "linked.json"
    assert found.figures.short_axis.mean_mm.value == pytest.approx(0.25)
    assert found.figures.short_axis.mean_px.value == pytest.approx(0.5)


def test_axes_of_boxes_alone_are_not_taken_for_refined_outlines(
    request_of: EvalRequest, tmp_path: Path
) -> None:
    linked = write_linked(tmp_path / "linked.json")
    nodes = read_linked_nodes(linked).nodes
    alone = replace(
        nodes[0],
        sections=(replace(nodes[0].sections[0], outline="box"),),
        mean_hu=None,
        max_hu=None,
        heterogeneity_hu=None,
    )
    write_linked_nodes(LinkedNodes({}, (alone,)), linked, overwrite=True)
    figures = scored(replace(request_of, linked_nodes=(linked,))).figures
    assert figures.short_axis.mean_mm.value is None
    assert figures.short_axis.mean_mm.reason == "no node with both axes"
    assert figures.box_short_axis.mean_mm.value == pytest.approx(0.5)


@pytest.mark.parametrize("threshold", [0.5, 0.25])
def test_linked_nodes_of_other_boxes_or_of_another_threshold_are_told(
    request_of: EvalRequest, tmp_path: Path, threshold: float
) -> None:
    linked, asked = tmp_path / "linked.json", tmp_path / "nodes.json"
    link_nodes(NodesRequest(asked, output=linked, boxes_only=True, threshold=threshold))
    request = replace(request_of, linked_nodes=(linked,), ap50_only=False)
    other = "linked.json was linked from boxes scored 0.25 or more; the other figures are at 0.50."
    told = [note for note in evaluate(request).info.notes if "linked.json" in note]
    assert told == ([] if threshold == 0.5 else [other])
    asked.write_text(asked.read_text().replace("0.9", "0.8"))
    told = [note for note in evaluate(request).info.notes if "of other boxes" in note]
    assert len(told) == 1


def test_the_file_is_named_in_the_run_record(request_of: EvalRequest, tmp_path: Path) -> None:
    linked = write_linked(tmp_path / "linked.json")
    evaluate(replace(request_of, linked_nodes=(linked,), output=tmp_path / "m.json"))
    assert '"linked.json"' in (tmp_path / "m.run.json").read_text()


def test_boxes_below_the_threshold_are_not_linked(request_of: EvalRequest) -> None:
    assert scored(replace(request_of, threshold=0.95)).linked == 0


def test_the_smallest_diameter_is_taken_where_truth_says_no_other(
    request_of: EvalRequest, tmp_path: Path
) -> None:
    truth = boxes(node_id="a", short_axis_mm=4.0)
    write_coco(CocoDataset({}, IMAGES, truth), tmp_path / "truth.json", overwrite=True)
    found = scored(request_of)
    assert found.true_axis == "short_axis_mm"
    assert found.figures.box_short_axis.mean_mm.value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("info", "fields", "images", "said"),
    [
        ({}, {}, IMAGES, "truth that names no node (node_id)"),
        ({"coverage": "key_images"}, {"node_id": "a"}, IMAGES, "truth of key images"),
        (
            {},
            {"node_id": "a"},
            tuple(replace(i, position_mm=0.0) for i in IMAGES),
            "slices of one scan at one place, or without a place (position_mm)",
        ),
    ],
)
def test_truth_that_allows_no_figures_in_3d_gives_none_and_refuses_linked_nodes(
    request_of: EvalRequest,
    tmp_path: Path,
    info: dict[str, object],
    fields: dict[str, object],
    images: tuple[ImageRecord, ...],
    said: str,
) -> None:
    truth = CocoDataset(info, images, boxes(**fields))
    write_coco(truth, tmp_path / "truth.json", overwrite=True)
    result = evaluate(request_of)
    assert result.nodes_3d is None
    assert f"No nodes in 3-D: {said}." in result.info.notes
    linked = write_linked(tmp_path / "linked.json")
    with pytest.raises(InputError, match="Leave out --linked-nodes"):
        evaluate(replace(request_of, linked_nodes=(linked,)))


def test_linked_nodes_of_other_scans_are_refused(request_of: EvalRequest, tmp_path: Path) -> None:
    linked = write_linked(tmp_path / "linked.json", file_name="9.dcm", uid="1.9")
    with pytest.raises(InputError, match=r"linked\.json: n1: expected slices that the truth file"):
        evaluate(replace(request_of, linked_nodes=(linked,)))


def test_boxes_without_an_operating_threshold_are_not_linked_and_that_is_told(
    request_of: EvalRequest, tmp_path: Path
) -> None:
    write_coco(CocoDataset({}, IMAGES, boxes(score=0.9)), tmp_path / "nodes.json", overwrite=True)
    result = evaluate(request_of)
    assert result.nodes_3d is None
    assert "No nodes in 3-D: no operating threshold (--threshold)." in result.info.notes
    assert scored(replace(request_of, threshold=0.5)).linked == 1


def test_a_scan_whose_nodes_are_given_twice_is_refused(
    request_of: EvalRequest, tmp_path: Path
) -> None:
    linked, again = write_linked(tmp_path / "linked.json"), write_linked(tmp_path / "again.json")
    with pytest.raises(InputError, match=r"again\.json: .* got 1 scan that one before it holds"):
        evaluate(replace(request_of, linked_nodes=(linked, again)))


def test_sides_of_boxes_are_mm_also_where_pixels_are_oblong(
    request_of: EvalRequest, tmp_path: Path
) -> None:
    oblong = tuple(replace(image, spacing_mm=(1.0, 0.25)) for image in IMAGES)
    truth = boxes(node_id="a", slice_short_axis_mm=4.5)
    write_coco(CocoDataset({}, oblong, truth), tmp_path / "truth.json", overwrite=True)
    # 12 px of 0.25 mm are 3 mm, 10 px of 1 mm are 10 mm.
    error = scored(request_of).figures.box_short_axis
    assert error.mean_mm.value == pytest.approx(3.0 - 4.5)
    assert error.mean_px.value == pytest.approx(-1.5 / 0.625)


def test_the_axis_of_truth_is_that_of_its_largest_cross_section(
    request_of: EvalRequest, tmp_path: Path
) -> None:
    plain = boxes(node_id="a", slice_short_axis_mm=2.0)
    larger = replace(plain[1], box_xyxy=(8.0, 10.0, 24.0, 20.0), slice_short_axis_mm=4.0)
    truth = (plain[0], larger, *plain[2:])
    write_coco(CocoDataset({}, IMAGES, truth), tmp_path / "truth.json", overwrite=True)
    # Plain boxes have a side of 5 mm.
    assert scored(request_of).figures.box_short_axis.mean_mm.value == pytest.approx(1.0)


def test_a_files_own_centres_are_taken(request_of: EvalRequest, tmp_path: Path) -> None:
    linked = write_linked(tmp_path / "linked.json")
    data = json.loads(linked.read_text())
    data["nodes"][0]["centre_px"] = [60.0, 60.0]
    linked.write_text(json.dumps(data))
    found = scored(replace(request_of, linked_nodes=(linked,)))
    assert found.figures.froc.points[0].sensitivity.value == 0.0


def test_the_centre_lies_where_most_of_the_node_is(request_of: EvalRequest, tmp_path: Path) -> None:
    truth = boxes(node_id="a", short_axis_mm=4.0)[3:]
    write_coco(CocoDataset({}, IMAGES, truth), tmp_path / "truth.json", overwrite=True)
    small = (14.0, 13.0, 18.0, 17.0)
    found = [replace(box, box_xyxy=small) for box in boxes(score=0.9)[:2]]
    data = CocoDataset({"operating_threshold": 0.5}, IMAGES, (*found, boxes(score=0.9)[3]))
    write_coco(data, tmp_path / "nodes.json", overwrite=True)
    assert scored(request_of).linked == 1
    # Unweighted it would lie on the second slice, where truth has no box.
    assert scored(request_of).figures.froc.points[0].sensitivity.value == 1.0


def test_ap50_alone_does_not_link(request_of: EvalRequest) -> None:
    assert evaluate(replace(request_of, ap50_only=True)).nodes_3d is None
