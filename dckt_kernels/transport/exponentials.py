"""exp(z_ij + phi_i + psi_j) for z = -C / eps, panel by panel of rows: all that transport asks of costs C [n, m].

`Streamed` forms a panel anew in every walk, `Kept` holds all of them in memory until the potentials have moved far.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from dckt_kernels.product import STEP, product

PANEL = 2**19
"""Numbers of a panel: few enough for a processor's cache."""

Update = Callable[[slice, Tensor], Tensor]


class Exponents(ABC):
    """z + phi + psi: rows of it, as they are asked for.

    Attributes:
        shape: n, m.
        dtype: of the panels.
    """

    shape: tuple[int, int]
    dtype: torch.dtype
    device: torch.device

    @abstractmethod
    def panels(self, phi: Tensor, psi: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Rows and their panel [r, m], which the caller may overwrite; phi [n], psi [m], float64."""

    def spans(self) -> Iterator[slice]:
        """The rows of each panel."""
        n, m = self.shape
        height = max(STEP, PANEL // m // STEP * STEP)
        for start in range(0, n, height):
            yield slice(start, min(start + height, n))


class OfRows(Exponents):
    """-||x_i - y_j||^2 scale, from rows x [n, d] and y [m, d], which are kept times sqrt(2 scale).

    With them it is x . y - ||x||^2 / 2 - ||y||^2 / 2, and all but the product rides in two more columns of the rows: no
    pass over a panel adds it.

    Attributes:
        x, y: [n, d] and [m, d], times sqrt(2 scale).
        half_x, half_y: half their squared norms [n] and [m], float64.
    """

    def __init__(self, x: Tensor, y: Tensor, scale: float) -> None:
        self.shape = (len(x), len(y))
        self.dtype, self.device = x.dtype, x.device
        d, root = x.shape[1], math.sqrt(2 * scale)
        self._wide_x, self._wide_y = _with_room(x, root), _with_room(y, root)
        self.x, self.y = self._wide_x[:, :d], self._wide_y[:, :d]
        self.half_x, self.half_y = (z.double().square().sum(dim=1) / 2 for z in (self.x, self.y))
        self._of_x, self._of_y = self._wide_x[:, d], self._wide_y[:, d + 1]
        self._wide_y[:, d] = 1
        self._wide_x[:, d + 1] = 1

    def panels(self, phi: Tensor, psi: Tensor) -> Iterator[tuple[slice, Tensor]]:
        self._of_x.copy_(phi - self.half_x)
        self._of_y.copy_(psi - self.half_y)
        columns = self._wide_y.t()
        for rows in self.spans():
            yield rows, product(self._wide_x[rows], columns, batch=[rows.stop - rows.start, self.shape[1]])


class OfCosts(Exponents):
    """-C / eps from the costs themselves [n, m]."""

    def __init__(self, costs: Tensor, eps: float) -> None:
        self.shape = (costs.shape[0], costs.shape[1])
        self.dtype, self.device = costs.dtype, costs.device
        self._z = costs / -eps

    def panels(self, phi: Tensor, psi: Tensor) -> Iterator[tuple[slice, Tensor]]:
        phi, psi = phi.to(self.dtype), psi.to(self.dtype)
        for rows in self.spans():
            yield rows, self._z[rows] + phi[rows, None] + psi


class Exponentials(ABC):
    """exp(z + phi + psi), of which some phi and psi are in the panels and the rest is multiplied to them.

    Attributes:
        exponents: what is exponentiated.
        phi, psi: what is in the panels.
        smallest: the logarithm of the smallest normal number.
        floor: what exponents are held up to where they would leave it behind.
        lowest: a bound of z from below, known from `anchor` on.
    """

    def __init__(self, exponents: Exponents) -> None:
        n, m = exponents.shape
        self.exponents = exponents
        self.smallest = math.log(torch.finfo(exponents.dtype).tiny)
        self.floor = self.smallest * 2 / 3
        self.lowest = -math.inf
        self.phi = torch.zeros(n, dtype=torch.float64, device=exponents.device)
        self.psi = torch.zeros(m, dtype=torch.float64, device=exponents.device)

    @abstractmethod
    def take(self, phi: Tensor, psi: Tensor) -> None:
        """Have the panels take in these potentials, where that is wanted."""

    @abstractmethod
    def panels(self) -> Iterator[tuple[slice, Tensor]]:
        """Rows and their panel [r, m]; not to be overwritten."""

    def anchor(self, psi: Tensor) -> tuple[Tensor, Tensor]:
        """Potentials near psi at which each row and each column of z + phi + psi has a largest exponent of 0.

        From there on no row's or column's sum overflows or vanishes: Sinkhorn's steps never grow.
        """
        phi, lowest = torch.zeros_like(self.phi), math.inf
        for rows, z in self.exponents.panels(phi, psi):
            phi[rows] = -z.amax(dim=1).double()
            lowest = min(lowest, float(z.amin()))
        self.lowest = lowest - float(psi.max())
        columns = torch.full_like(psi, -torch.inf)
        for _, z in self.exponents.panels(phi, psi):
            columns = torch.maximum(columns, z.amax(dim=0))
        return phi, psi - columns

    def sweep(self, phi: Tensor, psi: Tensor, update: Update) -> tuple[Tensor, Tensor]:
        """One walk: rows' potentials renewed by `update(rows, log of their mass)`, and what columns hold then.

        Returns new phi [n] and the logarithms of the columns' masses [m] at it and at psi.
        """
        self.take(phi, psi)
        least, dtype = torch.finfo(self.exponents.dtype).tiny, self.exponents.dtype
        right = (psi - self.psi).exp().to(dtype)
        new, held = torch.empty_like(phi), torch.zeros_like(psi)
        for rows, panel in self.panels():
            mass = torch.mv(panel, right).clamp_min_(least).double().log_()
            new[rows] = update(rows, mass.add_(phi[rows] - self.phi[rows]))
            held += torch.mv(panel.t(), (new[rows] - self.phi[rows]).exp().to(dtype))
        return new, held.clamp_min_(least).log_().add_(psi - self.psi)

    def masses(self, phi: Tensor, psi: Tensor) -> tuple[Tensor, Tensor]:
        """What rows [n] and columns [m] hold."""
        rows = torch.empty_like(phi)

        def same(span: slice, log_mass: Tensor) -> Tensor:
            rows[span] = log_mass.exp()
            return phi[span]

        _, columns = self.sweep(phi, psi, same)
        return rows, columns.exp()

    def apply(self, phi: Tensor, psi: Tensor, right: Tensor) -> Tensor:
        """P V [n, k] for V [m, k]."""
        self.take(phi, psi)
        dtype = self.exponents.dtype
        right = right.to(dtype) * (psi - self.psi).exp().to(dtype)[:, None]
        left = (phi - self.phi).exp().to(dtype)[:, None]
        out = right.new_empty(len(phi), right.shape[1])
        for rows, panel in self.panels():
            torch.mm(panel, right, out=out[rows])
        return out.mul_(left)

    def apply_transposed(self, phi: Tensor, psi: Tensor, left: Tensor) -> Tensor:
        """P' U [m, k] for U [n, k]."""
        self.take(phi, psi)
        dtype = self.exponents.dtype
        left = left.to(dtype) * (phi - self.phi).exp().to(dtype)[:, None]
        out = left.new_zeros(len(psi), left.shape[1])
        for rows, panel in self.panels():
            out.addmm_(panel.t(), left[rows])
        return out.mul_((psi - self.psi).exp().to(dtype)[:, None])


class Streamed(Exponentials):
    """Panels formed anew in every walk: one of them is held at a time."""

    def take(self, phi: Tensor, psi: Tensor) -> None:
        self.phi, self.psi = phi, psi

    def panels(self) -> Iterator[tuple[slice, Tensor]]:
        # Numbers below the smallest normal one are slow to compute with. To see that there are none costs nothing.
        none_vanish = self.lowest + float(self.phi.min() + self.psi.min()) > self.smallest
        for rows, z in self.exponents.panels(self.phi, self.psi):
            yield rows, (z if none_vanish else z.clamp_min_(self.floor)).exp_()


class Kept(Exponentials):
    """All panels in memory [n, m]: a walk is bound by reading them. Formed anew where potentials have moved far."""

    def __init__(self, exponents: Exponents) -> None:
        super().__init__(exponents)
        self._all: Tensor | None = None
        # What the floor holds up stays below what counts, though both potentials move so far.
        self._far = -(self.floor - math.log(torch.finfo(exponents.dtype).eps)) / 2 / 2

    def take(self, phi: Tensor, psi: Tensor) -> None:
        if self._all is None:
            self._all = torch.empty(self.exponents.shape, dtype=self.exponents.dtype, device=self.exponents.device)
        elif max(float((phi - self.phi).abs().max()), float((psi - self.psi).abs().max())) < self._far:
            return
        self.phi, self.psi = phi.clone(), psi.clone()
        for rows, z in self.exponents.panels(phi, psi):
            torch.exp(z.clamp_min_(self.floor), out=self._all[rows])

    def panels(self) -> Iterator[tuple[slice, Tensor]]:
        assert self._all is not None
        for rows in self.exponents.spans():
            yield rows, self._all[rows]


def _with_room(rows: Tensor, factor: float) -> Tensor:
    """Rows [n, d] times the factor in a matrix with at least two more columns, of zeros, and a width of full steps."""
    n, d = rows.shape
    wide = rows.new_zeros(n, -(-(d + 2) // STEP) * STEP)
    torch.mul(rows, factor, out=wide[:, :d])
    return wide
