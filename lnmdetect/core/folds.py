"""How a data set is dealt into folds: what `split` writes and `train --fold` holds out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lnmdetect.core.records import CocoDataset

DealProtocol = Literal["by_patient", "wang2023"]
TEST, TRAIN = "test", "train"
"""Names of the parts that are no numbered fold."""


@dataclass(frozen=True)
class FoldCounts:
    """What a fold holds; `boxes` are the truth boxes that count, `unknown` those without a status.

    Ignored cross-sections (`iscrowd` 1) are not among them.
    """

    patients: int
    images: int
    boxes: int
    benign: int
    metastatic: int
    unknown: int


@dataclass(frozen=True)
class Fold:
    """One part of a data set.

    Attributes:
        name: `1` .. `k`, `test` or `train`.
        patients: pseudonyms.
        images: join keys, where images and not patients were dealt; None: all of the patients'.
        counts: None where a hand-written file does not give them.
    """

    name: str
    patients: tuple[str, ...]
    images: tuple[str, ...] | None = None
    counts: FoldCounts | None = None

    def __post_init__(self) -> None:
        if not self.name or not self.patients or self.images == ():
            raise ValueError(f"fold {self.name!r}: expected a name, patients and images, got none")


@dataclass(frozen=True)
class Balance:
    """How evenly one amount is dealt.

    Attributes:
        of: `patients` or `boxes` (or `images`, for a column of images).
        column, value: the stratum, as class and metastatic; empty for the total.
        deviation: largest relative deviation of a fold from its share, 0 or more.
        random_deviation: the median of that over random deals of whole patients.
    """

    of: str
    column: str
    value: str
    deviation: float
    random_deviation: float


@dataclass(frozen=True)
class FoldSet:
    """All folds of a data set and where they come from.

    A patient in two folds is not refused here, because the audit must be able to name it.

    Attributes:
        rule: how they were dealt, one sentence.
        warning: why figures from these folds are optimistic; None where they are not.
        truth_file, truth_sha256: of the file that was dealt; empty where unknown.
        stratify: columns that were balanced; site: column that was kept whole.
    """

    folds: tuple[Fold, ...]
    rule: str = ""
    protocol: DealProtocol = "by_patient"
    warning: str | None = None
    seed: int | None = None
    truth_file: str = ""
    truth_sha256: str = ""
    is_phantom: bool = False
    stratify: tuple[str, ...] = ()
    site: str | None = None
    balance: tuple[Balance, ...] = ()

    def __post_init__(self) -> None:
        names = [fold.name for fold in self.folds]
        if not names or len(set(names)) != len(names):
            raise ValueError("folds: expected at least one, under distinct names")

    @property
    def names(self) -> tuple[str, ...]:
        """The folds' names in their order."""
        return tuple(fold.name for fold in self.folds)

    @property
    def by_image(self) -> bool:
        """Whether images were dealt, so that a patient may stand in several folds."""
        return any(fold.images is not None for fold in self.folds)

    def patients(self) -> set[str]:
        """Return the patients of all folds."""
        return {patient for fold in self.folds for patient in fold.patients}

    def shared_patients(self) -> set[str]:
        """Return the patients that stand in more than one fold."""
        seen: set[str] = set()
        shared: set[str] = set()
        for fold in self.folds:
            shared |= seen & set(fold.patients)
            seen |= set(fold.patients)
        return shared


def fold_part(truth: CocoDataset, folds: Sequence[Fold]) -> CocoDataset:
    """Return the images of some folds, with their boxes.

    Where images were dealt the coverage becomes `key_images`: the other slices of their scans are
    in another part, so they are neither scored nor negatives.
    """
    patients = {p for fold in folds if fold.images is None for p in fold.patients}
    keys = {key for fold in folds for key in fold.images or ()}
    images = tuple(i for i in truth.images if i.patient in patients or i.join_key in keys)
    kept = {image.image_id for image in images}
    nodes = tuple(node for node in truth.annotations if node.image_id in kept)
    info = {**truth.info, **({"coverage": "key_images"} if keys else {})}
    return CocoDataset(info, images, nodes, truth.extra)
