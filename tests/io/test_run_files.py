"""The files of a training run: whole or not there."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lnmdetect.core.errors import ModelError
from lnmdetect.io.run_files import (
    forget_run,
    load_checkpoint,
    load_kept,
    new_array,
    open_array,
    save_array,
    save_checkpoint,
    save_kept,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_comes_back_and_nothing_else_is_left(tmp_path: Path) -> None:
    content = {"step": 3, "rows": [{"auc": 0.5}], "weights": torch.arange(3.0)}
    save_checkpoint(tmp_path, content)
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert (found["step"], found["rows"]) == (3, [{"auc": 0.5}])
    assert torch.equal(found["weights"], content["weights"])  # type: ignore[arg-type]
    assert names(tmp_path) == ["last.pt"]


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None


def test_a_checkpoint_cannot_bring_code(tmp_path: Path) -> None:
    torch.save({"state": Path}, tmp_path / "last.pt")  # a class, as a pickle bomb would hold
    with pytest.raises(ModelError, match=r"last\.pt: expected a whole checkpoint"):
        load_checkpoint(tmp_path)


def test_best_weights_come_back(tmp_path: Path) -> None:
    weights = {"a": torch.arange(6.0).reshape(2, 3).T, "n": torch.tensor(4)}
    save_kept(tmp_path, weights)
    found = load_kept(tmp_path)
    assert torch.equal(found["a"], weights["a"])
    assert int(found["n"]) == 4
    assert names(tmp_path) == ["kept.safetensors"]


def test_arrays_come_back_memory_mapped(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.npy"
    save_array(path, np.arange(6, dtype=np.int16).reshape(2, 3))
    found = open_array(path)
    assert isinstance(found, np.memmap)
    assert found.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert names(path.parent) == ["a.npy"]


def test_a_new_array_starts_at_zero_and_keeps_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "b.npy"
    array = new_array(path, (2, 2))
    assert array.dtype == np.int16
    array[1] = 7
    del array
    assert open_array(path).tolist() == [[0, 0], [7, 7]]


def test_a_forgotten_run_leaves_its_prepared_pixels(tmp_path: Path) -> None:
    for name in ("last.pt", "kept.safetensors", "curves.csv", "split.json", "a.npy"):
        (tmp_path / name).touch()
    forget_run(tmp_path)
    assert names(tmp_path) == ["a.npy", "split.json"]
    forget_run(tmp_path)  # nothing to do is fine
