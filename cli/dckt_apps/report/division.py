"""What each part of the common space gave of the result, so that the shares add up to it.

A part's share is its Shapley value (Shapley, "A value for n-person games", 1953): what it adds to the parts that are
there before it, averaged over all orders in which the parts can come. Chance is where every order begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

from dckt_apps.report.material import Seen
from dckt_core.base.errors import DataError
from dckt_core.contract.protocols import Representation
from dckt_core.evaluation.directions import DIRECTIONS
from dckt_core.evaluation.scoring import Found

MOST_PARTS = 8
"""With more, all subsets are too many to score."""


@dataclass(frozen=True)
class Division:
    """From chance to the result.

    Attributes:
        chance: of a random ranking.
        shares: by part, in the order of the space; negative where a part takes away. With `chance` they add up to
            `result`.
        result: mAP, or MRR where no pair has a label, the mean of both directions over the pairs that were scored.
        pairs: how many these are.
    """

    chance: float
    shares: Mapping[str, float]
    result: float
    pairs: int

    def steps(self) -> list[tuple[str, float, float]]:
        """Part, where its share begins, and the share, one behind the other."""
        told, begin = [], self.chance
        for name, share in self.shares.items():
            told.append((name, begin, share))
            begin += share
        return told


def division(seen: Seen, chance: float) -> Division:
    """The result of a common space of several parts, divided.

    Raises:
        DataError: it has but one part, or more than `MOST_PARTS`.
    """
    names, view = seen.parts, seen.of_parts
    if view is None or not 1 < len(names) <= MOST_PARTS:
        raise DataError(f"the result has {len(names)} parts, and is divided where it has 2 to {MOST_PARTS}")
    scored: dict[frozenset[str], float] = {frozenset(): chance}

    def figure(some: frozenset[str]) -> float:
        if some not in scored:
            scored[some] = _figure(seen, view([name for name in names if name in some]))
        return scored[some]

    shares = shapley(names, figure)
    return Division(chance, shares, figure(frozenset(names)), len(seen.pairs))


def shapley(names: Sequence[str], value: Callable[[frozenset[str]], float]) -> dict[str, float]:
    """The Shapley value of each of n names, given what every set of them is worth; 2^n sets are asked for."""
    shares = {}
    for name in names:
        others = [other for other in names if other != name]
        total = 0.0
        for size in range(len(names)):
            weight = factorial(size) * factorial(len(names) - size - 1) / factorial(len(names))
            for before in map(frozenset, combinations(others, size)):
                total += weight * (value(before | {name}) - value(before))
        shares[name] = total
    return shares


def _figure(seen: Seen, view: Representation) -> float:
    found = Found(view, seen.labels, seen.contents)
    if seen.labelled:
        return float(found.aps.mean())
    ranks = [found.instances[direction].standings.reciprocal_rank().mean() for direction in DIRECTIONS]
    return sum(map(float, ranks)) / len(ranks)
