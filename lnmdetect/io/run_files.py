"""The files of a training run: checkpoint, best weights, curves, prepared pixels."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor

from lnmdetect.core.errors import ModelError, OutputError
from lnmdetect.io.json_files import atomic_output
from lnmdetect.io.learning_curves import CURVES

LAST, KEPT = "last.pt", "kept.safetensors"


def save_checkpoint(folder: Path, content: Mapping[str, Any]) -> None:
    """Write `folder/last.pt`: tensors, numbers, text, lists and dictionaries of them."""
    with atomic_output(folder / LAST, overwrite=True) as stream:
        torch.save(dict(content), stream)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Return what `save_checkpoint` wrote, None where there is nothing; no code is unpickled.

    Raises:
        ModelError: the file is damaged.
    """
    path = folder / LAST
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(
            LAST,
            expected="a whole checkpoint",
            got=f"a damaged one ({type(error).__name__})",
            remedy="Train again with --overwrite.",
        ) from None
    return content


def make_run_folder(folder: Path) -> None:
    """Make the run's folder unless it is there.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            folder.name,
            expected="a folder that can be made",
            got=error.strerror or type(error).__name__,
            remedy="Choose another --output.",
        ) from None


def forget_run(folder: Path) -> None:
    """Delete what an earlier training left, so that none of it can be taken for the new one's."""
    for name in (LAST, KEPT, CURVES):
        (folder / name).unlink(missing_ok=True)


def drop_checkpoints(folder: Path) -> None:
    """Delete what only a training that goes on needs; curves and bundle stay."""
    for name in (LAST, KEPT):
        (folder / name).unlink(missing_ok=True)


def save_kept(folder: Path, weights: Mapping[str, Tensor]) -> None:
    """Write the weights that are kept to `folder/kept.safetensors`."""
    with atomic_output(folder / KEPT, overwrite=True) as stream:
        stream.write(save({name: value.contiguous() for name, value in weights.items()}))


def load_kept(folder: Path) -> dict[str, Tensor]:
    """Return the weights that are kept."""
    weights: dict[str, Tensor] = load_file(folder / KEPT)
    return weights


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array as `.npy`, its folder made where it is missing."""
    with atomic_output(path, overwrite=True) as stream:
        np.save(stream, array)


def open_array(path: Path) -> NDArray[Any]:
    """Return the array of an `.npy` file, memory-mapped for reading."""
    array: NDArray[Any] = np.load(path, mmap_mode="r")
    return array


def new_array(path: Path, shape: tuple[int, ...]) -> NDArray[np.int16]:
    """Return a new int16 array of zeros, memory-mapped to `path` for reading and writing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.int16, shape=shape)
