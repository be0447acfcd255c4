"""What a comparison found, and its form in comparison.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnmdetect.core.records import Coverage
from lnmdetect.metrics.comparison import ClassComparison, Compared
from lnmdetect.metrics.figure import figures_to_json
from lnmdetect.stages.comparison_nodes import NodesCompared
from lnmdetect.stages.evaluation_thresholds import Threshold
from lnmdetect.stages.evaluation_truth import FileStamp


@dataclass(frozen=True)
class ComparedFile:
    """One of the two.

    Attributes:
        detections: boxes; of linked nodes their cross-sections.
        detector_threshold: from which on its boxes count for the classes.
        classifier_threshold: at which its nodes are called.
    """

    stamp: FileStamp
    detections: int
    detector_threshold: Threshold
    classifier_threshold: Threshold


@dataclass(frozen=True)
class CompareInfo:
    """What was compared, as `EvalInfo` says it of an evaluation."""

    lnmdetect_version: str
    truth: tuple[FileStamp, ...]
    phantom: bool
    coverage: Coverage
    patients: int
    images: int
    truth_boxes: int
    resamples: int
    seed: int
    intervals: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class LeftOut:
    """Truth boxes of known status that count, but that A and B did not both answer."""

    answered_by_a_alone: int
    answered_by_b_alone: int
    answered_by_neither: int


@dataclass(frozen=True)
class Comparison:
    """A against B; a part that the files do not allow is None, and `info.notes` says why.

    Attributes:
        nodes: node by node in 3-D, other files beside A and B too.
    """

    info: CompareInfo
    a: ComparedFile
    b: ComparedFile
    detection: Mapping[str, Compared] | None
    classes: ClassComparison | None
    left_out: LeftOut | None
    nodes: NodesCompared | None

    def to_json(self) -> dict[str, Any]:
        """Return all of it, as comparison.json holds it (data_specs/comparison.schema.json)."""
        return {name: figures_to_json(value) for name, value in vars(self).items()}
