"""Human readers beside the model: points, areas and tests on the same truth boxes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lnmdetect import __version__
from lnmdetect.core.errors import InputError
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.records import METASTATIC
from lnmdetect.core.wording import counted
from lnmdetect.io.json_files import refuse_existing, write_json
from lnmdetect.io.readers_csv import NODE, ReaderRow, ReaderSheet, read_readers
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.metrics.answers import Answers
from lnmdetect.metrics.readers import Nodes, ReaderAnswers, model_figures, reader_figures
from lnmdetect.metrics.resampling import RESAMPLES, SEED
from lnmdetect.stages.comparison import MANY_TESTS
from lnmdetect.stages.evaluation_info import file_notes, intervals_sentence, truth_notes
from lnmdetect.stages.evaluation_inputs import Predictions, read_predictions
from lnmdetect.stages.evaluation_optimism import flattery
from lnmdetect.stages.evaluation_request import TRUTH
from lnmdetect.stages.evaluation_truth import FileStamp, Truth, read_truth
from lnmdetect.stages.readers_figure import roc_paths, roc_with_readers, write_roc
from lnmdetect.stages.readers_result import ReaderInfo, ReadersResult
from lnmdetect.stages.truth_answers import known_truth, truth_answers


@dataclass(frozen=True)
class ReadersRequest:
    """What to put beside what.

    Attributes:
        readers: the CSV file of answers.
        model: boxes or nodes file with class probabilities, best of classified truth boxes.
        truth: the truth file, whose annotation ids the readers' file gives.
        threshold: the detector's operating threshold in place of the one in `model`.
        optimistic: go on although a threshold was chosen on patients that are evaluated.
        bootstrap, seed: how many resamples of the patients (and swaps of their answers).
        output: where readers.json goes; None writes nothing.
        figures: folder for the ROC figure as SVG and PNG; None draws nothing.
    """

    readers: Path
    model: Path
    truth: Path = TRUTH
    threshold: float | None = None
    optimistic: bool = False
    bootstrap: int = RESAMPLES
    seed: int = SEED
    output: Path | None = None
    figures: Path | None = None
    overwrite: bool = False


def compare_readers(request: ReadersRequest, progress: Progress = SILENT) -> ReadersResult:
    """Return the readers' figures beside the model's, and write what the request asks for.

    Raises:
        InputError: a file is missing or cannot be used, a line of the readers' is named; or a
            threshold was chosen on patients that are evaluated, and `optimistic` is false.
        OutputError: an output exists, or cannot be written.
    """
    if request.output is not None:
        refuse_existing(request.output, overwrite=request.overwrite)
    if request.figures is not None:
        for path in roc_paths(request.figures):
            refuse_existing(path, overwrite=request.overwrite)
    record = RunRecord("eval --readers", {"threshold": request.threshold}, seed=request.seed)
    _check_files(request)
    sheet = read_readers(request.readers)
    truth = read_truth([request.truth], bootstrap=request.bootstrap, seed=request.seed)
    found = read_predictions([request.model], truth, threshold=request.threshold)
    _check_classified(found)
    warnings = flattery(
        [found], optimistic=request.optimistic, threshold_replaced=request.threshold is not None
    )
    record.lap("read")
    result = _result(request, truth, found, sheet, progress)
    result = result.with_notes([*warnings, *_notes(result, truth, found, sheet)])
    record.lap("compare")
    if request.figures is not None:
        plots = roc_with_readers(result)
        write_roc(plots, request.figures, overwrite=request.overwrite)
    if request.output is not None:
        write_json(result.to_json(), request.output, overwrite=request.overwrite)
        stamps = (*truth.stamps, *found.stamps, result.info.readers)
        record.add_inputs((stamp.file, stamp.sha256) for stamp in stamps)
        record.write(record_path(request.output))
    return result


def _check_files(request: ReadersRequest) -> None:
    for option, path in (
        ("--truth", request.truth),
        ("--nodes", request.model),
        ("--readers", request.readers),
    ):
        if not path.is_file():
            raise InputError(
                path.name or option,
                expected="a file",
                got="a folder" if path.is_dir() else "none there",
                remedy=f"Give its place with {option}.",
            )


def _check_classified(found: Predictions) -> None:
    if not found.classified:
        raise InputError(
            found.files,
            expected="boxes with class probabilities, to stand beside the readers",
            got="none with any",
            remedy="Give what `lnmdetect classify` wrote, best of truth.json, with --truth-nodes.",
        )


def _result(
    request: ReadersRequest,
    truth: Truth,
    found: Predictions,
    sheet: ReaderSheet,
    progress: Progress,
) -> ReadersResult:
    nodes = Nodes(
        is_positive=np.asarray(truth.table.classes == METASTATIC),
        known=known_truth(truth),
        patient=truth.cohort.patient_of_image[truth.table.image],
        resamples=truth.cohort.resamples,
    )
    of_readers = reader_answers(sheet.rows, truth, request.readers.name)
    of_model = truth_answers(found)
    model = model_figures(of_model, nodes)
    readers = tuple(
        reader_figures(reader, of_model, nodes)
        for reader in progress.track(of_readers, description="readers")
    )
    resamples = truth.cohort.resamples
    lost = sum(int((reader.answers.given & ~nodes.known).sum()) for reader in of_readers)
    info = ReaderInfo(
        lnmdetect_version=__version__,
        truth=truth.stamps[0],
        model=found.stamps[0],
        readers=FileStamp.of(request.readers),
        phantom=truth.columns.is_phantom,
        patients=truth.cohort.patients,
        nodes=int(nodes.known.sum()),
        answers=len(sheet.rows),
        answers_left_out=lost,
        detector_threshold=found.detector_threshold,
        classifier_threshold=found.classifier_threshold,
        resamples=resamples.count,
        seed=resamples.seed,
        intervals=intervals_sentence(resamples.count, resamples.seed),
        notes=(),
    )
    return ReadersResult(info, model, readers)


def reader_answers(rows: Sequence[ReaderRow], truth: Truth, name: str) -> tuple[ReaderAnswers, ...]:
    """Return what each reader said of each truth box, by first appearance.

    Args:
        rows: of the readers' file.
        truth: whose annotation ids they give.
        name: of the readers' file, for messages.

    Raises:
        InputError: truth has no box of such an id; names the line.
    """
    place_of = {int(key): place for place, key in enumerate(truth.columns.nodes.ids)}
    by_reader: dict[str, list[ReaderRow]] = {}
    for row in rows:
        if row.annotation_id not in place_of:
            raise InputError(
                f"{name}: line {row.line}",
                expected=f"the {NODE} of a box in {truth.stamps[0].file}",
                got=f"{row.annotation_id}, which it does not have",
                remedy="Take the ids of `annotations` of this very truth file.",
            )
        by_reader.setdefault(row.reader, []).append(row)
    return tuple(
        _answers(reader, own, [place_of[row.annotation_id] for row in own], len(truth.table))
        for reader, own in by_reader.items()
    )


def _answers(
    reader: str, rows: Sequence[ReaderRow], places: Sequence[int], truths: int
) -> ReaderAnswers:
    has_calls, has_ratings = (
        rows[0].called_metastatic is not None,
        rows[0].rating is not None,
    )
    given, called = np.zeros(truths, dtype=bool), np.zeros(truths, dtype=bool)
    ranking = np.full(truths, np.nan)
    given[places] = True
    called[places] = [bool(row.called_metastatic) for row in rows]
    ranking[places] = [row.called_metastatic if row.rating is None else row.rating for row in rows]
    return ReaderAnswers(reader, Answers(given, ranking, called), has_calls, has_ratings)


def _notes(
    result: ReadersResult, truth: Truth, found: Predictions, sheet: ReaderSheet
) -> Iterator[str]:
    info = result.info
    yield from truth_notes(truth)
    yield MANY_TESTS
    yield from file_notes(found)
    if sheet.other_columns:
        yield f"{info.readers.file}: not read: {', '.join(sheet.other_columns)}."
    if info.answers_left_out:
        answers = counted(info.answers_left_out, "answer is", "answers are")
        yield (
            f"{answers} left out: on boxes that truth ignores, or whose status it does not know."
        )
    if result.model.unanswered:
        boxes = counted(result.model.unanswered, "truth box", "truth boxes")
        yield (
            f"The model has no answer on {boxes} of {info.nodes}, which are hardly the easiest; "
            "classified truth boxes (classify truth.json) leave none out."
        )
    for reader in result.readers:
        if reader.unanswered:
            yield f"{reader.reader} has no answer on {reader.unanswered} of {info.nodes} boxes."
    if any(reader.auc_of == "calls" for reader in result.readers):
        yield (
            "The AUC of a reader without ratings is that of one point: the mean of sensitivity "
            "and specificity; a curve of ratings is usually above it."
        )
    yield (
        "Every truth box is a case, also where a node has several; figures hold for these "
        "readers, not for readers in general."
    )
