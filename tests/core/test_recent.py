"""The few values that were asked for last."""

import pickle
from functools import partial

from lnmdetect.core.recent import Recent


def asked(recent: Recent[str, str], keys: str, *, most: int) -> str:
    """The keys whose values had to be made."""
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key.upper()

    for key in keys:
        assert recent.recall(key, partial(make, key), most=most) == key.upper()
    return "".join(made)


def test_what_is_kept_is_not_made_again() -> None:
    assert asked(Recent(), "aababb", most=2) == "ab"


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    recent: Recent[str, str] = Recent()
    assert asked(recent, "abac", most=2) == "abc"  # b went, a had been asked for since
    assert list(recent) == ["a", "c"]
    assert asked(recent, "ab", most=2) == "b"


def test_a_value_that_is_none_or_empty_is_kept() -> None:
    recent: Recent[str, list[int] | None] = Recent()
    recent.recall("none", lambda: None, most=2)
    recent.recall("empty", list, most=2)
    assert recent.recall("none", lambda: [1], most=2) is None
    assert recent.recall("empty", lambda: [1], most=2) == []


def test_it_can_be_sent_to_another_process() -> None:
    recent: Recent[str, str] = Recent()
    asked(recent, "ab", most=2)
    assert asked(pickle.loads(pickle.dumps(recent)), "ab", most=2) == ""
