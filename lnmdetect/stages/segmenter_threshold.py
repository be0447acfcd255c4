"""The threshold on P(node) of a voxel, chosen on whole scans of validation patients."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.progress import Progress
from lnmdetect.core.records import CocoDataset, ImageRecord
from lnmdetect.core.run_lengths import mask_of_runs
from lnmdetect.core.thresholds import Threshold
from lnmdetect.datasets.volume_cache import group_series
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.stages.segment_scan import Segmenter, slice_maps

CANDIDATES = np.round(np.arange(0.1, 0.91, 0.05), 2)
RULE = "highest mean Dice of whole scans, all classes merged"


def choose_voxel_threshold(
    truth: CocoDataset,
    store: PixelStore,
    segmenter: Segmenter,
    progress: Progress,
) -> tuple[Threshold, dict[str, float | None]]:
    """Return the threshold with the best Dice over the scans of truth, and figures there.

    Args:
        truth: of the validation patients, with masks; at least one scan holds a node.
        store: of their pixels.
        segmenter: with the weights that are kept.
        progress: told about every scan.

    Raises:
        InputError: a slice cannot be read.
    """
    scans = group_series(truth.images)
    dice = np.array(
        [
            _scan_dice(images, truth, store, segmenter)
            for images in progress.track(scans, description="choosing the threshold")
        ]
    )
    means = np.nanmean(dice, axis=0)
    best = int(means.argmax())
    figures: dict[str, float | None] = {
        "validation_scans": float(np.isfinite(dice[:, best]).sum()),
        "dice_per_scan_at_threshold": round(float(means[best]), 4),
    }
    return Threshold(float(CANDIDATES[best]), RULE, "validation patients"), figures


def _scan_dice(
    images: Sequence[ImageRecord],
    truth: CocoDataset,
    store: PixelStore,
    segmenter: Segmenter,
) -> NDArray[np.float64]:
    """Return the Dice of one scan at every candidate; NaN where truth has no node."""
    by_image = truth.by_image()
    shared = np.zeros(len(CANDIDATES))
    sizes = np.zeros(len(CANDIDATES))
    true = 0
    for index, maps in slice_maps(images, lambda i: store.read(images[i]), segmenter):
        image = images[index]
        share = maps.sum(axis=0)
        drawn = np.zeros(share.shape, dtype=bool)
        for node in by_image[image.image_id]:
            if node.segmentation is not None:
                drawn |= mask_of_runs(node.segmentation, (image.height, image.width))
        true += int(drawn.sum())
        sizes += _counts(share)
        shared += _counts(share[drawn])
    return 2 * shared / (sizes + true) if true else np.full(len(CANDIDATES), np.nan)


def _counts(shares: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how many values reach each candidate."""
    high = np.sort(shares[shares >= CANDIDATES[0]], axis=None)
    return np.asarray(len(high) - np.searchsorted(high, CANDIDATES), dtype=np.float64)
