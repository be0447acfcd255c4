"""Stage 3: figures from truth and the files of stages 1 and 2; no model, no pixels, no torch."""

from collections.abc import Iterator
from dataclasses import dataclass

from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.io.json_files import refuse_existing, write_json
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.metrics.error_kinds import ErrorKinds, count_errors, error_kinds
from lnmdetect.stages.evaluation_figures import (
    both_stages,
    class_figures,
    detection_figures,
    figures_by_group,
)
from lnmdetect.stages.evaluation_files import EvalInputs, read_inputs
from lnmdetect.stages.evaluation_info import eval_info
from lnmdetect.stages.evaluation_linked import linked_notes, no_nodes_note, nodes_3d
from lnmdetect.stages.evaluation_masks import mask_figures, mask_notes
from lnmdetect.stages.evaluation_optimism import without_flattery
from lnmdetect.stages.evaluation_request import EvalFiles, EvalRequest, files_of
from lnmdetect.stages.evaluation_result import EvalResult, Thresholds, with_notes
from lnmdetect.stages.evaluation_truth import Truth, read_truth

_STEPS = (
    "truth",
    "boxes",
    "detection",
    "classification",
    "both stages",
    "groups",
    "nodes",
    "masks",
)


@dataclass(frozen=True)
class Evaluation:
    """An evaluation and what it rests on, for whatever draws or lists single boxes.

    Attributes:
        truth: what there was to find.
        inputs: the prediction files, and which box of theirs hits which truth box.
        kinds: what became of each box of `inputs.boxes` and of each truth box; None where no
            operating threshold is known, or no file has detections.
    """

    request: EvalRequest
    files: EvalFiles
    truth: Truth
    inputs: EvalInputs
    kinds: ErrorKinds | None
    result: EvalResult


def evaluate(request: EvalRequest, progress: Progress = SILENT) -> EvalResult:
    """Return the figures of the request's files, and write them, with run.json, where it says.

    Raises:
        InputError: a file is missing or cannot be used.
        UsageError: an option cannot be used.
        OutputError: the output exists, or cannot be written.
    """
    return full_evaluation(request, progress).result


def full_evaluation(request: EvalRequest, progress: Progress = SILENT) -> Evaluation:
    """Return the figures with the boxes they rest on; writes as `evaluate` does."""
    if request.output is not None:
        refuse_existing(request.output, overwrite=request.overwrite)
    record = RunRecord("eval", _config(request))
    files = files_of(request)
    steps = iter(progress.track(_STEPS, description="evaluating"))
    next(steps)
    truth = read_truth(files.truth, bootstrap=request.bootstrap, seed=request.seed)
    next(steps)
    inputs = read_inputs(files, truth, threshold=request.threshold)
    inputs, warnings = without_flattery(request, inputs, truth)
    record.lap("read")
    kinds = _kinds(inputs)
    result = _result(request, files, truth, inputs, kinds=kinds, steps=steps)
    info, detector = result.info, result.thresholds.detector.value
    scored = (*info.detections_of, *info.classes_of)
    about_nodes = linked_notes(request.linked_nodes, scored, detector)
    if result.nodes_3d is None and not request.ap50_only:
        about_nodes = no_nodes_note(inputs.found, truth)
    result = with_notes(result, *mask_notes(result.masks), *warnings, *about_nodes)
    record.lap("score")
    if request.output is not None:
        write_json(result.metrics_json(), request.output, overwrite=request.overwrite)
        info = result.info
        linked = () if result.nodes_3d is None else result.nodes_3d.files
        boxes = (*info.detections_of, *info.classes_of, *info.truth_boxes_of)
        stamps = (*info.truth, *boxes, *linked)
        record.add_inputs((stamp.file, stamp.sha256) for stamp in stamps)
        record.write(record_path(request.output))
    return Evaluation(request, files, truth, inputs, kinds, result)


def _config(request: EvalRequest) -> dict[str, object]:
    return {
        "threshold": request.threshold,
        "bootstrap": request.bootstrap,
        "seed": request.seed,
        "by": list(request.by),
        "scan_rates": list(request.scan_rates),
        "choose_threshold": request.choose_threshold,
        "choose_node_threshold": request.choose_node_threshold,
        "optimistic": request.optimistic,
    }


def _kinds(inputs: EvalInputs) -> ErrorKinds | None:
    boxes, matches = inputs.boxes, inputs.boxes_matches
    if boxes is None or matches is None or boxes.above is None:
        return None
    return error_kinds(matches, boxes.above, boxes.said if boxes.classified else None)


def _result(
    request: EvalRequest,
    files: EvalFiles,
    truth: Truth,
    inputs: EvalInputs,
    *,
    kinds: ErrorKinds | None,
    steps: Iterator[str],
) -> EvalResult:
    cohort = truth.cohort
    next(steps)
    detection = None
    if inputs.found is not None and inputs.matches is not None:
        detection = detection_figures(
            inputs.found, inputs.matches, truth, scan_rates=request.scan_rates
        )
    next(steps)
    of_classes = class_figures(inputs, cohort)
    next(steps)
    both = both_stages(inputs, cohort, scan_rates=request.scan_rates)
    next(steps)
    groups, groups_of_truth = figures_by_group(request.by, inputs, truth)
    next(steps)
    nodes = None
    if not request.ap50_only:
        nodes = nodes_3d(request.linked_nodes, inputs.found, truth, rates=request.scan_rates)
    next(steps)
    masks = None if request.ap50_only else mask_figures(inputs, truth)
    next(steps, None)
    return EvalResult(
        info=eval_info(truth, inputs),
        thresholds=Thresholds(
            inputs.detections.detector_threshold, inputs.labelled.classifier_threshold
        ),
        detection=detection,
        classification=of_classes.shown,
        classification_of_all_boxes=of_classes.of_all,
        classification_on_truth_boxes=of_classes.on_truth_boxes,
        end_to_end=both,
        errors=None if kinds is None else count_errors(kinds),
        groups=groups,
        groups_of_truth_boxes=groups_of_truth,
        nodes_3d=nodes,
        masks=masks,
        ap50_only=request.ap50_only,
    )
