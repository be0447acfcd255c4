from dataclasses import dataclass, is_dataclass

import pytest

from lnmdetect.metrics import (
    average_precision,
    calibration,
    classification,
    comparison,
    decision_curve,
    end_to_end,
    figure,
    froc,
    matching,
    paired_tests,
    precision_recall,
    roc,
)
from lnmdetect.metrics.figure import Figure, figures_to_json, undefined
from lnmdetect.metrics.intervals import share, wilson_interval


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe 1998, Stat Med 17:857, table I, method 3 (score, no continuity correction).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_are_the_published_ones(
    successes: int, n: int, low: float, high: float
) -> None:
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_intervals_are_symmetric_and_end_at_the_bounds() -> None:
    low, high = wilson_interval(3, 10)
    assert wilson_interval(7, 10) == pytest.approx((1 - high, 1 - low), abs=1e-12)
    assert wilson_interval(0, 5)[0] == 0.0
    assert wilson_interval(5, 5)[1] == 1.0


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_an_impossible_share_is_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="expected 0 <= successes <= n"):
        wilson_interval(successes, n)


def test_a_share_of_nothing_is_undefined_with_its_reason() -> None:
    assert share(0, 0, of="benign node") == Figure(None, "no benign node")
    assert share(1, 4, of="benign node").value == 0.25
    assert share(1, 4, of="benign node").n == 4


def test_a_figure_without_value_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="expected a reason"):
        Figure(None)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_is_never_nan_or_infinite(value: float) -> None:
    with pytest.raises(ValueError, match="expected a finite value"):
        Figure(value)


def test_results_cannot_be_changed_once_built() -> None:
    for module in (
        *(average_precision, calibration, classification, comparison, decision_curve, end_to_end),
        *(figure, froc, matching, paired_tests, precision_recall, roc),
    ):
        built = [c for c in vars(module).values() if isinstance(c, type) and is_dataclass(c)]
        assert built
        for cls in built:
            assert vars(cls)["__dataclass_params__"].frozen, cls.__name__


def test_figures_become_plain_json() -> None:
    @dataclass(frozen=True)
    class Both:
        a: Figure
        b: tuple[Figure, ...]

    both = Both(Figure(0.0, "no detection", (0.0, 0.5), n=4), (undefined("no node"),))
    assert figures_to_json({"x": both}) == {
        "x": {
            "a": {"value": 0.0, "reason": "no detection", "n": 4, "interval": [0.0, 0.5]},
            "b": [{"value": None, "reason": "no node"}],
        }
    }
