import numpy as np
import pytest

from lnmdetect.metrics.ranking import places_in_rows


@pytest.mark.parametrize("side", ["left", "right"])
def test_places_in_many_rows_are_those_of_numpy_in_each(side: str) -> None:
    rng = np.random.default_rng(0)
    rising = np.cumsum(rng.integers(0, 3, (50, 20)), axis=1).astype(float)
    wanted = rng.integers(0, 60, (50, 9)).astype(float)
    places = places_in_rows(rising, wanted, side=side)  # type: ignore[arg-type]
    for row, values, expected in zip(places, wanted, rising, strict=True):
        assert row.tolist() == np.searchsorted(expected, values, side=side).tolist()  # type: ignore[call-overload]


def test_rows_without_counts_have_one_place() -> None:
    assert places_in_rows(np.zeros((3, 0)), np.zeros((3, 2)), side="right").tolist() == [[0, 0]] * 3
