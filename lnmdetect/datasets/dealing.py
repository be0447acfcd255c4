"""Indivisible groups dealt into parts so that every amount is spread as evenly as can be.

The unevenness of a deal is the sum, over parts and amounts, of the squared distance between the
share of the amount that a part holds and the share it should hold. Each group goes where that sum,
with the groups still to come dealt at random, is expected to stay smallest; then moves and
exchanges of groups lower it until none does. After the first step alone it is never above what a
random deal is expected to have, (1 - 1/k) times the summed squares of the groups' shares for k
equal parts (the method of conditional expectations: Raghavan, J Comput Syst Sci 1988;37:130).
"""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]

EXCHANGED_GROUPS = 4000
"""Above, exchanges take minutes and the first step alone is even to a fraction of a percent."""
_PASSES = 10
_GAIN = 1e-12
"""Less than this is rounding, and would let exchanges go on for ever."""


def as_shares(amounts: Numbers, weights: Numbers) -> Numbers:
    """Return amounts (G, C) as shares of their totals times the root of each column's weight."""
    totals = amounts.sum(axis=0)
    shares = np.divide(amounts, totals, out=np.zeros_like(amounts), where=totals > 0)
    return np.asarray(shares * np.sqrt(weights))


def deal(shares: Numbers, targets: Numbers, seed: int) -> Places:
    """Return the part (G,) of each group; no part stays empty.

    Args:
        shares: (G, C) of `as_shares`, G groups in an order that does not depend on the file's.
        targets: (K,) the share each part should have, summing to 1; K <= G.
        seed: of the order among groups of like size, so that seeds give other deals.
    """
    order = _order(shares, np.random.default_rng((seed, 5)))
    part = _place_each(shares, targets, order)
    if len(shares) <= EXCHANGED_GROUPS:
        for _ in range(_PASSES):
            if not _exchange(shares, targets, part, order):
                break
    return part


def unevenness(shares: Numbers, targets: Numbers, part: Places) -> float:
    """Return the sum over parts and amounts of the squared distance to the wanted share."""
    return float(np.square(_residual(shares, targets, part)).sum())


def _order(shares: Numbers, rng: np.random.Generator) -> Places:
    """Return large groups first, in random order among those of like size (within a factor 2)."""
    size = np.log2(np.maximum(np.square(shares).sum(axis=1), 1e-30)) // 2
    return np.lexsort((rng.permutation(len(shares)), -size))


def _place_each(shares: Numbers, targets: Numbers, order: Places) -> Places:
    part = np.full(len(shares), -1, dtype=np.int64)
    held = np.zeros((len(targets), shares.shape[1]))
    empty = set(range(len(targets)))
    dealt = np.zeros(shares.shape[1])
    for place, group in enumerate(order):
        dealt += shares[group]
        cost = (held - targets[:, None] * dealt) @ shares[group]
        if len(order) - place <= len(empty):
            cost[[k for k in range(len(targets)) if k not in empty]] = np.inf
        chosen = int(cost.argmin())
        part[group] = chosen
        held[chosen] += shares[group]
        empty.discard(chosen)
    return part


def _residual(shares: Numbers, targets: Numbers, part: Places) -> Numbers:
    held = np.zeros((len(targets), shares.shape[1]))
    np.add.at(held, part, shares)
    return np.asarray(held - targets[:, None] * shares.sum(axis=0))


def _exchange(shares: Numbers, targets: Numbers, part: Places, order: Places) -> bool:
    """Change `part` by the best move or exchange of each group; return whether any lowered it."""
    residual = _residual(shares, targets, part)
    count = np.bincount(part, minlength=len(targets))
    changed = False
    for group in order:
        here = part[group]
        move, exchange = _changes(shares, residual, part, int(group))
        if count[here] == 1:
            move[:] = np.inf
        if min(move.min(), exchange.min()) >= -_GAIN:
            continue
        other = None if move.min() <= exchange.min() else int(exchange.argmin())
        there = int(move.argmin()) if other is None else int(part[other])
        moved = shares[group] - (0 if other is None else shares[other])
        residual[here] -= moved
        residual[there] += moved
        part[group] = there
        if other is None:
            count[here] -= 1
            count[there] += 1
        else:
            part[other] = here
        changed = True
    return changed


def _changes(
    shares: Numbers, residual: Numbers, part: Places, group: int
) -> tuple[Numbers, Numbers]:
    """Return what moving a group to each part (K,), and exchanging it with each group (G,), adds.

    Moving `d` from part a to part b changes the squares by 2 d (r_b - r_a) + 2 d d, r what the part
    holds beyond its share.
    """
    here = part[group]
    own = shares[group]
    step = residual - residual[here]
    move = np.asarray(2 * (step @ own) + 2 * own @ own)
    moved = own - shares
    exchange = np.asarray(2 * np.einsum("gc,gc->g", moved, step[part] + moved))
    move[here] = np.inf
    exchange[part == here] = np.inf
    return move, exchange
