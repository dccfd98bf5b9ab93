"""Entropic optimal transport (Cuturi, 2013), balanced or not: which items of two sets belong together, softly."""

from __future__ import annotations

import torch
from torch import Tensor

LIMIT = 50.0
"""Scalings whose logarithms leave +-LIMIT are taken up by the kernel (Schmitzer, 2019): no number overflows."""
LEAST = 1e-300


def sinkhorn(
    similarity: Tensor, eps: float, *, rho: float | None = None, rounds: int = 200, tolerance: float = 1e-4
) -> Tensor:
    """The plan [n, m] of mass 1 that maximises similarity plus eps times its entropy, for uniform marginals.

    Args:
        similarity: [n, m].
        eps: > 0, in the unit of the similarity; the smaller, the nearer the plan is to a matching.
        rho: weight of the Kullback-Leibler divergence of the plan's marginals from uniform ones (Chizat et al., 2018);
            where None they hold exactly.
        rounds: at most so many updates of both potentials.
        tolerance: of the column potentials, in units of eps, at which it is enough.
    """
    z = similarity.double() / eps
    n, m = z.shape
    power = 1.0 if rho is None else rho / (rho + eps)
    log_n, log_m = torch.tensor(n, dtype=torch.float64).log(), torch.tensor(m, dtype=torch.float64).log()
    f, g = -z.amax(dim=1), z.new_zeros(m)
    taken_f, taken_g = f, g  # what the kernel has taken up
    kernel = (z + f[:, None]).exp()
    for _ in range(rounds):
        f = power * (taken_f - log_n - (kernel @ (g - taken_g).exp()).clamp_min(LEAST).log())
        new = power * (taken_g - log_m - ((f - taken_f).exp() @ kernel).clamp_min(LEAST).log())
        change, g = float((new - g).abs().max()), new
        if change < tolerance:
            break
        if max(float((f - taken_f).abs().max()), float((g - taken_g).abs().max())) > LIMIT:
            taken_f, taken_g = f, g
            kernel = (z + f[:, None] + g).exp()
    plan = (z + f[:, None] + g).exp()
    return plan / plan.sum()


def shares(plan: Tensor) -> Tensor:
    """A plan's rows as shares of each row's mass [n, m]."""
    return plan / plan.sum(dim=1, keepdim=True).clamp_min(LEAST)
