"""What `detect` takes beyond its network: reading, checking, writing; its model is there."""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.thresholds import Threshold
from lnmdetect.datasets.scan_slices import scan_batches
from lnmdetect.io.bundles import Bundle, write_bundle
from lnmdetect.io.scan_source import open_source
from lnmdetect.stages.detect import LoadedDetector, detect, load_detector
from lnmdetect.stages.detect_request import DEFAULT_MODEL, DetectRequest
from lnmdetect.stages.speed_detector import plain_detector
from lnmdetect.stages.speed_request import SpeedRun
from lnmdetect.stages.speed_result import Bar, SpeedRow
from lnmdetect.stages.speed_rounds import Candidate, Work
from lnmdetect.stages.speed_rows import Comparison, milliseconds
from lnmdetect.stages.speed_scans import write_scan
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict

BAR = Bar(1.05, "at_most")
MODEL, STAGE = "network", "detect"
SCAN_ROUNDS = 3
PUBLISHED_SHARE = 10
"""The published detector gets a scan of so many times fewer slices, each taking so much longer."""
SLICES_HELD = 10
"""Prepared for the network at a time."""


def overhead_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield the time of `detect` over that of its network alone, for both sizes of detector."""
    few = max(2, run.request.overhead_slices // PUBLISHED_SHARE)
    folder = run.place("overhead")
    published = _published_bundle(run, folder / "detector-published")
    yield from _rows(run, folder / "compact", DEFAULT_MODEL, run.request.overhead_slices)
    yield from _rows(run, folder / "published", str(published), few)


def _rows(run: SpeedRun, folder: Path, model: str, slices: int) -> Iterator[SpeedRow]:
    scan = folder / "scan"
    write_scan(run.volume, scan, slices)
    loaded = load_detector(model, "cpu")
    request = DetectRequest(scan, output=folder / "boxes.json", model=model, overwrite=True)
    candidates = [
        Candidate(MODEL, lambda: _network(scan, loaded)),
        Candidate(STAGE, lambda: _stage(request, loaded)),
    ]
    rounds = run.timed(candidates, what=f"overhead, {folder.name}", most=SCAN_ROUNDS)
    unit = "times the network alone"
    comparison = Comparison(f"overhead_{folder.name}", MODEL, unit, kind="longer")
    size = f"{folder.name} detector, {slices} slices"
    for name, label in (
        (MODEL, f"{size}: the network alone on prepared slices"),
        (STAGE, f"{size}: detect with the model in memory"),
    ):
        facts = milliseconds(rounds, name, "slice", slices)
        facts |= {"slices": slices, "form": loaded[1].form.described}
        bar = BAR if name == STAGE else None
        yield comparison.row(rounds, name, label, bar=bar, facts=facts)


def _stage(request: DetectRequest, loaded: LoadedDetector) -> Work:
    def work() -> None:
        detect(request, loaded=loaded)

    return work


def _network(scan: Path, loaded: LoadedDetector) -> Work:
    """Return the network's answers for all slices; reading them is not in its seconds."""
    bundle, task = loaded
    assert isinstance(bundle.recipe, DetectorRecipe)
    config, (handle,) = bundle.recipe.input, open_source(scan).scans

    def work() -> float:
        seconds = 0.0
        batches = scan_batches(handle.images, handle.read_slice, config)
        while held := list(islice(batches, SLICES_HELD)):
            begun = time.perf_counter()
            list(predict(task, held, Compute(task.device)))
            seconds += time.perf_counter() - begun
        return seconds

    return work


def _published_bundle(run: SpeedRun, folder: Path) -> Path:
    """Return a bundle of the published detector, untrained."""
    threshold = Threshold(0.5, "none", "nobody")
    bundle = Bundle("published", run.plan.detector, threshold, True, {}, "", folder)
    with torch.inference_mode():
        write_bundle(bundle, plain_detector(run.plan).state_dict(), "Untrained.\n")
    return folder
