"""Whether three slices of a scan look as Hounsfield units do: air, fat and soft tissue."""

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.transforms.tissue import TissueShares, tissue_shares

Sample = NDArray[np.int16]
"""(D, H, W) HU of up to three slices."""
LEAST_SHARE = 0.005
"""Of the pixels; a neck that fills a third of the slice has ten times as much fat or muscle."""
LEAST_AIR_SHARE = 0.001
"""An airway alone is more."""


def sample_places(depth: int) -> list[int]:
    """Return the three slices to look at, at a quarter, a half and three quarters of the scan."""
    return sorted({depth * quarter // 4 for quarter in (1, 2, 3)})


def check_hounsfield(hu: Sample, series_uid: str) -> TissueShares:
    """Return the shares of tissues in (D, H, W) HU of a scan's sample.

    Raises:
        InputError: there is no soft tissue, or neither air nor fat: a rescale slope, intercept or
            number of bits is wrong, and boxes would be too.
    """
    shares = tissue_shares(hu)
    if shares.soft < LEAST_SHARE:
        got = "no soft tissue"
    elif shares.air < LEAST_AIR_SHARE and shares.fat < LEAST_SHARE:
        got = "neither air nor fat"
    else:
        return shares
    raise InputError(
        f"series {series_uid}",
        expected="a neck in Hounsfield units",
        got=f"{got} in three of its slices, HU {int(hu.min())} to {int(hu.max())}",
        remedy="Check slope, intercept and bits of the pixels, or export the series again; chosen "
        "slices are read unchecked with --key-images.",
    )
