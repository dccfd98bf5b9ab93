"""`sinkhorn`: the debiased Sinkhorn divergence (Genevay et al., 2018; Feydy et al., 2019), unbalanced on request
(Séjourné et al., 2019).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dckt_core import DiscrepancyContext, logger
from dckt_kernels import mean_distance_bandwidth
from dckt_plugins.discrepancies.catalogue import SinkhornOptions
from dckt_plugins.sinkhorn import Scalings, scalings, symmetric_scalings


class Divergence(NamedTuple):
    """A value [] with gradient, and the largest change of a potential in the last round, in units of eps."""

    value: Tensor
    change: float


class Sinkhorn:
    """The divergence of a layer's rows, all lengths being relative to the mean squared distance of the pooled rows.

    That mean is a constant in the gradient, as the bandwidth of `mmd` is. Says once where the iterations did not come
    to rest.
    """

    def __init__(self, options: SinkhornOptions, context: DiscrepancyContext) -> None:
        self._options = options
        self._warned = False

    def __call__(self, source: Tensor, target: Tensor) -> Tensor:
        """Source rows [n, d] and target rows [m, d] to a scalar, 0 where they are the same."""
        options = self._options
        unit = mean_distance_bandwidth(source.detach(), target.detach())
        unit = torch.where(unit > 0, unit, torch.ones_like(unit))
        root = unit.sqrt().to(source.dtype)
        found = sinkhorn_divergence(
            source / root,
            target / root,
            eps=options.eps,
            rho=options.rho,
            rounds=options.rounds,
            tolerance=options.tolerance,
        )
        if found.change >= options.tolerance and not self._warned:
            self._warned = True
            logger.warning(
                "discrepancy 'sinkhorn': after %d rounds a potential still moved by %.1g eps, more than its tolerance "
                "of %.1g, and values are about as exact; a larger eps or more rounds would mend it (said once)",
                options.rounds,
                found.change,
                options.tolerance,
            )
        return found.value


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
