"""What is asked of a transport, checked: rows, costs, entropy, weights, how far marginals may be left."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_kernels.options import Options, accumulation_dtype, check_pairs, check_weights, widened
from dckt_kernels.transport.iterations import Side

Cost = Literal["squared", "cosine"]
Memory = Literal["auto", "kept", "streamed"]
Rho = float | tuple[float | None, float | None] | None

COSTS: tuple[Cost, ...] = get_args(Cost)
UNITS: dict[Cost, float] = {"squared": 1.0, "cosine": 0.5}
"""What squared distances are multiplied by: 1 - cos is half of that of rows of length 1."""
MEMORIES: tuple[Memory, ...] = get_args(Memory)
KEPT_PAIRS = 2**27
"""Up to so many pairs, half a gigabyte of float32, `auto` keeps the kernel."""
COARSE = 1e-3
"""Rounding of an exponent from which on rows are taken in float64."""


@dataclass(frozen=True)
class Settings:
    """How far iterations go, and how.

    Attributes:
        eps: weight of the entropy, > 0, in the unit of the costs.
        rho_x, rho_y: weight of the divergence of a marginal; None where it is to hold.
        tolerance: of the marginals, L1, relative to the mass of x's weights.
        max_sweeps: walks over all pairs, at least 2.
        memory: see `sinkhorn`.
    """

    eps: float
    rho_x: float | None
    rho_y: float | None
    tolerance: float
    max_sweeps: int
    memory: Memory

    @classmethod
    def of(cls, eps: float, rho: Rho, tolerance: float, max_sweeps: int, memory: Memory) -> Settings:
        """Raises a one-line ValueError naming what is out of range."""
        rho_x, rho_y = rho if isinstance(rho, tuple) else (rho, rho)
        for name, value in (("eps", eps), ("rho", rho_x), ("rho", rho_y), ("tolerance", tolerance)):
            if not (value is None and name == "rho"):
                _check_positive(name, value)
        if max_sweeps < 2:
            raise ValueError(f"max_sweeps must be at least 2, not {max_sweeps!r}")
        if memory not in MEMORIES:
            raise ValueError(f"unknown memory {memory!r} (known: {', '.join(MEMORIES)})")
        return cls(float(eps), rho_x, rho_y, float(tolerance), int(max_sweeps), memory)

    def keeps(self, pairs: int) -> bool:
        return self.memory == "kept" or (self.memory == "auto" and pairs <= KEPT_PAIRS)


def _check_positive(name: str, value: Any) -> None:
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be finite and > 0, not {value!r}")


def check_rows(x: Tensor, y: Tensor, cost: Cost) -> tuple[Tensor, Tensor]:
    """x [n, d] and y [m, d] in one dtype, float32 or float64, so that costs are ||x - y||^2 or half of it.

    Rows of cosine costs are brought to length 1 here, others are centred together: neither loses the gradient.
    """
    check_pairs([(x, y)], Options(1, 2.0, "biased", False))
    if cost not in COSTS:
        raise ValueError(f"unknown cost {cost!r} (known: {', '.join(COSTS)})")
    ((x, y),) = widened([(x, y)])
    dtype = accumulation_dtype(x.dtype)
    x, y = x.to(dtype), y.to(dtype)
    for name, rows in (("x", x), ("y", y)):
        if not bool(torch.isfinite(rows).all()):
            raise ValueError(f"{name} holds a value that is not finite")
    if cost == "cosine":
        for name, rows in (("x", x), ("y", y)):
            if not bool((rows != 0).any(dim=1).all()):
                raise ValueError(f"{name} holds a row of zeros, which has no cosine")
        return F.normalize(x, dim=1, eps=0), F.normalize(y, dim=1, eps=0)
    middle = torch.cat([x.detach(), y.detach()]).mean(dim=0)
    return x - middle, y - middle


def fine_enough(steepness: float, dtype: torch.dtype) -> bool:
    """Whether exponents of costs up to `steepness`, in units of eps, keep enough digits."""
    return steepness * torch.finfo(dtype).eps < COARSE


def check_steepness(steepness: float, eps: float) -> None:
    """Raises ValueError where not even float64 tells such exponents apart."""
    if not fine_enough(steepness, torch.float64):
        raise ValueError(f"costs may be {steepness * eps:.1e}, too large for eps = {eps:g}: take a larger one")


def sides_of(
    x: Tensor, y: Tensor, weights_x: Tensor | None, weights_y: Tensor | None, settings: Settings
) -> tuple[Side, Side]:
    """What is asked of the rows of x [n, ...] and y [m, ...], by weights [n] and [m].

    Raises:
        ValueError, TypeError: weights that cannot be taken; unequal masses where both marginals are to hold.
    """
    a, b = _weights_of(weights_x, x, "weights_x"), _weights_of(weights_y, y, "weights_y")
    of_a, of_b = float(a.sum()), float(b.sum())
    if settings.rho_x is None and settings.rho_y is None and abs(of_a - of_b) > settings.tolerance * of_a:
        raise ValueError(
            f"weights_x sum to {of_a:g} and weights_y to {of_b:g}: with both marginals held they must agree"
        )
    slack_x, slack_y = (0.0 if rho is None else settings.eps / rho for rho in (settings.rho_x, settings.rho_y))
    return Side(a.log(), slack_x), Side(b.log(), slack_y)


def _weights_of(weights: Tensor | None, rows: Tensor, name: str) -> Tensor:
    """The weights [n], > 0, float64; of sum 1 and equal where none are given."""
    if weights is None:
        return torch.full((len(rows),), 1 / len(rows), dtype=torch.float64, device=rows.device)
    checked = check_weights(weights, rows, name, "biased")
    assert checked is not None
    if bool((checked == 0).any()):
        raise ValueError(f"{name} holds a 0: leave rows of no weight out")
    return checked.double()
