"""The slices of a scan as batches for the detector, one at a time."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.config_parts import InputConfig
from lnmdetect.core.geometry import as_boxes
from lnmdetect.core.neighbours import neighbour_indices
from lnmdetect.core.records import Scan
from lnmdetect.datasets.detector_data import DetectorBatch, DetectorItem, collate_detector
from lnmdetect.transforms.body import BoxPx
from lnmdetect.transforms.grid import mask_slice, model_channels

MASKED_SLICES_KEPT = 32
"""More than the neighbours of two slices: each slice is masked once."""


def scan_batches(scan: Scan, config: InputConfig) -> Iterator[DetectorBatch]:
    """Yield one batch a slice, in order, each with its image and grid; batching gains nothing.

    (Design, section 9: on a CPU one slice at a time is as fast.)
    """
    positions = [image.position_mm for image in scan.images]

    @lru_cache(maxsize=MASKED_SLICES_KEPT)
    def masked(index: int) -> tuple[NDArray[np.int16], BoxPx]:
        return mask_slice(scan.voxels_hu[index], scan.images[index].spacing_mm, config)

    for index, image in enumerate(scan.images):
        rows = neighbour_indices(positions, index, config.slice_offsets_mm)
        stack = np.stack([masked(row)[0] for row in rows])
        channels, grid = model_channels(stack, masked(index)[1], image.spacing_mm, config)
        item = DetectorItem(channels, as_boxes([]), np.zeros(0, dtype=bool), image, grid)
        yield collate_detector([item])
