"""`nodes` on boxes laid out by hand, without pixels: which boxes count, centres, ranks."""

import csv
from pathlib import Path

import pytest

from lnmdetect.core.linked_nodes import LinkedNode
from lnmdetect.core.records import BENIGN, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import write_coco
from lnmdetect.io.linked_nodes_file import read_linked_nodes
from lnmdetect.stages.nodes import NodesRequest, link_nodes

Box = tuple[float, float, float, float]
NODE: Box = (10, 10, 20, 20)
OTHER: Box = (40, 40, 50, 50)
IMAGES = tuple(
    ImageRecord(k + 1, f"{k}.dcm", 64, 64, "p", "s", f"1.{k}", k, 2.0 * k, (0.5, 1.0))
    for k in range(5)
)


def cross_section(image: int, box: Box, score: float | None, p: float) -> NodeAnnotation:
    chances = {"benign": 1 - p, "metastatic": p}
    number = 100 * image + int(box[0])
    return NodeAnnotation(number, image, BENIGN, box, score=score, probabilities=chances)


def nodes_of(
    folder: Path, *boxes: NodeAnnotation, threshold: float | None = None
) -> tuple[LinkedNode, ...]:
    data = CocoDataset({"operating_threshold": 0.5}, IMAGES, boxes)
    write_coco(data, folder / "nodes.json", overwrite=True)
    request = NodesRequest(
        folder / "nodes.json", output=folder / "l.json", threshold=threshold, boxes_only=True
    )
    return link_nodes(request).nodes


def test_the_centre_is_weighted_by_the_size_of_the_sections(tmp_path: Path) -> None:
    wider: Box = (10, 10, 28, 20)
    node = nodes_of(tmp_path, cross_section(1, NODE, 0.9, 0.5), cross_section(2, wider, 0.9, 0.5))[
        0
    ]
    # 10 and 18 mm wide, of one height; their middles lie at 15 and 19 px.
    assert node.centre_px == pytest.approx(((10 * 15 + 18 * 19) / 28, 15))
    assert node.centre_slice == pytest.approx(18 / 28)


def test_a_box_at_the_threshold_counts(tmp_path: Path) -> None:
    boxes = (cross_section(1, NODE, 0.5, 0.5), cross_section(1, OTHER, 0.499, 0.5))
    assert [node.score for node in nodes_of(tmp_path, *boxes)] == [0.5]


def test_another_threshold_is_named_as_the_users(tmp_path: Path) -> None:
    assert len(nodes_of(tmp_path, cross_section(1, NODE, 0.3, 0.5), threshold=0.3)) == 1
    info = read_linked_nodes(tmp_path / "l.json").info
    assert info["operating_threshold"] == 0.3
    assert info["operating_threshold_source"] == "--threshold"


def test_nodes_are_ranked_by_score_times_probability(tmp_path: Path) -> None:
    boxes = (cross_section(1, NODE, 0.9, 0.1), cross_section(1, OTHER, 0.6, 0.9))
    assert [node.score for node in nodes_of(tmp_path, *boxes)] == [0.6, 0.9]


def test_a_truth_box_is_certain(tmp_path: Path) -> None:
    assert [node.score for node in nodes_of(tmp_path, cross_section(1, NODE, None, 0.5))] == [1.0]


def test_the_table_counts_slices_the_node_is_on_and_not_those_between(tmp_path: Path) -> None:
    nodes_of(tmp_path, *(cross_section(image, NODE, 0.9, 0.5) for image in (1, 2, 4)))
    row = next(csv.DictReader((tmp_path / "l.csv").read_text(encoding="utf-8").splitlines()))
    assert (row["first_slice"], row["last_slice"], row["slices"]) == ("0", "3", "3")
    assert (row["mean_hu"], row["x_mm"], row["laterality"]) == ("", "", "")
