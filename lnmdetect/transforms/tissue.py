"""How much of some slices has the Hounsfield units of air, fat and soft tissue."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AIR_BELOW_HU = -700
FAT_HU = (-150, -50)
SOFT_HU = (-20, 200)
"""Muscle to enhanced glands; vessels may lie above."""


@dataclass(frozen=True)
class TissueShares:
    """Shares of all pixels, and where air lies.

    Attributes:
        air, fat, soft: in [0, 1].
        air_hu: median of what is taken for air, None where there is none.
    """

    air: float
    fat: float
    soft: float
    air_hu: float | None


def tissue_shares(hu: NDArray[np.int16]) -> TissueShares:
    """Return the shares over (D, H, W) HU."""
    air = hu < AIR_BELOW_HU
    fat, soft = ((hu >= low) & (hu <= high) for low, high in (FAT_HU, SOFT_HU))
    return TissueShares(
        air=float(air.mean()),
        fat=float(fat.mean()),
        soft=float(soft.mean()),
        air_hu=float(np.median(hu[air])) if air.any() else None,
    )
