"""Two prediction files against one truth: what each is worth, and what of it differs by chance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from string import ascii_uppercase

from lnmdetect import __version__
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import METASTATIC
from lnmdetect.core.wording import counted
from lnmdetect.io.figure_rows import write_rows
from lnmdetect.io.json_files import refuse_existing, write_json
from lnmdetect.io.linked_nodes_file import read_linked_nodes
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.metrics.answers import Answers
from lnmdetect.metrics.comparison import compare_classes, compare_detections
from lnmdetect.metrics.resampling import RESAMPLES, SEED
from lnmdetect.stages.comparison_nodes import (
    NodesCompared,
    Side,
    nodes_compared,
    nodes_notes,
    read_side,
)
from lnmdetect.stages.comparison_result import ComparedFile, CompareInfo, Comparison, LeftOut
from lnmdetect.stages.comparison_rows import csv_rows
from lnmdetect.stages.evaluation_info import file_notes, intervals_sentence, truth_notes
from lnmdetect.stages.evaluation_optimism import flattery
from lnmdetect.stages.evaluation_request import TRUTH
from lnmdetect.stages.evaluation_thresholds import Threshold, detector_threshold
from lnmdetect.stages.evaluation_truth import FileStamp, Truth, read_truth
from lnmdetect.stages.truth_answers import known_truth, truth_answers

MANY_TESTS = (
    "Several figures are compared, and no p value or interval is corrected for that: name the one "
    "that decides before looking."
)
_STEPS = ("files", "detection", "classes", "nodes")


@dataclass(frozen=True)
class CompareRequest:
    """What to compare.

    Attributes:
        a, b: the prediction files; every difference is A minus B. Boxes, nodes, masks or linked
            nodes.
        also: more of them, C on, which are compared with A node by node.
        truth: the truth files; several are pooled.
        threshold: the detector's operating threshold in place of those in the files.
        optimistic: go on although a threshold was chosen on patients that are compared on.
        bootstrap, seed: how many resamples of the patients (and swaps of their answers).
        output: where comparison.json goes; None writes nothing.
    """

    a: Path
    b: Path
    also: tuple[Path, ...] = ()
    truth: tuple[Path, ...] = (TRUTH,)
    threshold: float | None = None
    optimistic: bool = False
    bootstrap: int = RESAMPLES
    seed: int = SEED
    output: Path | None = None
    overwrite: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """All that are compared, A first."""
        return (self.a, self.b, *self.also)


def table_path(output: Path) -> Path:
    """Return where the table of a comparison.json goes: the same name with .csv."""
    return output.with_suffix(".csv")


def compare(request: CompareRequest, progress: Progress = SILENT) -> Comparison:
    """Return the comparison of the files, and write it, with run.json, where the request says.

    Raises:
        InputError: a file is missing or cannot be used; or a threshold was chosen on patients that
            are evaluated, and the request does not say `optimistic`.
        UsageError: two of them hold the same, or one of them is the truth file.
        OutputError: the output exists, or cannot be written.
    """
    if request.output is not None:
        for path in (request.output, table_path(request.output)):
            refuse_existing(path, overwrite=request.overwrite)
    record = RunRecord("eval --compare", {"threshold": request.threshold}, seed=request.seed)
    steps = iter(progress.track(_STEPS, description="comparing"))
    next(steps)
    _check_files(request)
    truth = read_truth(request.truth, bootstrap=request.bootstrap, seed=request.seed)
    sides = [
        read_side(name, path, truth, threshold=request.threshold)
        for name, path in zip(ascii_uppercase, request.files, strict=False)
    ]
    warnings = flattery(
        [side.found for side in sides if side.found is not None],
        optimistic=request.optimistic,
        threshold_replaced=request.threshold is not None,
    )
    record.lap("read")
    result = _comparison(truth, sides, steps)
    result = replace(result, info=replace(result.info, notes=(*warnings, *result.info.notes)))
    record.lap("compare")
    if request.output is not None:
        write_json(result.to_json(), request.output, overwrite=request.overwrite)
        write_rows(csv_rows(result), table_path(request.output), overwrite=request.overwrite)
        record.add_inputs((stamp.file, stamp.sha256) for stamp in truth.stamps)
        record.inputs |= {side.name: side.stamp.sha256 for side in sides}
        record.write(record_path(request.output))
    return result


def _check_files(request: CompareRequest) -> None:
    for path in (*request.truth, *request.files):
        if not path.is_file():
            raise InputError(
                path.name or "--compare",
                expected="a file",
                got="a folder" if path.is_dir() else "none there",
                remedy="Give two prediction files with --compare A B, and --truth.",
            )
    if len(request.files) > len(ascii_uppercase):
        raise UsageError(
            "--also",
            expected=f"at most {len(ascii_uppercase) - 2} files beside A and B",
            got=str(len(request.also)),
            remedy="Compare fewer at a time.",
        )
    stamps = [FileStamp.of(path) for path in request.files]
    for a, b in combinations(stamps, 2):
        if a.sha256 == b.sha256:
            raise UsageError(
                "--compare",
                expected="different prediction files",
                got=f"the same content twice ({a.file} and {b.file})",
                remedy="Give the files of two models, or of one model run in two ways.",
            )
    truth = {FileStamp.of(path).sha256 for path in request.truth}
    for stamp in stamps:
        if stamp.sha256 in truth:
            raise UsageError(
                "--compare",
                expected="prediction files",
                got=f"{stamp.file}, which is the truth file",
                remedy="Give what detect or classify wrote; the truth goes to --truth.",
            )


def _comparison(truth: Truth, sides: Sequence[Side], steps: Iterator[str]) -> Comparison:
    next(steps)
    a, b = (side.found for side in sides[:2])
    detection = classes = left_out = None
    if a is not None and b is not None and not (a.on_truth_boxes or b.on_truth_boxes):
        detection = compare_detections(a.tables, b.tables, truth.cohort)
    next(steps)
    if a is not None and b is not None and a.classified and b.classified:
        of_a, of_b = truth_answers(a), truth_answers(b)
        table = truth.table
        classes = compare_classes(
            table.classes == METASTATIC,
            of_a,
            of_b,
            patient=truth.cohort.patient_of_image[table.image],
            resamples=truth.cohort.resamples,
        )
        left_out = _left_out(truth, of_a, of_b)
    next(steps)
    nodes = nodes_compared(sides, truth)
    next(steps, None)
    return Comparison(
        _info(truth, tuple(_notes(truth, sides, left_out, nodes))),
        _compared(sides[0]),
        _compared(sides[1]),
        detection,
        classes,
        left_out,
        nodes,
    )


def _left_out(truth: Truth, a: Answers, b: Answers) -> LeftOut:
    known = known_truth(truth)
    return LeftOut(
        answered_by_a_alone=int((known & a.given & ~b.given).sum()),
        answered_by_b_alone=int((known & ~a.given & b.given).sum()),
        answered_by_neither=int((known & ~a.given & ~b.given).sum()),
    )


def _compared(side: Side) -> ComparedFile:
    found = side.found
    if found is None:
        called = Threshold(None, f"{side.stamp.file} holds nodes, and none is called")
        sections = sum(len(node.sections) for node in read_linked_nodes(side.path).nodes)
        threshold = detector_threshold(side.stamp.file, side.info)
        return ComparedFile(side.stamp, sections, threshold, called)
    return ComparedFile(
        side.stamp, len(found.rows), found.detector_threshold, found.classifier_threshold
    )


def _info(truth: Truth, notes: tuple[str, ...]) -> CompareInfo:
    resamples = truth.cohort.resamples
    return CompareInfo(
        lnmdetect_version=__version__,
        truth=truth.stamps,
        phantom=truth.columns.is_phantom,
        coverage=truth.columns.coverage,
        patients=truth.cohort.patients,
        images=len(truth.columns.images),
        truth_boxes=int((~truth.table.ignored).sum()),
        resamples=resamples.count,
        seed=resamples.seed,
        intervals=intervals_sentence(resamples.count, resamples.seed),
        notes=notes,
    )


def _notes(
    truth: Truth, sides: Sequence[Side], left_out: LeftOut | None, nodes: NodesCompared | None
) -> Iterator[str]:
    yield from truth_notes(truth)
    yield MANY_TESTS
    for side in sides:
        if side.found is not None:
            yield from (f"{side.name}: {note}" for note in file_notes(side.found))
    for side in sides[:2]:
        yield from _side_notes(side, left_out)
    if left_out is not None:
        if not all(side.found is not None and side.found.on_truth_boxes for side in sides[:2]):
            lost = sum(vars(left_out).values())
            boxes = counted(lost, "truth box is", "truth boxes are")
            yield (
                f"Classes are compared on truth boxes that both found; {boxes} left out, which are "
                "hardly the easiest. Classified truth boxes (classify truth.json) leave none out."
            )
        yield "DeLong's test and McNemar's take nodes as independent; the others go by patient."
    yield from nodes_notes(sides, truth, nodes)


def _side_notes(side: Side, left_out: LeftOut | None) -> Iterator[str]:
    """Give why no boxes or classes of a file are compared."""
    name, found = f"{side.name} ({side.stamp.file})", side.found
    if found is None:
        yield f"No boxes are compared: {name} holds nodes in 3-D."
        return
    if found.on_truth_boxes:
        yield f"No detection is compared: {name} holds truth boxes, unscored."
    if not found.classified:
        yield f"No classes are compared: {name} holds no class probabilities."
    elif left_out is not None and not found.on_truth_boxes and found.above is None:
        yield f"{side.name} gives no operating threshold: the classes of all its boxes count."
