"""Rules for thresholds: read from text, applied, and refused where they cannot be met."""

import numpy as np
import pytest

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.geometry import as_boxes
from lnmdetect.metrics.matching import Matches, match_images
from lnmdetect.metrics.tables import ImageBoxes
from lnmdetect.stages.threshold_rules import (
    Choice,
    ThresholdRule,
    choose_for_classifier,
    choose_for_detector,
    parse_rule,
)

NODES = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]]
NOWHERE = [[0, 50, 10, 60], [20, 50, 30, 60], [40, 50, 50, 60]]


@pytest.mark.parametrize(
    ("text", "arm", "rule"),
    [
        ("youden", "classifier", ThresholdRule("youden")),
        ("sensitivity=0.95", "classifier", ThresholdRule("sensitivity", 0.95)),
        ("sensitivity=1", "detector", ThresholdRule("sensitivity", 1.0)),
        (" specificity=.9 ", "classifier", ThresholdRule("specificity", 0.9)),
        ("fp-per-image=0.5", "detector", ThresholdRule("fp-per-image", 0.5)),
        ("fp-per-scan=0", "detector", ThresholdRule("fp-per-scan", 0.0)),
    ],
)
def test_a_rule_is_read_and_written(text: str, arm: str, rule: ThresholdRule) -> None:
    assert parse_rule(text, arm) == rule
    assert parse_rule(str(rule), arm) == rule


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("", "classifier"),
        ("best", "classifier"),
        ("youden", "detector"),
        ("youden=1", "classifier"),
        ("youden=", "classifier"),
        ("sensitivity", "detector"),
        ("sensitivity=", "detector"),
        ("sensitivity=0", "detector"),
        ("sensitivity=1.01", "detector"),
        ("sensitivity=95%", "detector"),
        ("specificity=nan", "classifier"),
        ("specificity=0.9", "detector"),
        ("fp-per-image=-1", "detector"),
        ("fp-per-image=inf", "detector"),
        ("fp-per-scan=1", "classifier"),
    ],
)
def test_another_text_is_refused_with_the_rules_there_are(text: str, arm: str) -> None:
    with pytest.raises(UsageError, match=f"--rule: expected of a {arm} one of ") as error:
        parse_rule(text, arm)
    assert error.value.exit_code == 2
    assert ("youden" in error.value.expected) == (arm == "classifier")


def matches(scores: list[float], extra: list[float], images: int = 2) -> Matches:
    """Four nodes on the first of the images, one score each, and scores of boxes on no node."""
    boxes = as_boxes(NODES[: len(scores)] + NOWHERE[: len(extra)])
    truth = as_boxes(NODES)
    flags, classes = np.zeros(4, dtype=bool), np.full(4, 3, dtype=np.int64)
    first = ImageBoxes(truth, flags, classes, boxes, np.array([*scores, *extra]))
    none = as_boxes([])
    empty = ImageBoxes(none, flags[:0], classes[:0], none, np.zeros(0))
    return match_images([first] + [empty] * (images - 1))


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ("sensitivity=0.75", 0.6, "box sensitivity 0.75 at IoU 0.5"),
        ("sensitivity=0.7", 0.6, "box sensitivity 0.70 at IoU 0.5"),
        ("sensitivity=0.755", 0.3, "box sensitivity 0.755 at IoU 0.5"),
        ("fp-per-image=0.5", 0.6, "at most 0.5 false positives an image at IoU 0.5"),
        ("fp-per-image=0.75", 0.6, "at most 0.75 false positives an image at IoU 0.5"),
        ("fp-per-scan=2", 0.5, "at most 2 false positives a scan at IoU 0.5"),
        ("fp-per-scan=3", 0.3, "at most 3 false positives a scan at IoU 0.5"),
    ],
)
def test_a_detectors_rule_gives_a_score(text: str, value: float, words: str) -> None:
    # nodes at 0.9, 0.8, 0.6, 0.3; on none 0.7, 0.5, 0.4; two images of one scan
    found = matches([0.9, 0.8, 0.6, 0.3], [0.7, 0.5, 0.4])
    assert choose_for_detector(parse_rule(text, "detector"), found, scans=1) == Choice(value, words)


@pytest.mark.parametrize(
    ("text", "found", "got"),
    [
        ("sensitivity=0.75", matches([0.9, 0.8], []), "2 of 4 truth boxes hit by all stored boxes"),
        ("sensitivity=0.75", matches([], []), "a file without boxes"),
        ("fp-per-scan=1", matches([], []), "a file without boxes"),
        ("fp-per-scan=0", matches([0.5], [0.9]), "more false positives with the best score alone"),
        ("sensitivity=0.5", match_images([]), "truth without a box that counts"),
    ],
)
def test_a_detectors_rule_that_no_score_keeps_to_is_refused(
    text: str, found: Matches, got: str
) -> None:
    with pytest.raises(InputError, match=got) as error:
        choose_for_detector(parse_rule(text, "detector"), found, scans=1)
    assert str(error.value).startswith(f"rule {text}: expected a score from which on")


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ("youden", 0.65, "Youden's J on P(metastatic)"),
        ("sensitivity=1", 0.25, "sensitivity 1.00 on P(metastatic)"),
        ("specificity=0.75", 0.45, "specificity 0.75 on P(metastatic)"),
    ],
)
def test_a_classifiers_rule_gives_a_probability(text: str, value: float, words: str) -> None:
    is_positive = np.array([0, 0, 1, 0, 0, 1, 1], dtype=bool)
    p_metastatic = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.8, 0.9])
    choice = choose_for_classifier(parse_rule(text, "classifier"), is_positive, p_metastatic)
    assert choice.value == pytest.approx(value)
    assert choice.rule == words


def test_a_classifiers_rule_that_no_probability_keeps_to_is_refused() -> None:
    rule = parse_rule("specificity=0.9", "classifier")
    with pytest.raises(InputError, match="benign nodes at the highest probability"):
        choose_for_classifier(rule, np.array([True, False]), np.array([0.2, 0.8]))
    with pytest.raises(InputError, match="nodes of one class, or none"):
        choose_for_classifier(parse_rule("youden", "classifier"), np.array([True]), np.array([0.2]))
