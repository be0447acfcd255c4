"""`lnmdetect convert from-nifti`, `from-nnunet`, `from-nndetection`: label maps as a COCO file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lnmdetect.core.cases import Case, CaseNode, CaseSet, Layout, Values
from lnmdetect.core.errors import InputError
from lnmdetect.core.grid_match import GridMatch, match_grid
from lnmdetect.core.node_classes import EXTRANODAL, MERGED_POSITIVE, NODE, THREE, class_of
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.structure_names import (
    IGNORE,
    category_and_kind,
    class_in_name,
    ruled_class,
    speaks_of_nodes,
)
from lnmdetect.core.wording import counted
from lnmdetect.io.label_sets import LabelFile, LabelSet, read_label_set
from lnmdetect.io.nifti import NiftiFile, open_nifti
from lnmdetect.stages.convert_in import (
    FromRequest,
    FromResult,
    PlacedScan,
    add_sources,
    begin,
    open_scans,
    write_found,
)
from lnmdetect.stages.convert_nodes import FoundNode, voxels_of
from lnmdetect.stages.convert_scores import scored_nodes
from lnmdetect.transforms.label_nodes import LabelNode, Labels, numbered_nodes, touching_nodes


@dataclass(frozen=True)
class FromLabelsRequest(FromRequest):
    """Which label maps are read, and how.

    Attributes:
        layout: of the folder.
        values: what the numbers stand for; None takes cases.json's word, else classes (of
            nnDetection instances).
        cases: cases.json where it does not lie beside the label maps.
    """

    layout: Layout = "nifti"
    values: Values | None = None
    cases: Path | None = None


def from_labels(request: FromLabelsRequest, progress: Progress = SILENT) -> FromResult:
    """Return what the label maps hold after writing it as COCO.

    Raises:
        InputError: a label map belongs to no scan, is not on its grid, or has a number that stands
            for no class; or a file cannot be read.
        OutputError: the output exists and `overwrite` is not set.
        MissingExtraError: nibabel is not installed.
    """
    record = begin(request, f"from-{request.layout}", {"values": request.values})
    labels = read_label_set(request.source, request.layout, request.cases)
    add_sources(record, "label map", [file.path for file in labels.files])
    source, scans = open_scans(request)
    record.lap("open")
    reader = _Reader(request, labels)
    opened = [open_nifti(file.path) for file in labels.files]
    joined = join_scans(labels, opened, scans)
    found = []
    for file, nifti, scan in progress.track(
        zip(labels.files, opened, joined, strict=True),
        description="converting",
        total=len(opened),
    ):
        match = _match(nifti, scan)
        nodes = reader.nodes(file, match.turned(nifti.labels()))
        if request.layout == "nnunet" and request.as_result:
            nodes = scored_nodes(nodes, reader.classes, (file, nifti, match))
        found.append((scan, nodes))
    unlabelled = len(scans) - len(found)
    notes = [f"{counted(unlabelled, 'scan')} without a label map left out"] if unlabelled else []
    if reader.is_guess:
        notes.append(
            "no table says what the numbers stand for: read as 1 negative, 2 positive, "
            "3 extranodal_extension; say otherwise with --class, or --values instances"
        )
    return write_found(request, source, found, record, notes)


def join_scans(
    labels: LabelSet, opened: Sequence[NiftiFile], scans: Sequence[PlacedScan]
) -> list[PlacedScan]:
    """Return the scan of each label map: by cases.json, else by its name, else by its grid.

    Raises:
        InputError: one belongs to none or may belong to several, or two to the same.
    """
    known = {} if labels.cases is None else labels.cases.by_name()
    by_series = {uid: scan for scan in scans for uid in (scan.scanner_series, scan.series)}
    joined = []
    for file, nifti in zip(labels.files, opened, strict=True):
        case = known.get(file.case)
        scan = by_series.get(file.case if case is None else case.series)
        joined.append(scan or _only_fitting(nifti, scans, case))
    series = [scan.series for scan in joined]
    twice = next((at for at, uid in enumerate(series) if uid in series[:at]), None)
    if twice is not None:
        raise InputError(
            opened[twice].name,
            expected="one label map a scan",
            got=f"the same scan as {opened[series.index(series[twice])].name}",
            remedy="Take one of them out, or name each scan's in cases.json with --cases.",
        )
    return joined


def _only_fitting(nifti: NiftiFile, scans: Sequence[PlacedScan], case: Case | None) -> PlacedScan:
    if case is not None:
        raise InputError(
            nifti.name,
            expected="the scan of the series that cases.json names below --scan",
            got="no such series",
            remedy="Point --scan to the scans from which the label maps were made.",
        )
    if len(scans) == 1:
        return scans[0]
    fitting = [scan for scan in scans if _fits(nifti, scan)]
    if len(fitting) == 1:
        return fitting[0]
    raise InputError(
        nifti.name,
        expected=f"the voxels of one of the {len(scans)} scans",
        got=f"those of {len(fitting) or 'none'} of them",
        remedy="Name its scan in cases.json with --cases, or name the file by its series uid."
        if fitting
        else "Give the scan that was segmented, and the label map on its own grid.",
    )


def _fits(nifti: NiftiFile, scan: PlacedScan) -> bool:
    match = match_grid(scan.grid, nifti.sides, nifti.affine)
    return match is not None and match.covers(scan.grid)


def _match(nifti: NiftiFile, scan: PlacedScan) -> GridMatch:
    match = match_grid(scan.grid, nifti.sides, nifti.affine)
    if match is not None and match.covers(scan.grid):
        return match
    columns, rows, slices = scan.grid.sides
    other = tuple(sorted(nifti.sides)) != tuple(sorted(scan.grid.sides))
    raise InputError(
        nifti.name,
        expected=f"the grid of its scan, {columns} x {rows} x {slices} voxels where its slices lie",
        got=f"{nifti.sides[0]} x {nifti.sides[1]} x {nifti.sides[2]}"
        + (" voxels" if other else " voxels that lie elsewhere in the patient"),
        remedy="Give the label map on the scan's own grid, not resampled or cropped; axes may be "
        "turned or mirrored.",
    )


class _Reader:
    """Turns label maps into nodes by what their numbers stand for."""

    def __init__(self, request: FromLabelsRequest, labels: LabelSet) -> None:
        self._request = request
        self._cases = labels.cases
        self._known = {} if self._cases is None else self._cases.by_name()
        default: Values = "instances" if request.layout == "nndetection" else "classes"
        told = self._cases.values if self._cases and not labels.names else None
        self._values = request.values or told or default
        self._told = bool(labels.names or labels.cases)
        self._names = labels.names or _default_names(self._cases, request.layout)

    @property
    def is_guess(self) -> bool:
        """Whether neither a table nor the request says what the numbers stand for."""
        request = self._request
        told = self._told or request.values or request.rules
        return request.layout != "nndetection" and not told

    def classes(self) -> dict[int, str]:
        """Return the values that are nodes, and the class of each.

        Raises:
            InputError: a value has a name that stands for no class.
        """
        named = {value: self._class(value, f"label {value}") for value in self._names}
        return {value: name for value, name in named.items() if name != IGNORE}

    def nodes(self, file: LabelFile, labels: Labels) -> list[FoundNode]:
        """Return the nodes of one label map (slices, rows, columns).

        Raises:
            InputError: a number stands for no class.
        """
        if self._values == "instances":
            return self._instances(file, numbered_nodes(labels))
        present = {node.value for node in numbered_nodes(labels)}
        classes = {value: self._class(value, file.case) for value in sorted(present)}
        wanted = [value for value, name in classes.items() if name != IGNORE]
        pieces = touching_nodes(labels, wanted, joined=self._request.as_result)
        return [
            _found(f"n{number}", piece, classes[piece.value])
            for number, piece in enumerate(pieces, start=1)
        ]

    def _instances(self, file: LabelFile, nodes: Sequence[LabelNode]) -> list[FoundNode]:
        case = self._known.get(file.case)
        kept = {} if case is None else case.nodes
        found = []
        for node in nodes:
            told = kept.get(node.value)
            name = self._instance_class(file, node.value)
            if name == IGNORE:
                continue
            one = _found(f"n{node.value}", node, name or NODE)
            found.append(one if told is None else self._with_told(one, told, name))
        return found

    def _with_told(self, node: FoundNode, told: CaseNode, name: str | None) -> FoundNode:
        """Return the node with what cases.json knows of it.

        Args:
            node: of the label map, of the class `name`.
            told: what cases.json knows.
            name: the class by rule or by the table beside the label map, None without; where it is
                another than that of cases.json somebody has corrected it, and it stays.
        """
        known = replace(
            node,
            node_id=told.node_id or node.node_id,
            level=told.level,
            # Of a mask that was edited since, the axis is measured again.
            short_axis_mm=told.short_axis_mm if told.voxels in (None, voxels_of(node)) else None,
        )
        if name is not None and not self._agrees(name, told):
            return known
        return replace(known, category_id=told.category_id, kind=told.kind)

    def _agrees(self, name: str, told: CaseNode) -> bool:
        if name == NODE:
            return True
        if category_and_kind(name)[0] != told.category_id:
            return False
        apart = self._cases is not None and EXTRANODAL in self._cases.classes
        known = class_of(told.category_id, told.kind)
        return name in (known, MERGED_POSITIVE) or (not apart and name != EXTRANODAL)

    def _instance_class(self, file: LabelFile, value: int) -> str | None:
        ruled = ruled_class(str(value), self._request.rules)
        if ruled is not None or file.instances is None:
            return ruled
        if value not in file.instances:
            raise InputError(
                f"{file.case}.json",
                expected="the class of each instance of the label map",
                got=f"none of instance {value}",
                remedy="Correct the table, or name the class with --class NUMBER=CLASS.",
            )
        return self._class(file.instances[value], file.case)

    def _class(self, value: int, where: str) -> str:
        name = self._names.get(value)
        rules = self._request.rules
        ruled = ruled_class(str(value), rules) or (ruled_class(name, rules) if name else None)
        if ruled is not None:
            return ruled
        if name is None:
            raise InputError(
                where,
                expected=f"numbers of the classes {', '.join(map(str, sorted(self._names)))}",
                got=str(value),
                remedy="Name the class of the number with --class NUMBER=CLASS, or, where each "
                "node has a number of its own, add --values instances.",
            )
        told = class_in_name(name)
        if told == NODE and not speaks_of_nodes(name):
            raise InputError(
                f"label {value}",
                expected="a name that speaks of lymph nodes or of one of their classes",
                got="another",
                remedy=f"Name its class with --class {value}=CLASS, or --class {value}=ignore.",
            )
        return told


def _default_names(cases: CaseSet | None, layout: Layout) -> Mapping[int, str]:
    """Return the classes by number, as `convert to-*` numbers them; nnDetection's begin at 0."""
    names = THREE if cases is None else cases.classes
    return dict(enumerate(names, start=0 if layout == "nndetection" else 1))


def _found(node_id: str, node: LabelNode, name: str) -> FoundNode:
    category, kind = category_and_kind(name)
    return FoundNode(node_id, category, node.sections, kind)
