"""Means over seeds with Student's interval, and differences paired by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

COVERAGE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds with its interval; of one seed there is a mean and no interval."""

    mean: float
    interval: tuple[float, float] | None
    n: int


def estimate(values: Sequence[float], *, coverage: float = COVERAGE) -> Estimate:
    """Mean and interval mean +- t(n - 1) s / sqrt(n), s with n - 1 in the divisor (Student 1908).

    It covers the true mean with the stated probability where the values are independent and normal. Seeds are
    independent; the data set is not drawn anew with them, so it speaks of other seeds on this data set and of no other.

    Raises:
        ValueError: there are no values.
    """
    from scipy.stats import t

    n = len(values)
    if n == 0:
        raise ValueError("no mean without values")
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(mean, None, n)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(t.ppf((1 + coverage) / 2, n - 1)) * deviation / math.sqrt(n)
    return Estimate(mean, (mean - half, mean + half), n)


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> Estimate | None:
    """Mean of `first - second` over the seeds that both have, with the interval of the differences; None without any.

    The same seed draws the same training pairs and the same initial weights on both sides: what it adds to both falls
    out of the difference.
    """
    seeds = sorted(first.keys() & second.keys())
    return estimate([first[seed] - second[seed] for seed in seeds]) if seeds else None
