"""`sinkhorn`, `sinkhorn_of_costs`, `sinkhorn_divergence`: entropic optimal transport between two sets of rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dckt_kernels.backend import resolve_backend
from dckt_kernels.eager import eager
from dckt_kernels.options import Backend
from dckt_kernels.product import full_precision
from dckt_kernels.transport import reference
from dckt_kernels.transport.annealing import annealed
from dckt_kernels.transport.exponentials import Exponentials, Kept, OfCosts, OfRows, Streamed
from dckt_kernels.transport.iterations import Potentials, Side, solve_symmetric
from dckt_kernels.transport.problem import (
    UNITS,
    Cost,
    Memory,
    Rho,
    Settings,
    check_rows,
    check_steepness,
    fine_enough,
    sides_of,
)


class UnsettledWarning(UserWarning):
    """The marginals asked for were not reached."""


@dataclass(frozen=True)
class Transport:
    """A plan P [n, m], known by its potentials: P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps).

    What it computes shares memory: one thread at a time may ask. No result has a gradient but the value.

    Attributes:
        value: [], min over P of <P, C> + eps KL(P | a b') + rho_x KL(P 1 | a) + rho_y KL(P' 1 | b), in the unit of
            the costs; differentiable in the rows.
        f: [n], float64, in the unit of the costs.
        g: [m].
        error: L1 distance of the rows' and columns' masses from what they should be.
        mass: of the plan.
        sweeps: walks over all pairs that it took.
    """

    value: Tensor
    f: Tensor
    g: Tensor
    error: float
    mass: float
    sweeps: int
    _plan: Exponentials
    _found: Potentials

    def apply(self, v: Tensor) -> Tensor:
        """P V [n, k] for V [m, k], in the rows' dtype, without P. No gradient."""
        return self._times(v, transposed=False)

    def apply_transposed(self, u: Tensor) -> Tensor:
        """P' U [m, k] for U [n, k]."""
        return self._times(u, transposed=True)

    def project(self, v: Tensor) -> Tensor:
        """For each row the mean of v [m, k] by what it gives to each column: P V / P 1 [n, k], the barycentric map.

        It is defined for rows whose mass is smaller than any number, too.
        """
        self._check_rows(v, len(self.g))
        out = torch.empty(len(self.f), v.shape[1], dtype=self._plan.exponents.dtype, device=v.device)
        for rows, z in self._panels():
            torch.mm(z.softmax(dim=1), v.to(z.dtype), out=out[rows])
        return out

    def project_transposed(self, u: Tensor) -> Tensor:
        """For each column the mean of u [n, k] by what it has of each row [m, k]."""
        self._check_rows(u, len(self.f))
        largest = torch.full_like(self.g, -torch.inf)
        for _, z in self._panels():
            largest = torch.maximum(largest, z.amax(dim=0))
        given = torch.zeros(len(self.g), u.shape[1] + 1, dtype=self._plan.exponents.dtype, device=u.device)
        ones = _with_ones(u.to(given.dtype))
        for rows, z in self._panels():
            given.addmm_(z.sub_(largest).exp_().T, ones[rows])
        return given[:, :-1] / given[:, -1:]

    def masses(self) -> tuple[Tensor, Tensor]:
        """What rows [n] and columns [m] hold, float64."""
        with torch.no_grad(), full_precision(self.f.device.type):
            return self._plan.masses(self._found.phi, self._found.psi)

    def matches(self) -> tuple[Tensor, Tensor]:
        """For each row the column that it gives most to [n], for each column the row that it has most from [m]."""
        best = self.f.new_full((len(self.g),), -torch.inf)
        columns = torch.zeros_like(self.g, dtype=torch.int64)
        rows = torch.zeros_like(self.f, dtype=torch.int64)
        for span, z in self._panels():
            rows[span] = z.argmax(dim=1)
            most, where = z.max(dim=0)
            better = most > best
            best[better] = most[better].double()
            columns[better] = where[better] + span.start
        return rows, columns

    def shares(self) -> Tensor:
        """Each row of P as shares of its mass [n, m]."""
        return torch.cat([z.softmax(dim=1) for _, z in self._panels()])

    def dense(self) -> Tensor:
        """P itself [n, m], in the rows' dtype."""
        return torch.cat([z.exp() for _, z in self._panels()])

    def _panels(self) -> Iterator[tuple[slice, Tensor]]:
        """Rows and their panel of log P [r, m], which may be overwritten."""
        with torch.no_grad(), full_precision(self.f.device.type):
            yield from self._plan.exponents.panels(self._found.phi, self._found.psi)

    @staticmethod
    def _check_rows(rows: Tensor, count: int) -> None:
        if rows.ndim != 2 or len(rows) != count:
            raise ValueError(f"expected rows of shape [{count}, k], not {list(rows.shape)}")

    def _times(self, rows: Tensor, transposed: bool) -> Tensor:
        self._check_rows(rows, len(self.f if transposed else self.g))
        walk = self._plan.apply_transposed if transposed else self._plan.apply
        with torch.no_grad(), full_precision(rows.device.type):
            return walk(self._found.phi, self._found.psi, rows)


class Divergence(NamedTuple):
    """What `sinkhorn_divergence` gives.

    Attributes:
        value: [], with gradient.
        error: the largest error of the marginals of its three transports.
        sweeps: of all of them.
    """

    value: Tensor
    error: float
    sweeps: int


@eager
def sinkhorn(
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    cost: Cost = "squared",
    rho: Rho = None,
    weights_x: Tensor | None = None,
    weights_y: Tensor | None = None,
    tolerance: float = 1e-4,
    max_sweeps: int = 1000,
    memory: Memory = "auto",
    backend: Backend | None = None,
    warn: bool = True,
) -> Transport:
    """Entropic optimal transport (Cuturi, 2013) between rows x [n, d] and y [m, d], balanced or not.

    The gradient of the value is in closed form (the envelope theorem: the plan is held); it has no second derivative.
    Rows are taken as `mk_mmd` takes them: float64 gives float64, the others float32, autocast does not reach inside.

    Args:
        eps: weight of the entropy, > 0, in the unit of the costs: towards 0 the plan becomes a matching. Each exponent
            is C / eps; where these are too large for the rows' dtype, float64 is used.
        cost: `squared`, ||x - y||^2; `cosine`, 1 - cos(x, y).
        rho: weight of the Kullback-Leibler divergence of both marginals from the weights (Chizat et al., 2018), or one
            a side; None where a marginal is to hold.
        weights_x: [n], > 0; None for 1 / n. No gradient reaches them.
        weights_y: [m], the same.
        tolerance: L1 error of the marginals that is enough, relative to the mass of x. See `warn`.
        max_sweeps: walks over all pairs, at least 2.
        memory: `kept` holds the n m exponentials, `streamed` forms them anew in every walk and holds a few rows of
            them, `auto` keeps up to 2^27 of them.
        backend: None for the first that can serve the call: `triton` (CUDA and ROCm; streamed), `closed_form` (torch,
            any device). `reference` is plain iterations in float64 on the whole matrix.

    Raises:
        ValueError, TypeError: what is asked for cannot be computed.
    """
    settings = Settings.of(eps, rho, tolerance, max_sweeps, memory)
    x, y = check_rows(x, y, cost)
    unit, sides = UNITS[cost], sides_of(x, y, weights_x, weights_y, settings)
    plan, found = _solved(x, y, unit, sides, settings, backend)
    value: Tensor = _Value.apply(x, y, _Problem([(plan, found)], [sides], settings, unit, backend == "reference"))
    return _transport(value, plan, found, sides, settings, warn)


def sinkhorn_of_costs(
    costs: Tensor,
    *,
    eps: float,
    rho: Rho = None,
    weights_x: Tensor | None = None,
    weights_y: Tensor | None = None,
    tolerance: float = 1e-4,
    max_sweeps: int = 1000,
    warn: bool = True,
) -> Transport:
    """`sinkhorn` for costs [n, m] that are given, float32 or float64; its value has no gradient."""
    settings = Settings.of(eps, rho, tolerance, max_sweeps, "kept")
    if costs.ndim != 2 or 0 in costs.shape or costs.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"costs must be a float32 or float64 matrix [n, m], not {costs.dtype} of {list(costs.shape)}")
    if not bool(torch.isfinite(costs).all()):
        raise ValueError("costs holds a value that is not finite")
    costs = costs.detach()
    sides = sides_of(costs, costs.t(), weights_x, weights_y, settings)
    span = float(costs.max()) - float(costs.min())
    check_steepness(span / settings.eps, settings.eps)

    def make(factor: float) -> Exponentials:
        return Kept(OfCosts(costs, settings.eps * factor))

    with torch.no_grad(), full_precision(costs.device.type):
        plan, found = annealed(
            make, *sides, steepness=span / settings.eps, tolerance=settings.tolerance, limit=settings.max_sweeps
        )
    value = costs.new_tensor(_dual(found, sides, settings))
    return _transport(value, plan, found, sides, settings, warn)


@eager
def sinkhorn_divergence(
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    cost: Cost = "squared",
    rho: float | None = None,
    weights_x: Tensor | None = None,
    weights_y: Tensor | None = None,
    tolerance: float = 1e-4,
    max_sweeps: int = 1000,
    memory: Memory = "auto",
    backend: Backend | None = None,
    warn: bool = True,
) -> Divergence:
    """OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2 (Genevay et al., 2018; Feydy et al., 2019) of rows x [n, d] and y [m, d].

    OT is the value of `sinkhorn`, whose arguments these are; unbalanced, half eps times the squared difference of the
    masses is added (Séjourné et al., 2019). Never negative but for what the iterations leave; 0 where both are the
    same. Towards eps 0 it becomes the cost of the best transport, towards infinity that of the means.
    """
    settings = Settings.of(eps, rho, tolerance, max_sweeps, memory)
    x, y = check_rows(x, y, cost)
    unit, across = UNITS[cost], sides_of(x, y, weights_x, weights_y, settings)
    sides = [across, (across[0], across[0]), (across[1], across[1])]
    pairs = zip(((x, y), (x, x), (y, y)), sides, strict=True)
    solved = [_solved(u, v, unit, of, settings, backend) for (u, v), of in pairs]
    value: Tensor = _Value.apply(x, y, _Problem(solved, sides, settings, unit, backend == "reference"))
    worst = max(found.error for _, found in solved)
    if warn:
        _warn(worst, across[0].mass, settings)
    return Divergence(value, worst, sum(found.sweeps for _, found in solved))


SHARES = (1.0, -0.5, -0.5)
"""Of OT(x, y), OT(x, x) and OT(y, y)."""


@dataclass(frozen=True)
class _Problem:
    """The transports whose values are added: of x and y; then, for a divergence, of x and x, of y and y."""

    solved: list[tuple[Exponentials, Potentials]]
    sides: list[tuple[Side, Side]]
    settings: Settings
    unit: float
    explicit: bool

    def value(self) -> float:
        total = sum(
            share * _dual(found, sides, self.settings)
            for share, (_, found), sides in zip(SHARES, self.solved, self.sides, strict=False)
        )
        if len(self.solved) > 1:
            of_x, of_y = (side.mass for side in self.sides[0])
            total += self.settings.eps / 2 * (of_x - of_y) ** 2
        return total

    def gradients(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """d/dx sum_ij P_ij ||x_i - y_j||^2 = 2 (P 1 x - P y); with itself each row stands on both sides."""
        if self.explicit:
            return self._explicit_gradients(x, y)
        by = [torch.zeros_like(x), torch.zeros_like(y)]
        for share, pair, (plan, found) in zip(SHARES, ((0, 1), (0, 0), (1, 1)), self.solved, strict=False):
            left, right = (x, y)[pair[0]], (x, y)[pair[1]]
            factor = 2 * self.unit * share
            by[pair[0]] += factor * _pulled(left, plan.apply(found.phi, found.psi, _with_ones(right)))
            by[pair[1]] += factor * _pulled(right, plan.apply_transposed(found.phi, found.psi, _with_ones(left)))
        return by[0], by[1]

    def _explicit_gradients(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The same by autograd, from costs that are differences."""
        with torch.enable_grad():
            u, v = x.detach().requires_grad_(), y.detach().requires_grad_()
            total = u.new_zeros((), dtype=torch.float64)
            for share, (left, right), (_, found), sides in zip(
                SHARES, ((u, v), (u, u), (v, v)), self.solved, self.sides, strict=False
            ):
                costs = reference.costs_of(left, right, self.unit)
                total = total + share * reference.value(costs, self.settings.eps, *sides, found)
            by_x, by_y = torch.autograd.grad(total, (u, v))
        return by_x, by_y


class _Value(torch.autograd.Function):
    """The value [] of a problem whose plans are held, as torch differentiates it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, problem: _Problem) -> Tensor:
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            with full_precision(x.device.type):
                ctx.save_for_backward(x, y, *problem.gradients(x, y))
        return x.new_tensor(problem.value())

    @staticmethod
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor, Tensor, None]:
        x, y, by_x, by_y = ctx.saved_tensors
        return _Slope.apply(x, by_x, incoming), _Slope.apply(y, by_y, incoming), None


class _Slope(torch.autograd.Function):
    """A first derivative, as a function in its own right so that a second one is refused instead of being zero."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, by_rows: Tensor, incoming: Tensor) -> Tensor:
        return by_rows * incoming

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, None]:
        raise RuntimeError("optimal transport has no second derivatives here: its plan is held")


def _solved(
    x: Tensor, y: Tensor, unit: float, sides: tuple[Side, Side], settings: Settings, backend: Backend | None
) -> tuple[Exponentials, Potentials]:
    """The transport between rows of which costs are `unit` times the squared distances."""
    chosen, symmetric = resolve_backend(x, backend), x is y
    x, y, scale = x.detach(), y.detach(), unit / settings.eps
    with torch.no_grad(), full_precision(x.device.type):
        if chosen == "reference":
            costs = reference.costs_of(x, y, unit)
            found = reference.solve(
                costs, settings.eps, *sides, tolerance=settings.tolerance, limit=settings.max_sweeps
            )
            return Kept(OfCosts(costs, settings.eps)), found
        steepness = 4 * scale * max(float(z.double().square().sum(dim=1).max()) for z in (x, y))
        check_steepness(steepness, settings.eps)
        if not fine_enough(steepness, x.dtype):
            x, y, chosen = x.double(), y.double(), "closed_form"

        def make(factor: float) -> Exponentials:
            exponents = OfRows(x, y, scale / factor)
            if chosen == "triton":
                from dckt_kernels.transport.on_gpu import OnGpu

                return OnGpu(exponents)
            return Kept(exponents) if settings.keeps(len(x) * len(y)) else Streamed(exponents)

        rest: Any = {"tolerance": settings.tolerance, "limit": settings.max_sweeps}
        if symmetric:
            plan = make(1.0)
            return plan, solve_symmetric(plan, sides[0], **rest)
        return annealed(make, *sides, steepness=steepness, **rest)


def _transport(
    value: Tensor, plan: Exponentials, found: Potentials, sides: tuple[Side, Side], settings: Settings, warn: bool
) -> Transport:
    f, g = (
        settings.eps * (potential - side.log_weights)
        for potential, side in zip((found.phi, found.psi), sides, strict=True)
    )
    if warn:
        _warn(found.error, sides[0].mass, settings)
    return Transport(value, f, g, found.error, found.mass, found.sweeps, plan, found)


def _warn(error: float, mass: float, settings: Settings) -> None:
    if not error <= settings.tolerance * mass:
        warnings.warn(
            f"after {settings.max_sweeps} sweeps the marginals are off by {error / mass:.1e}, more than the tolerance "
            f"of {settings.tolerance:g}: a larger eps or more sweeps would mend it",
            UnsettledWarning,
            stacklevel=4,
        )


def _dual(found: Potentials, sides: tuple[Side, Side], settings: Settings) -> float:
    """OT by its dual, which lies flat at its height: it errs by the square of what the potentials lack."""
    total, masses = 0.0, 1.0
    for potential, side in zip((found.phi, found.psi), sides, strict=True):
        weights, height = side.log_weights.exp(), potential - side.log_weights
        gained = height if side.slack == 0 else -torch.expm1(-side.slack * height) / side.slack
        total += float(weights.dot(gained))
        masses *= side.mass
    return settings.eps * (total + masses - found.mass)


def _with_ones(rows: Tensor) -> Tensor:
    return torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)


def _pulled(rows: Tensor, given: Tensor) -> Tensor:
    """Rows times the mass they hold, less what the plan gives them: `given` [n, d + 1] has the mass last."""
    given = given.to(rows.dtype)
    return rows * given[:, -1:] - given[:, :-1]
