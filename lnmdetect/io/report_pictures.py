"""Slices as small pictures within a page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_SIDE_PX = 448
"""Of a slice of 512 px the part with the patient keeps nearly all of its pixels."""
MAX_WIDTH_PX = 1240
"""Of a picture with text: as wide as the page."""
QUALITY = 70
"""Of WebP: CT noise takes most of the bytes, and boxes are drawn beside the picture, not in it."""


def picture_uri(
    grey: NDArray[np.uint8], spacing_mm: tuple[float, float], *, max_side_px: int = MAX_SIDE_PX
) -> str:
    """Return the (H, W) picture as a data URI, with square pixels.

    Args:
        grey: 0 black to 255 white.
        spacing_mm: (row, column).
        max_side_px: of the longer side; a smaller picture is not enlarged.
    """
    height_mm, width_mm = grey.shape[0] * spacing_mm[0], grey.shape[1] * spacing_mm[1]
    side_px = min(max_side_px, max(grey.shape))
    scale = side_px / max(height_mm, width_mm)
    size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))
    picture = Image.fromarray(grey)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return _webp_uri(picture)


def colour_uri(picture: Image.Image, *, max_width_px: int = MAX_WIDTH_PX) -> str:
    """Return a finished picture as a data URI, no wider than `max_width_px`."""
    if picture.width > max_width_px:
        height = max(1, round(picture.height * max_width_px / picture.width))
        picture = picture.resize((max_width_px, height), Image.Resampling.LANCZOS)
    return _webp_uri(picture)


def _webp_uri(picture: Image.Image) -> str:
    with io.BytesIO() as stream:
        picture.save(stream, format="WEBP", quality=QUALITY, method=4)
        return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
