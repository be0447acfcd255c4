import numpy as np
import pytest

from lnmdetect.metrics.cohort_table import Spread, level_row, number_row
from lnmdetect.metrics.group_tests import chi_squared, mann_whitney

METASTATIC = np.array([0, 1, 0, 1, 0, 1, 1], dtype=bool)
AGES = np.array([30.0, 50.0, 40.0, np.nan, 47.0, 61.0, 52.0])


def test_ages_are_told_by_class_and_tested_without_the_unknown() -> None:
    row = number_row(AGES, METASTATIC)
    benign, metastatic = np.array([30.0, 40.0, 47.0]), np.array([50.0, 61.0, 52.0])
    assert (row.benign.n, row.benign.unknown) == (3, 0)
    assert row.benign.mean == pytest.approx(39.0)
    assert row.benign.sd == pytest.approx(np.sqrt((81 + 1 + 64) / 2))
    assert (row.benign.q1, row.benign.median, row.benign.q3) == (35.0, 40.0, 43.5)
    assert (row.metastatic.n, row.metastatic.unknown, row.metastatic.median) == (3, 1, 52.0)
    assert row.test == mann_whitney(benign, metastatic)


def test_where_no_age_is_known_nothing_is_made_up() -> None:
    row = number_row(np.array([np.nan, 40.0, np.nan]), np.array([False, True, False]))
    assert row.benign == Spread(0, 2)
    assert (row.metastatic.sd, row.metastatic.mean) == (None, 40.0)
    assert row.test.reason == "no value in one of the two groups"


def test_levels_are_counted_by_class_and_tested_without_the_unknown() -> None:
    row = level_row(["F", "M", "F", "F", None, "M", None], METASTATIC)
    assert row.levels == {"F": (2, 1), "M": (0, 2)}
    assert row.unknown == (1, 1)
    assert row.different == 2
    assert row.test == chi_squared(np.array([[2, 0], [1, 2]]))


def test_words_of_few_cases_are_taken_together_and_tested_so() -> None:
    words = ["left"] * 5 + ["right"] * 6 + ["isthmus", "pyramid", "pyramid", None]
    truth = np.array([0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1], dtype=bool)
    row = level_row(words, truth, fewest=5)
    assert list(row.levels.items()) == [("left", (2, 3)), ("right", (1, 5)), ("other", (1, 2))]
    assert (row.different, row.unknown) == (4, (0, 1))
    assert row.test == chi_squared(np.array([[2, 1, 1], [3, 5, 2]]))


def test_a_single_word_of_few_cases_stays_what_it_is() -> None:
    truth = np.arange(8) % 2 == 0
    row = level_row(["left"] * 6 + ["isthmus"] * 2, truth, fewest=5)
    assert row.levels == {"isthmus": (1, 1), "left": (3, 3)}


def test_a_word_that_says_other_is_one_of_those_taken_together() -> None:
    row = level_row(["other"] * 6 + ["left"] * 6 + ["isthmus"], np.arange(13) % 2 == 0, fewest=5)
    assert row.levels == {"left": (3, 3), "other": (3, 4)}


def test_free_text_is_counted_and_not_tested() -> None:
    truth = np.arange(26) % 2 == 0
    row = level_row([f"seen by reader {k // 2}" for k in range(26)], truth, fewest=5)
    assert (row.levels, row.different) == ({"other": (13, 13)}, 13)
    assert row.test.reason == "13 different values, none in 5 cases or more"
