"""Measurement groups of a structured report read back: TID 1500, of lnmdetect or of others.

Only what COCO has a place for is read: closed polylines in the pixels of a slice, and the codes of
`dicom_sr_codes`. It is done without highdicom, which refuses reports that others wrote loosely.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread

from lnmdetect.core.errors import InputError
from lnmdetect.core.findings import ROLES, Algorithm
from lnmdetect.core.linked_nodes import BoxXyxy
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC
from lnmdetect.io.dicom_derived import PRODUCT
from lnmdetect.io.dicom_geometry import slice_normal
from lnmdetect.io.dicom_header import READ_ERRORS
from lnmdetect.io.dicom_values import item, number, numbers, text, uid_text, whole
from lnmdetect.io.input_files import printable
from lnmdetect.io.quiet import quiet_dicom

MEASUREMENTS, GROUP, LIBRARY = "126010", "125007", "111028"  # DCM, PS3.16, here and below
TRACKING_LABEL, TRACKING_UID = "112039", "112040"
ROWS, COLUMNS, ROW_MM, COLUMN_MM, THICKNESS = "110910", "110911", "111066", "111026", "112225"
POSITION = ("110901", "110902", "110903")
ORIENTATION = ("110904", "110905", "110906", "110907", "110908", "110909")
SHORT_AXIS, CERTAINTY, P_CANCER, MALIGNANCY = "103340004", "111012", "111047", "RID36042"
ALGORITHM, PARAMETER = "111001", "111002"
CALLED = {"30807003": BENIGN, "21594007": METASTATIC}
EVIDENCE = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
MAX_DEPTH = 32
"""Of nested content items; TID 1500 has nine."""
MAX_POINTS = 100_000
SR_ROOT = "1.2.840.10008.5.1.4.1.1.88."


@dataclass(frozen=True)
class ReadRegion:
    """The box around one polyline, px, on the slice with this SOP uid (`<uid>#<frame>`)."""

    sop_uid: str
    box_xyxy: BoxXyxy


@dataclass(frozen=True)
class ReadFinding:
    """One measurement group; what it does not say is None.

    Attributes:
        label: of lnmdetect's own reports; empty of others', whose text may name a patient.
        tracking_uid: empty where it is no uid.
    """

    label: str
    tracking_uid: str
    regions: tuple[ReadRegion, ...]
    category_id: int
    score: float | None
    p_metastatic: float | None
    short_axis_mm: float | None


@dataclass(frozen=True)
class ReadSlice:
    """What the image library tells of one slice; position_mm is along its normal."""

    height: int
    width: int
    spacing_mm: tuple[float, float]
    thickness_mm: float | None
    position_mm: float


@dataclass(frozen=True)
class ReadReport:
    """A report in memory.

    Attributes:
        patient_id: as in the header; never shown, written or logged.
        series: series uid by SOP uid, of the evidence.
        slices: by SOP uid, of the image library.
        algorithms: by role, with the threshold that was used; none of others' reports.
        unread_regions: graphics that are no polylines on a slice, or enclose nothing.
    """

    patient_id: str = field(repr=False)
    study_uid: str
    findings: tuple[ReadFinding, ...]
    slices: Mapping[str, ReadSlice]
    series: Mapping[str, str]
    algorithms: tuple[Algorithm, ...]
    unread_regions: int


def read_report(path: Path) -> ReadReport:
    """Return what a structured report says of lymph nodes.

    Raises:
        InputError: the file is no structured report, or is damaged.
    """
    try:
        with quiet_dicom():
            return _report(_stored(path))
    except READ_ERRORS as error:
        raise _unreadable(path, type(error).__name__) from None


def _stored(path: Path) -> Dataset:
    with path.open("rb") as stream:
        stored = dcmread(stream)
    if not text(stored, "SOPClassUID").startswith(SR_ROOT):
        raise _unreadable(path, "another kind of DICOM object")
    return stored


def _report(stored: Dataset) -> ReadReport:
    is_own = text(stored, "Manufacturer") == PRODUCT
    findings: list[ReadFinding] = []
    algorithms: dict[str, Algorithm] = {}
    unread = 0
    for group in _groups(stored):
        boxes = [_region(one) for one in _children(group) if _kind(one).startswith("SCOORD")]
        regions = tuple(region for region in boxes if region is not None)
        unread += len(boxes) - len(regions)
        if regions:
            findings.append(_finding(group, regions, is_own=is_own))
        for algorithm in _algorithms(group) if is_own else ():
            algorithms.setdefault(algorithm.role, algorithm)
    return ReadReport(
        patient_id=text(stored, "PatientID"),
        study_uid=uid_text(stored, "StudyInstanceUID"),
        findings=tuple(findings),
        slices=_library(stored),
        series=_series(stored),
        algorithms=tuple(algorithms.values()),
        unread_regions=unread,
    )


def _children(parent: Dataset) -> Sequence[Dataset]:
    return [one for one in parent.get("ContentSequence") or () if isinstance(one, Dataset)]


def _concept(content: Dataset) -> str:
    return text(item(content, "ConceptNameCodeSequence"), "CodeValue")


def _kind(content: Dataset) -> str:
    return text(content, "ValueType")


def _groups(stored: Dataset) -> Iterator[Dataset]:
    for part in _children(stored):
        if _concept(part) == MEASUREMENTS:
            yield from (group for group in _children(part) if _concept(group) == GROUP)


def _region(content: Dataset) -> ReadRegion | None:
    """Return the box around a polyline; None for other graphics and for those without extent."""
    if (_kind(content), text(content, "GraphicType")) != ("SCOORD", "POLYLINE"):
        return None
    sources = (_sop_uid(one) for one in _children(content) if _kind(one) == "IMAGE")
    sop_uid = next(sources, "")
    values = content.get("GraphicData") or ()
    if not sop_uid or not 4 <= len(values) <= 2 * MAX_POINTS:
        return None
    points = numbers(content, "GraphicData", len(values)) or ()
    if not points:
        return None
    across, down = points[0::2], points[1::2]
    box = (min(across), min(down), max(across), max(down))
    return ReadRegion(sop_uid, box) if box[2] > box[0] and box[3] > box[1] else None


def _sop_uid(image: Dataset) -> str:
    """Return the referenced slice as the files name it, `<uid>#<frame>` for a frame."""
    reference = item(image, "ReferencedSOPSequence")
    frame = whole(reference, "ReferencedFrameNumber")
    uid = uid_text(reference, "ReferencedSOPInstanceUID")
    return uid if frame is None or not uid else f"{uid}#{frame}"


def _finding(group: Dataset, regions: tuple[ReadRegion, ...], *, is_own: bool) -> ReadFinding:
    values = {_concept(one): _number(one) for one in _children(group) if _kind(one) == "NUM"}
    texts = {_concept(one): one for one in _children(group)}
    called = item(texts.get(MALIGNANCY, Dataset()), "ConceptCodeSequence")
    return ReadFinding(
        label=text(texts.get(TRACKING_LABEL, Dataset()), "TextValue") if is_own else "",
        tracking_uid=uid_text(texts.get(TRACKING_UID, Dataset()), "UID"),
        regions=regions,
        category_id=CALLED.get(text(called, "CodeValue"), LYMPH_NODE),
        score=_share(values.get(CERTAINTY)),
        p_metastatic=_share(values.get(P_CANCER)),
        short_axis_mm=_above_zero(values.get(SHORT_AXIS)),
    )


def _number(content: Dataset) -> float | None:
    return number(item(content, "MeasuredValueSequence"), "NumericValue")


def _share(percent: float | None) -> float | None:
    sound = percent is not None and 0 <= percent <= 100
    return round(percent / 100, 8) if sound and percent is not None else None


def _above_zero(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _algorithms(content: Dataset, depth: int = 0) -> Iterator[Algorithm]:
    """Yield the models that lnmdetect names, of a group and of its measurements."""
    here = _children(content)
    names = [text(one, "TextValue").split() for one in here if _concept(one) == ALGORITHM]
    told = dict(
        text(one, "TextValue").partition("=")[::2] for one in here if _concept(one) == PARAMETER
    )
    for words in names:
        if len(words) >= 3 and words[0] == "lnmdetect" and words[1] in ROLES:
            weights = told.get("weights sha256", "")
            yield Algorithm(
                words[1], " ".join(words[2:]), weights, _threshold(told.get("threshold", ""))
            )
    if depth < MAX_DEPTH:
        for one in here:
            yield from _algorithms(one, depth + 1)


def _threshold(said: str) -> float | None:
    try:
        value = float(said)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _library(stored: Dataset) -> dict[str, ReadSlice]:
    found: dict[str, ReadSlice] = {}
    for part in _children(stored):
        if _concept(part) == LIBRARY:
            for group in _children(part):
                for image in _children(group):
                    described = _slice(image) if _kind(image) == "IMAGE" else None
                    if described is not None:
                        found[_sop_uid(image)] = described
    return found


def _slice(image: Dataset) -> ReadSlice | None:
    values = {_concept(one): _number(one) for one in _children(image) if _kind(one) == "NUM"}
    needed = [values.get(code) for code in (ROWS, COLUMNS, ROW_MM, COLUMN_MM)]
    if any(value is None or not 0 < value < math.inf for value in needed):
        return None
    rows, columns, row_mm, column_mm = (value or 0.0 for value in needed)
    return ReadSlice(
        int(rows),
        int(columns),
        (row_mm, column_mm),
        _above_zero(values.get(THICKNESS)),
        _position(values),
    )


def _position(values: Mapping[str, float | None]) -> float:
    place = [values.get(code) for code in POSITION]
    axes = [values.get(code) for code in ORIENTATION]
    if None in place or None in axes:
        return 0.0
    try:
        normal = slice_normal([axis or 0.0 for axis in axes])
    except ZeroDivisionError:  # no directions at all
        return 0.0
    return sum((at or 0.0) * way for at, way in zip(place, normal, strict=True))


def _series(stored: Dataset) -> dict[str, str]:
    return {
        uid_text(reference, "ReferencedSOPInstanceUID"): uid_text(series, "SeriesInstanceUID")
        for keyword in EVIDENCE
        for study in stored.get(keyword) or ()
        for series in study.get("ReferencedSeriesSequence") or ()
        for reference in series.get("ReferencedSOPSequence") or ()
    }


def _unreadable(path: Path, got: str) -> InputError:
    return InputError(
        printable(path.name),
        expected="a DICOM structured report (SR)",
        got=got,
        remedy="Give the report's own file, as export sr writes it.",
    )
