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
from lnmdetect.io.scan_handle import ScanHandle
from lnmdetect.io.scan_source import open_source
from lnmdetect.stages.detect import LoadedDetector, detect, load_detector
from lnmdetect.stages.detect_request import DEFAULT_MODEL, DetectRequest
from lnmdetect.stages.speed_detector import CPU, plain_detector
from lnmdetect.stages.speed_request import SpeedRun
from lnmdetect.stages.speed_result import Bar, SpeedRow
from lnmdetect.stages.speed_rounds import Candidate, Work
from lnmdetect.stages.speed_rows import Comparison, milliseconds
from lnmdetect.stages.speed_scans import write_scan
from lnmdetect.training.devices import Compute, fastest_precision
from lnmdetect.training.engine import predict

BAR = Bar(1.05, "at_most")
"""Of the published detector; the bundled one is so fast that whatever is beside it shows."""
MODEL, STAGE = "network", "detect"
COMPACT_ROUNDS, PUBLISHED_ROUNDS = 3, 2
"""At most; a round of the published detector takes over a minute."""
SLICES_HELD = 10
"""Prepared for the network at a time."""


def overhead_rows(run: SpeedRun) -> Iterator[SpeedRow]:
    """Yield the time of `detect` over that of its network alone, for both sizes of detector.

    The published one is in PyTorch's fastest precision, in which what is no network weighs most.
    """
    scan, folder = run.place("overhead_scan"), run.place("overhead")
    write_scan(run.volume, scan, run.request.overhead_slices)
    compact = load_detector(DEFAULT_MODEL, "cpu")
    yield from _rows(run, "compact", _request(scan, folder), compact)
    published = str(_published_bundle(run, folder / "detector-published"))
    yield from _rows(
        run,
        "published",
        _request(scan, folder, published),
        load_detector(published, "cpu", precision=fastest_precision(CPU)),
        most=PUBLISHED_ROUNDS,
        bar=BAR,
    )


def _request(scan: Path, folder: Path, model: str = DEFAULT_MODEL) -> DetectRequest:
    return DetectRequest(scan, output=folder / "boxes.json", model=model, overwrite=True)


def _rows(
    run: SpeedRun,
    size: str,
    request: DetectRequest,
    loaded: LoadedDetector,
    *,
    most: int = COMPACT_ROUNDS,
    bar: Bar | None = None,
) -> Iterator[SpeedRow]:
    (handle,) = open_source(request.scan).scans
    slices = len(handle.images)
    candidates = [
        Candidate(MODEL, lambda: _network(handle, loaded)),
        Candidate(STAGE, lambda: _stage(request, loaded)),
    ]
    rounds = run.timed(candidates, what=f"overhead, {size}", most=most)
    unit = "times the network alone"
    comparison = Comparison(f"overhead_{size}", MODEL, unit, kind="longer")
    what = f"{size} detector, {slices} slices"
    for name, label in (
        (MODEL, f"{what}: the network alone on prepared slices"),
        (STAGE, f"{what}: detect with the model in memory"),
    ):
        facts = milliseconds(rounds, name, "slice", slices)
        facts |= {"slices": slices, "form": loaded[1].form.described}
        held = bar if name == STAGE else None
        yield comparison.row(rounds, name, label, bar=held, facts=facts)


def _stage(request: DetectRequest, loaded: LoadedDetector) -> Work:
    def work() -> None:
        detect(request, loaded=loaded)

    return work


def _network(handle: ScanHandle, loaded: LoadedDetector) -> Work:
    """Return the network's answers for all slices; reading them is not in its seconds."""
    bundle, task = loaded
    assert isinstance(bundle.recipe, DetectorRecipe)
    config = bundle.recipe.input

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
