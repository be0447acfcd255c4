import numpy as np
import pytest

from lnmdetect.metrics.answers import Answers, answers_on_truth
from lnmdetect.metrics.end_to_end import BoxClasses
from lnmdetect.metrics.matching import match_tables
from lnmdetect.metrics.tables import BoxTables, FoundTable, TruthTable

A, B, C, FAR = [10, 10, 20, 20], [30, 30, 40, 40], [50, 50, 60, 60], [80, 80, 90, 90]


def tables(found: list[list[int]], scores: list[float]) -> BoxTables:
    """Benign A, metastatic B and C of unknown status on one image, and what was found on it."""
    truth = TruthTable(
        np.zeros(3, dtype=np.int64),
        np.array([A, B, C], dtype=float),
        np.zeros(3, dtype=bool),
        np.array([1, 2, 3]),
    )
    boxes = np.array(found, dtype=float)
    return BoxTables(1, truth, FoundTable(np.zeros(len(found), np.int64), boxes, np.array(scores)))


def test_each_truth_box_of_known_status_gets_what_was_said_of_the_box_that_hit_it() -> None:
    said = BoxClasses(
        classified=np.array([True, True, True, True]),
        p_benign=np.array([0.1, 0.2, 0.3, 0.4]),
        p_metastatic=np.array([0.9, 0.8, 0.7, 0.6]),
        called_metastatic=np.array([True, False, True, True]),
    )
    matches = match_tables(tables([FAR, B, C, A], [0.9, 0.3, 0.8, 0.7]))
    found = answers_on_truth(matches, said, np.ones(4, dtype=bool))
    assert found.given.tolist() == [True, True, False]
    assert found.ranking[:2].tolist() == [0.6, 0.8]
    assert found.called[:2].tolist() == [True, False]
    above = answers_on_truth(matches, said, np.array([True, False, True, True]))
    assert above.given.tolist() == [True, False, False]


def test_an_answer_is_a_finite_ranking() -> None:
    yes = np.array([True])
    with pytest.raises(ValueError, match="finite rankings"):
        Answers(yes, np.array([np.nan]), yes)
    with pytest.raises(ValueError, match="a ranking and a call for each"):
        Answers(yes, np.array([0.5, 0.4]), yes)
    assert not Answers(~yes, np.array([np.nan]), yes).given.any()
