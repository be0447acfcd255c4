"""What is to be evaluated, and which files that means."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.metrics.froc import FROC_RATES
from lnmdetect.metrics.resampling import RESAMPLES, SEED
from lnmdetect.stages.threshold_rules import parse_rule

CHOOSE, CHOOSE_NODE = "--choose-threshold", "--choose-node-threshold"
TRUTH, BOXES, NODES = Path("truth.json"), Path("boxes.json"), Path("nodes.json")


@dataclass(frozen=True)
class EvalRequest:
    """What to evaluate; several files of one kind are pooled, as the folds of a cross-validation.

    Attributes:
        truth: the truth files.
        boxes, nodes: prediction files; with neither, nodes.json in the working folder is taken,
            else boxes.json. With both, detection is scored on boxes, classes on nodes.
        truth_nodes: truth boxes that were classified (`classify truth.json`), for the figures of
            the second stage alone.
        linked_nodes: nodes in 3-D (`nodes`), measured on the scan; without, the boxes are linked.
        threshold: the detector's operating threshold in place of the one in the file.
        choose_threshold, choose_node_threshold: rules by which the detector's and the classifier's
            are chosen on the evaluated files themselves; only with `optimistic`.
        optimistic: go on although a threshold was chosen on patients that are evaluated.
        bootstrap, seed: how many resamples of the patients, and their seed.
        by: columns of truth to group by, beside the short axis.
        scan_rates: false positives a scan at which the sensitivity is read.
        ap50_only: `EvalResult.to_json` gives AP50 alone.
        output: where metrics.json goes; None writes nothing.
    """

    truth: tuple[Path, ...] = (TRUTH,)
    boxes: tuple[Path, ...] = ()
    nodes: tuple[Path, ...] = ()
    truth_nodes: tuple[Path, ...] = ()
    linked_nodes: tuple[Path, ...] = ()
    threshold: float | None = None
    choose_threshold: str | None = None
    choose_node_threshold: str | None = None
    optimistic: bool = False
    bootstrap: int = RESAMPLES
    seed: int = SEED
    by: tuple[str, ...] = ()
    scan_rates: tuple[float, ...] = FROC_RATES
    ap50_only: bool = False
    output: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UsageError(
                "--threshold",
                expected="a score in [0, 1]",
                got=f"{self.threshold:g}",
                remedy="Leave it out to use the one in the file.",
            )
        self._require_optimistic()
        if self.bootstrap < 0:
            raise UsageError(
                "--bootstrap",
                expected="a number of resamples, 0 for none",
                got=str(self.bootstrap),
                remedy=f"Leave it out for {RESAMPLES}.",
            )
        if not all(0 < rate < math.inf for rate in self.scan_rates) or not self.scan_rates:
            raise UsageError(
                "--fp-per-scan",
                expected="false positives a scan, above 0",
                got=", ".join(f"{rate:g}" for rate in self.scan_rates) or "none",
                remedy="Give it once for each reading, as --fp-per-scan 1 --fp-per-scan 5.",
            )

    def _require_optimistic(self) -> None:
        """Raise where a threshold is to be chosen on what it is measured on, and none says so."""
        for option, arm, rule in (
            (CHOOSE, "detector", self.choose_threshold),
            (CHOOSE_NODE, "classifier", self.choose_node_threshold),
        ):
            if rule is None:
                continue
            parse_rule(rule, arm, option=option)
            if not self.optimistic:
                raise UsageError(
                    option,
                    expected="--optimistic beside it",
                    got="none",
                    remedy="Figures at a threshold that was chosen on the evaluated file flatter "
                    "the model: choose it on validation patients with `lnmdetect calibrate`.",
                )
        if self.threshold is not None and self.choose_threshold is not None:
            raise UsageError(
                CHOOSE,
                expected="no --threshold beside it",
                got="one",
                remedy="Give the threshold, or the rule by which it is chosen.",
            )


@dataclass(frozen=True)
class EvalFiles:
    """The files that a request means, all of them there.

    Attributes:
        detections, classes: the files whose boxes and whose classes are scored; often the same.
    """

    truth: tuple[Path, ...]
    detections: tuple[Path, ...]
    classes: tuple[Path, ...]
    truth_nodes: tuple[Path, ...]


def files_of(request: EvalRequest) -> EvalFiles:
    """Return the files to read.

    Raises:
        InputError: one is missing or is a folder.
    """
    boxes, nodes = request.boxes, request.nodes
    if not boxes and not nodes:
        near = NODES if NODES.is_file() else BOXES
        if request.truth_nodes and not near.is_file():
            boxes = nodes = request.truth_nodes
        else:
            boxes = nodes = _existing([near], "--boxes or --nodes")
    return EvalFiles(
        truth=_existing(request.truth, "--truth"),
        detections=_existing(boxes, "--boxes") if boxes else _existing(nodes, "--nodes"),
        classes=_existing(nodes, "--nodes") if nodes else _existing(boxes, "--boxes"),
        truth_nodes=_existing(request.truth_nodes, "--truth-nodes"),
    )


def _existing(paths: Sequence[Path], option: str) -> tuple[Path, ...]:
    for path in paths:
        if not path.is_file():
            raise InputError(
                path.name or option,
                expected="a file",
                got="a folder" if path.is_dir() else "none there",
                remedy=f"Give its place with {option}; detect writes boxes.json, classify "
                "nodes.json.",
            )
    return tuple(paths)
