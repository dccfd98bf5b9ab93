"""How sure a mean is: bootstrap intervals, over clusters of values that do not stand alone, and standard errors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

Span = tuple[float, float]
"""Both ends of an interval."""

DRAWS = 2000
COVERAGE = 0.95
DRAWN_AT_ONCE = 2**20
"""Clusters drawn at once: 8 MiB for each array of them."""


def bootstrap_interval(
    values: Tensor,
    generator: torch.Generator,
    *,
    clusters: Tensor | None = None,
    draws: int = DRAWS,
    coverage: float = COVERAGE,
) -> Span | None:
    """Percentile bootstrap interval of the mean of values [q] or [q, ...], of which whole clusters are resampled.

    With further dimensions the values of a row are averaged, so that a pair's image and text stay together. Of one
    cluster there is no interval: what varies among several cannot be seen.

    Args:
        clusters: numbers [q], int64, that rows of one cluster share; by default each row is one. The five captions of
            a picture are no five independent observations (Davison and Hinkley, 1997, section 3.8).

    Raises:
        ValueError: there are no values.
    """
    if len(values) == 0:
        raise ValueError("no interval without values")
    rows = values.double().reshape(len(values), -1).mean(dim=1).cpu()
    table = torch.stack([rows, torch.ones_like(rows)], dim=1)
    if clusters is not None:
        number = torch.unique(clusters.cpu(), return_inverse=True)[1]
        table = table.new_zeros(int(number.max()) + 1, 2).index_add(0, number, table)
    if len(table) == 1:
        return None
    sums, weights = resampled_sums(table, generator, draws=draws).unbind(dim=1)
    return interval(sums / weights, coverage)


def resampled_sums(table: Tensor, generator: torch.Generator, *, draws: int = DRAWS) -> Tensor:
    """Sums of the columns of a table [G, c], float64, over resamples of its rows: [draws, c].

    Columns see the same resamples. So a ratio of two columns of the result is a mean under each resample, where the
    table has the sums of values and their numbers in G clusters.
    """
    count = len(table)
    sums = table.new_empty(draws, table.shape[1])
    step = max(1, DRAWN_AT_ONCE // count)
    for start in range(0, draws, step):
        part = sums[start : start + step]
        drawn = torch.randint(count, (len(part), count), generator=generator)
        times = table.new_zeros(len(part), count).scatter_add_(1, drawn, table.new_ones(1).expand(drawn.shape))
        part[:] = times @ table
    return sums


def interval(samples: Tensor, coverage: float = COVERAGE) -> Span:
    """The middle share of samples [n]."""
    tail = (1 - coverage) / 2
    low, high = torch.quantile(samples, torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return low, high


def standard_errors(gains: Tensor) -> float:
    """The mean of paired differences [n] in its own standard errors: chance alone exceeds 2 once in forty times.

    Of fewer than two there is nothing to judge by: 0.
    """
    if len(gains) < 2:
        return 0.0
    mean, error = float(gains.double().mean()), float(gains.double().std()) / len(gains) ** 0.5
    return mean / error if error > 0 else float("inf") * mean if mean else 0.0


def as_estimate(value: float, span: Span | None) -> dict[str, Any]:
    """A figure with its interval, None where there is none, for `json.dumps`."""
    return {"value": value, "interval": None if span is None else list(span)}
