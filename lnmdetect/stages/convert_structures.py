"""`lnmdetect convert from-seg` and `from-rtstruct`: DICOM masks and contours as a COCO file."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lnmdetect.core.errors import InputError
from lnmdetect.core.grid_match import GridMatch, match_grid
from lnmdetect.core.node_classes import NODE, POSITIVE
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.structure_names import (
    IGNORE,
    ClassRules,
    category_and_kind,
    class_in_name,
    ruled_class,
    speaks_of_nodes,
)
from lnmdetect.core.wording import counted
from lnmdetect.io.dicom_rtstruct import read_structures
from lnmdetect.io.dicom_seg_read import Segment, SegmentationFile, SegmentFrame, read_segmentation
from lnmdetect.io.input_files import printable
from lnmdetect.stages.convert_contours import filled_contours
from lnmdetect.stages.convert_in import (
    FromRequest,
    FromResult,
    PlacedScan,
    add_sources,
    begin,
    open_scans,
    write_found,
)
from lnmdetect.stages.convert_nodes import FoundNode
from lnmdetect.transforms.label_nodes import CrossSection, split_sections
from lnmdetect.transforms.mask_pieces import Mask


@dataclass(frozen=True)
class FromStructuresRequest(FromRequest):
    """Which DICOM object is read.

    Attributes:
        split: let each piece of a structure that touches no other be a node of its own.
    """

    split: bool = False


@dataclass(frozen=True)
class _Drawn:
    """A chosen structure: cross-sections, class, and a name that says nothing of a patient."""

    sections: Sequence[CrossSection]
    node_class: str
    name: str | None = None


def from_seg(request: FromStructuresRequest, progress: Progress = SILENT) -> FromResult:
    """Return what a DICOM Segmentation holds after writing it as COCO.

    Raises:
        InputError: it is none, belongs to no scan, does not lie on its pixels, or has no node.
        OutputError: the output exists and `overwrite` is not set.
    """
    record = begin(request, "from-seg", {"split": request.split})
    stored = read_segmentation(request.source)
    add_sources(record, "segmentation", [request.source])
    source, scans = open_scans(request)
    scan = _scan_of(request, stored.series, scans)
    classes = {one.number: _segment_class(one, request.rules) for one in stored.segments}
    chosen = {number: name for number, name in classes.items() if name != IGNORE}
    drawn = _drawn(stored, scan, progress)
    labels = {one.number: one.label for one in stored.segments if stored.own_labels}
    if len(set(labels.values())) != len(labels):
        labels = {}
    made = [
        _Drawn(drawn.get(number, []), name, labels.get(number))
        for number, name in sorted(chosen.items())
    ]
    notes = _left_out(len(stored.segments) - len(chosen))
    nodes = _nodes(request, scan, made, notes)
    return write_found(request, source, [(scan, nodes)], record, notes)


def from_rtstruct(request: FromStructuresRequest, progress: Progress = SILENT) -> FromResult:
    """Return what an RT Structure Set holds after writing it as COCO.

    A pixel belongs to a structure where its centre lies inside (`transforms.contour_fill`).
    Contours lie on slices; nothing is drawn between these.

    Raises:
        InputError: it is none, belongs to no scan, lies elsewhere or across the slices, or has no
            node.
        OutputError: the output exists and `overwrite` is not set.
    """
    record = begin(request, "from-rtstruct", {"split": request.split})
    stored = read_structures(request.source)
    add_sources(record, "structure set", [request.source])
    source, scans = open_scans(request)
    scan = _scan_of(request, stored.series, scans)
    classes = {one.number: _name_class(one.name, request.rules) for one in stored.structures}
    kept = [one for one in stored.structures if classes[one.number] not in (IGNORE, None)]
    made = [
        _Drawn(
            filled_contours(one, scan, printable(request.source.name)), classes[one.number] or NODE
        )
        for one in progress.track(kept, description="filling", total=len(kept))
    ]
    notes = _left_out(len(stored.structures) - len(kept))
    unread = sum(one.unread for one in kept)
    if unread:
        notes.append(f"{counted(unread, 'contour')} left out: open, points, or damaged")
    nodes = _nodes(request, scan, made, notes)
    return write_found(request, source, [(scan, nodes)], record, notes)


def _scan_of(
    request: FromRequest, series: Sequence[str], scans: Sequence[PlacedScan]
) -> PlacedScan:
    """Return the scan of the series that an object names; of one that names none the only scan.

    Raises:
        InputError: there is none, or more than one.
    """
    named = [scan for scan in scans if scan.scanner_series in series] if series else list(scans)
    if len(named) == 1:
        return named[0]
    several = f"{len(named)} scans" if series else f"no series named, and {len(scans)} scans"
    raise InputError(
        printable(request.source.name),
        expected="the scan it was drawn on below --scan",
        got=several if named else "other series",
        remedy="Point --scan to that scan, or name its series with --series.",
    )


def _segment_class(segment: Segment, rules: ClassRules) -> str:
    """Return the class of a segment, `IGNORE` of one that is no node."""
    named = _name_class(segment.label, rules)
    if named is not None:
        return POSITIVE if named == NODE and segment.is_metastasis else named
    if not segment.is_node:
        return IGNORE
    return POSITIVE if segment.is_metastasis else class_in_name(segment.label)


def _name_class(name: str, rules: ClassRules) -> str | None:
    """Return the class that a rule or the name itself tells; None where neither speaks of nodes."""
    ruled = ruled_class(name, rules)
    if ruled is not None:
        return ruled
    return class_in_name(name) if speaks_of_nodes(name) else None


def _drawn(
    stored: SegmentationFile, scan: PlacedScan, progress: Progress
) -> dict[int, list[CrossSection]]:
    """Return the cross-sections of each segment, one a slice, rising.

    Raises:
        InputError: a frame with a mask does not lie on the scan's pixels.
    """
    planes: dict[tuple[int, int], CrossSection] = {}
    for frame in progress.track(stored.frames(), description="reading"):
        for number in np.unique(frame.labels[frame.labels > 0]):
            section = _placed(frame, frame.labels == number, scan, stored.name)
            key = (int(number), section.index)
            planes[key] = _united(planes.get(key), section, scan.grid.shape[1:])
    found: dict[int, list[CrossSection]] = {}
    for (number, _), section in sorted(planes.items(), key=lambda entry: entry[0]):
        found.setdefault(number, []).append(section)
    return found


def _placed(frame: SegmentFrame, mask: Mask, scan: PlacedScan, where: str) -> CrossSection:
    affine = frame.affine.copy()
    affine[:3, 2] = scan.grid.affine[:3, 2]
    rows, columns = mask.shape
    match = match_grid(scan.grid, (columns, rows, 1), affine)
    got = "a frame that lies between or beside them"
    if match is not None and match.within(scan.grid):
        named = frame.sources.intersection(scan.scanner_uids)
        if not named or scan.scanner_uids[match.start[2]] in named:
            return _cross_section(match, mask)
        got = "a frame that lies on another slice than the one it names"
    raise InputError(
        where,
        expected="masks on the pixels of the scan's own slices",
        got=got,
        remedy="Give the scan that was segmented, and masks that were not resampled.",
    )


def _cross_section(match: GridMatch, mask: Mask) -> CrossSection:
    column, row, index = match.start
    return CrossSection.of(index, match.turned(mask.T[:, :, None])[0], (row, column))


def _united(
    known: CrossSection | None, section: CrossSection, shape: tuple[int, int]
) -> CrossSection:
    if known is None:
        return section
    return CrossSection.of(section.index, known.plane(shape) | section.plane(shape))


def _nodes(
    request: FromStructuresRequest, scan: PlacedScan, drawn: Sequence[_Drawn], notes: list[str]
) -> list[FoundNode]:
    """Return the nodes; a structure without a pixel is told in `notes`.

    Raises:
        InputError: there is none.
    """
    shown = [one for one in drawn if one.sections]
    if not shown:
        raise InputError(
            printable(request.source.name),
            expected="structures with pixels that are lymph nodes, by code or by name",
            got="none",
            remedy="Name them with --class NAME=CLASS, as --class 'GTV*=positive'.",
        )
    if len(shown) < len(drawn):
        empty = counted(len(drawn) - len(shown), "structure")
        notes.append(f"{empty} left out: no pixel's centre lies inside")
    gaps = sum(_has_gap(one.sections) for one in shown) if not request.split else 0
    if gaps:
        notes.append(
            f"{counted(gaps, 'structure')} with slices on which nothing is drawn between others: "
            "nothing is added there; --split makes the parts nodes each"
        )
    shape = scan.grid.shape[1:]
    found: list[FoundNode] = []
    for number, one in enumerate(shown, start=1):
        category, kind = category_and_kind(one.node_class)
        name = one.name or f"n{number}"
        pieces = split_sections(one.sections, shape) if request.split else [tuple(one.sections)]
        for place, sections in enumerate(pieces, start=1):
            node_id = f"{name}-{place}" if len(pieces) > 1 else name
            found.append(FoundNode(node_id, category, sections, kind))
    return found


def _left_out(count: int) -> list[str]:
    if not count:
        return []
    return [
        f"{counted(count, 'structure')} left out: neither code nor name says lymph node, or a rule "
        "ignores it; --class NAME=CLASS takes others"
    ]


def _has_gap(sections: Sequence[CrossSection]) -> bool:
    return sections[-1].index - sections[0].index >= len(sections)
