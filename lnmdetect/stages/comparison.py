"""Two prediction files against one truth: what each is worth, and what of it differs by chance."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lnmdetect import __version__
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import METASTATIC
from lnmdetect.core.wording import counted
from lnmdetect.io.json_files import refuse_existing, write_json
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.metrics.answers import Answers
from lnmdetect.metrics.comparison import compare_classes, compare_detections
from lnmdetect.metrics.resampling import RESAMPLES, SEED
from lnmdetect.stages.comparison_result import ComparedFile, CompareInfo, Comparison, LeftOut
from lnmdetect.stages.evaluation_info import file_notes, intervals_sentence, truth_notes
from lnmdetect.stages.evaluation_inputs import Predictions, read_predictions
from lnmdetect.stages.evaluation_optimism import flattery
from lnmdetect.stages.evaluation_request import TRUTH
from lnmdetect.stages.evaluation_truth import FileStamp, Truth, read_truth
from lnmdetect.stages.truth_answers import known_truth, truth_answers

MANY_TESTS = (
    "Several figures are compared, and no p value or interval is corrected for that: name the one "
    "that decides before looking."
)
_STEPS = ("files", "detection", "classes")


@dataclass(frozen=True)
class CompareRequest:
    """What to compare.

    Attributes:
        a, b: the prediction files; every difference is A minus B.
        truth: the truth files; several are pooled.
        threshold: the detector's operating threshold in place of those in the files.
        optimistic: go on although a threshold was chosen on patients that are compared on.
        bootstrap, seed: how many resamples of the patients (and swaps of their answers).
        output: where comparison.json goes; None writes nothing.
    """

    a: Path
    b: Path
    truth: tuple[Path, ...] = (TRUTH,)
    threshold: float | None = None
    optimistic: bool = False
    bootstrap: int = RESAMPLES
    seed: int = SEED
    output: Path | None = None
    overwrite: bool = False


def compare(request: CompareRequest, progress: Progress = SILENT) -> Comparison:
    """Return the comparison of two files, and write it, with run.json, where the request says.

    Raises:
        InputError: a file is missing or cannot be used; or a threshold was chosen on patients that
            are evaluated, and the request does not say `optimistic`.
        UsageError: A and B hold the same, or one of them is the truth file.
        OutputError: the output exists, or cannot be written.
    """
    if request.output is not None:
        refuse_existing(request.output, overwrite=request.overwrite)
    record = RunRecord("eval --compare", {"threshold": request.threshold}, seed=request.seed)
    steps = iter(progress.track(_STEPS, description="comparing"))
    next(steps)
    _check_files(request)
    truth = read_truth(request.truth, bootstrap=request.bootstrap, seed=request.seed)
    a, b = (
        read_predictions([path], truth, threshold=request.threshold)
        for path in (request.a, request.b)
    )
    warnings = flattery(
        [a, b], optimistic=request.optimistic, threshold_replaced=request.threshold is not None
    )
    record.lap("read")
    result = _comparison(truth, a, b, steps)
    result = replace(result, info=replace(result.info, notes=(*warnings, *result.info.notes)))
    record.lap("compare")
    if request.output is not None:
        write_json(result.to_json(), request.output, overwrite=request.overwrite)
        record.add_inputs((stamp.file, stamp.sha256) for stamp in truth.stamps)
        record.inputs |= {"A": a.stamps[0].sha256, "B": b.stamps[0].sha256}
        record.write(record_path(request.output))
    return result


def _check_files(request: CompareRequest) -> None:
    for path in (*request.truth, request.a, request.b):
        if not path.is_file():
            raise InputError(
                path.name or "--compare",
                expected="a file",
                got="a folder" if path.is_dir() else "none there",
                remedy="Give two prediction files with --compare A B, and --truth.",
            )
    a, b = FileStamp.of(request.a), FileStamp.of(request.b)
    if a.sha256 == b.sha256:
        raise UsageError(
            "--compare",
            expected="two different prediction files",
            got=f"the same content twice ({a.file} and {b.file})",
            remedy="Give the files of two models, or of one model run in two ways.",
        )
    truth = {FileStamp.of(path).sha256 for path in request.truth}
    for stamp in (a, b):
        if stamp.sha256 in truth:
            raise UsageError(
                "--compare",
                expected="prediction files",
                got=f"{stamp.file}, which is the truth file",
                remedy="Give what detect or classify wrote; the truth goes to --truth.",
            )


def _comparison(truth: Truth, a: Predictions, b: Predictions, steps: Iterator[str]) -> Comparison:
    next(steps)
    detection = classes = left_out = None
    if not (a.on_truth_boxes or b.on_truth_boxes):
        detection = compare_detections(a.tables, b.tables, truth.cohort)
    next(steps)
    if a.classified and b.classified:
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
    next(steps, None)
    return Comparison(
        _info(truth, a, b, left_out), _compared(a), _compared(b), detection, classes, left_out
    )


def _left_out(truth: Truth, a: Answers, b: Answers) -> LeftOut:
    known = known_truth(truth)
    return LeftOut(
        answered_by_a_alone=int((known & a.given & ~b.given).sum()),
        answered_by_b_alone=int((known & ~a.given & b.given).sum()),
        answered_by_neither=int((known & ~a.given & ~b.given).sum()),
    )


def _compared(found: Predictions) -> ComparedFile:
    return ComparedFile(
        found.stamps[0], len(found.rows), found.detector_threshold, found.classifier_threshold
    )


def _info(truth: Truth, a: Predictions, b: Predictions, left_out: LeftOut | None) -> CompareInfo:
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
        notes=tuple(_notes(truth, a, b, left_out)),
    )


def _notes(truth: Truth, a: Predictions, b: Predictions, left_out: LeftOut | None) -> Iterator[str]:
    yield from truth_notes(truth)
    yield MANY_TESTS
    for name, found in (("A", a), ("B", b)):
        yield from (f"{name}: {note}" for note in file_notes(found))
        if found.on_truth_boxes:
            yield f"No detection is compared: {name} ({found.files}) holds truth boxes, unscored."
        if not found.classified:
            yield f"No classes are compared: {name} ({found.files}) holds no class probabilities."
        elif left_out is not None and not found.on_truth_boxes and found.above is None:
            yield f"{name} gives no operating threshold: the classes of all its boxes count."
    if left_out is not None and not (a.on_truth_boxes and b.on_truth_boxes):
        lost = sum(vars(left_out).values())
        boxes = counted(lost, "truth box is", "truth boxes are")
        yield (
            f"Classes are compared on truth boxes that both found; {boxes} left out, which are "
            "hardly the easiest. Classified truth boxes (classify truth.json) leave none out."
        )
    if left_out is not None:
        yield "DeLong's test and McNemar's take nodes as independent; the others go by patient."
