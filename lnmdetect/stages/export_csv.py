"""`lnmdetect export csv`: the boxes meant for people as a table; no pixels, no DICOM."""

from dataclasses import dataclass
from pathlib import Path

from lnmdetect.io.coco import read_coco
from lnmdetect.io.findings_csv import write_findings_csv
from lnmdetect.io.json_files import refuse_existing, sha256_of_file
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.stages.export_findings import box_findings, chosen_boxes, operating_threshold


@dataclass(frozen=True)
class CsvRequest:
    """Which boxes to list; `threshold` stands in for the file's operating threshold."""

    nodes: Path
    output: Path
    threshold: float | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class CsvResult:
    """What was written."""

    output: Path
    boxes: int
    threshold: float


def export_csv(request: CsvRequest) -> CsvResult:
    """Return what was listed after writing the table.

    Raises:
        InputError: the file cannot be used.
        OutputError: the output exists and `overwrite` is not set.
    """
    refuse_existing(request.output, overwrite=request.overwrite)
    record = RunRecord("export csv", {"threshold": request.threshold})
    record.inputs[request.nodes.name] = sha256_of_file(request.nodes)
    dataset = read_coco(request.nodes)
    boxes = chosen_boxes(dataset, request.threshold)
    findings = box_findings(dataset, boxes, {})
    write_findings_csv(findings, request.output, overwrite=request.overwrite)
    record.lap("export")
    record.write(record_path(request.output))
    limit = operating_threshold(dataset.info) if request.threshold is None else request.threshold
    return CsvResult(request.output, len(boxes), limit)
