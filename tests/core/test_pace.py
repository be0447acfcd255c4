"""Pace: how far, how fast, how long still."""

import pytest

from lnmdetect.core.pace import Pace, duration


def test_it_says_how_far_it_is_how_fast_it_goes_and_how_long_it_will_take() -> None:
    now = [100.0]
    pace = Pace(5000, "study", "studies", clock=lambda: now[0])
    assert pace.line() == "0 of 5000 studies, 0 failed."
    pace.count()
    pace.count(failed=True)
    now[0] += 24
    # 2 in 24 s are 300 an hour; 4998 left take 59,976 s.
    assert pace.line() == "2 of 5000 studies, 1 failed; 300 an hour, 16 h 39 min left."


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (86399, "23 h 59 min"),
        (180_000, "2 d 2 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
