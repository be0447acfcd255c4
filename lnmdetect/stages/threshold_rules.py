"""The rules by which an operating threshold is chosen, as they are written on the command line."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.wording import counted
from lnmdetect.metrics.matching import Matches
from lnmdetect.metrics.thresholds import (
    threshold_at_false_positives,
    threshold_at_sensitivity,
    threshold_at_specificity,
    threshold_at_true_positive_rate,
    youden_threshold,
)

YOUDEN, SENSITIVITY, SPECIFICITY = "youden", "sensitivity", "specificity"
FP_PER_IMAGE, FP_PER_SCAN = "fp-per-image", "fp-per-scan"
RULES = {
    "detector": (SENSITIVITY, FP_PER_IMAGE, FP_PER_SCAN),
    "classifier": (YOUDEN, SENSITIVITY, SPECIFICITY),
}
_EXAMPLES = {
    YOUDEN: "youden",
    SENSITIVITY: "sensitivity=0.95",
    SPECIFICITY: "specificity=0.9",
    FP_PER_IMAGE: "fp-per-image=0.5",
    FP_PER_SCAN: "fp-per-scan=10",
}


@dataclass(frozen=True)
class ThresholdRule:
    """A rule and what it is to reach: a share, or false positives; None for Youden's J."""

    name: str
    target: float | None = None

    def __str__(self) -> str:
        return self.name if self.target is None else f"{self.name}={self.target:g}"


@dataclass(frozen=True)
class Choice:
    """A threshold in [0, 1] and the rule behind it in words."""

    value: float
    rule: str


def parse_rule(text: str, arm: str, *, option: str = "--rule") -> ThresholdRule:
    """Return the rule that a text as `sensitivity=0.95` names.

    Args:
        text: a name of `RULES`, and after an equals sign what it is to reach.
        arm: detector or classifier.
        option: which gave the text.

    Raises:
        UsageError: the arm has no such rule, or the rule cannot reach that.
    """
    name, equals, number = text.strip().partition("=")
    target = _number(number) if equals else None
    known = RULES[arm]
    if name not in known or not _fits(name, target):
        raise UsageError(
            option,
            expected=f"of a {arm} one of {', '.join(_EXAMPLES[rule] for rule in known)}",
            got=repr(text),
            remedy="Shares lie above 0 and up to 1; false positives are 0 or more.",
        )
    return ThresholdRule(name, target)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _fits(name: str, target: float | None) -> bool:
    """Return whether a rule can reach `target`, None where nothing was said."""
    if name == YOUDEN or target is None:
        return name == YOUDEN and target is None
    return 0 < target <= 1 if name in (SENSITIVITY, SPECIFICITY) else 0 <= target < math.inf


def choose_for_detector(rule: ThresholdRule, matches: Matches, *, scans: int) -> Choice:
    """Return the score at which boxes reach what the rule asks.

    Args:
        rule: of a detector.
        matches: of all its stored boxes, at IoU 0.5.
        scans: how many there are, for false positives a scan.

    Raises:
        InputError: no score does.
    """
    assert rule.target is not None
    if rule.name == SENSITIVITY:
        value = threshold_at_sensitivity(matches, rule.target)
        words = f"box sensitivity {_share(rule.target)} at IoU 0.5"
    else:
        of_images = rule.name == FP_PER_IMAGE
        units = matches.images if of_images else scans
        value = threshold_at_false_positives(matches, rule.target * units)
        each = "an image" if of_images else "a scan"
        words = f"at most {rule.target:g} false positives {each} at IoU 0.5"
    if value is None:
        raise InputError(
            f"rule {rule}",
            expected="a score from which on the boxes keep to it",
            got=_boxes_fall_short(rule, matches),
            remedy="Ask for less, add validation patients, or train longer.",
        )
    return Choice(value, words)


def _share(target: float) -> str:
    """Return a share with two digits, or with as many as it has."""
    text = f"{target:.2f}"
    return text if float(text) == target else f"{target:g}"


def _boxes_fall_short(rule: ThresholdRule, matches: Matches) -> str:
    if matches.truths == 0:
        return "truth without a box that counts"
    if not len(matches.scores):
        return "a file without boxes"
    if rule.name == SENSITIVITY:
        hits = int(matches.hit.sum())
        share = f"{hits} of {counted(matches.truths, 'truth box', 'truth boxes')}"
        return f"{share} hit by all stored boxes together"
    return "more false positives with the best score alone"


def choose_for_classifier(
    rule: ThresholdRule, is_positive: NDArray[np.bool_], p_metastatic: NDArray[np.float64]
) -> Choice:
    """Return the P(metastatic) at which calls reach what the rule asks.

    Args:
        rule: of a classifier.
        is_positive: (N,) metastatic in truth; both classes are there.
        p_metastatic: (N,).

    Raises:
        InputError: no probability does.
    """
    if rule.target is None:
        value = youden_threshold(is_positive, p_metastatic)
        words = "Youden's J on P(metastatic)"
    else:
        choose = (
            threshold_at_true_positive_rate
            if rule.name == SENSITIVITY
            else threshold_at_specificity
        )
        value = choose(is_positive, p_metastatic, rule.target)
        words = f"{rule.name} {_share(rule.target)} on P(metastatic)"
    if value is None:
        raise InputError(
            f"rule {rule}",
            expected="a probability from which on calling nodes metastatic keeps to it",
            got=_nodes_fall_short(is_positive),
            remedy="Ask for less, or add validation patients.",
        )
    return Choice(value, words)


def _nodes_fall_short(is_positive: NDArray[np.bool_]) -> str:
    if is_positive.all() or not is_positive.any():
        return "nodes of one class, or none"
    return "benign nodes at the highest probability: nothing could be called metastatic"
