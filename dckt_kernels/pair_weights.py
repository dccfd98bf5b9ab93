"""c_ij, the weight of the pair (i, j) in an estimate, and what follows from the sample weights alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from dckt_kernels.options import accumulation_dtype

S = TypeVar("S", float, Tensor)

FAINTEST = 1e-12
"""The weights of one side may add up to so much of the other's."""


def pair_sums(x: S, x_squares: S, y: S, y_squares: S, unbiased: bool) -> tuple[S, S, S, S, S]:
    """sum v, sum_{i != j} v_i v_j, xx, xy, yy as `PairWeights` has them, from the sums of each side's weights and of
    their squares; numbers, or tensors of no dimensions.
    """
    xx = 1 / (x * x - x_squares if unbiased else x * x)
    yy = 1 / (y * y - y_squares if unbiased else y * y)
    total = x + y
    return total, total * total - x_squares - y_squares, xx, -1 / (x * y), yy


@dataclass(frozen=True)
class PairWeights:
    """c_ij = block(i, j) v_i v_j: one number for each of XX, XY, YY, and the sample weights v [N], 1 if not given.

    biased:   xx = 1 / (sum v_x)^2, xy = -1 / (sum v_x sum v_y), yy like xx
    unbiased: xx = 1 / ((sum v_x)^2 - sum v_x^2), over the pairs i != j; xy the same, yy like xx
    `diagonal` is what the pairs i = j, where k = 1, add to a sum over all pairs and must be taken off again.
    `off_diagonal` = sum_{i != j} v_i v_j over the pooled rows, the divisor of the mean distance.
    A common factor of all weights changes nothing: v are given ones divided by the power of two next to the largest.
    """

    n: int
    v: Tensor
    uniform: bool
    total: float
    off_diagonal: float
    xx: float
    xy: float
    yy: float
    diagonal: float

    @classmethod
    def of(
        cls, x: Tensor, y: Tensor, weights_x: Tensor | None, weights_y: Tensor | None, unbiased: bool
    ) -> PairWeights:
        n, m = x.shape[0], y.shape[0]
        v = torch.ones(n + m, dtype=accumulation_dtype(x.dtype), device=x.device)
        if weights_x is not None:
            v[:n] = weights_x
        if weights_y is not None:
            v[n:] = weights_y
        x_sum, x_squares, x_largest = _sums(n, weights_x)
        y_sum, y_squares, y_largest = _sums(m, weights_y)
        if not (weights_x is None and weights_y is None):
            if not min(x_sum, y_sum) > FAINTEST * max(x_sum, y_sum):
                raise ValueError(f"weights_x add up to {x_sum:g} and weights_y to {y_sum:g}: too far apart to compare")
            unit = 2.0 ** -math.frexp(max(x_largest, y_largest))[1]
            v = v.double().mul_(unit).to(v.dtype)
            x_sum, y_sum = x_sum * unit, y_sum * unit
            x_squares, y_squares = x_squares * unit**2, y_squares * unit**2
        total, off_diagonal, xx, xy, yy = pair_sums(x_sum, x_squares, y_sum, y_squares, unbiased)
        return cls(
            n=n,
            v=v,
            uniform=weights_x is None and weights_y is None,
            total=total,
            off_diagonal=off_diagonal,
            xx=xx,
            xy=xy,
            yy=yy,
            diagonal=xx * x_squares + yy * y_squares if unbiased else 0.0,
        )

    def double(self) -> PairWeights:
        """The same for rows in float64."""
        return replace(self, v=self.v.double())

    def block(self, i: int, j: int) -> float:
        """c_ij / (v_i v_j) for rows i and j of Z = [X; Y]."""
        if i < self.n:
            return self.xx if j < self.n else self.xy
        return self.xy if j < self.n else self.yy


def _sums(rows: int, weights: Tensor | None) -> tuple[float, float, float]:
    """The sum of the weights, that of their squares, and the largest."""
    if weights is None:
        return float(rows), float(rows), 1.0
    weights = weights.double()
    total, squares, largest = torch.stack([weights.sum(), weights.square().sum(), weights.amax()]).tolist()
    return total, squares, largest
