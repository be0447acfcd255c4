"""Scans through the detector slice by slice; what is held is set by the model, not by the scan."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.config_parts import InputConfig
from lnmdetect.core.errors import InputError
from lnmdetect.core.geometry import as_boxes
from lnmdetect.core.progress import Progress
from lnmdetect.core.read_ahead import read_ahead
from lnmdetect.core.records import Detections, ImageRecord
from lnmdetect.datasets.detector_data import DetectorBatch, DetectorItem, collate_detector
from lnmdetect.datasets.scan_slices import ScanSlices
from lnmdetect.io.bundles import Bundle
from lnmdetect.io.detection_spool import DetectionSpool, Place
from lnmdetect.io.scan_handle import ScanHandle, ScanSource
from lnmdetect.stages.scan_hounsfield import check_scan
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict


@dataclass(frozen=True)
class FoundScan:
    """The slices of a scan, in order, each with what was found on it."""

    slices: tuple[tuple[ImageRecord, Detections], ...]


@dataclass(frozen=True)
class _Slice:
    """A slice of a scan: where it is, and whether it is the last."""

    place: Place
    image: ImageRecord
    is_last: bool


@dataclass(frozen=True)
class _Unsearched:
    """A slice as the network takes it."""

    of: _Slice
    item: DetectorItem


@dataclass(frozen=True)
class _Searched:
    """A slice and what was found on it."""

    of: _Slice
    found: Detections


NOTHING = Detections(as_boxes([]), np.zeros(0))
"""What is found where there is no patient."""

_Step = _Unsearched | _Searched | InputError


def detect_scans(
    source: ScanSource,
    bundle: Bundle,
    task: DetectorTask,
    spool: DetectionSpool,
    progress: Progress,
) -> Iterator[FoundScan | InputError]:
    """Yield every scan with what was found, or why it cannot be read or is no neck in HU.

    Slices are read ahead of the network by a thread. A scan with a damaged slice gives nothing. A
    slice on which, as on its neighbours, there is no patient has no box and costs the network
    nothing.

    Args:
        source: what to search.
        bundle: of the detector.
        task: with its weights.
        spool: what is found in it is not searched again; every slice searched is added.
        progress: told about every slice of all scans.
    """
    recipe = bundle.recipe
    assert isinstance(recipe, DetectorRecipe)
    checked = source.coverage == "all_slices"
    steps = (
        step
        for number, scan in enumerate(source.scans)
        for step in _read(number, scan, recipe.input, spool.found, checked=checked)
    )
    total = sum(len(scan.images) for scan in source.scans)
    slices: list[tuple[ImageRecord, Detections]] = []
    with closing(read_ahead(steps)) as ahead:
        watched = progress.track(ahead, description="detecting", total=total)
        for step in _searched(watched, task, spool):
            if isinstance(step, InputError):
                slices = []
                yield step
                continue
            slices.append((step.of.image, step.found))
            if step.of.is_last:
                yield FoundScan(tuple(slices))
                slices = []


def _read(
    number: int,
    scan: ScanHandle,
    config: InputConfig,
    known: Mapping[Place, Detections],
    *,
    checked: bool,
) -> Iterator[_Step]:
    """Yield the slices of a scan as they are read; why, where there are no more.

    Args:
        number: of the scan.
        scan: by its headers.
        config: of the model.
        known: what was found on slices that need not be read.
        checked: whether the scan must look like a neck in HU.
    """
    images = scan.images
    slices = ScanSlices(images, scan.read_slice, config)
    try:
        if checked:
            check_scan(scan)
        for index, image in enumerate(images):
            one = _Slice((number, index), image, index == len(images) - 1)
            found = known.get(one.place)
            if found is None and slices.shows_patient(index):
                yield _Unsearched(one, slices.item(index))
            else:
                yield _Searched(one, found or NOTHING)
    except InputError as error:
        yield error


def _searched(
    steps: Iterable[_Step], task: DetectorTask, spool: DetectionSpool
) -> Iterator[_Searched | InputError]:
    """Yield what the reader gave, in order, every slice with what the network finds on it."""
    waiting: deque[_Step] = deque()

    def batches() -> Iterator[DetectorBatch]:
        for step in steps:
            waiting.append(step)
            if isinstance(step, _Unsearched):
                yield collate_detector([step.item])

    for found in predict(task, batches(), Compute(task.device)):
        while not isinstance(step := waiting.popleft(), _Unsearched):
            yield step
        spool.keep(step.of.place, found)
        yield _Searched(step.of, found)
    for rest in waiting:
        assert not isinstance(rest, _Unsearched)  # the network has answered every slice
        yield rest
