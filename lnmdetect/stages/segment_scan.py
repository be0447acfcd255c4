"""One scan through the segmenter: windows, merged maps, pieces of the mask."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.progress import Progress
from lnmdetect.core.records import ImageRecord
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.datasets.scan_windows import ScanWindows, Start
from lnmdetect.datasets.segmenter_data import SegmenterBatch, collate_segmenter
from lnmdetect.io.scan_handle import ReadSlice, ScanHandle
from lnmdetect.stages.scan_hounsfield import check_scan
from lnmdetect.training.devices import Autocast, Compute
from lnmdetect.training.engine import predict
from lnmdetect.training.segmenter_task import SegmenterTask, WindowAnswers
from lnmdetect.transforms.mask_pieces import Piece, PieceJoiner
from lnmdetect.transforms.slab_merge import SlabMerge

GAUSSIAN_SHARE = 0.125
"""Standard deviation of a window's weights as a share of its side (Isensee et al. 2021)."""


@dataclass(frozen=True)
class Segmenter:
    """A trained network with its recipe, and the first stage of its cascade where it has one.

    `precision` is that of its matrix products; the first stage has its own.
    """

    recipe: SegmenterRecipe
    task: SegmenterTask
    coarse: "Segmenter | None" = None
    precision: Autocast = "fp32"


@dataclass(frozen=True)
class SegmentedScan:
    """The slices of a scan, and the pieces of its mask that are large enough."""

    images: tuple[ImageRecord, ...]
    pieces: tuple[Piece, ...]


def segment_scans(
    scans: Sequence[ScanHandle], segmenter: Segmenter, threshold: float, progress: Progress
) -> Iterator[SegmentedScan | InputError]:
    """Yield every scan with its pieces, or why it cannot be read or is no neck in HU.

    Args:
        scans: of two slices or more.
        segmenter: with its weights.
        threshold: on P(node) of a voxel.
        progress: told about every slice of all scans.
    """
    steps = (step for scan in scans for step in _slice_by_slice(scan, segmenter, threshold))
    total = sum(len(scan.images) for scan in scans)
    for done in progress.track(steps, description="segmenting", total=total):
        if done is not None:
            yield done


def _slice_by_slice(
    scan: ScanHandle, segmenter: Segmenter, threshold: float
) -> Iterator[SegmentedScan | InputError | None]:
    """Yield once a slice: None, and on the last what the scan gave; why, where it gives nothing."""
    joiner, least = PieceJoiner(), segmenter.recipe.min_volume_mm3 / _voxel_mm3(scan.images)
    pieces: list[Piece] = []

    def keep(whole: Iterable[Piece]) -> None:
        pieces.extend(piece for piece in whole if piece.voxels >= least)

    try:
        check_scan(scan)
        for index, maps in slice_maps(scan.images, scan.read_slice, segmenter):
            keep(joiner.add(index, maps.sum(axis=0) >= threshold, maps))
            if index < len(scan.images) - 1:
                yield None
    except InputError as error:
        yield error
        return
    keep(joiner.finish())
    yield SegmentedScan(tuple(scan.images), tuple(pieces))


def slice_maps(
    images: Sequence[ImageRecord], read: ReadSlice, segmenter: Segmenter
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the slices of a scan in order, each with P of every class but the background.

    Args:
        images: D records, rising positions.
        read: gives slice `index`, (H, W) int16 HU.
        segmenter: with its weights.

    Yields:
        The index, and (K, H, W) in [0, 1].
    """
    coarse, recipe = segmenter.coarse, segmenter.recipe
    first = None if coarse is None else node_shares(images, read, coarse)
    windows = ScanWindows(images, read, recipe, coarse=first)
    air = np.zeros((len(recipe.model.classes), *windows.size), dtype=np.float32)
    for index, maps in windows.on_slices(_planes(windows, segmenter)):
        yield index, air if maps is None else maps[1:]


def node_shares(
    images: Sequence[ImageRecord], read: ReadSlice, segmenter: Segmenter
) -> Iterator[NDArray[np.float32]]:
    """Yield P(node) of every slice in order, (H, W) in [0, 1]; see `slice_maps`."""
    for _, maps in slice_maps(images, read, segmenter):
        yield maps.sum(axis=0)


def _voxel_mm3(images: Sequence[ImageRecord]) -> float:
    first, last = images[0], images[-1]
    steps = len(images) - 1
    step_mm = (last.position_mm - first.position_mm) / steps if steps else first.thickness_mm
    return float((step_mm or 1.0) * np.prod(first.spacing_mm))


def _planes(windows: ScanWindows, segmenter: Segmenter) -> Iterator[NDArray[np.float32] | None]:
    """Yield the maps of every plane of the grid, first to last."""
    pending: list[Start] = []

    def batches() -> Iterator[SegmenterBatch]:
        for start, item in windows.windows():
            if item is not None:
                pending.append(start)
                yield collate_segmenter([item])

    recipe, task = segmenter.recipe, segmenter.task
    merge = SlabMerge(len(recipe.model.classes) + 1, _importance(windows.plan.patch), windows.shape)
    compute = Compute(task.device, segmenter.precision)
    for window in predict(WindowAnswers(task), batches(), compute):
        start = pending.pop(0)
        yield from merge.advance(start[0])
        merge.add(start, window)
    yield from merge.advance(windows.shape[0])


def _importance(patch: tuple[int, int, int]) -> NDArray[np.float32]:
    from monai.data.utils import compute_importance_map

    weights = compute_importance_map(patch, mode="gaussian", sigma_scale=GAUSSIAN_SHARE)
    return np.asarray(weights.numpy(), dtype=np.float32)
