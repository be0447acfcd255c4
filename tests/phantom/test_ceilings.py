"""What the phantom is held to (design, section 7): published sizes, limits of cheap methods."""

import contextlib
import io
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lnmdetect.core.records import MIN_TRUTH_SIDE_MM
from lnmdetect.phantom.node_paint import CrossSection
from lnmdetect.phantom.scan import PhantomScan, make_scan

pytestmark = pytest.mark.slow

LIFELIKE_SEED, LIFELIKE_PATIENTS = 4100, 20


@dataclass(frozen=True)
class Measured:
    """What the ceilings are computed from, one row per cross-section that counts.

    Attributes:
        patient, metastatic, width_px, height_px: (n,).
        moments: (n, 4) mean, deviation, minimum, maximum HU inside the mask.
        node_short_axis_mm, node_metastatic: one entry per node.
    """

    patient: NDArray[np.int_]
    metastatic: NDArray[np.bool_]
    width_px: NDArray[np.float64]
    height_px: NDArray[np.float64]
    moments: NDArray[np.float64]
    node_short_axis_mm: NDArray[np.float64]
    node_metastatic: NDArray[np.bool_]


def box_of(section: CrossSection) -> tuple[int, int, int, int]:
    """Return the tight (x, y, width, height) of a cross-section."""
    rows, columns = np.nonzero(section.mask)
    x, y = section.corner[1] + columns.min(), section.corner[0] + rows.min()
    return int(x), int(y), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def counts(section: CrossSection, scan: PhantomScan) -> bool:
    """Return whether a cross-section is scored (its shorter side is 3 mm or more)."""
    return min(box_of(section)[2:]) * scan.plan.pixel_mm >= MIN_TRUTH_SIDE_MM


def _row(scan: PhantomScan, section: CrossSection) -> list[float]:
    row, column = section.corner
    rows, columns = section.mask.shape
    image = scan.voxels_hu[section.slice_index, row : row + rows, column : column + columns]
    inside = image[section.mask].astype(float)
    return [inside.mean(), inside.std(), inside.min(), inside.max()]


@pytest.fixture(scope="module")
def lifelike() -> Measured:
    patient, metastatic, sizes, moments = [], [], [], []
    short, ill = [], []
    for index in range(LIFELIKE_PATIENTS):
        scan = make_scan(LIFELIKE_SEED, index, "lifelike")
        short += [node.short_axis_mm for node in scan.nodes]
        ill += [node.kind != "benign" for node in scan.nodes]
        for section in scan.sections:
            if counts(section, scan):
                patient.append(index)
                metastatic.append(scan.nodes[section.node_index].kind != "benign")
                sizes.append(box_of(section)[2:])
                moments.append(_row(scan, section))
    width, height = np.array(sizes, dtype=float).T
    return Measured(
        np.array(patient), np.array(metastatic), width, height, np.array(moments),
        np.array(short), np.array(ill),
    )  # fmt: skip


DEEPLESION_WIDTH_PX, DEEPLESION_HEIGHT_PX = (8, 17, 41), (8, 15, 39)
"""5, 50 and 95 % of the padded lymph-node boxes less their 10 px (design, section 7)."""
DEEPLESION_ASPECT = (0.71, 1.05, 1.52)


def test_box_widths_and_heights_are_those_of_deeplesion(lifelike: Measured) -> None:
    width = np.percentile(lifelike.width_px, [5, 50, 95])
    height = np.percentile(lifelike.height_px, [5, 50, 95])
    np.testing.assert_allclose(width, DEEPLESION_WIDTH_PX, rtol=0.25)
    np.testing.assert_allclose(height, DEEPLESION_HEIGHT_PX, rtol=0.25)


def test_box_aspects_are_those_of_deeplesion(lifelike: Measured) -> None:
    aspect = np.percentile(lifelike.width_px / lifelike.height_px, [5, 50, 95])
    np.testing.assert_allclose(aspect, DEEPLESION_ASPECT, rtol=0.25)


def test_mean_hu_alone_separates_the_classes_no_better_than_0_80(lifelike: Measured) -> None:
    assert roc_auc_score(lifelike.metastatic, lifelike.moments[:, 0]) <= 0.80


def test_four_moments_separate_the_classes_no_better_than_0_88(lifelike: Measured) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    scores = cross_val_predict(
        model, lifelike.moments, lifelike.metastatic, groups=lifelike.patient,
        cv=GroupKFold(5), method="predict_proba",
    )[:, 1]  # fmt: skip
    assert roc_auc_score(lifelike.metastatic, scores) <= 0.88


def test_the_short_axis_alone_separates_the_classes_no_better_than_0_75(
    lifelike: Measured,
) -> None:
    assert roc_auc_score(lifelike.node_metastatic, lifelike.node_short_axis_mm) <= 0.75


def test_a_third_to_six_tenths_of_the_nodes_are_metastatic(lifelike: Measured) -> None:
    assert 0.33 <= lifelike.node_metastatic.mean() <= 0.6


Boxes = list[tuple[float, float, float, float, float]]
BLOB_SIGMAS_PX = (2.0, 3.0, 4.0, 6.0, 8.0, 11.0)
HU_BANDS = ((0.0, 190.0), (40.0, 190.0), (70.0, 190.0))


def blob_boxes(image_hu: NDArray[np.float32]) -> Boxes:
    """Return (x, y, width, height, score) of the 100 strongest blobs of a slice."""
    limited = np.clip(image_hu, -120, 200)
    scales = [
        -cv2.Laplacian(cv2.GaussianBlur(limited, (0, 0), s), cv2.CV_32F, ksize=3) * s**2
        for s in BLOB_SIGMAS_PX
    ]
    stack = np.stack(scales)
    peaks = np.argwhere((stack == ndimage.maximum_filter(stack, (3, 5, 5))) & (stack > 15))
    values = stack[tuple(peaks.T)]
    boxes = []
    for index in np.argsort(-values)[:100]:
        scale, y, x = peaks[index]
        radius = 2**0.5 * BLOB_SIGMAS_PX[scale]
        boxes.append((x - radius, y - radius, 2 * radius, 2 * radius, float(values[index])))
    return boxes


def threshold_boxes(image_hu: NDArray[np.float32]) -> Boxes:
    """Return the boxes of what lies in a band of HU and has a node's size, roundest first."""
    smooth = cv2.GaussianBlur(image_hu, (0, 0), 1.0)
    boxes = []
    for low, high in HU_BANDS:
        components, _ = ndimage.label((smooth > low) & (smooth < high))
        for rows, columns in ndimage.find_objects(components):
            height, width = rows.stop - rows.start, columns.stop - columns.start
            if min(height, width) >= 6 and max(height, width) <= 60:
                roundness = 1 - abs(np.log(width / height)) / 3
                boxes.append((columns.start, rows.start, width, height, float(roundness)))
    return boxes


def ap50(truth: list[dict[str, object]], found: list[Boxes]) -> float:
    """Return pycocotools' AP at IoU 0.5 over all slices."""
    images = [{"id": index + 1} for index in range(len(found))]
    results = [
        {"image_id": index + 1, "category_id": 1, "bbox": list(box[:4]), "score": box[4]}
        for index, boxes in enumerate(found)
        for box in boxes
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = {"images": images, "annotations": truth, "categories": [{"id": 1}]}
        data.createIndex()
        judged = COCOeval(data, data.loadRes(results), "bbox")
        judged.params.iouThrs = np.array([0.5])
        judged.evaluate()
        judged.accumulate()
    return float(judged.eval["precision"][0, :, 0, 0, -1].mean())


def _truth(scan: PhantomScan, slices: list[int]) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = []
    for section in scan.sections:
        if section.slice_index in slices:
            box = box_of(section)
            entry = {"id": len(entries) + 1, "image_id": slices.index(section.slice_index) + 1}
            size = {"bbox": list(box), "area": box[2] * box[3]}
            ignored = {"category_id": 1, "iscrowd": int(not counts(section, scan))}
            entries.append({**entry, **size, **ignored})
    return entries


@pytest.mark.parametrize("method", [blob_boxes, threshold_boxes], ids=["blobs", "threshold"])
def test_a_cheap_detector_reaches_no_more_than_ap50_0_30(method) -> None:  # type: ignore[no-untyped-def]
    scan = make_scan(LIFELIKE_SEED, 1, "lifelike")
    slices = list(range(0, len(scan.voxels_hu), 2))
    found = [method(scan.voxels_hu[index].astype(np.float32)) for index in slices]
    assert 0 <= ap50(_truth(scan, slices), found) <= 0.30
