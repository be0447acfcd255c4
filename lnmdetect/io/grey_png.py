"""Grey PNG images, written whole or not at all."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lnmdetect.io.json_files import atomic_output


def write_grey_png(pixels: NDArray[np.uint8], path: Path, *, overwrite: bool = False) -> None:
    """Write (H, W) uint8 values as an 8-bit grey PNG; the same values give the same bytes.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    with atomic_output(path, overwrite=overwrite) as stream:
        Image.fromarray(pixels).save(stream, format="PNG")
