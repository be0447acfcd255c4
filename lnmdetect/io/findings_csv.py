"""Findings as a table for a spreadsheet: one line a box."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from lnmdetect.core.findings import Finding, Region
from lnmdetect.core.records import CATEGORY_NAMES
from lnmdetect.io.json_files import atomic_output

COLUMNS = (
    *("finding", "patient", "series", "slice", "slice_index", "position_mm"),
    *("x", "y", "width", "height", "short_axis_mm", "category", "score", "p_metastatic"),
)


def write_findings_csv(findings: Sequence[Finding], path: Path, *, overwrite: bool = False) -> None:
    """Write a line a box, under `COLUMNS`; what is not known is empty.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for finding in findings:
        writer.writerows(_line(finding, region) for region in finding.regions)
    with atomic_output(path, overwrite=overwrite) as stream:
        stream.write(text.getvalue().encode("utf-8"))


def _line(finding: Finding, region: Region) -> list[object]:
    image = region.image
    x1, y1, x2, y2 = region.box_xyxy
    return [
        *(finding.label, image.patient, image.series, image.join_key),
        *(image.slice_index, round(image.position_mm, 6)),
        *(round(side, 3) for side in (x1, y1, x2 - x1, y2 - y1)),
        *_rounded(finding.short_axis_mm),
        CATEGORY_NAMES[finding.category_id],
        *_rounded(finding.score, finding.p_metastatic),
    ]


def _rounded(*values: float | None) -> Iterator[float | str]:
    yield from ("" if value is None else round(value, 6) for value in values)
