"""Slices grouped into studies and series, and the series that each study is read from."""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace

from lnmdetect.core.errors import InputError
from lnmdetect.core.records import ImageRecord
from lnmdetect.io.dicom_acquisition import is_sharp
from lnmdetect.io.dicom_contrast import NATIVE
from lnmdetect.io.dicom_geometry import is_axial, order_slices, position_mm
from lnmdetect.io.dicom_header import LeftOut, SliceHeader
from lnmdetect.io.dicom_index import DicomIndex
from lnmdetect.io.input_files import printable
from lnmdetect.io.png_pixels import is_png
from lnmdetect.io.pseudonym import patient_pseudonym

Series = tuple[SliceHeader, ...]


def group_series(slices: Iterable[SliceHeader]) -> dict[str, Series]:
    """Return the ordered slices of every series by its uid, in order of first appearance."""
    grouped: dict[str, list[SliceHeader]] = defaultdict(list)
    for header in slices:
        grouped[header.series_uid].append(header)
    return {uid: order_slices(members) for uid, members in grouped.items()}


def group_studies(series: Mapping[str, Series]) -> list[tuple[Series, ...]]:
    """Return the series of every study; patients whose study uids were made equal stay apart."""
    grouped: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for members in series.values():
        grouped[members[0].study_uid, members[0].patient_id].append(members)
    return [tuple(members) for members in grouped.values()]


def best_axial_series(candidates: Sequence[Series]) -> Series | None:
    """Return a study's series to read, None without an axial one.

    Of those that cover at least half of the longest, soft-tissue kernels go before those for bone
    and lung, and contrast before none as far as the headers tell; then the one with most axial
    slices is taken, of equals the first by uid.
    """
    axial = [series for series in candidates if any(map(is_axial, series))]
    return min(axial, key=lambda series: _ranks(series, axial), default=None)


def more_slices_but(series: Series, candidates: Iterable[Series]) -> list[str]:
    """Return why each candidate with more axial slices than the best series was passed over."""
    axial = [other for other in candidates if any(map(is_axial, other))]
    best = _ranks(series, axial)
    reasons = ("covers less", "sharp kernel", "no contrast")
    others = (_ranks(other, axial) for other in axial)
    return [
        next(
            reason
            for reason, worse, own in zip(reasons, ranks[:3], best[:3], strict=True)
            if worse > own
        )
        for ranks in others
        if ranks[3] < best[3]
    ]


def _ranks(series: Series, among: Iterable[Series]) -> tuple[bool, bool, bool, int, str]:
    """Return what speaks against a series, weightiest first."""
    longest_mm = max(map(_axial_extent_mm, among))
    return (
        _axial_extent_mm(series) < longest_mm / 2,
        any(is_sharp(header.acquisition.kernel) for header in series),
        any(says_native(header) for header in series),
        -sum(map(is_axial, series)),
        series[0].series_uid,
    )


def says_native(header: SliceHeader) -> bool:
    """Return whether a slice's header says that no contrast was given."""
    taken = header.acquisition
    return taken.phase == NATIVE or taken.contrast is False


def _axial_extent_mm(series: Series) -> float:
    places = [position_mm(header) for header in series if is_axial(header)]
    return max(places) - min(places)


def named_series(index: DicomIndex, series: Mapping[str, Series], uid: str) -> Series:
    """Return the series with this uid.

    Raises:
        InputError: there is none, and the message lists those there are; or it is no CT scan.
    """
    if uid in series:
        return series[uid]
    if left_out := [entry for entry in index.left_out if entry.series_uid == uid]:
        raise no_scan_error(replace(index, slices=(), left_out=tuple(left_out)))
    shown = "; ".join(describe(members) for members in list(series.values())[:5])
    raise InputError(
        "--series",
        expected=f"the uid of one of the {len(series)} CT series found",
        got=f"{printable(uid)}",
        remedy=f"Choose from: {shown or 'none'}{' ...' * (len(series) > 5)}.",
    )


def describe(series: Series) -> str:
    """Return a series' uid, number of slices and size, without any free text."""
    first = series[0]
    kind = "axial" if is_axial(first) else "non-axial"
    plural = "slice" if len(series) == 1 else "slices"
    uid = printable(first.series_uid)
    return f"{uid} ({len(series)} {kind} {plural}, {first.rows} x {first.columns})"


def image_records(series: Series, *, first_id: int, key: bytes) -> tuple[ImageRecord, ...]:
    """Return one record a slice of an ordered series, ids rising from `first_id`."""
    patient = patient_pseudonym(series[0].patient_id, series[0].study_uid, key)
    return tuple(
        ImageRecord(
            image_id=first_id + index,
            file_name=f"{header.sop_uid}.dcm",
            width=header.columns,
            height=header.rows,
            patient=patient,
            series=header.series_uid,
            sop_instance_uid=header.sop_uid,
            slice_index=index,
            position_mm=round(position_mm(header), 4) + 0.0,
            spacing_mm=header.spacing_mm,
            thickness_mm=header.thickness_mm,
        )
        for index, header in enumerate(series)
    )


_PNG_REMEDY = " For PNG slices add --key-images and --pixel-spacing ROW COLUMN."


def no_scan_error(index: DicomIndex) -> InputError:
    """Return why nothing at the input can be read as a CT scan."""
    kinds = {entry.reason for entry in index.left_out}
    if faults := index.faults():
        return fault_error(faults[0])
    if kinds == {"unreadable"} and not index.slices:
        return fault_error(index.left_out[0])
    if index.slices:
        got = "coronal or sagittal slices only"
    elif index.left_out:
        got = _list_reasons(index.left_out)
    else:
        return InputError(
            "input",
            expected="DICOM files",
            got=f"none among {len(index.unrelated)} files",
            remedy="Give the folder, file or .zip that holds the CT series."
            + (_PNG_REMEDY if any(map(is_png, index.unrelated)) else ""),
        )
    return InputError(
        "input",
        expected="an axial CT series",
        got=got,
        remedy="Export the axial CT series as DICOM CT images and give its folder.",
    )


def fault_error(fault: LeftOut) -> InputError:
    """Return the refusal of one faulty file, named by its relative path."""
    return InputError(
        printable(fault.file),
        expected=fault.expected,
        got=fault.got,
        remedy="Export or copy the file again from its source, or take it out of the folder.",
        is_path=True,
    )


def check_distinct_uids(series: Series, seen: Container[str]) -> set[str]:
    """Return the SOP uids of a series, none of which is among `seen` or occurs twice.

    Raises:
        InputError: one does; results are joined by SOP uid, so it must be unique.
    """
    uids: set[str] = set()
    for header in series:
        if header.sop_uid in uids or header.sop_uid in seen:
            raise InputError(
                printable(header.file),
                expected="a SOP instance uid of its own",
                got="one that another slice has too",
                remedy="Export the series again; its anonymisation made uids equal.",
                is_path=True,
            )
        uids.add(header.sop_uid)
    return uids


def file_notes(index: DicomIndex, *, but: Callable[[str], bool] | None = None) -> list[str]:
    """Return how many images and files were not read and why; `but` names files that were."""
    notes = [
        f"{count} image{'s' * (count > 1)} left out: {reason}"
        for reason, count in sorted(index.left_out_counts().items())
    ]
    count = sum(but is None or not but(name) for name in index.unrelated)
    if count:
        notes.append(f"{count} file{'s' * (count > 1)} passed over: not DICOM images")
    return notes


def _list_reasons(left_out: Sequence[LeftOut]) -> str:
    """Return, say, `not CT (modality MR, 3 images)` for each kind of object found."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for entry in left_out:
        counts[(entry.reason, entry.got)] += 1
    return "; ".join(
        f"{reason} ({got}, {count} image{'s' * (count > 1)})"
        for (reason, got), count in sorted(counts.items())
    )
