"""Small entropies are reached in stages: a larger one first, and from its potentials on (Kosowsky and Yuille, 1994)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from dckt_kernels.transport.exponentials import Exponentials
from dckt_kernels.transport.iterations import Potentials, Side, solve

STEEP = 100.0
"""Largest cost, in units of eps, from which on there are stages."""
STEP = 4.0
"""Ratio of the entropies of two stages."""
ROUGH = 1e-2
"""Tolerance of all stages but the last."""


def annealed(
    make: Callable[[float], Exponentials], x: Side, y: Side, *, steepness: float, tolerance: float, limit: int
) -> tuple[Exponentials, Potentials]:
    """The plan and where its iterations ended.

    Args:
        make: what to walk over for an entropy so many times as large as that asked for.
        steepness: the largest cost over eps.
        limit: walks, at least 2; stages before the last take at most half of them.
    """
    stages = math.ceil(math.log(max(steepness / STEEP, 1), STEP)) if limit >= 4 * STEP else 0
    start, walked = None, 0
    for stage in range(stages, 0, -1):
        factor = STEP**stage
        found = solve(
            make(factor),
            _softened(x, factor),
            _softened(y, factor),
            tolerance=max(ROUGH, tolerance),
            limit=max(2, limit // (2 * stages)),
            start=start,
        )
        start, walked = y.log_weights + STEP * (found.psi - y.log_weights), walked + found.sweeps
    plan = make(1.0)
    found = solve(plan, x, y, tolerance=tolerance, limit=max(2, limit - walked), start=start)
    return plan, replace(found, sweeps=found.sweeps + walked)


def _softened(side: Side, factor: float) -> Side:
    """What is asked for with an entropy so many times as large."""
    return replace(side, slack=side.slack * factor)
