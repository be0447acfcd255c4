"""The record of a study of a cohort, and its row."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from lnmdetect.core.cohort import COLUMNS, CohortFigures, CohortStudy, study_from_json

FIGURES = CohortFigures(("p-1", "p-2"), 2, 1, 90, 9, 4, 3, 1, 12.5, 0.875, False)
STUDY = CohortStudy("s-1", "partial", "why", {"x": 1}, FIGURES, {"boxes.json": 7}, 2.5)


@pytest.mark.parametrize("study", [STUDY, CohortStudy("s-2", "failed", "why", {"x": 1})])
def test_a_record_is_read_back_as_it_was_written(study: CohortStudy) -> None:
    assert study_from_json(json.loads(json.dumps(study.to_json()))) == study


def test_a_row_has_all_columns_and_none_for_what_is_not_known() -> None:
    assert STUDY.row() == {
        **{"case": "s-1", "status": "partial", "reason": "why", "patient": "p-1 p-2"},
        **{"scans": 2, "failed_scans": 1, "slices": 90, "boxes": 9, "boxes_above_threshold": 4},
        **{"nodes": 3, "metastatic_nodes": 1, "largest_short_axis_mm": 12.5},
        **{"highest_p_metastatic": 0.875, "phantom": False, "seconds": 2.5},
    }
    assert list(STUDY.row()) == list(COLUMNS)
    failed = replace(STUDY, status="failed", figures=None).row()
    known = {name for name, value in failed.items() if value is not None}
    assert known == {"case", "status", "reason"}


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {**STUDY.to_json(), "status": "well"},
        {**STUDY.to_json(), "files": 3},
        {**STUDY.to_json(), "figures": {"scans": 1}},
        {**STUDY.to_json(), "more": 1},
        {**STUDY.to_json(), "made_with": [1]},
        {**STUDY.to_json(), "reason": 3},
        {**STUDY.to_json(), "seconds": None},
        {**STUDY.to_json(), "figures": {**asdict(FIGURES), "slices": "many"}},
        {**STUDY.to_json(), "figures": {**asdict(FIGURES), "nodes": None}},
        {**STUDY.to_json(), "figures": {**asdict(FIGURES), "patients": [1]}},
    ],
)
def test_anything_else_is_no_record(data: Any) -> None:
    with pytest.raises(ValueError, match="expected the record of a study"):
        study_from_json(data)
