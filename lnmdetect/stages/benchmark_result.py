"""What a benchmark found, and its form in table.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnmdetect.core.benchmark_config import BenchmarkRow
from lnmdetect.metrics.correlation import Correlation
from lnmdetect.metrics.figure import Figure, figures_to_json
from lnmdetect.stages.benchmark_row import RowResult
from lnmdetect.stages.evaluation_truth import FileStamp


@dataclass(frozen=True)
class BenchmarkInfo:
    """What was compared.

    Attributes:
        arm: detector or classifier.
        phantom: the truth is of synthetic scans; every figure is a phantom figure then.
        test_patients, test_images: of all tested parts together.
        split: how the patients were dealt, one sentence.
        options: as asked for on the command line.
        machine: device, cores and torch; times mean nothing without it.
        proposed: name of the row that the others are compared with.
        steps: each row adds to the one before it.
        notes: what a reader of the table must know.
    """

    lnmdetect_version: str
    benchmark: str
    title: str
    source: str
    arm: str
    truth: FileStamp
    phantom: bool
    patients: int
    test_patients: int
    test_images: int
    split: str
    options: Mapping[str, Any]
    machine: Mapping[str, Any]
    proposed: str
    steps: bool
    resamples: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class TableRow:
    """One model of the table.

    Attributes:
        result: None where it was not run.
        kept: it was finished before, and nothing that decides it has changed.
        over_chance: the first figure minus what chance gives (`benchmark_chance`).
        difference: the proposed model minus this one, on the same patients.
        step: this one minus the row before it; empty where rows are no steps.
    """

    row: BenchmarkRow
    result: RowResult | None
    kept: bool
    over_chance: Mapping[str, Figure]
    difference: Mapping[str, Figure]
    step: Mapping[str, Figure]

    @property
    def status(self) -> str:
        """Done, failed or not run."""
        return "not run" if self.result is None else self.result.status

    @property
    def figures(self) -> Mapping[str, Figure]:
        """On the test patients; empty without a result."""
        return {} if self.result is None else self.result.figures


@dataclass(frozen=True)
class BenchmarkResult:
    """The whole table.

    Attributes:
        correlations: of the first figure with `parameters` and `depth`; empty where not asked for.
    """

    info: BenchmarkInfo
    rows: tuple[TableRow, ...]
    correlations: Mapping[str, Correlation]

    def to_json(self) -> dict[str, Any]:
        """Return all of it, as table.json holds it (data_specs/benchmark.schema.json)."""
        return {
            "info": figures_to_json(self.info),
            "rows": [_row_to_json(row) for row in self.rows],
            "correlations": figures_to_json(self.correlations),
        }


def _row_to_json(row: TableRow) -> dict[str, Any]:
    result = row.result or RowResult("", "begun")
    told = {
        "name": row.row.name,
        "label": row.row.label,
        "status": row.status,
        "kept": row.kept,
        "error": result.error,
        "figures": row.figures,
        "over_chance": row.over_chance,
        "difference": row.difference,
        "step": row.step,
        "published": row.row.published,
        "published_note": row.row.published_note,
        "network": row.row.network,
        "overridden": row.row.overridden,
        "note": row.row.note,
    }
    costs = ("parameters", "depth", "inference_ms", "training_minutes", "steps", "epochs")
    more = {name: getattr(result, name) for name in (*costs, "deterministic", "validation")}
    more["training_steps"] = more.pop("steps")
    found: dict[str, Any] = figures_to_json({**told, **more})
    return found
