"""The order in which several processes do what one must do first."""

import pytest

from lnmdetect.training import ranks


@pytest.mark.parametrize(
    ("is_first", "expected"),
    [(True, ["make", "wait", "wait"]), (False, ["wait", "take", "wait"])],
)
def test_the_first_rank_goes_on_only_when_the_others_have_taken_what_it_made(
    monkeypatch: pytest.MonkeyPatch, is_first: bool, expected: list[str]
) -> None:
    happened: list[str] = []

    def note(event: str) -> str:
        happened.append(event)
        return event

    monkeypatch.setattr(ranks, "is_first", lambda: is_first)
    monkeypatch.setattr(ranks, "wait_for_all", lambda: note("wait"))
    got = ranks.first_then_others(lambda: note("make"), lambda: note("take"))
    assert got == ("make" if is_first else "take")
    assert happened == expected
