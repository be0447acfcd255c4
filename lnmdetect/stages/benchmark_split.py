"""Who is trained and tested on in a benchmark: the same for all of its rows."""

from dataclasses import dataclass, replace
from pathlib import Path

from lnmdetect.core.benchmark_config import BenchmarkRecipe
from lnmdetect.core.folds import TEST, Fold, FoldSet, fold_part
from lnmdetect.core.records import CocoDataset
from lnmdetect.datasets.balanced_parts import VALIDATION, BalancedShares, deal_balanced
from lnmdetect.datasets.folds import DealRule, deal_by_patient
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.fold_file import write_folds
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.pixel_roots import relative_root, scan_root
from lnmdetect.stages.benchmark_checks import require_classes
from lnmdetect.stages.benchmark_request import FOLDS, PARTS, BenchmarkRequest
from lnmdetect.stages.split import fold_truth_name, place_of_pixels


@dataclass(frozen=True)
class Part:
    """One part that is held out of a training and tested on.

    Attributes:
        name: of the fold.
        truth: its truth file.
    """

    name: str
    truth: Path


@dataclass(frozen=True)
class BenchmarkParts:
    """The parts, and the files that name them.

    Attributes:
        folds_file: what `train --fold` takes.
        tested: one part, or each fold of a cross-validation.
        validation: patients that choose epoch and threshold; None draws them by the recipe.
    """

    truth: CocoDataset
    folds: FoldSet
    folds_file: Path
    tested: tuple[Part, ...]
    validation: tuple[str, ...] | None

    @property
    def test_files(self) -> tuple[Path, ...]:
        """The truth files of the tested parts."""
        return tuple(part.truth for part in self.tested)


def deal_parts(request: BenchmarkRequest, benchmark: BenchmarkRecipe) -> BenchmarkParts:
    """Return the parts after writing folds.json and a truth file of each tested part.

    The same data, options and seed give the same files.

    Raises:
        InputError: the truth file or its pixels are unsound, or there are too few patients.
        OutputError: the folder cannot be written.
    """
    truth = read_coco(request.data)
    scan_root(request.data, truth, request.scan)  # before any training
    dealt = replace(
        _dealt(request, benchmark, truth),
        truth_file=request.data.name,
        truth_sha256=sha256_of_file(request.data),
    )
    if benchmark.arm == "classifier":
        require_classes(truth, dealt, request.data.name)
    folds_file = request.output / FOLDS
    write_folds(dealt, folds_file, overwrite=True)
    tested = [fold for fold in dealt.folds if request.folds is not None or fold.name == TEST]
    validation = next((fold.patients for fold in dealt.folds if fold.name == VALIDATION), None)
    parts = tuple(_write_part(request, truth, fold, dealt) for fold in tested)
    return BenchmarkParts(truth, dealt, folds_file, parts, validation)


def _dealt(request: BenchmarkRequest, benchmark: BenchmarkRecipe, truth: CocoDataset) -> FoldSet:
    split = benchmark.split
    if request.folds is not None:
        return deal_by_patient(truth, DealRule(request.folds, request.seed))
    share = request.test_share or split.test_share
    if split.validation_share is not None:
        shares = BalancedShares(share, split.validation_share)
        return deal_balanced(truth, shares, request.seed)
    return deal_by_patient(truth, DealRule(0, request.seed, test_share=share))


def _write_part(request: BenchmarkRequest, truth: CocoDataset, fold: Fold, folds: FoldSet) -> Part:
    path = request.output / PARTS / fold_truth_name(fold)
    part = fold_part(truth, [fold])
    place = place_of_pixels(request.data, truth, path)
    if request.scan is not None:
        place = {"scan_root": relative_root(request.scan, path)}
    block = {"fold": fold.name, "protocol": folds.protocol, "warning": folds.warning}
    info = {**part.info, **place, "split": block}
    write_coco(replace(part, info=info), path, overwrite=True)
    return Part(fold.name, path)
