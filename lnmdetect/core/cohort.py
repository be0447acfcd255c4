"""What is known of each study of a cohort when its turn is over."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

CohortStatus = Literal["done", "partial", "failed", "missing"]
FINISHED: tuple[CohortStatus, ...] = ("done", "partial")
"""With these there are results, and a restart does not make them again."""


@dataclass(frozen=True)
class CohortFigures:
    """What was found in one study; boxes and nodes at or above the operating threshold.

    Attributes:
        patients: pseudonyms.
        scans, failed_scans: read, and left out because they could not be read.
        boxes: scored 0.05 or more.
        nodes: in 3-D.
        metastatic_nodes: of these, with P(metastatic) at or above the classifier's threshold.
        largest_short_axis_mm, highest_p_metastatic: of the nodes; None where there is none.
        phantom: whether any scan is synthetic.
    """

    patients: tuple[str, ...]
    scans: int
    failed_scans: int
    slices: int
    boxes: int
    boxes_above_threshold: int
    nodes: int
    metastatic_nodes: int
    largest_short_axis_mm: float | None
    highest_p_metastatic: float | None
    phantom: bool


@dataclass(frozen=True)
class CohortStudy:
    """One study of a cohort.

    Attributes:
        case: its keyed name.
        status: `done`; `partial`: some of its scans could not be read; `failed`; `missing`: its
            turn has not come.
        reason: why it is not done, in words that quote no patient and no path.
        made_with: what decides the results; whether they are still those that a run would give is
            told by it.
        figures: None where there are no results.
        files: of the results, with their sizes in bytes.
        seconds: of the analysis.
    """

    case: str
    status: CohortStatus
    reason: str = ""
    made_with: Mapping[str, Any] = field(default_factory=dict)
    figures: CohortFigures | None = None
    files: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the study as data_specs/study.schema.json has it."""
        figures = None if self.figures is None else asdict(self.figures)
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, "figures": figures}

    def row(self) -> dict[str, Any]:
        """Return the study's row under `COLUMNS`; what is not known is None."""
        found: Mapping[str, Any] = asdict(self.figures) if self.figures else {}
        known = {
            "case": self.case,
            "status": self.status,
            "reason": self.reason or None,
            **found,
            "patient": " ".join(found.get("patients", ())) or None,
            "seconds": self.seconds if found else None,
        }
        return {name: known.get(name) for name in COLUMNS}


COLUMNS: Mapping[str, type] = {
    **{"case": str, "status": str, "reason": str, "patient": str, "scans": int},
    **{"failed_scans": int, "slices": int, "boxes": int, "boxes_above_threshold": int},
    **{"nodes": int, "metastatic_nodes": int, "largest_short_axis_mm": float},
    **{"highest_p_metastatic": float, "phantom": bool, "seconds": float},
}
"""Of the table of a cohort."""


def study_from_json(data: Any) -> CohortStudy:
    """Return the study that `CohortStudy.to_json` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        found = data["figures"]
        figures = found and CohortFigures(**{**found, "patients": tuple(found["patients"])})
        study = CohortStudy(**{**data, "figures": figures})
        fits = _fits(study)
    except (TypeError, KeyError):
        fits = False
    if not fits:
        raise ValueError("expected the record of a study")
    return study


_MAY_BE_EMPTY = {"reason", "largest_short_axis_mm", "highest_p_metastatic"}


def _fits(study: CohortStudy) -> bool:
    """Return whether each value is of its kind, so that a table can be made of it."""
    row = study.row()
    found = set(row) if study.figures else {"case", "status"}
    return (
        study.status in get_args(CohortStatus)
        and isinstance(study.made_with, dict)
        and isinstance(study.files, dict)
        and isinstance(study.seconds, int | float)
        and all(
            isinstance(value, (float, int) if COLUMNS[name] is float else COLUMNS[name])
            for name, value in row.items()
            if value is not None
        )
        and not any(row[name] is None for name in found - _MAY_BE_EMPTY)
    )
