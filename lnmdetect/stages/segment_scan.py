"""One scan through the segmenter: windows, merged maps, pieces of the mask."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.progress import Progress
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.datasets.scan_windows import ScanWindows, Start
from lnmdetect.datasets.segmenter_data import SegmenterBatch, collate_segmenter
from lnmdetect.io.scan_handle import ScanHandle
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict
from lnmdetect.training.segmenter_task import SegmenterTask, WindowAnswers
from lnmdetect.transforms.mask_pieces import Piece, PieceJoiner
from lnmdetect.transforms.slab_merge import SlabMerge

GAUSSIAN_SHARE = 0.125
"""Standard deviation of a window's weights as a share of its side (Isensee et al. 2021)."""


def segment_scan(
    scan: ScanHandle,
    recipe: SegmenterRecipe,
    task: SegmenterTask,
    threshold: float,
    progress: Progress,
) -> Iterator[Piece]:
    """Yield the pieces of the scan's mask that are large enough, each when it is whole.

    Args:
        scan: of two slices or more.
        recipe: with its plan.
        task: with its weights.
        threshold: on P(node) of a voxel.
        progress: told about every slice.

    Raises:
        InputError: a file is damaged.
    """
    windows = ScanWindows(scan.images, scan.read_slice, recipe)
    joiner = PieceJoiner()
    slices = windows.on_slices(_planes(windows, recipe, task))
    images = scan.images
    step_mm = float(np.diff(windows.positions_mm).mean()) if len(images) > 1 else 0.0
    voxel_mm3 = (step_mm or images[0].thickness_mm or 1.0) * np.prod(images[0].spacing_mm)

    def whole() -> Iterator[Piece]:
        watched = progress.track(slices, description="segmenting", total=len(images))
        for index, maps in watched:
            inside = np.zeros((0, *windows.size), np.float32) if maps is None else maps[1:]
            yield from joiner.add(index, inside.sum(axis=0) >= threshold, inside)
        yield from joiner.finish()

    for piece in whole():
        if piece.voxels * voxel_mm3 >= recipe.min_volume_mm3:
            yield piece


def _planes(
    windows: ScanWindows, recipe: SegmenterRecipe, task: SegmenterTask
) -> Iterator[NDArray[np.float32] | None]:
    """Yield the maps of every plane of the grid, first to last."""
    pending: list[Start] = []

    def batches() -> Iterator[SegmenterBatch]:
        for start, item in windows.windows():
            if item is not None:
                pending.append(start)
                yield collate_segmenter([item])

    merge = SlabMerge(len(recipe.model.classes) + 1, _importance(windows.plan.patch), windows.shape)
    for window in predict(WindowAnswers(task), batches(), Compute(task.device)):
        start = pending.pop(0)
        yield from merge.advance(start[0])
        merge.add(start, window)
    yield from merge.advance(windows.shape[0])


def _importance(patch: tuple[int, int, int]) -> NDArray[np.float32]:
    from monai.data.utils import compute_importance_map

    weights = compute_importance_map(patch, mode="gaussian", sigma_scale=GAUSSIAN_SHARE)
    return np.asarray(weights.numpy(), dtype=np.float32)
