"""Shares with their 95 % intervals."""

import math

from lnmdetect.metrics.figure import Figure, undefined

Z_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Return the 95 % score interval of a binomial share (Wilson 1927, JASA 22:209).

    Raises:
        ValueError: `n` is not above 0, or `successes` is not in 0..n.
    """
    if not (n > 0 and 0 <= successes <= n):
        raise ValueError(f"share: expected 0 <= successes <= n and n > 0, got {successes} of {n}")
    share, z2 = successes / n, Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


def share(successes: int, n: int, *, of: str) -> Figure:
    """Return `successes` / `n` with its Wilson interval; undefined where there is no `of`."""
    if n == 0:
        return undefined(f"no {of}")
    return Figure(successes / n, interval=wilson_interval(successes, n), n=n)
