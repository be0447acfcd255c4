"""Counts with their nouns."""

import pytest

from lnmdetect.core.wording import counted


@pytest.mark.parametrize(
    ("count", "many", "text"),
    [(1, "", "1 box"), (1, "boxes", "1 box"), (2, "boxes", "2 boxes")],
)
def test_a_count_takes_the_noun_that_fits(count: int, many: str, text: str) -> None:
    assert counted(count, "box", many) == text
