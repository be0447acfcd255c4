"""What a benchmark is asked to do, and where its files lie."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lnmdetect.core.benchmark_config import BenchmarkChanges, BenchmarkRecipe, BenchmarkRow
from lnmdetect.core.config import TableRecipe
from lnmdetect.core.errors import UsageError
from lnmdetect.io.imagenet import IMAGENET, weights_of_row
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.recipe_faults import fault_fields

ROWS, PARTS, CACHE, FOLDS = "rows", "parts", "cache", "folds.json"
FORMAT = 1
"""Raised when a row's result would come out otherwise, so that old ones are not kept."""


@dataclass(frozen=True)
class BenchmarkRequest:
    """Which rows to train and test, on what.

    Attributes:
        recipe: name of a bundled benchmark, or path of a YAML file.
        data: truth.json.
        output: folder of the benchmark; finished rows in it are kept.
        changes: to every row's recipe.
        only: names of rows; empty for all.
        budget_minutes: of training a row, its folds together; None: all epochs.
        folds: cross-validation over so many folds in place of one test part.
        test_share: of the patients (or boxes), in place of the benchmark's.
        bootstrap: resamples of the test patients.
        init: `imagenet`, or a folder with a file of weights a row (`<row>.safetensors`, `.pth`):
            what each row starts from; None: random weights.
    """

    recipe: str
    data: Path
    output: Path
    changes: BenchmarkChanges = field(default_factory=BenchmarkChanges)
    only: tuple[str, ...] = ()
    budget_minutes: float | None = None
    folds: int | None = None
    test_share: float | None = None
    seed: int = 0
    device: str = "auto"
    scan: Path | None = None
    workers: int = 0
    bootstrap: int = 2000
    init: str | None = None

    def __post_init__(self) -> None:
        if self.folds is not None and self.folds < 2:
            _refuse("--folds", "2 or more", f"{self.folds}")
        if self.budget_minutes is not None and not 0 < self.budget_minutes < 1e6:
            _refuse("--budget", "minutes above 0", f"{self.budget_minutes:g}")
        if self.test_share is not None and not 0 < self.test_share < 1:
            _refuse("--test-share", "a share above 0 and below 1", f"{self.test_share:g}")
        if self.folds is not None and self.test_share is not None:
            _refuse("--folds", "no --test-share beside it", "one")

    def row_folder(self, name: str) -> Path:
        """Return the folder of a row."""
        return self.output / ROWS / name

    def options(self) -> dict[str, Any]:
        """Return what was asked for, for the record; no paths."""
        return {
            **self.changes.model_dump(mode="json"),
            "budget_minutes": self.budget_minutes,
            "folds": self.folds,
            "test_share": self.test_share,
            "seed": self.seed,
            "init": self.init if self.init in {None, IMAGENET} else "own files",
        }


def changes_of(**given: Any) -> BenchmarkChanges:
    """Return what the command line changes, by field name.

    Raises:
        UsageError: a value is out of range.
    """
    try:
        return BenchmarkChanges(**given)
    except ValidationError as error:
        fault = error.errors()[0]
        option = {"size_px": "size"}.get(fault_fields(fault), fault_fields(fault))
        raise UsageError(
            f"--{option}",
            expected=fault["msg"].removeprefix("Input ").removeprefix("should be "),
            got=str(fault["input"]),
            remedy="Leave it out, or change it.",
        ) from None


def _refuse(option: str, expected: str, got: str) -> None:
    raise UsageError(option, expected=expected, got=got, remedy="Leave it out, or change it.")


def row_weights(request: BenchmarkRequest, row: BenchmarkRow) -> str | None:
    """Return what a row starts from: `imagenet`, the path of its file, None for random weights."""
    return None if request.init is None else weights_of_row(request.init, row.name)


def row_identity(
    request: BenchmarkRequest, benchmark: BenchmarkRecipe, row: BenchmarkRow, recipe: TableRecipe
) -> str:
    """Return a hash of all that decides a row's result: recipe, data, split, seed, budget, init."""
    start = row_weights(request, row)
    if start not in {None, IMAGENET}:
        start = sha256_of_file(Path(start))
    told = {
        "format": FORMAT,
        "recipe": recipe.model_dump(mode="json"),
        "data": sha256_of_file(request.data),
        "split": benchmark.split.model_dump(mode="json"),
        "folds": request.folds,
        "test_share": request.test_share,
        "seed": request.seed,
        "budget_minutes": request.budget_minutes,
        "bootstrap": request.bootstrap,
        **({"init": start or "no weights"} if request.init else {}),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
