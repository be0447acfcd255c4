"""What can be refused before a benchmark trains its first row."""

from collections.abc import Sequence

from lnmdetect.core.benchmark_config import BenchmarkRow
from lnmdetect.core.config import ClassifierRecipe, TableRecipe
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.folds import FoldSet, fold_part
from lnmdetect.core.records import BENIGN, METASTATIC, CocoDataset
from lnmdetect.io.imagenet import IMAGENET
from lnmdetect.stages.benchmark_request import BenchmarkRequest, row_weights
from lnmdetect.training.classifier_task import chosen_backbone, imagenet_weights

_CLASSES = {BENIGN: "benign", METASTATIC: "metastatic"}


def require_networks(
    request: BenchmarkRequest, rows: Sequence[tuple[BenchmarkRow, TableRecipe]]
) -> None:
    """Refuse rows whose network cannot be built, or has no weights to start from.

    Raises:
        UsageError: there is no such network, its crops are too small, `--init` has no weights for
            it, or none of its width are published.
    """
    for _, recipe in rows:
        if isinstance(recipe, ClassifierRecipe):
            chosen_backbone(recipe)
    if request.init is None:
        return
    lacking = [row.name for row, _ in rows if row_weights(request, row) is None]
    if lacking:
        raise UsageError(
            "--init",
            expected=f"{IMAGENET}, or a folder with a file of weights for every row",
            got=f"none for {', '.join(lacking)}",
            remedy=f"Add {lacking[0]}.safetensors or .pth, or choose rows with --only.",
        )
    for row, recipe in rows:
        _require_published(row, recipe)


def _require_published(row: BenchmarkRow, recipe: TableRecipe) -> None:
    if isinstance(recipe, ClassifierRecipe):
        imagenet_weights(recipe)
    elif recipe.model.width != 1:
        raise UsageError(
            "--init",
            expected="networks of width 1, for which ImageNet weights are published",
            got=f"width {recipe.model.width:g} of {row.name}",
            remedy="Add --width 1, or leave --init out.",
        )


def require_classes(truth: CocoDataset, folds: FoldSet, where: str) -> None:
    """Refuse parts of which a classifier could learn, or be tested on, one class only.

    Args:
        truth: of all parts.
        folds: the parts.
        where: the truth's file name.

    Raises:
        InputError: a part lacks benign or metastatic boxes that count.
    """
    for fold in folds.folds:
        nodes = fold_part(truth, [fold]).annotations
        found = {node.category_id for node in nodes if not node.ignored}
        lacking = [name for category, name in _CLASSES.items() if category not in found]
        if lacking:
            raise InputError(
                where,
                expected="benign and metastatic boxes in every part",
                got=f"no {' and no '.join(lacking)} ones in part {fold.name}",
                remedy="Add patients of that class, or choose another --seed.",
            )
