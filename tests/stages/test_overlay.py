"""`lnmdetect overlay`: which slices are drawn, and with which boxes."""

from pathlib import Path

import numpy as np
import pytest

from lnmdetect.core.errors import InputError, OutputError
from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.io.coco import write_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.stages.overlay import OverlayRequest, choose_slices, overlay

SIDE = 64


def images(series: str, count: int, first_id: int = 1) -> list[ImageRecord]:
    return [
        ImageRecord(
            first_id + k,
            f"{series}.{k}.dcm",
            SIDE,
            SIDE,
            series,
            series,
            f"{series}.{k}",
            k,
            2.0 * k,
            (1.0, 1.0),
        )
        for k in range(count)
    ]


def chosen_ids(slices: list[ImageRecord], boxes: dict[int, int], count: int) -> list[int]:
    picked = choose_slices(slices, lambda image: boxes.get(image.image_id, 0), count=count)
    return [image.image_id for image in picked]


def test_slices_with_boxes_come_first_and_the_fullest_of_each_stretch() -> None:
    boxes = {2: 1, 3: 4, 8: 1, 9: 2}
    assert chosen_ids(images("1.2", 10), boxes, 2) == [3, 9]


def test_of_equally_full_slices_the_middle_one_is_taken() -> None:
    boxes = dict.fromkeys(range(3, 8), 1)
    assert chosen_ids(images("1.2", 10), boxes, 1) == [5]


def test_a_scan_without_boxes_is_shown_at_even_distances() -> None:
    assert chosen_ids(images("1.2", 9), {}, 3) == [2, 5, 8]


def test_places_are_shared_evenly_between_scans() -> None:
    both = images("1.2", 10) + images("1.3", 10, first_id=11)
    boxes = dict.fromkeys(range(1, 11), 5)  # the second scan has none
    picked = chosen_ids(both, boxes, 6)
    assert sum(k <= 10 for k in picked) == 3
    assert sum(k > 10 for k in picked) == 3


def test_a_scan_with_few_slices_leaves_its_places_to_the_next() -> None:
    both = images("1.2", 1) + images("1.3", 10, first_id=11)
    assert len(chosen_ids(both, {}, 6)) == 6


def test_with_more_scans_than_places_the_first_scans_have_one_each() -> None:
    many = [image for k in range(8) for image in images(f"1.{k}", 3, first_id=10 * k + 1)]
    assert [k // 10 for k in chosen_ids(many, {}, 5)] == [0, 1, 2, 3, 4]


@pytest.fixture
def scan(tmp_path: Path) -> CocoDataset:
    """Return the records of a small scan that lies under `scan/`."""
    voxels = np.full((4, SIDE, SIDE), -1000, np.int16)
    voxels[:, 10:54, 10:54] = 40
    meta = CtSeriesMeta("overlay", "p1", "p1", (2.0, 1.0, 1.0), 2.0, (0.0, 0.0, 0.0))
    written = write_ct_series(voxels, tmp_path / "scan", meta)
    records = [
        ImageRecord(
            k + 1,
            f"{item.sop_instance_uid}.dcm",
            SIDE,
            SIDE,
            "p1",
            "1.2",
            item.sop_instance_uid,
            k,
            item.position_mm,
            (1.0, 1.0),
        )
        for k, item in enumerate(written)
    ]
    return CocoDataset({"scan_root": "scan", "operating_threshold": 0.5}, tuple(records), ())


def box(number: int, image_id: int, score: float | None = None, **more: object) -> NodeAnnotation:
    return NodeAnnotation(number, image_id, 3, (20, 20, 30, 32), score=score, **more)  # type: ignore[arg-type]


def written(data: CocoDataset, path: Path, *nodes: NodeAnnotation) -> Path:
    write_coco(CocoDataset(data.info, data.images, nodes), path)
    return path


def test_only_boxes_at_the_operating_threshold_are_drawn(scan: CocoDataset, tmp_path: Path) -> None:
    path = written(scan, tmp_path / "boxes.json", box(1, 2, 0.5), box(2, 2, 0.49), box(3, 3, 0.9))
    result = overlay(OverlayRequest(path, output=tmp_path / "sheet.png", slices=4))
    assert (result.slices, result.boxes) == (2, 2)
    assert result.output.read_bytes().startswith(b"\x89PNG")
    lower = OverlayRequest(path, output=tmp_path / "low.png", threshold=0.1, slices=4)
    assert overlay(lower).boxes == 3


def test_truth_is_joined_by_uid_and_ignored_poles_are_left_out(
    scan: CocoDataset, tmp_path: Path
) -> None:
    boxes = written(scan, tmp_path / "boxes.json", box(1, 2, 0.9))
    renumbered = tuple(image.with_id(10 - image.image_id) for image in scan.images)
    other = CocoDataset(scan.info, renumbered, ())
    truth = written(other, tmp_path / "truth.json", box(1, 8), box(2, 8, ignored=True), box(3, 7))
    request = OverlayRequest(boxes, truth=truth, output=tmp_path / "sheet.png", slices=4)
    result = overlay(request)
    assert (result.slices, result.boxes, result.truth_boxes) == (2, 1, 2)


def test_no_box_at_all_still_gives_a_picture(scan: CocoDataset, tmp_path: Path) -> None:
    path = written(scan, tmp_path / "boxes.json")
    result = overlay(OverlayRequest(path, output=tmp_path / "sheet.png", slices=3))
    assert (result.slices, result.boxes) == (3, 0)


def test_pixels_of_another_place_are_refused(scan: CocoDataset, tmp_path: Path) -> None:
    path = written(scan, tmp_path / "boxes.json", box(1, 2, 0.9))
    request = OverlayRequest(path, output=tmp_path / "sheet.png", scan=tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"expected a folder, a file or a \.zip"):
        overlay(request)
    assert not (tmp_path / "sheet.png").exists()


def test_rows_are_drawn_with_and_without_truth(scan: CocoDataset, tmp_path: Path) -> None:
    path = written(scan, tmp_path / "boxes.json", box(1, 2, 0.9), box(2, 3, 0.9))
    truth = written(scan, tmp_path / "truth.json", box(1, 2))
    sizes = []
    for name, given in (("three", truth), ("two", None)):
        output = tmp_path / f"{name}.png"
        result = overlay(OverlayRequest(path, truth=given, output=output, slices=2, rows=True))
        assert (result.slices, result.boxes, result.truth_boxes) == (2, 2, 1 if given else 0)
        sizes.append(int.from_bytes(output.read_bytes()[20:24], "big"))
    assert sizes[0] > 1.3 * sizes[1]


def test_an_existing_picture_stays(scan: CocoDataset, tmp_path: Path) -> None:
    path = written(scan, tmp_path / "boxes.json")
    (tmp_path / "sheet.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"sheet\.png: expected a new file"):
        overlay(OverlayRequest(path, output=tmp_path / "sheet.png"))
    assert (tmp_path / "sheet.png").read_bytes() == b"mine"
