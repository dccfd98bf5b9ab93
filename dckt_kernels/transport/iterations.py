"""Sinkhorn's iterations (Cuturi, 2013), balanced or not (Chizat et al., 2018), in logarithms, over-relaxed.

With phi = f / eps + log a and psi = g / eps + log b the plan is P_ij = exp(z_ij + phi_i + psi_j), z = -C / eps, and

    phi_i <- log a_i - power_x log sum_j exp(z_ij + psi_j),     power = rho / (rho + eps), 1 where a marginal holds

and psi likewise. At the end rows hold a_i exp(-f_i / rho), which is a_i where they are held to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dckt_kernels.transport.exponentials import Exponentials
from dckt_kernels.transport.relaxation import Relaxation


@dataclass(frozen=True)
class Side:
    """What is asked of the rows, or of the columns.

    Attributes:
        log_weights: [n], float64.
        slack: eps / rho, 0 where the marginal is to hold.
    """

    log_weights: Tensor
    slack: float

    @property
    def mass(self) -> float:
        """Sum of the weights."""
        return float(self.log_weights.exp().sum())

    def step(self, potential: Tensor, log_mass: Tensor, where: slice = slice(None)) -> Tensor:
        """Where Sinkhorn's step leads from a potential with which so much mass is held."""
        return self.log_weights[where] + (potential - log_mass) / (1 + self.slack)

    def asked(self, potential: Tensor, where: slice = slice(None)) -> Tensor:
        """What the rows should hold at this potential."""
        log_weights = self.log_weights[where]
        return (log_weights - self.slack * (potential - log_weights)).exp()


@dataclass(frozen=True)
class Potentials:
    """Where the iterations ended.

    Attributes:
        phi, psi: [n], [m], float64.
        mass: of the plan.
        error: L1 distance of what rows and columns hold from what they should.
        sweeps: walks over all pairs.
    """

    phi: Tensor
    psi: Tensor
    mass: float
    error: float
    sweeps: int


def solve(
    plan: Exponentials, x: Side, y: Side, *, tolerance: float, limit: int, start: Tensor | None = None
) -> Potentials:
    """Until the error is at most `tolerance` times the mass of the rows, or `limit` walks, at least 2, are done.

    start: columns' potentials [m] to begin near.
    """
    phi, psi = plan.anchor(torch.zeros_like(plan.psi) if start is None else start)
    enough = tolerance * x.mass
    relaxation, settled = Relaxation(), False
    for sweep in range(1, limit + 1):
        factor = relaxation.factor
        error, mass, update = _watched(x, phi, factor)
        new, log_held = plan.sweep(phi, psi, update)
        if (settled and float(error) <= enough) or sweep == limit:
            break
        shift = _shift(x, y, new, psi)
        phi, psi = new + shift, psi - shift
        amiss = float(error) + float((log_held.exp() - y.asked(psi)).abs().sum())
        settled = amiss <= enough or sweep == limit - 1  # after a plain step the columns hold what they should
        psi = psi + (1.0 if settled else factor) * (y.step(psi, log_held) - psi)
        relaxation.saw(amiss)
    return Potentials(phi, psi, float(mass), float(error), sweep)


def _shift(x: Side, y: Side, phi: Tensor, psi: Tensor) -> float:
    """What to give to all rows' potentials and take from the columns': the plan stays, the dual is highest.

    Without it, marginals that are nearly held would have their potentials creep by eps / rho a round (translation
    invariance: Séjourné et al., 2022).
    """
    if not (x.slack or y.slack):
        return 0.0
    return float((x.asked(phi).sum() / y.asked(psi).sum()).log()) / (x.slack + y.slack)


def solve_symmetric(plan: Exponentials, x: Side, *, tolerance: float, limit: int) -> Potentials:
    """The same for z = z', where rows and columns have one potential.

    Half of each step only (Feydy et al., 2019): whole ones would swing to and fro.
    """
    phi, _ = plan.anchor(torch.zeros_like(plan.psi))
    phi = phi / 2
    enough = tolerance * x.mass
    for sweep in range(1, limit + 1):
        error, mass, update = _watched(x, phi, 0.5)
        new, _ = plan.sweep(phi, phi, update)
        if 2 * float(error) <= enough or sweep == limit:
            break
        phi = new
    return Potentials(phi, phi, float(mass), 2 * float(error), sweep)


def _watched(side: Side, phi: Tensor, factor: float) -> tuple[Tensor, Tensor, Callable[[slice, Tensor], Tensor]]:
    """The error and the mass of the rows, filled in by the update that comes with them."""
    error, mass = phi.new_zeros(()), phi.new_zeros(())

    def update(rows: slice, log_mass: Tensor) -> Tensor:
        held, own = log_mass.exp(), phi[rows]
        error.add_((held - side.asked(own, rows)).abs().sum())
        mass.add_(held.sum())
        return own + factor * (side.step(own, log_mass, rows) - own)

    return error, mass, update
