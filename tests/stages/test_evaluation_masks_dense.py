"""`eval` of masks against sums over dense volumes, on a random cohort with ignored masks."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score

from lnmdetect.metrics.resampling import Resamples
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_request import EvalRequest

Mask = NDArray[np.bool_]
SLICES, SIDE, BOOTSTRAP = 6, 26, 200
PATIENT_OF_SCAN = (0, 0, 1, 2, 3)
POSITION_MM = np.array([0.0, 2.0, 4.0, 7.0, 9.0, 11.0])
SPACING_MM = (0.5, 0.7)
CLASSES = {"all": (1, 2, 3), "negative": (1,), "positive": (2,), "extranodal_extension": (3,)}
CLASSES |= {"metastatic": (2, 3)}


@dataclass
class Node:
    """One node: (D, H, W) masks, those that are ignored apart; label 1 to 3."""

    scan: int
    label: int
    inside: Mask
    ignored: Mask
    axis_mm: float
    p_metastatic: NDArray[np.float64]


def random_node(rng: np.random.Generator, scan: int, *, ignores: bool) -> Node:
    inside, ignored = np.zeros((2, SLICES, SIDE, SIDE), dtype=bool)
    first, size = int(rng.integers(0, 4)), int(rng.integers(3, 7))
    row, column = (int(corner) for corner in rng.integers(0, SIDE - size, 2))
    for place in range(first, first + int(rng.integers(1, 4))):
        if place >= SLICES:
            break
        target = ignored if ignores and rng.random() < 0.2 else inside
        target[place, row : row + size, column : column + size] = rng.random((size, size)) < 0.8
    p_metastatic = rng.random(SLICES).round(3)
    axis_mm = round(float(rng.uniform(3, 18)), 2)
    return Node(scan, int(rng.integers(1, 4)), inside, ignored, axis_mm, p_metastatic)


@pytest.fixture(scope="module")
def cohort() -> tuple[list[Node], list[Node]]:
    rng = np.random.default_rng(11)
    truth = [random_node(rng, scan, ignores=True) for scan in range(5) for _ in range(6)]
    found = []
    for node in truth:
        if rng.random() < 0.6:  # the same, a little beside
            moved = np.roll(node.inside | node.ignored, tuple(rng.integers(-1, 2, 2)), axis=(1, 2))
            other = random_node(rng, node.scan, ignores=False)
            label = node.label if rng.random() < 0.7 else other.label
            found.append(Node(node.scan, label, moved, ~moved & moved, 0, other.p_metastatic))
    found += [random_node(rng, scan, ignores=False) for scan in range(5) for _ in range(2)]
    return truth, found


def sections(nodes: list[Node], *, scored: bool) -> Iterator[dict[str, Any]]:
    for number, node in enumerate(nodes):
        for part, iscrowd in ((node.inside, 0), (node.ignored, 1)):
            for place in np.flatnonzero(part.any(axis=(1, 2))).tolist():
                coded = coco_mask.encode(np.asfortranarray(part[place].astype(np.uint8)))
                bbox = coco_mask.toBbox(coded).tolist()
                p = float(node.p_metastatic[place])
                yield {
                    "image_id": 1 + node.scan * SLICES + place,
                    "category_id": 1 if node.label == 1 else 2,
                    **({"kind": "extranodal"} if node.label == 3 else {}),
                    "bbox": bbox,
                    "area": bbox[2] * bbox[3],
                    "iscrowd": iscrowd,
                    "node_id": f"n{number}",
                    "segmentation": {"size": [SIDE, SIDE], "counts": coded["counts"].decode()},
                    **({"score": 0.9, "probabilities": {"benign": 1 - p, "metastatic": p}}
                       if scored else {"short_axis_mm": node.axis_mm}),
                }  # fmt: skip


@pytest.fixture(scope="module")
def figures(
    cohort: tuple[list[Node], list[Node]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The `masks` object of metrics.json."""
    folder = tmp_path_factory.mktemp("dense")
    images = [
        {
            "id": 1 + scan * SLICES + place, "file_name": f"{scan}_{place}.dcm",
            "width": SIDE, "height": SIDE,
            "lnmdetect": {
                "patient": f"p{patient}", "series": f"s{scan}", "slice_index": place,
                "sop_instance_uid": f"1.{scan}.{place}", "position_mm": float(POSITION_MM[place]),
                "spacing_mm": list(SPACING_MM),
            },
        }
        for scan, patient in enumerate(PATIENT_OF_SCAN)
        for place in range(SLICES)
    ]  # fmt: skip
    names = ((1, "benign"), (2, "metastatic"), (3, "lymph_node"))
    categories = [{"id": k, "name": name} for k, name in names]
    info = {"operating_threshold": 0.0, "segmenter": {"name": "tiny"}}
    paths: list[Path] = []
    for name, nodes in zip(("truth", "segments"), cohort, strict=True):
        scored = name == "segments"
        records = [{"id": k, **one} for k, one in enumerate(sections(nodes, scored=scored), 1)]
        data = {"info": info if scored else {}, "images": images, "categories": categories}
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(json.dumps({**data, "annotations": records}))
    result = evaluate(EvalRequest((paths[0],), nodes=(paths[1],), bootstrap=BOOTSTRAP))
    masks: dict[str, Any] = result.metrics_json()["masks"]
    return masks


@dataclass
class Dense:
    """Five volumes of labels: truth, 4 where it is ignored; and what was answered and counts."""

    truth: NDArray[np.int64]
    answered: NDArray[np.int64]
    kept: list[Mask]


@pytest.fixture(scope="module")
def dense(cohort: tuple[list[Node], list[Node]]) -> Dense:
    truth, found = cohort
    volumes = np.zeros((5, SLICES, SIDE, SIDE), dtype=np.int64)
    for node in truth:
        volumes[node.scan] = np.maximum(volumes[node.scan], node.label * node.inside)
    for node in truth:
        volumes[node.scan][node.ignored & (volumes[node.scan] == 0)] = 4
    answered, kept = np.zeros_like(volumes), []
    for node in found:
        below = volumes[node.scan]
        own = node.inside & (below != 4)
        for place in range(SLICES):
            here = node.inside[place]
            meets = below[place][here]
            if (meets == 4).any() and not ((meets > 0) & (meets < 4)).any():
                own[place] = False
        kept.append(own)
        answered[node.scan] = np.maximum(answered[node.scan], node.label * own)
    return Dense(volumes, answered, kept)


def dice(truth: Mask, answered: Mask) -> float:
    total = truth.sum() + answered.sum()
    return 2 * (truth & answered).sum() / total if total else np.nan


def held_by(volumes: NDArray[np.int64], name: str) -> Mask:
    return np.isin(volumes, CLASSES[name])


@pytest.mark.parametrize("name", CLASSES)
def test_dice_is_that_of_the_volumes_and_of_their_slices(
    figures: dict[str, Any], dense: Dense, name: str
) -> None:
    truth, answered = held_by(dense.truth, name), held_by(dense.answered, name)
    volumes = [dice(*pair) for pair in zip(truth, answered, strict=True)]
    assert figures["dice"]["per_volume"][name]["value"] == pytest.approx(np.nanmean(volumes))
    slices = [
        np.nanmean([dice(truth[scan, z], answered[scan, z]) for z in range(SLICES)])
        for scan in range(5)
    ]
    found = figures["dice"]["per_slice"][name]
    assert found["value"] == pytest.approx(np.nanmean(slices))
    drawn = [
        np.average(slices, weights=weights[list(PATIENT_OF_SCAN)])
        for weights in Resamples(4, count=BOOTSTRAP).weights[1:]
    ]
    assert found["interval"] == pytest.approx(list(np.quantile(drawn, [0.025, 0.975])))


@pytest.mark.parametrize("name", CLASSES)
def test_detection_rates_are_those_of_the_covered_shares(
    figures: dict[str, Any], cohort: tuple[list[Node], list[Node]], dense: Dense, name: str
) -> None:
    nodes = [one for one in cohort[0] if one.inside.any() and one.label in CLASSES[name]]
    assert len(nodes) > 2
    found = figures["detection"][name]
    assert found["nodes"] == len(nodes)
    shares = np.array([(dense.answered[n.scan][n.inside] > 0).mean() for n in nodes])
    owner = [PATIENT_OF_SCAN[node.scan] for node in nodes]
    for key, least in (("over_0", 0), ("over_half", 0.5)):
        assert found[key]["value"] == pytest.approx((shares > least).mean())
        drawn = [
            np.average(shares > least, weights=weights[owner])
            for weights in Resamples(4, count=BOOTSTRAP).weights[1:]
            if weights[owner].any()
        ]
        if np.ptp(drawn):
            expected = list(np.quantile(drawn, [0.025, 0.975]))
            assert found[key]["interval"] == pytest.approx(expected)
    curve = found["curve"]
    assert curve["rate"] == pytest.approx([(shares > t).mean() for t in curve["overlap"]])
    own = np.array([
        np.isin(
            dense.answered[n.scan][n.inside], (n.label,) if name == "all" else CLASSES[name]
        ).mean()
        for n in nodes
    ])  # fmt: skip
    assert found["called_over_0"]["value"] == pytest.approx((own > 0).mean())
    assert found["called_over_half"]["value"] == pytest.approx((own > 0.5).mean())


def test_sizes_are_those_of_the_nodes(
    figures: dict[str, Any], cohort: tuple[list[Node], list[Node]], dense: Dense
) -> None:
    edges = (("under 5 mm", 0, 5), ("5 to 10 mm", 5, 10), ("10 to 15 mm", 10, 15))
    rows = {(row["short_axis"], row["node_class"]): row for row in figures["detection_by_size"]}
    for size, low, high in (*edges, ("15 mm or more", 15, 99)):
        for name, labels in CLASSES.items():
            own = [n for n in cohort[0] if n.label in labels and low <= n.axis_mm < high]
            shares = [(dense.answered[n.scan][n.inside] > 0).mean() for n in own if n.inside.any()]
            row = rows[size, name]
            assert row["nodes"] == len(shares)
            expected = np.mean(np.array(shares) > 0) if shares else None
            assert row["over_0"]["value"] == pytest.approx(expected)


def test_false_positives_are_the_nodes_that_touch_nothing(
    figures: dict[str, Any], cohort: tuple[list[Node], list[Node]], dense: Dense
) -> None:
    false = [node for node in cohort[1] if not (dense.truth[node.scan][node.inside] > 0).any()]
    assert false
    found = figures["false_positives"]
    assert (found["nodes"], found["per_volume"]["value"]) == (len(false), len(false) / 5)
    on = sum(int(node.inside.any(axis=(1, 2)).sum()) for node in false)
    assert found["per_image"]["value"] == pytest.approx(on / (5 * SLICES))
    for name, labels in list(CLASSES.items())[1:]:
        own = sum(node.label in labels for node in false)
        assert found["per_volume_by_class"][name]["value"] == pytest.approx(own / 5)


def test_the_pixels_are_counted_and_shared_both_ways(figures: dict[str, Any], dense: Dense) -> None:
    counted = dense.truth != 4
    pairs = np.zeros((4, 4), dtype=np.int64)
    np.add.at(pairs, (dense.truth[counted], dense.answered[counted]), 1)
    found = figures["pixels"]
    assert found["pixels"] == pairs.tolist()
    for key, axis in (("by_truth", 1), ("by_answer", 0)):
        shares = [[one["value"] for one in row] for row in found[key]]
        np.testing.assert_allclose(shares, pairs / pairs.sum(axis=axis, keepdims=True))


def surface_mm(inside: Mask) -> NDArray[np.float64]:
    edge = np.argwhere(inside & ~binary_erosion(inside))
    return np.stack([POSITION_MM[edge[:, 0]], *(edge[:, 1:] * SPACING_MM).T], axis=1)


def test_surfaces_are_as_far_apart_as_their_voxels(
    figures: dict[str, Any], cohort: tuple[list[Node], list[Node]], dense: Dense
) -> None:
    truth = cohort[0]
    partners: dict[int, list[Mask]] = {}
    for answer, kept in zip(cohort[1], dense.kept, strict=True):
        shared = [(n.inside & kept).sum() if n.scan == answer.scan else 0 for n in truth]
        if max(shared):
            partners.setdefault(int(np.argmax(shared)), []).append(kept)
    means: dict[int, list[tuple[float, float]]] = {}
    for number, masks in partners.items():
        away = cdist(surface_mm(truth[number].inside), surface_mm(np.any(masks, axis=0)))
        there, back = away.min(axis=1), away.min(axis=0)
        far = max(np.percentile(there, 95), np.percentile(back, 95))
        means.setdefault(truth[number].scan, []).append((np.append(there, back).mean(), far))
    expected = np.mean([np.mean(own, axis=0) for own in means.values()], axis=0)
    found = figures["surface"]
    assert found["nodes"] == len(partners)
    assert found["mean_mm"]["value"] == pytest.approx(expected[0])
    assert found["hausdorff_95_mm"]["value"] == pytest.approx(expected[1])


def test_classes_of_found_nodes_are_those_of_the_answer_they_share_most_with(
    figures: dict[str, Any], cohort: tuple[list[Node], list[Node]], dense: Dense
) -> None:
    truth, found = cohort
    confusion, positive, p_metastatic = np.zeros((3, 3), dtype=int), [], []
    for node in truth:
        shared = [
            (node.inside & kept).sum() if answer.scan == node.scan else 0
            for answer, kept in zip(found, dense.kept, strict=True)
        ]
        if not max(shared):
            continue
        partner = found[int(np.argmax(shared))]
        confusion[node.label - 1, partner.label - 1] += 1
        on = np.flatnonzero(partner.inside.any(axis=(1, 2)))
        boxes = [np.ptp(np.argwhere(partner.inside[z]), axis=0) + 1 for z in on]
        areas = [box[0] * box[1] for box in boxes]
        p_metastatic.append(np.average(partner.p_metastatic[on], weights=areas))
        positive.append(node.label > 1)
    told = figures["found_classes"]
    assert told["confusion"] == confusion.tolist()
    assert told["three_classes"]["accuracy"]["value"] == confusion.trace() / confusion.sum()
    recalls = confusion.diagonal() / confusion.sum(axis=1)
    assert told["three_classes"]["balanced_accuracy"]["value"] == pytest.approx(recalls.mean())
    commonest = confusion.sum(axis=1).max() / confusion.sum()
    assert told["three_classes"]["majority_accuracy"]["value"] == pytest.approx(commonest)
    right = confusion[0, 0] + confusion[1:, 1:].sum()
    assert told["merged"]["accuracy"]["value"] == pytest.approx(right / confusion.sum())
    assert told["auc"]["value"] == pytest.approx(roc_auc_score(positive, p_metastatic))
