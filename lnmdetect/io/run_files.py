"""The files of a training run: checkpoint, best weights, curves, prepared pixels."""

import csv
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from lnmdetect.core.errors import ModelError

LAST, BEST, CURVES = "last.pt", "best.safetensors", "curves.csv"


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a temporary name that becomes `path` once the block has written it.

    Each process has its own: two trainings may prepare one cache at a time.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    yield partial
    partial.replace(path)


def save_checkpoint(folder: Path, content: Mapping[str, Any]) -> None:
    """Write `folder/last.pt`: tensors, numbers, text, lists and dictionaries of them."""
    with _whole(folder / LAST) as path:
        torch.save(dict(content), path)


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


def forget_run(folder: Path) -> None:
    """Delete what an earlier training left, so that none of it can be taken for the new one's."""
    for name in (LAST, BEST, CURVES):
        (folder / name).unlink(missing_ok=True)


def save_best(folder: Path, weights: Mapping[str, Tensor]) -> None:
    """Write the weights of the best epoch to `folder/best.safetensors`."""
    with _whole(folder / BEST) as path:
        save_file({name: value.contiguous() for name, value in weights.items()}, path)


def load_best(folder: Path) -> dict[str, Tensor]:
    """Return the weights of the best epoch."""
    weights: dict[str, Tensor] = load_file(folder / BEST)
    return weights


def save_curves(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write `folder/curves.csv`, one line an epoch."""
    with (
        _whole(folder / CURVES) as path,
        path.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array as `.npy`, its folder made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _whole(path) as partial, partial.open("wb") as file:
        np.save(file, array)


def open_array(path: Path) -> NDArray[Any]:
    """Return the array of an `.npy` file, memory-mapped for reading."""
    array: NDArray[Any] = np.load(path, mmap_mode="r")
    return array


def new_array(path: Path, shape: tuple[int, ...]) -> NDArray[np.int16]:
    """Return a new int16 array of zeros, memory-mapped to `path` for reading and writing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.int16, shape=shape)
