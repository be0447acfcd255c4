"""`lnmdetect baselines`: figures of methods that learn nothing, on scans drawn for the purpose."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import (
    BENIGN,
    METASTATIC,
    CocoDataset,
    ImageRecord,
    NodeAnnotation,
)
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.dicom_write import CtSeriesMeta, write_ct_series
from lnmdetect.stages.baselines import (
    BLOBS,
    HU_STATISTICS,
    MEAN_HU,
    SHORT_AXIS,
    SHORT_AXIS_SECTIONS,
    THRESHOLDS,
    BaselineRequest,
    baselines,
    node_mask,
)

SIDE = 160
BOX = (70.0, 60.0, 90.0, 80.0)


def neck(node_hu: int) -> np.ndarray:
    """A disc of tissue at 40 HU with one round node of 5 mm radius."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    hu = np.where((x - 80) ** 2 + (y - 80) ** 2 < 70**2, 40, -1000)
    hu[(x - 80) ** 2 + (y - 70) ** 2 <= 100] = node_hu
    return hu.astype(np.int16)


def truth_of(folder: Path, node_hu: list[int], categories: list[int], **more: object) -> Path:
    """Write one patient a node and the truth of all."""
    images, nodes = [], []
    for k, (hu, category) in enumerate(zip(node_hu, categories, strict=True), 1):
        meta = CtSeriesMeta(f"s{k}", f"p{k}", f"p{k}", (2.0, 0.5, 0.5), 2.0, (0.0, 0.0, 0.0))
        uid = write_ct_series(neck(hu)[None], folder / "scan" / f"p{k}", meta)[0].sop_instance_uid
        images.append(
            ImageRecord(k, f"{uid}.dcm", SIDE, SIDE, f"p{k}", f"s{k}", uid, 0, 0.0, (0.5, 0.5))
        )
        nodes.append(NodeAnnotation(k, k, category, BOX, node_id=f"n{k}", **more))  # type: ignore[arg-type]
    path = folder / "truth.json"
    info = {"scan_root": "scan", "phantom": True}
    write_coco(CocoDataset(info, tuple(images), tuple(nodes)), path)
    return path


def test_classes_that_brightness_tells_apart_are_seen_as_too_easy(tmp_path: Path) -> None:
    hu = [100, 105, 110, 95, 102, 150, 155, 160, 145, 152]
    truth = truth_of(tmp_path, hu, [BENIGN] * 5 + [METASTATIC] * 5, short_axis_mm=10.0)
    result = baselines(BaselineRequest(truth))
    assert result.auc[MEAN_HU].value == 1.0
    assert result.auc[HU_STATISTICS].value == 1.0
    assert result.auc[SHORT_AXIS].value == 0.5
    assert (result.phantom, result.slices, result.cross_sections) == (True, 10, 10)


def test_darker_metastases_count_as_told_apart_too(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [150, 155, 100, 105], [BENIGN] * 2 + [METASTATIC] * 2)
    result = baselines(BaselineRequest(truth))
    assert result.auc[MEAN_HU].value == 1.0
    assert result.auc[SHORT_AXIS].value is None
    assert "short axis" in (result.auc[SHORT_AXIS].reason or "")


def test_the_short_axis_is_judged_once_a_node_and_once_a_box(tmp_path: Path) -> None:
    truth = read_coco(truth_of(tmp_path, [100] * 4, [METASTATIC, METASTATIC, BENIGN, BENIGN]))
    sizes = {"n1": 9.0, "n2": 4.0, "n3": 6.0, "n4": 5.0}
    nodes = [replace(node, short_axis_mm=sizes[str(node.node_id)]) for node in truth.annotations]
    nodes += [replace(nodes[0], annotation_id=5 + i) for i in range(4)]  # n1 has five sections
    write_coco(replace(truth, annotations=tuple(nodes)), tmp_path / "more.json")
    result = baselines(BaselineRequest(tmp_path / "more.json"))
    assert result.auc[SHORT_AXIS].value == 0.5  # of 4 pairs of nodes n1 wins both, n2 loses both
    assert result.auc[SHORT_AXIS_SECTIONS].value == pytest.approx(10 / 12)


def test_lone_bright_discs_are_boxed_without_learning(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [120, 120, 120], [BENIGN, METASTATIC, BENIGN])
    result = baselines(BaselineRequest(truth))
    assert (result.ap50[THRESHOLDS].value or 0) > 0.9
    assert (result.ap50[BLOBS].value or 0) > 0.5


def test_ignored_poles_are_no_cross_sections(tmp_path: Path) -> None:
    truth = truth_of(tmp_path, [120, 120], [BENIGN, METASTATIC], ignored=True)
    result = baselines(BaselineRequest(truth))
    assert result.cross_sections == 0
    assert result.auc[MEAN_HU].value is None


def test_without_a_mask_the_ellipse_in_the_box_is_measured() -> None:
    mask = node_mask(NodeAnnotation(1, 1, BENIGN, (10, 20, 30, 30)), (50, 60))
    rows, columns = np.nonzero(mask)
    assert (columns.min(), columns.max()) == (10, 29)
    assert (rows.min(), rows.max()) == (20, 29)
    assert mask.sum() == pytest.approx(np.pi / 4 * 20 * 10, rel=0.05)


def test_a_mask_in_listed_run_lengths_is_read() -> None:
    rle = {"size": [2, 3], "counts": [1, 3, 2]}
    mask = node_mask(NodeAnnotation(1, 1, BENIGN, (0, 0, 2, 2), segmentation=rle), (2, 3))
    assert mask.astype(int).tolist() == [[0, 1, 0], [1, 1, 0]]


def test_a_mask_that_is_none_is_refused_by_the_number_of_its_node() -> None:
    rle = {"size": [50, 60], "counts": "zzzz!!"}
    node = NodeAnnotation(12, 1, BENIGN, (10, 20, 30, 30), segmentation=rle)
    with pytest.raises(InputError, match=r"annotation 12: segmentation: expected an RLE"):
        node_mask(node, (50, 60))
