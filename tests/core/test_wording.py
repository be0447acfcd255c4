"""Counts with their nouns; texts that a terminal may be shown."""

import pytest

from lnmdetect.core.wording import counted, visible


@pytest.mark.parametrize(
    ("count", "many", "text"),
    [(1, "", "1 box"), (1, "boxes", "1 box"), (2, "boxes", "2 boxes")],
)
def test_a_count_takes_the_noun_that_fits(count: int, many: str, text: str) -> None:
    assert counted(count, "box", many) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\rb\x07\x08\x7f\x9b2J", "a\\rb\\x07\\x08\\x7f\\x9b2J"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("\ud83d", "\\ud83d"),
        ("tab\tline\nM\u00fcller \N{GRINNING FACE}", "tab\tline\nM\u00fcller \N{GRINNING FACE}"),
    ],
)
def test_what_would_steer_a_terminal_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert visible(text) == shown
