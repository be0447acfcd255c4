"""Hounsfield units to the channels of a model."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

AIR_HU = -1024


def window(
    hu: NDArray[np.int16] | NDArray[np.float32], window_hu: tuple[float, float]
) -> NDArray[np.float32]:
    """Return `hu` mapped linearly from (low, high) to [0, 1], clipped; any shape, float32."""
    low, high = window_hu
    scaled = (hu.astype(np.float32) - low) / (high - low)
    return np.asarray(np.clip(scaled, 0, 1), dtype=np.float32)


def window_stack(
    stack_hu: NDArray[np.int16], windows_hu: Sequence[tuple[float, float]]
) -> NDArray[np.float32]:
    """Return (S * W, H, W') channels in [0, 1] for (S, H, W') slices; slices vary slowest."""
    return np.concatenate([np.stack([window(hu, w) for w in windows_hu]) for hu in stack_hu])
