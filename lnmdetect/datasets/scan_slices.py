"""The slices of a scan as the detector meets them, one at a time."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.config_parts import InputConfig
from lnmdetect.core.geometry import as_boxes
from lnmdetect.core.neighbours import neighbour_indices
from lnmdetect.core.records import ImageRecord
from lnmdetect.datasets.detector_data import DetectorBatch, DetectorItem, collate_detector
from lnmdetect.io.scan_handle import ReadSlice
from lnmdetect.transforms.body import BoxPx
from lnmdetect.transforms.grid import mask_slice, model_channels
from lnmdetect.transforms.windows import AIR_HU

MASKED_SLICES_KEPT = 32
"""More than the neighbours of two slices: each slice is read and masked once."""


class ScanSlices:
    """The slices of one scan, read when they are asked for; only a few are held.

    Args:
        images: D records, rising positions.
        read: gives slice `index`, (H, W) int16 HU.
        config: of the model.
    """

    def __init__(self, images: Sequence[ImageRecord], read: ReadSlice, config: InputConfig) -> None:
        @lru_cache(maxsize=MASKED_SLICES_KEPT)
        def masked(index: int) -> tuple[NDArray[np.int16], BoxPx]:
            return mask_slice(read(index), images[index].spacing_mm, config)

        self.images, self.config, self._masked = images, config, masked
        self._positions_mm = [image.position_mm for image in images]

    def neighbours(self, index: int) -> list[int]:
        """Return the slices that slice `index` is looked at with, one an offset of the model."""
        return neighbour_indices(self._positions_mm, index, self.config.slice_offsets_mm)

    def shows_patient(self, index: int) -> bool:
        """Return whether any part of a patient is on slice `index` or on a neighbour of it.

        A recipe without `body_mask` takes all that is on a slice for the patient.

        Raises:
            InputError: it, or a neighbour of it, is damaged.
        """
        if not self.config.body_mask:
            return True
        return any((self._masked(row)[0] != AIR_HU).any() for row in self.neighbours(index))

    def item(self, index: int) -> DetectorItem:
        """Return slice `index` with its image and grid.

        Raises:
            InputError: it, or a neighbour of it, is damaged.
        """
        image = self.images[index]
        stack = np.stack([self._masked(row)[0] for row in self.neighbours(index)])
        channels, grid = model_channels(
            stack, self._masked(index)[1], image.spacing_mm, self.config
        )
        return DetectorItem(channels, as_boxes([]), np.zeros(0, dtype=bool), image, grid)


def scan_batches(
    images: Sequence[ImageRecord], read: ReadSlice, config: InputConfig
) -> Iterator[DetectorBatch]:
    """Yield one batch a slice, in order, each with its image and grid; batching gains nothing.

    (Design, section 9: on a CPU one slice at a time is as fast.) See `ScanSlices`.
    """
    slices = ScanSlices(images, read, config)
    for index in range(len(images)):
        yield collate_detector([slices.item(index)])
