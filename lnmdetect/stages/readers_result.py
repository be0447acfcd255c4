"""What readers beside a model found, and its form in readers.json."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from lnmdetect.metrics.figure import figures_to_json
from lnmdetect.metrics.readers import ModelFigures, ReaderFigures
from lnmdetect.stages.evaluation_thresholds import Threshold
from lnmdetect.stages.evaluation_truth import FileStamp


@dataclass(frozen=True)
class PublishedReader:
    """A reader of another study, on other data: beside ours, never against ours."""

    source: str
    reader: str
    auc: float


PUBLISHED = tuple(
    PublishedReader("Wang 2023, table 5; other data", f"radiologist {k}", auc)
    for k, auc in enumerate((0.719, 0.695, 0.779), start=1)
)
"""Front Oncol 13:1099104."""


@dataclass(frozen=True)
class ReaderInfo:
    """What was compared.

    Attributes:
        nodes: truth boxes that count and are benign or metastatic.
        answers: rows of the readers' file; answers_left_out: those on other truth boxes.
        detector_threshold, classifier_threshold: of the model's file.
    """

    lnmdetect_version: str
    truth: FileStamp
    model: FileStamp
    readers: FileStamp
    phantom: bool
    patients: int
    nodes: int
    answers: int
    answers_left_out: int
    detector_threshold: Threshold
    classifier_threshold: Threshold
    resamples: int
    seed: int
    intervals: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ReadersResult:
    """The model, and each reader in the order of the file."""

    info: ReaderInfo
    model: ModelFigures
    readers: tuple[ReaderFigures, ...]

    def with_notes(self, notes: Iterable[str]) -> "ReadersResult":
        """Return the result with these notes."""
        return replace(self, info=replace(self.info, notes=tuple(notes)))

    def to_json(self) -> dict[str, Any]:
        """Return all of it, as readers.json holds it (data_specs/readers.schema.json)."""
        parts = {"info": self.info, "model": self.model, "readers": self.readers}
        return {
            **{name: figures_to_json(part) for name, part in parts.items()},
            "published": figures_to_json(PUBLISHED),
        }
