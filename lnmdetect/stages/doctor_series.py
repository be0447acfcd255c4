"""The table of the series at a path."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

from lnmdetect.io.dicom_geometry import plane_of, slice_spacing_mm
from lnmdetect.io.dicom_header import LeftOut
from lnmdetect.io.dicom_series import Series, more_slices_but
from lnmdetect.io.scan_survey import ScanSurvey
from lnmdetect.stages.doctor_result import SeriesRow

T = TypeVar("T")
MIXED = "mixed"


def series_rows(survey: ScanSurvey) -> tuple[SeriesRow, ...]:
    """Return a row for every CT series, then one for each kind of image that is no slice."""
    chosen = {series[0].series_uid for series in survey.chosen}
    slices = (_row(series, series[0].series_uid in chosen) for series in survey.series.values())
    return (*slices, *_other_rows(survey.index.left_out))


def why_chosen(survey: ScanSurvey, series: Series, *, named: bool) -> str:
    """Return in words why the stages read this series."""
    if named:
        return "named with --series"
    first = series[0]
    candidates = [
        other
        for other in survey.series.values()
        if (other[0].study_uid, other[0].patient_id) == (first.study_uid, first.patient_id)
    ]
    if len(candidates) == 1:
        return "the only CT series of its study"
    among = f"most axial slices of the {len(candidates)} CT series of its study"
    if passed := Counter(more_slices_but(series, candidates)):
        reasons = ", ".join(f"{count} with more: {reason}" for reason, count in passed.items())
        return f"{among} that suit ({reasons})"
    return among


def usual(values: Iterable[T]) -> T | None:
    """Return the most frequent value, None of none."""
    counts = Counter(values).most_common(1)
    return counts[0][0] if counts else None


def _row(series: Series, chosen: bool) -> SeriesRow:
    first = series[0]
    taken = [header.acquisition for header in series]
    said = [entry.contrast for entry in taken if entry.contrast is not None]
    thickness = usual(header.thickness_mm for header in series)
    return SeriesRow(
        series=first.series_uid,
        study=first.study_uid,
        kind="CT",
        images=len(series),
        plane=plane_of(first.orientation),
        rows=first.rows,
        columns=first.columns,
        pixel_mm=(round(first.spacing_mm[0], 4), round(first.spacing_mm[1], 4)),
        step_mm=round(slice_spacing_mm(series), 4) if len(series) > 1 else None,
        thickness_mm=None if thickness is None else round(thickness, 4),
        kernel=_one({entry.kernel for entry in taken}),
        contrast=any(said) if said else None,
        phase=_one({entry.phase for entry in taken}),
        chosen=chosen,
    )


def _one(values: set[str]) -> str:
    return values.pop() if len(values) == 1 else MIXED


def _other_rows(left_out: Iterable[LeftOut]) -> Iterator[SeriesRow]:
    kinds = ((entry.series_uid, entry.study_uid, _kind(entry)) for entry in left_out)
    for (series, study, kind), images in Counter(kinds).items():
        yield SeriesRow(series, study, kind, images)


def _kind(entry: LeftOut) -> str:
    if entry.reason == "not CT":
        return entry.got.removeprefix("modality ")
    return "CT, faulty" if entry.reason == "faulty" else entry.reason
