"""What a series must pass to be read: stages stop at the first refusal, doctor lists them all.

Each check stands here once, so that `doctor` and the stages can never differ.
"""

import os
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from lnmdetect.core.errors import InputError
from lnmdetect.io.dicom_geometry import (
    check_aligned,
    check_axial,
    check_distinct,
    check_one_acquisition,
    check_one_grid,
    check_steps,
    check_untilted,
)
from lnmdetect.io.dicom_header import LeftOut
from lnmdetect.io.dicom_index import DicomIndex
from lnmdetect.io.dicom_pixels import require_codec
from lnmdetect.io.dicom_series import Series, check_distinct_uids, fault_error

HU_BYTES = np.dtype(np.int16).itemsize


@dataclass(frozen=True)
class ScanCase:
    """A series to check, and what the checks need to know around it.

    Attributes:
        index: of all files at the input.
        series: ordered slices.
        allow_tilt: let a tilted gantry pass.
        taken_uids: SOP uids of the scans that are read already.
    """

    index: DicomIndex
    series: Series
    allow_tilt: bool = False
    taken_uids: AbstractSet[str] = frozenset()


@dataclass(frozen=True)
class ScanCheck:
    """One check of a series.

    Attributes:
        name: in a word or two.
        sound: the sentence that holds where `run` raises nothing.
        run: raises InputError where the series cannot be read.
        needs: checks without which this one says nothing.
    """

    name: str
    sound: str
    run: Callable[[ScanCase], None]
    needs: tuple[str, ...] = ()


def _check_files(case: ScanCase) -> None:
    for fault in case.index.faults():
        if fault.series_uid == case.series[0].series_uid or _belongs(fault, case):
            raise fault_error(fault)


def _belongs(fault: LeftOut, case: ScanCase) -> bool:
    """Return whether a CT file cut short before its series uid lies among this study's files only.

    Left out, it could be the last slice of the scan, and nothing would tell.
    """
    if fault.series_uid:
        return False
    folder = PurePosixPath(fault.file).parent
    slices = case.index.slices
    studies = {h.study_uid for h in slices if PurePosixPath(h.file).parent == folder}
    return studies == {case.series[0].study_uid}


def _check_patient(case: ScanCase) -> None:
    """Do nothing for slices of one patient and study; an empty patient id is nobody's."""
    first = case.series[0]
    patients = {header.patient_id for header in case.series} - {""}
    studies = {header.study_uid for header in case.series}
    if len(patients) < 2 and len(studies) < 2:
        return
    raise InputError(
        f"series {first.series_uid}",
        expected="slices of one patient and study",
        got=f"{max(len(patients), 1)} patient ids and {len(studies)} study uids",
        remedy="Separate the patients, or export the series again; its anonymisation made series "
        "uids equal.",
    )


def _check_codecs(case: ScanCase) -> None:
    for header in {header.transfer_syntax: header for header in reversed(case.series)}.values():
        require_codec(header)


def _check_tilt(case: ScanCase) -> None:
    if not case.allow_tilt:
        check_untilted(case.series)


def _check_uids(case: ScanCase) -> None:
    check_distinct_uids(case.series, case.taken_uids)


def _check_memory(case: ScanCase) -> None:
    first = case.series[0]
    needed = len(case.series) * first.rows * first.columns * HU_BYTES
    present = physical_memory_bytes()
    if present and needed > present:
        raise InputError(
            f"series {first.series_uid}",
            expected=f"voxels that fit into this machine's {present / 2**30:.1f} GiB of memory",
            got=f"{len(case.series)} slices of {first.rows} x {first.columns}, "
            f"{needed / 2**30:.1f} GiB",
            remedy="Give a part of the series, or use a machine with more memory.",
        )


def physical_memory_bytes() -> int:
    """Return how much memory the machine has, 0 where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # not on every system
        return 0


_ORDER = ("grid", "plane", "duplicates")
SCAN_CHECKS = (
    ScanCheck("files", "Every slice is whole and has the tags it needs.", _check_files),
    ScanCheck("patient", "All slices are of one patient and study.", _check_patient),
    ScanCheck("compression", "The pixels' compression can be read.", _check_codecs),
    ScanCheck(
        "grid",
        "All slices have one size, pixel spacing and orientation.",
        lambda case: check_one_grid(case.series),
    ),
    ScanCheck("plane", "The slices are axial.", lambda case: check_axial(case.series), ("grid",)),
    ScanCheck(
        "duplicates",
        "No position is doubled.",
        lambda case: check_distinct(case.series),
        _ORDER[:2],
    ),
    ScanCheck(
        "acquisitions",
        "No acquisition lies within another.",
        lambda case: check_one_acquisition(case.series),
        _ORDER,
    ),
    ScanCheck(
        "alignment", "The slices lie in one line.", lambda case: check_aligned(case.series), _ORDER
    ),
    ScanCheck("tilt", "The gantry was not tilted, or that is allowed.", _check_tilt, _ORDER),
    ScanCheck(
        "gaps",
        "The slices follow each other in even steps, and none is missing.",
        lambda case: check_steps(case.series, case.index.unread()),
        _ORDER,
    ),
    ScanCheck("uids", "Every slice has a SOP instance uid of its own.", _check_uids),
    ScanCheck("size", "The voxels fit into memory.", _check_memory),
)


def check_scan(case: ScanCase) -> None:
    """Do nothing for a series that can be read.

    Raises:
        InputError: the first check that it does not pass.
    """
    for check in SCAN_CHECKS:
        check.run(case)


def every_finding(case: ScanCase) -> Iterator[tuple[ScanCheck, InputError | ScanCheck | None]]:
    """Yield each check with its refusal, None where it is passed.

    A check that needs another which was refused comes with that other one: it cannot be made.
    """
    refused: dict[str, ScanCheck] = {}
    for check in SCAN_CHECKS:
        first = next((refused[name] for name in check.needs if name in refused), None)
        if first is not None:
            yield check, first
            continue
        try:
            check.run(case)
        except InputError as error:
            refused[check.name] = check
            yield check, error
        else:
            yield check, None
