"""`lnmdetect export csv`: the boxes meant for people as a table; no pixels, no DICOM."""

from dataclasses import dataclass
from pathlib import Path

from lnmdetect.io.findings_csv import write_findings_csv
from lnmdetect.io.json_files import sha256_of_file
from lnmdetect.io.run_record import RunRecord
from lnmdetect.stages.export_files import check_output, export_record_path
from lnmdetect.stages.export_findings import chosen_findings


@dataclass(frozen=True)
class CsvRequest:
    """Which boxes to list.

    Attributes:
        linked: linked_nodes.json of the same boxes: a line for each slice of each node.
        threshold: on the detector's score instead of the file's operating threshold.
    """

    nodes: Path
    output: Path
    linked: Path | None = None
    threshold: float | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class CsvResult:
    """What was written: `boxes` lines of `findings`, each a box or a node."""

    output: Path
    boxes: int
    findings: int
    threshold: float
    notes: tuple[str, ...]


def export_csv(request: CsvRequest) -> CsvResult:
    """Return what was listed after writing the table.

    Raises:
        InputError: a file cannot be used.
        UsageError: the output is one of the inputs.
        OutputError: the output exists and `overwrite` is not set.
    """
    inputs = [request.nodes, *([request.linked] if request.linked else [])]
    check_output(request.output, inputs, overwrite=request.overwrite)
    record = RunRecord("export csv", {"threshold": request.threshold})
    record.add_inputs((path.name, sha256_of_file(path)) for path in inputs)
    _, chosen = chosen_findings(request.nodes, request.linked, request.threshold)
    write_findings_csv(chosen.findings, request.output, overwrite=request.overwrite)
    record.lap("export")
    record.write(export_record_path(request.output, inputs))
    return CsvResult(
        request.output,
        boxes=sum(len(finding.regions) for finding in chosen.findings),
        findings=len(chosen.findings),
        threshold=chosen.threshold,
        notes=chosen.notes,
    )
