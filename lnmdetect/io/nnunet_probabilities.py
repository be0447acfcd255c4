"""The class probabilities that nnU-Net v2 writes beside a prediction (`--save_probabilities`)."""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError
from lnmdetect.core.grid_match import Sides
from lnmdetect.io.input_files import printable

KEY = "probabilities"
"""Of the array in the .npz: (classes, slices, rows, columns), background first (its
nnunetv2/inference/export_prediction.py)."""


def read_probabilities(path: Path, sides: Sides) -> NDArray[np.float32] | None:
    """Return (classes, *sides), the background first, in the label map's own order of axes.

    Args:
        path: the .npz beside the label map; None is returned where there is none.
        sides: of the label map.

    Raises:
        InputError: the file is damaged, or belongs to another label map.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            values = np.asarray(stored[KEY], dtype=np.float32)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, MemoryError) as error:
        raise _unfit(path, f"one that cannot be read ({type(error).__name__})") from None
    if values.ndim != 4 or values.shape[:0:-1] != sides or len(values) < 2:
        raise _unfit(path, f"an array of {' x '.join(map(str, values.shape))}")
    if not (values.min() >= 0 and values.max() <= 1 + 1e-3):
        raise _unfit(path, "values that are no probabilities")
    return values.transpose(0, 3, 2, 1)


def _unfit(path: Path, got: str) -> InputError:
    return InputError(
        printable(path.name),
        expected="nnU-Net's probabilities for the label map beside it",
        got=got,
        remedy="Predict again with --save_probabilities, or take the .npz away.",
    )
