"""The oracle: plain Sinkhorn in float64 on the whole matrix of explicit costs; values and gradients by autograd."""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_kernels.transport.iterations import Potentials, Side


def costs_of(x: Tensor, y: Tensor, unit: float) -> Tensor:
    """unit ||x_i - y_j||^2 [n, m], float64, by explicit differences."""
    return unit * (x.double()[:, None] - y.double()[None]).square().sum(dim=2)


def solve(costs: Tensor, eps: float, x: Side, y: Side, *, tolerance: float, limit: int) -> Potentials:
    """Both marginals in turn until they hold to `tolerance`, or `limit` rounds are done."""
    z = -costs / eps
    phi, psi = x.log_weights.clone(), y.log_weights.clone()
    error, done = float("inf"), 0
    while error > tolerance * x.mass and done < limit:
        done += 1
        phi = x.step(phi, phi + (z + psi).logsumexp(dim=1))
        psi = y.step(psi, psi + (z + phi[:, None]).logsumexp(dim=0))
        held = (z + phi[:, None] + psi).exp().sum(dim=1)
        error = float((held - x.asked(phi)).abs().sum())
    return Potentials(phi, psi, float(held.sum()), error, done)


def value(costs: Tensor, eps: float, x: Side, y: Side, found: Potentials) -> Tensor:
    """<P, C> + eps KL(P | a b') + the divergences of the marginals; its gradient by the costs is P."""
    with torch.no_grad():
        log_plan = -costs / eps + found.phi[:, None] + found.psi
        plan = log_plan.exp()
        log_product = x.log_weights[:, None] + y.log_weights
    total = (plan * costs).sum() + eps * _divergence(plan, log_product)
    for side, held in ((x, plan.sum(dim=1)), (y, plan.sum(dim=0))):
        if side.slack:
            total = total + eps / side.slack * _divergence(held, side.log_weights)
    return total


def _divergence(p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p | q) = sum p log(p / q) - p + q."""
    total: Tensor = (torch.special.xlogy(p, p) - p * log_q - p + log_q.exp()).sum()
    return total
