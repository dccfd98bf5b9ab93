"""Entropic optimal transport (Cuturi, 2013), balanced or not: which rows of two sets belong together, softly, and how
far the sets are apart. What parts and discrepancies share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

LIMIT = 50.0
"""Scalings whose logarithms leave +-LIMIT are taken up by the kernel (Schmitzer, 2019): no number overflows."""
LEAST = 1e-300


@dataclass(frozen=True)
class Scalings:
    """Logarithms of what the rows and the columns of exp(z) are multiplied by, to give the plan.

    Attributes:
        rows: [n].
        columns: [m].
        change: the largest of them in the last round, of `columns` alone where rows and columns differ.
    """

    rows: Tensor
    columns: Tensor
    change: float


def scalings(z: Tensor, power: float, *, rounds: int, tolerance: float, start: Tensor | None = None) -> Scalings:
    """Sinkhorn's iterations on exp(z), for z [n, m], float64 where it can be, and uniform marginals.

    Args:
        power: 1 where the marginals hold; rho / (rho + eps) where they may be left (Chizat et al., 2018).
        rounds: at most so many updates of both.
        tolerance: of the columns' scalings, at which it is enough.
        start: a guess at these [m].
    """
    n, m = z.shape
    log_n, log_m = z.new_tensor(n).log(), z.new_tensor(m).log()
    g = z.new_zeros(m) if start is None else start
    f = -(z + g).amax(dim=1)
    taken_f, taken_g = f, g  # what the kernel has taken up
    kernel = (z + f[:, None] + g).exp()
    change, least = float("inf"), max(LEAST, torch.finfo(z.dtype).tiny)
    for _ in range(rounds):
        f = power * (taken_f - log_n - (kernel @ (g - taken_g).exp()).clamp_min(least).log())
        new = power * (taken_g - log_m - ((f - taken_f).exp() @ kernel).clamp_min(least).log())
        change, g = float((new - g).abs().max()), new
        if change < tolerance:
            break
        if max(float((f - taken_f).abs().max()), float((g - taken_g).abs().max())) > LIMIT:
            taken_f, taken_g = f, g
            kernel = (z + f[:, None] + g).exp()
    return Scalings(f, g, change)


def symmetric_scalings(z: Tensor, power: float, *, rounds: int, tolerance: float) -> Scalings:
    """The same for a symmetric z [n, n], where rows and columns have one scaling: it halves its error in each round.

    Half the update only (Feydy et al., 2019): a whole one would swing to and fro.
    """
    f, change = z.new_zeros(len(z)), float("inf")
    for _ in range(rounds):
        step = (power * (-z.new_tensor(len(z)).log() - (z + f).logsumexp(dim=1)) - f) / 2
        f, change = f + step, float(step.abs().max())
        if change < tolerance:
            break
    return Scalings(f, f, change)


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
    found = scalings(z, 1.0 if rho is None else rho / (rho + eps), rounds=rounds, tolerance=tolerance)
    plan = (z + found.rows[:, None] + found.columns).exp()
    return plan / plan.sum()


def shares(plan: Tensor) -> Tensor:
    """A plan's rows as shares of each row's mass [n, m]."""
    return plan / plan.sum(dim=1, keepdim=True).clamp_min(LEAST)


class Divergence(NamedTuple):
    """A value [] with gradient, and the largest change of a potential in the last round, in units of eps."""

    value: Tensor
    change: float


def sinkhorn_divergence(
    x: Tensor, y: Tensor, *, eps: float, rho: float | None = None, rounds: int = 500, tolerance: float = 1e-3
) -> Divergence:
    """S(x, y) = OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2 for rows x [n, d] and y [m, d] of equal mass each.

    OT = min_P <P, C> + eps KL(P | a b') + rho KL(P 1 | a) + rho KL(P' 1 | b), C being squared Euclidean distances and
    a, b uniform; without rho the marginals of P are a and b. In the unit of C. Never negative but for what the
    iterations leave.

    eps: > 0; towards 0 it becomes the squared Wasserstein distance, towards infinity the squared distance of the means.
    """
    middle = torch.cat([x, y]).mean(dim=0).detach()  # no later difference of large numbers
    x, y = x - middle, y - middle
    power = 1.0 if rho is None else rho / (rho + eps)
    z_x, z_y, z = _exponents(x, x, eps), _exponents(y, y, eps), _exponents(x, y, eps)
    with torch.no_grad():
        of_x, of_y = (symmetric_scalings(own, power, rounds=rounds, tolerance=tolerance) for own in (z_x, z_y))
        across = scalings(z, power, rounds=rounds, tolerance=tolerance, start=of_y.columns)
    within = _dual(z_x, of_x, eps, rho) + _dual(z_y, of_y, eps, rho)
    value = _dual(z, across, eps, rho) - within / 2
    return Divergence(value.to(x.dtype), max(of_x.change, of_y.change, across.change))


def _exponents(x: Tensor, y: Tensor, eps: float) -> Tensor:
    """-C / eps [n, m] for the squared distances C of centred rows, less log(n m): entropy is relative to a b'."""
    costs = (x.square().sum(dim=1)[:, None] + y.square().sum(dim=1) - 2 * x @ y.T).clamp_min(0)
    costs = costs if costs.device.type == "mps" else costs.double()  # that device has no float64
    return -costs / eps - math.log(len(x) * len(y))


def _dual(z: Tensor, found: Scalings, eps: float, rho: float | None) -> Tensor:
    """OT by its dual at the potentials eps times `found`, which are held.

    The dual lies flat at its height, so that the value errs by the square of what the potentials lack; and its gradient
    by the costs is the plan (the envelope theorem). No iteration is differentiated.
    """
    ends = [
        potential.mean() if rho is None else -(rho / eps) * torch.expm1(-potential * (eps / rho)).mean()
        for potential in (found.rows, found.columns)
    ]
    mass = (z + found.rows[:, None] + found.columns).exp().sum()
    return eps * (ends[0] + ends[1] + 1 - mass)
