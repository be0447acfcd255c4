"""From labels to Hounsfield units: one patient's tissue values and 3-D textures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from lnmdetect.phantom.anatomy import Grid, Labels
from lnmdetect.phantom.tissues import TISSUES

Setting = Literal["training", "lifelike"]
Floats = NDArray[np.float32]

TILE_LAYERS, TILE_SIDE = 56, 144
TILE_STEP_MM = (1.5, 0.9)
"""(z, in-plane) spacing of the texture tiles; 84 x 130 x 130 mm, then they repeat."""


@dataclass(frozen=True)
class Appearance:
    """The values of one patient's labels.

    Attributes:
        hu: (256,) mean of every label; grain, streak: (256,) strength of the two textures.
        grain_tile, streak_tile: (layers, side, side), zero mean and 0..1.
        phase: share of full venous contrast, 0 is none.
    """

    hu: Floats
    grain: Floats
    streak: Floats
    grain_tile: Floats
    streak_tile: Floats
    phase: float

    def render(self, labels: Labels, factor: int, z_mm: float, grid: Grid) -> Floats:
        """Return HU (rows, columns) of a label map painted `factor` times finer than `grid`."""
        fine = cv2.LUT(labels, self.hu)
        rows, columns = grid.shape
        image = cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_AREA)
        coarse = np.ascontiguousarray(labels[factor // 2 :: factor, factor // 2 :: factor])
        image = image + cv2.LUT(coarse, self.grain) * _texture(self.grain_tile, z_mm, grid)
        image = image + cv2.LUT(coarse, self.streak) * _texture(self.streak_tile, z_mm, grid)
        return np.asarray(image, dtype=np.float32)


def _texture(tile: Floats, z_mm: float, grid: Grid) -> Floats:
    place = (z_mm / TILE_STEP_MM[0]) % TILE_LAYERS
    low = int(place) % TILE_LAYERS
    share = np.float32(place - int(place))
    layer = tile[low] * (1 - share) + tile[(low + 1) % TILE_LAYERS] * share
    rows, columns = grid.shape
    scale = grid.pixel_mm / TILE_STEP_MM[1]
    repeats = int(np.ceil(max(rows, columns) * scale / TILE_SIDE)) + 1
    wide = np.tile(layer, (repeats, repeats))
    needed = (int(columns * scale) + 2, int(rows * scale) + 2)
    window = np.ascontiguousarray(wide[: needed[1], : needed[0]])
    matrix = np.array([[scale, 0, 0], [0, scale, 0]], dtype=np.float64)
    return np.asarray(
        cv2.warpAffine(
            window,
            matrix,
            (columns, rows),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        ),
        dtype=np.float32,
    )


def _tiles(rng: np.random.Generator) -> tuple[Floats, Floats]:
    size = (TILE_LAYERS, TILE_SIDE, TILE_SIDE)
    grain = gaussian_filter(
        rng.standard_normal(size, dtype=np.float32), (1.2, 1.1, 1.1), mode="wrap"
    )
    sheet = gaussian_filter(
        rng.standard_normal(size, dtype=np.float32), (4.5, 2.6, 2.6), mode="wrap"
    )
    where = gaussian_filter(rng.standard_normal(size, dtype=np.float32), (5, 5, 5), mode="wrap")
    streak = np.exp(-((sheet / sheet.std() / 0.16) ** 2)) * np.clip(where / where.std() + 0.6, 0, 1)
    return (grain / grain.std()).astype(np.float32), streak.astype(np.float32)


def draw_appearance(
    tissues: Sequence[str], rng: np.random.Generator, setting: Setting
) -> Appearance:
    """Return random tissue values for labels whose tissue names are `tissues`."""
    training = setting == "training"
    phase = _contrast_phase(rng) if training else float(rng.uniform(0.85, 1.0))
    level: dict[str, float] = {}
    for name, tissue in TISSUES.items():
        low, high = tissue.training_hu if training else tissue.lifelike_hu
        added = rng.uniform(*tissue.enhancement_hu) * phase
        level[name] = float(rng.uniform(low, high) + added)
    texture = rng.uniform(0.4, 1.8, 2) if training else rng.uniform(0.7, 1.2, 2)
    hu, grain, streak = (np.zeros(256, dtype=np.float32) for _ in range(3))
    hu[:] = -1000
    for label, name in enumerate(tissues):
        spread = 0.0 if name in ("air", "fat") else 4.0 + 0.06 * abs(level[name])
        hu[label] = level[name] + rng.normal(0, spread * (0.8 if training else 0.4))
        grain[label] = TISSUES[name].grain_hu * texture[0]
        streak[label] = TISSUES[name].streak_hu * texture[1]
    return Appearance(hu, grain, streak, *_tiles(rng), phase=phase)


def _contrast_phase(rng: np.random.Generator) -> float:
    """Return 0 (no contrast) in three of ten draws, else weak to strong contrast."""
    return 0.0 if rng.random() < 0.3 else float(rng.uniform(0.25, 1.25))
