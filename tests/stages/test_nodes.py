"""`nodes` on a painted scan whose nodes are known in millimetres."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from lnmdetect.core.errors import InputError, OutputError, UsageError
from lnmdetect.core.linked_nodes import LinkedNode
from lnmdetect.core.records import METASTATIC, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.io.linked_nodes_file import read_linked_nodes
from lnmdetect.stages.nodes import NodesRequest, NodesResult, csv_path, link_nodes

SIDE, SLICES = 160, 9
SPACING_MM = (3.0, 0.5, 0.5)
# Column and row of the middle, px; semi-axes along the body diagonal and across it, mm.
OBLIQUE = (40.0, 70.0, 8.0, 4.0)
ROUND = (112.0, 60.0, 5.0, 5.0)


def covered(node: tuple[float, float, float, float], slice_index: int) -> np.ndarray:
    """Return whether a pixel lies in an ellipsoid around slice 4, 9 mm long along z."""
    x, y, along_mm, across_mm = node
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    dx, dy, dz = (columns - x) * 0.5, (rows - y) * 0.5, (slice_index - 4) * 3.0
    u, v = (dx + dy) / np.sqrt(2), (dy - dx) / np.sqrt(2)
    return np.asarray((u / along_mm) ** 2 + (v / across_mm) ** 2 + (dz / 9.0) ** 2 <= 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scan/ and nodes.json: two nodes, and a faint box below the threshold."""
    folder = tmp_path_factory.mktemp("nodes")
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    body = ((columns - 80) / 70) ** 2 + ((rows - 80) / 70) ** 2 < 1
    voxels = np.full((SLICES, SIDE, SIDE), -1000.0)
    voxels[:, body] = -90
    for z in range(SLICES):
        for node in (OBLIQUE, ROUND):
            voxels[z][covered(node, z)] = 100
    voxels[4, 68:72, 38:42] = 300
    voxels += rng.normal(0, 5, voxels.shape)
    meta = CtSeriesMeta("n", "n", "n", SPACING_MM, 3.0, (-39.75, -39.75, -12.0))
    written = write_ct_series(np.rint(voxels).astype(np.int16), folder / "scan", meta)
    images = tuple(
        ImageRecord(
            z + 1, f"{f.sop_instance_uid}.dcm", SIDE, SIDE, "p", "s", f.sop_instance_uid, z,
            f.position_mm, SPACING_MM[1:], 3.0,
        )
        for z, f in enumerate(written)
    )  # fmt: skip
    boxes: list[NodeAnnotation] = []
    for node, score, chances in ((OBLIQUE, 0.9, 0.8), (ROUND, 0.7, 0.3)):
        for z in range(SLICES):
            if covered(node, z).sum() > 20:
                at = np.nonzero(covered(node, z))
                box = (at[1].min(), at[0].min(), at[1].max() + 1, at[0].max() + 1)
                boxes.append(annotation(len(boxes) + 1, z + 1, box, score, chances))
    boxes.append(annotation(len(boxes) + 1, 5, (80, 100, 90, 110), 0.2, 0.9))
    info = {"scan_root": "scan", "operating_threshold": 0.4, "phantom": True}
    write_coco(CocoDataset(info, images, tuple(boxes)), folder / "nodes.json")
    return folder


def annotation(number: int, image: int, box: object, score: float, p: float) -> NodeAnnotation:
    x1, y1, x2, y2 = (float(side) for side in box)  # type: ignore[attr-defined]
    return NodeAnnotation(
        number, image, METASTATIC, (x1, y1, x2, y2), score,
        probabilities={"benign": 1 - p, "metastatic": p}, threshold=0.5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def result(data: Path) -> NodesResult:
    return link_nodes(NodesRequest(data / "nodes.json", output=data / "linked_nodes.json"))


@pytest.fixture(scope="module")
def oblique(result: NodesResult) -> LinkedNode:
    return result.nodes[0]


def test_two_nodes_are_found_and_the_faint_box_is_left_out(result: NodesResult) -> None:
    assert [node.node_id for node in result.nodes] == ["n1", "n2"]
    assert result.below == 1
    assert result.threshold == 0.4
    assert [len(node.sections) for node in result.nodes] == [5, 5]
    assert result.nodes[0].slice_range == (2, 6)


def test_the_axes_are_those_of_the_node_and_not_of_its_box(oblique: LinkedNode) -> None:
    # The largest slice goes through the middle: an ellipse of 16 by 8 mm, turned by 45 degrees,
    # whose box has sides of sqrt(2 * (8^2 + 4^2)) = 12.65 mm.
    assert oblique.short_axis_mm == pytest.approx(8.0, abs=0.5)
    assert oblique.long_axis_mm == pytest.approx(16.0, abs=0.7)
    assert oblique.box_short_axis_mm == pytest.approx(12.65, abs=0.5)
    assert {section.outline for section in oblique.sections} == {"hu"}


def test_size_is_judged_by_the_short_axis_alone(result: NodesResult) -> None:
    assert [node.suspicious_by_size for node in result.nodes] == [False, True]
    assert result.nodes[1].short_axis_mm == pytest.approx(10.2, abs=0.3)


def test_the_centre_is_in_patient_mm_and_the_side_is_the_patients(result: NodesResult) -> None:
    # Column 40, row 70, slice 4: (40 - 0.5) * 0.5 - 39.75 = -20 mm; x falls to the right.
    assert result.nodes[0].centre_mm == pytest.approx((-20.0, -5.0, 0.0), abs=0.2)
    assert result.nodes[0].centre_px == pytest.approx((40.0, 70.0), abs=0.3)
    assert result.nodes[0].centre_slice == pytest.approx(4.0, abs=0.05)
    assert [node.laterality for node in result.nodes] == ["right", "left"]


def test_volume_and_extent_are_those_of_the_round_sections(result: NodesResult) -> None:
    # Boxes of 14, 18, 20, 18 and 14 px: pi / 4 * (2 * 7^2 + 2 * 9^2 + 10^2) mm2 * 3 mm.
    assert result.nodes[1].volume_mm3 == pytest.approx(np.pi / 4 * 360 * 3)
    assert result.nodes[1].extent_mm == pytest.approx((10, 10, 15))


def test_hu_are_those_inside(oblique: LinkedNode, result: NodesResult) -> None:
    assert result.nodes[1].mean_hu == pytest.approx(100, abs=6)
    assert oblique.max_hu == pytest.approx(300, abs=20)
    spreads = [node.heterogeneity_hu or 0.0 for node in (oblique, result.nodes[1])]
    assert spreads[0] > spreads[1] + 10


def test_probability_and_score_come_from_the_slices(result: NodesResult) -> None:
    assert [node.p_metastatic for node in result.nodes] == pytest.approx([0.8, 0.3])
    assert [node.score for node in result.nodes] == [0.9, 0.7]


def test_the_file_is_read_back_as_the_nodes_that_were_written(
    result: NodesResult, data: Path
) -> None:
    read = read_linked_nodes(data / "linked_nodes.json")
    assert [node.node_id for node in read.nodes] == ["n1", "n2"]
    assert read.nodes[0].short_axis_mm == pytest.approx(result.nodes[0].short_axis_mm, abs=5e-4)
    assert read.nodes[0].boxes[0][1:] == (2, (31.0, 61.0, 49.0, 79.0))
    assert read.info["linked_from"]["file"] == "nodes.json"
    assert read.info["scan_root"] == "scan"
    assert read.info["phantom"] is True


def test_the_table_has_a_row_a_node_with_the_same_numbers(result: NodesResult, data: Path) -> None:
    with csv_path(data / "linked_nodes.json").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["node_id"] for row in rows] == ["n1", "n2"]
    assert float(rows[0]["short_axis_mm"]) == pytest.approx(result.nodes[0].short_axis_mm, abs=5e-4)
    assert rows[0]["laterality"] == "right"
    assert [row["suspicious_by_size"] for row in rows] == ["0", "1"]
    assert rows[0]["first_slice"] == "2"


def test_a_run_record_lies_beside_the_file(result: NodesResult, data: Path) -> None:
    record = json.loads((data / "linked_nodes.run.json").read_text())
    assert record["command"] == "nodes"
    assert record["config"] == {"threshold": 0.4, "boxes_only": False}
    assert list(record["inputs"]) == ["nodes.json"]


def test_masks_are_taken_where_the_file_has_them(data: Path, tmp_path: Path) -> None:
    source = read_coco(data / "nodes.json")
    # A rectangle of 8 by 4 px in place of the node, as a reader might have drawn it.
    counts = [SIDE * 36 + 68, *[4, SIDE - 4] * 7, 4]
    counts.append(SIDE * SIDE - sum(counts))
    mask = {"size": [SIDE, SIDE], "counts": counts}
    one = replace(source.annotations[0], segmentation=mask)
    changed = replace(source, annotations=(one,))
    write_coco(changed, tmp_path / "nodes.json")
    request = NodesRequest(
        tmp_path / "nodes.json", output=tmp_path / "out.json", scan=data / "scan"
    )
    node = link_nodes(request).nodes[0]
    assert node.sections[0].outline == "mask"
    assert node.short_axis_mm == pytest.approx(4 * 2 / np.sqrt(12), abs=1e-3)
    assert node.volume_mm3 == pytest.approx(8 * 3.0)


def test_another_threshold_takes_the_faint_box_too(data: Path, tmp_path: Path) -> None:
    request = NodesRequest(data / "nodes.json", output=tmp_path / "out.json", threshold=0.1,
                           scan=data / "scan")  # fmt: skip
    assert len(link_nodes(request).nodes) == 3


def test_no_box_at_the_threshold_is_a_result(data: Path, tmp_path: Path) -> None:
    request = NodesRequest(data / "nodes.json", output=tmp_path / "out.json", threshold=1.0,
                           scan=data / "scan")  # fmt: skip
    assert link_nodes(request).nodes == ()
    assert read_linked_nodes(tmp_path / "out.json").nodes == ()
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 1


def test_an_output_that_exists_is_refused_before_the_work(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"out\.csv"):
        link_nodes(NodesRequest(data / "nodes.json", output=tmp_path / "out.json"))
    assert not (tmp_path / "out.json").exists()


def test_a_scan_that_is_not_there_is_told_and_what_works_without(
    data: Path, tmp_path: Path
) -> None:
    request = NodesRequest(data / "nodes.json", output=tmp_path / "o.json", scan=tmp_path / "no")
    with pytest.raises(InputError, match=r"--scan: expected a folder.* --boxes-only links"):
        link_nodes(request)


def test_a_folder_is_no_output(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for output in (Path(), Path(".."), tmp_path):
        with pytest.raises(OutputError, match="got a folder of that name"):
            link_nodes(NodesRequest(data / "nodes.json", output=output, overwrite=True))


def changed(data: Path, folder: Path, **fields: object) -> Path:
    """Return nodes.json in `folder` with fields of every image replaced."""
    dataset = read_coco(data / "nodes.json")
    images = tuple(replace(image, **fields) for image in dataset.images)  # type: ignore[arg-type]
    info = {**dataset.info, "scan_root": str(data / "scan")}
    write_coco(replace(dataset, info=info, images=images), folder / "nodes.json")
    return folder / "nodes.json"


def test_slices_of_a_scan_at_one_place_are_refused_and_not_taken_for_one_slice(
    data: Path, tmp_path: Path
) -> None:
    nodes = changed(data, tmp_path, position_mm=0.0)
    with pytest.raises(InputError, match="among 9 slices two at one place, or without a place"):
        link_nodes(NodesRequest(nodes, output=tmp_path / "linked.json"))
    assert not (tmp_path / "linked.json").exists()


def test_slices_of_one_series_but_of_two_spacings_are_refused(data: Path, tmp_path: Path) -> None:
    dataset = read_coco(data / "nodes.json")
    images = (*dataset.images[:-1], replace(dataset.images[-1], spacing_mm=(0.7, 0.7)))
    write_coco(replace(dataset, images=images), tmp_path / "nodes.json")
    request = NodesRequest(tmp_path / "nodes.json", output=tmp_path / "l.json", boxes_only=True)
    with pytest.raises(InputError, match="among 9 slices two of different spacing"):
        link_nodes(request)


def test_key_images_without_a_place_stand_alone(data: Path, tmp_path: Path) -> None:
    nodes = changed(data, tmp_path, position_mm=0.0)
    content = json.loads(nodes.read_text())
    content["info"]["coverage"] = "key_images"
    nodes.write_text(json.dumps(content))
    result = link_nodes(NodesRequest(nodes, output=tmp_path / "linked.json"))
    assert len(result.nodes) == result.boxes == 10
    assert result.scans == result.slices == SLICES
    assert all(node.extent_mm[2] == 3.0 for node in result.nodes)


def test_ids_are_of_the_patient_also_where_it_has_two_series(data: Path, tmp_path: Path) -> None:
    dataset = read_coco(data / "nodes.json")
    images = tuple(
        replace(image, series="later" if image.slice_index > 4 else "first")
        for image in dataset.images
    )
    info = {**dataset.info, "scan_root": str(data / "scan")}
    write_coco(replace(dataset, info=info, images=images), tmp_path / "nodes.json")
    result = link_nodes(NodesRequest(tmp_path / "nodes.json", output=tmp_path / "linked.json"))
    named = [(node.series, node.node_id) for node in result.nodes]
    assert named == [("first", "n1"), ("first", "n2"), ("later", "n3"), ("later", "n4")]


@pytest.mark.parametrize(
    ("output", "said"), [("x.csv", "the name of the table"), ("nodes.json", "boxes are linked")]
)
def test_no_output_replaces_another_or_the_input(
    data: Path, tmp_path: Path, output: str, said: str
) -> None:
    nodes = changed(data, tmp_path)
    before = nodes.read_bytes()
    with pytest.raises(UsageError, match=said):
        link_nodes(NodesRequest(nodes, output=tmp_path / output, overwrite=True))
    assert nodes.read_bytes() == before


def test_boxes_alone_give_their_own_axes_and_no_hu_where_no_pixels_are(
    data: Path, result: NodesResult, tmp_path: Path
) -> None:
    nodes = tmp_path / "nodes.json"
    nodes.write_bytes((data / "nodes.json").read_bytes())
    alone = link_nodes(NodesRequest(nodes, output=tmp_path / "linked.json", boxes_only=True))
    assert [node.slice_range for node in alone.nodes] == [n.slice_range for n in result.nodes]
    for node, measured in zip(alone.nodes, result.nodes, strict=True):
        assert node.short_axis_mm == node.box_short_axis_mm == measured.box_short_axis_mm
        assert node.p_metastatic == measured.p_metastatic
        unknown = (node.mean_hu, node.max_hu, node.heterogeneity_hu)
        assert unknown == (None, None, None)
        assert (node.centre_mm, node.laterality) == (None, None)
        assert all(section.outline == "box" for section in node.sections)
    info = read_linked_nodes(tmp_path / "linked.json").info
    assert "scan_root" not in info
    assert info["pixels"].startswith("not read (--boxes-only)")


def test_sides_and_steps_are_mm_where_pixels_are_oblong_and_a_slice_is_missing(
    tmp_path: Path,
) -> None:
    images = tuple(
        ImageRecord(k + 1, f"{k}.dcm", 64, 64, "p", "s", f"1.{k}", k, place, (0.5, 1.0))
        for k, place in enumerate((0.0, 2.0, 4.0, 8.0, 10.0))
    )
    # 10 px of 1 mm across, 12 px of 0.5 mm down.
    boxes = (annotation(1, 1, (10, 10, 20, 22), 0.9, 0.5),)
    data = CocoDataset({"operating_threshold": 0.5}, images, boxes)
    write_coco(data, tmp_path / "nodes.json")
    request = NodesRequest(tmp_path / "nodes.json", output=tmp_path / "l.json", boxes_only=True)
    node = link_nodes(request).nodes[0]
    assert (node.box_short_axis_mm, node.long_axis_mm) == pytest.approx((6.0, 10.0))
    assert node.extent_mm == pytest.approx((10.0, 6.0, 2.0))


def test_boxes_alone_and_a_scan_clash(data: Path, tmp_path: Path) -> None:
    request = NodesRequest(data / "nodes.json", output=tmp_path / "x.json", scan=data / "scan")
    with pytest.raises(UsageError, match="expected no --scan"):
        link_nodes(replace(request, boxes_only=True))


def test_masks_are_measured_without_pixels_too(data: Path, tmp_path: Path) -> None:
    dataset = read_coco(data / "nodes.json")
    boxes = []
    for box in dataset.annotations[:1]:
        mask = np.asfortranarray(covered(OBLIQUE, box.image_id - 1), dtype=np.uint8)
        counts = coco_mask.encode(mask)["counts"].decode("ascii")
        boxes.append(replace(box, segmentation={"size": [SIDE, SIDE], "counts": counts}))
    write_coco(replace(dataset, annotations=tuple(boxes)), tmp_path / "nodes.json")
    request = NodesRequest(tmp_path / "nodes.json", output=tmp_path / "l.json", boxes_only=True)
    node = link_nodes(request).nodes[0]
    assert node.sections[0].outline == "mask"
    assert node.box_short_axis_mm > 1.2 * node.short_axis_mm
    assert not node.is_of_boxes_alone
