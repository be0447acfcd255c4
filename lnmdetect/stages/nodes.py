"""`lnmdetect nodes`: the boxes of nodes.json in, nodes in 3-D with their measures out."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby
from pathlib import Path
from typing import Any

from lnmdetect import __version__
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.linked_nodes import SIZE_RULE, LinkedNode, LinkedNodes
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import CocoDataset, Coverage
from lnmdetect.io.coco import read_coco
from lnmdetect.io.json_files import refuse_existing, sha256_of_file
from lnmdetect.io.linked_nodes_file import write_linked_nodes, write_linked_nodes_csv
from lnmdetect.io.pixel_roots import relative_root, scan_root
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.metrics.node_measures import LATERALITY_RULE, PROBABILITY_RULE
from lnmdetect.stages.nodes_link import NodeSections, nodes_of, scans_of
from lnmdetect.stages.nodes_measure import MeasuredSection, build_node, measure_slice
from lnmdetect.stages.scan_hounsfield import check_listed

LINKED = Path("linked_nodes.json")
NOT_NAMED = ""
"""Of a node before it has its id."""
_NOT_READ = (
    "not read (--boxes-only): axes are those of the boxes, or of the file's masks; HU, side and "
    "centre in mm are not known"
)
_KEPT_INFO = (
    *("detector", "classifier", "segmenter", "operating_threshold_source"),
    *("classifier_threshold", "classifier_threshold_source", "pseudonymised_uids"),
)


@dataclass(frozen=True)
class NodesRequest:
    """Which boxes to link.

    Attributes:
        nodes: nodes.json, boxes.json or a truth.json.
        output: the JSON file; the CSV file of the same name goes beside it.
        scan: where the pixels are; None takes the file's `info.scan_root`.
        threshold: on the detector's score instead of the file's operating threshold.
        boxes_only: read no pixels, which may not be there: axes are those of the boxes, or of the
            file's masks; HU, side and centre in mm stay unknown.
        named_root: as `detect` takes it.
    """

    nodes: Path
    output: Path = LINKED
    scan: Path | None = None
    threshold: float | None = None
    boxes_only: bool = False
    overwrite: bool = False
    named_root: Path | None = None


@dataclass(frozen=True)
class NodesResult:
    """What was linked.

    Attributes:
        scans: whose boxes were linked; as many as `slices` where each slice stands alone.
        boxes: at or above the threshold; below: how many were left out.
        nodes: as they were written.
    """

    output: Path
    table: Path
    threshold: float
    scans: int
    slices: int
    boxes: int
    below: int
    nodes: tuple[LinkedNode, ...]
    coverage: Coverage
    phantom: bool
    seconds: float


def csv_path(output: Path) -> Path:
    """Return where the table of a linked_nodes.json goes: the same name with .csv."""
    return output.with_suffix(".csv")


def link_nodes(
    request: NodesRequest, progress: Progress = SILENT, store: PixelStore | None = None
) -> NodesResult:
    """Return the nodes after writing them as JSON and CSV, with their run record.

    Args:
        request: which boxes.
        progress: watches the slices.
        store: the pixels where they are at hand already.

    Raises:
        UsageError: options clash, or an output would replace the input.
        InputError: the file or its pixels are unsound.
        OutputError: an output exists and `overwrite` is not set, or is a folder.
    """
    _check_outputs(request)
    table = csv_path(request.output)
    record = RunRecord("nodes", {})
    record.inputs[request.nodes.name] = sha256_of_file(request.nodes)
    dataset = read_coco(request.nodes)
    root = None if request.boxes_only else _root(request, dataset)
    threshold = request.threshold
    if threshold is None:
        threshold = float(dataset.info.get("operating_threshold") or 0)
    record.config = {"threshold": threshold, "boxes_only": request.boxes_only}
    chosen = [box for box in dataset.annotations if box.score is None or box.score >= threshold]
    scans = scans_of(dataset, request.nodes.name)
    found = list(nodes_of(scans, chosen, dataset.coverage))
    record.lap("link")
    if store is None and found and root:
        store = PixelStore(root, png_folder=request.nodes.parent)
    if store is not None:
        check_listed(store, dataset)
    nodes = _ranked(_measured_nodes(found, store, progress))
    record.lap("measure")
    info = _info(request, dataset, threshold, root and (request.named_root or root))
    linked = LinkedNodes(info, nodes)
    write_linked_nodes(linked, request.output, overwrite=request.overwrite)
    write_linked_nodes_csv(linked, table, overwrite=request.overwrite)
    record.write(record_path(request.output))
    return NodesResult(
        output=request.output,
        table=table,
        threshold=threshold,
        scans=len(scans),
        slices=len(dataset.images),
        boxes=len(chosen),
        below=len(dataset.annotations) - len(chosen),
        nodes=nodes,
        coverage=dataset.coverage,
        phantom=dataset.is_phantom,
        seconds=sum(record.timings_s.values()),
    )


def _check_outputs(request: NodesRequest) -> None:
    """Raise, before any work, where options clash or a file would replace another.

    Raises:
        UsageError: the output is named .csv, as the table is, or one of the two is the input; or
            pixels are named that are not to be read.
        OutputError: an output exists and `overwrite` is not set.
    """
    if request.boxes_only and request.scan is not None:
        raise UsageError(
            "--boxes-only",
            expected="no --scan",
            got="both",
            remedy="Leave out the one that is not meant.",
        )
    refuse_existing(request.output, overwrite=True)  # A folder, which may have no other suffix.
    table = csv_path(request.output)
    source = request.nodes.resolve()
    if request.output.suffix.lower() == table.suffix:
        got, remedy = f"{request.output.name}, the name of the table beside it", "Name it .json."
    elif source in (request.output.resolve(), table.resolve()):
        got, remedy = f"{request.nodes.name}, whose boxes are linked", "Choose another --output."
    else:
        for path in (request.output, table):
            refuse_existing(path, overwrite=request.overwrite)
        return
    raise UsageError("--output", expected="a file of its own", got=got, remedy=remedy)


def _root(request: NodesRequest, dataset: CocoDataset) -> Path:
    """Return where the pixels are; where there is no such place, say how to do without.

    Raises:
        InputError: nothing is there, or the file names no place.
    """
    try:
        return scan_root(request.nodes, dataset, request.scan)
    except InputError as error:
        raise InputError(
            error.where,
            expected=error.expected,
            got=error.got,
            remedy=f"{error.remedy} Without any scan, --boxes-only links and measures the boxes.",
        ) from None


def _measured_nodes(
    found: Sequence[NodeSections], store: PixelStore | None, progress: Progress
) -> Iterator[LinkedNode]:
    """Give every node with its measures; each slice is read once."""
    flat = [(section, at) for at, node in enumerate(found) for section in node.sections]
    flat.sort(key=lambda entry: entry[0].image.image_id)
    slices = [list(part) for _, part in groupby(flat, key=lambda entry: entry[0].image.image_id)]
    parts: dict[int, list[MeasuredSection]] = defaultdict(list)
    for entries in progress.track(slices, description="measuring nodes", total=len(slices)):
        measured = measure_slice([section for section, _ in entries], store)
        for (_, at), part in zip(entries, measured, strict=True):
            parts[at].append(part)
    for at, node in enumerate(found):
        ordered = sorted(parts[at], key=lambda part: part.section.position_mm)
        name = node.name or NOT_NAMED
        yield build_node(ordered, node.sections[0].image, node.step_mm, name)


def _ranked(nodes: Iterator[LinkedNode]) -> tuple[LinkedNode, ...]:
    """Return the nodes scan by scan, the likeliest metastatic first, with their ids.

    Those of masks stay, unless two nodes of a patient would share one.
    """
    by_scan: dict[tuple[str, str], list[LinkedNode]] = defaultdict(list)
    for node in nodes:
        by_scan[node.patient, node.series].append(node)
    ranked = [node for scan in by_scan.values() for node in sorted(scan, key=_rank)]
    names = {(node.patient, node.node_id) for node in ranked}
    if len(names) == len(ranked) and all(name != NOT_NAMED for _, name in names):
        return tuple(ranked)
    number: dict[str, Iterator[int]] = defaultdict(lambda: count(1))
    return tuple(replace(node, node_id=f"n{next(number[node.patient])}") for node in ranked)


def _rank(node: LinkedNode) -> tuple[float, float]:
    """Return what sorts the likeliest metastatic first; without classes, the surest node."""
    p = node.p_metastatic
    return -node.score * (1.0 if p is None else p), -node.volume_mm3


def _info(
    request: NodesRequest, dataset: CocoDataset, threshold: float, root: Path | None
) -> dict[str, Any]:
    hidden = bool(dataset.info.get("pseudonymised_uids"))
    shown = {} if hidden or root is None else {"scan_root": relative_root(root, request.output)}
    kept: Mapping[str, Any] = {
        key: dataset.info[key] for key in _KEPT_INFO if dataset.info.get(key) is not None
    }
    if request.threshold is not None:
        kept = {**kept, "operating_threshold_source": "--threshold"}
    return {
        "description": "Cervical lymph nodes in 3-D. Research use only, not for diagnosis.",
        "lnmdetect_version": __version__,
        "linked_from": {"file": request.nodes.name, "sha256": sha256_of_file(request.nodes)},
        **shown,
        **({"pixels": _NOT_READ} if root is None else {}),
        "phantom": dataset.is_phantom,
        "coverage": dataset.coverage,
        "operating_threshold": threshold,
        **kept,
        "probability_rule": PROBABILITY_RULE,
        "laterality_rule": LATERALITY_RULE,
        "size_rule": SIZE_RULE,
    }
