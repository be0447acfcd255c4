"""What an evaluation of fused cases found, and its form in fused_metrics.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnmdetect.metrics.classification import Classification
from lnmdetect.metrics.cohort_table import LevelRow, NumberRow
from lnmdetect.metrics.comparison import ClassComparison, Compared
from lnmdetect.metrics.figure import Figure, figures_to_json
from lnmdetect.metrics.label_permutation import LabelPermutation
from lnmdetect.stages.evaluation_thresholds import Threshold
from lnmdetect.stages.evaluation_truth import FileStamp


@dataclass(frozen=True)
class PublishedFusion:
    """A row of another study, on other data: beside ours, never against ours."""

    source: str
    row: str
    auc: float | None
    sensitivity: float
    specificity: float


_GUANG = "Guang 2023; other data"
PUBLISHED = (
    PublishedFusion(_GUANG, "B-mode + CEUS + finding", 0.831, 0.8065, 0.8226),
    PublishedFusion(_GUANG, "finding alone", None, 0.386, 0.9),
)
"""QIMS 13:8370: the test set of its table 3, and what the clinical finding tells by itself."""


@dataclass(frozen=True)
class FusedInfo:
    """What was scored.

    Attributes:
        cases: of known status, of all rows, each once; patients: whose they are.
        resamples, seed: of the bootstrap over patients; as many shuffles of labels and swaps.
        notes: what a reader of the figures must know.
    """

    lnmdetect_version: str
    phantom: bool
    cases: int
    patients: int
    metastatic: int
    resamples: int
    seed: int
    intervals: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RowFigures:
    """One row of the table.

    Attributes:
        modalities: what the networks are built of.
        modalities_used: how many cases were answered from which, as `bmode+finding`.
        unlabelled: cases of unknown status, left out.
        figures: of the cases of known status.
        auc_within_files: of pairs of cases of one file, where the row pools several; else None.
        permutation: how often shuffled truth scores as well.
    """

    name: str
    files: tuple[FileStamp, ...]
    modalities: tuple[str, ...]
    modalities_used: Mapping[str, int]
    threshold: Threshold
    unlabelled: int
    figures: Classification
    auc_within_files: Figure | None
    permutation: LabelPermutation


@dataclass(frozen=True)
class RowDifference:
    """A row (a) minus a later one (b), on the cases that both have.

    Attributes:
        only_a, only_b: cases that one of the two alone has.
        comparison: None where there is nothing to compare.
        auc_within_files: of pairs of cases of one file, where one of the two pools several.
        reason: why there is none.
    """

    a: str
    b: str
    only_a: int
    only_b: int
    comparison: ClassComparison | None
    auc_within_files: Compared | None = None
    reason: str | None = None


@dataclass(frozen=True)
class CohortTable:
    """Table 1: who the cases of all rows are, each once.

    Attributes:
        numbers: age_years and max_size_mm. levels: sex, location and finding.
    """

    benign: int
    metastatic: int
    patients: int
    numbers: Mapping[str, NumberRow]
    levels: Mapping[str, LevelRow]


@dataclass(frozen=True)
class FusedResult:
    """The rows in the order given, their differences, and the cohort."""

    info: FusedInfo
    rows: tuple[RowFigures, ...]
    differences: tuple[RowDifference, ...]
    cohort: CohortTable

    def to_json(self) -> dict[str, Any]:
        """Return all of it, as data_specs/fused_metrics.schema.json has it."""
        parts = {name: figures_to_json(value) for name, value in vars(self).items()}
        return {**parts, "published": figures_to_json(PUBLISHED)}
