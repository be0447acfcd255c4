"""Every row of the dictionary trains, predicts, learns a toy set and has its size."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from lnmdetect.core.config import DetectorConfig
from lnmdetect.metrics.average_precision import ap50
from lnmdetect.metrics.tables import ImageBoxes
from lnmdetect.models.detector_sizes import DetectorSizes
from lnmdetect.models.detectors import DETECTORS, Detector
from lnmdetect.models.inference import inference_form

MakeTarget = Callable[..., dict[str, Tensor]]
MakeSizes = Callable[..., DetectorSizes]
DEFAULT_AREAS = (32.0**2, 64.0**2, 128.0**2, 256.0**2, 512.0**2)
"""torchvision's."""
SINGLE_MAP: dict[str, Any] = {"fpn": False, "roi": "pool"}
ROWS: dict[str, tuple[str, dict[str, Any], int]] = {
    "single map": ("faster_rcnn", SINGLE_MAP | {"anchor_areas_px2": DEFAULT_AREAS}, 33_043_605),
    "+ FPN": ("faster_rcnn", {"roi": "pool", "anchor_areas_px2": DEFAULT_AREAS}, 41_352_281),
    "+ RoIAlign": ("faster_rcnn", {"anchor_areas_px2": DEFAULT_AREAS}, 41_352_281),
    "+ anchors": ("faster_rcnn", {}, 41_352_281),
    "ssd": ("ssd", {}, 27_695_256),
    "yolov3": ("yolov3", {}, 61_523_734),
    "retinanet": ("retinanet", {}, 32_201_069),
    "fcos": ("fcos", {}, 32_115_270),
}
"""Name, sizes and parameters at full width on three channels."""
rows = pytest.mark.parametrize("row", ROWS)


def build(row: str, make_sizes: MakeSizes, **changes: Any) -> Detector:
    name, sizes, _ = ROWS[row]
    torch.manual_seed(0)
    return DETECTORS[name](make_sizes(**{**sizes, **changes}))


def test_a_recipe_names_the_rows_of_the_dictionary() -> None:
    assert get_args(DetectorConfig.model_fields["architecture"].annotation) == tuple(DETECTORS)
    assert {name for name, _, _ in ROWS.values()} == {*DETECTORS}


@rows
def test_the_full_width_has_its_parameters(row: str, make_sizes: MakeSizes) -> None:
    with torch.device("meta"):  # sizes without values
        model = build(row, make_sizes, width=1, in_channels=3)
    assert sum(p.numel() for p in model.parameters()) == ROWS[row][2]


@rows
def test_one_step_moves_the_first_layer_and_boxes_come_back(
    row: str, make_sizes: MakeSizes, make_target: MakeTarget
) -> None:
    model = build(row, make_sizes, in_channels=2).train()
    images = torch.rand(2, 2, 64, 96)
    targets = [make_target([[20, 20, 36, 34]], [[60, 30, 75, 46]]), make_target()]
    terms = model.losses(images, targets)
    assert all(term.ndim == 0 and torch.isfinite(term) for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    first = next(model.body.parameters())
    assert first.grad is not None
    assert (first.grad != 0).any()
    with torch.inference_mode():
        found = model.eval()(images)
    assert len(found) == 2
    for one in found:
        boxes, scores = one["boxes"], one["scores"]
        assert len(boxes) == len(scores) <= 100
        assert (scores >= 0.05).all()
        assert (scores.diff() <= 0).all()
        assert (boxes >= 0).all()
        assert (boxes[:, 2:] <= torch.tensor([96, 64])).all()


@rows
def test_a_batch_without_nodes_trains(
    row: str, make_sizes: MakeSizes, make_target: MakeTarget
) -> None:
    model = build(row, make_sizes).train()
    terms = model.losses(torch.rand(2, 1, 64, 64), [make_target(), make_target()])
    total = torch.stack(list(terms.values())).sum()
    total.backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert total.item() > 0


@rows
def test_bfloat16_training_gives_finite_single_precision_terms(
    row: str, make_sizes: MakeSizes, make_target: MakeTarget
) -> None:
    model = build(row, make_sizes).train()
    with torch.autocast("cpu", torch.bfloat16):
        terms = model.losses(torch.rand(1, 1, 64, 64), [make_target([[20, 20, 36, 34]])])
    assert all(torch.isfinite(term) for term in terms.values())


@rows
def test_in_bfloat16_boxes_are_single_precision_on_the_image_and_scores_move_little(
    row: str, make_sizes: MakeSizes
) -> None:
    model = build(row, make_sizes, in_channels=2, score_min=0.0).eval()
    images = torch.rand(2, 2, 64, 96)
    with torch.inference_mode():
        exact, found = inference_form(model)(images), inference_form(model, "bf16")(images)
    for one, expected in zip(found, exact, strict=True):
        boxes, scores = one["boxes"], one["scores"]
        assert boxes.dtype == scores.dtype == torch.float32
        assert len(boxes) > 0
        assert (boxes >= 0).all()
        assert (boxes[:, 2:] <= torch.tensor([96, 64])).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        torch.testing.assert_close(scores[:5], expected["scores"][:5], atol=0.03, rtol=0)


def bright_squares(make_target: MakeTarget) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Four noisy images of 128 px with three bright rectangles of 14 to 30 px each."""
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.random((4, 1, 128, 128), dtype=np.float32)) * 0.3
    targets = []
    for image in images:
        boxes = []
        for x, y in ((28, 30), (90, 36), (50, 95)):
            width, height = rng.integers(14, 31, size=2)
            x1, y1 = (place + int(rng.integers(-13, 0)) for place in (x, y))
            boxes.append([x1, y1, x1 + int(width), y1 + int(height)])
            image[:, y1 : y1 + int(height), x1 : x1 + int(width)] += 0.6
        targets.append(make_target([[float(v) for v in box] for box in boxes]))
    return images, targets


def ap50_of(model: Detector, images: Tensor, targets: list[dict[str, Tensor]]) -> float:
    with torch.inference_mode():
        found = model.eval()(images)
    pairs = [
        ImageBoxes(
            target["boxes"].double().numpy(),
            np.zeros(len(target["boxes"]), dtype=bool),
            np.ones(len(target["boxes"]), dtype=np.int64),
            one["boxes"].double().numpy(),
            one["scores"].double().numpy(),
        )
        for target, one in zip(targets, found, strict=True)
    ]
    return ap50(pairs).value or 0.0


@pytest.mark.slow
@rows
def test_every_detector_learns_a_few_bright_squares(
    row: str, make_sizes: MakeSizes, make_target: MakeTarget
) -> None:
    # Default anchors, 32 px and more, are too large for these squares on a map of 8 x 8 cells.
    changes = {"anchor_areas_px2": (100.0, 256.0, 484.0, 900.0, 2500.0)}
    model = build(row, make_sizes, **changes)
    images, targets = bright_squares(make_target)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.002)
    totals = []
    for _ in range(120):
        total = torch.stack(list(model.train().losses(images, targets).values())).sum()
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        totals.append(total.item())
    # The centreness of FCOS has no loss of 0, even for the right answer.
    assert np.mean(totals[-10:]) < 0.7 * np.mean(totals[:10])
    assert ap50_of(model, images, targets) > 0.5
