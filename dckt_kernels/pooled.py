"""The pooled rows Z = [X; Y], centred, and the bandwidth that follows from them in O(N d)."""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_kernels.pair_weights import PairWeights

COARSEST = 64
"""Pairs (i, j) at which (||z_i||^2 + ||z_j||^2) / sigma is larger are computed in float64: k would be off by 4e-6."""


def pool(x: Tensor, y: Tensor, weights: PairWeights, twice: bool = False) -> Tensor:
    """Z [N, d] in the dtype of the computation, less its mean row: no large offset is left to cancel later.

    `twice` also takes off the rounding of that mean, which distances do not see and the gradient of their mean does.
    """
    n, v = weights.n, weights.v
    x, y = x.to(v.dtype), y.to(v.dtype)
    z = torch.empty(v.shape[0], x.shape[1], dtype=v.dtype, device=v.device)
    mean = torch.mv(x.t(), v[:n]).addmv_(y.t(), v[n:]).div_(weights.total)
    torch.sub(x, mean, out=z[:n])
    torch.sub(y, mean, out=z[n:])
    if twice:
        _centre_(z, weights)
    return z


def _centre_(z: Tensor, weights: PairWeights) -> None:
    z.sub_(torch.mv(z.t(), weights.v).div_(weights.total))


def drowned(rest: float, norms: float, weights: PairWeights) -> bool:
    """True if ||sum v_i z_i||^2 = `rest`, 0 for centred rows, is no small part of sum v_i ||z_i||^2 = `norms`.

    So it is for rows (nearly) all the same and far from the origin: the rounding of their mean exceeds their spread.
    """
    return rest > 0.25 * weights.total * norms


def anchor_(z: Tensor, weights: PairWeights) -> None:
    """Centre drowned rows anew: relative to the first row, which is exact, and then to what is left of the mean."""
    z.sub_(z[0].clone())
    _centre_(z, weights)


def mean_distance(norms: float, rest: float, weights: PairWeights) -> float:
    """sum_{i != j} v_i v_j ||z_i - z_j||^2 / sum_{i != j} v_i v_j, without a pair of rows; 0 if there is one row only.

    From sum_ij v_i v_j ||z_i - z_j||^2 = 2 (sum v) sum_i v_i ||z_i||^2 - 2 ||sum_i v_i z_i||^2.
    """
    return (2 * weights.total * norms - 2 * rest) / weights.off_diagonal if weights.off_diagonal > 0 else 0.0


def too_coarse(norm: float, sigma: float, dtype: torch.dtype) -> bool:
    """True if float32 resolves distances too coarsely for a bandwidth: `norm` = max ||z_i||^2, `sigma` the narrowest.

    A distance that is told from a Gram matrix is off by some eps (||z_i||^2 + ||z_j||^2), eps = 6e-8, whatever it is.
    """
    return dtype == torch.float32 and 2 * norm > COARSEST * sigma


def collapsed(sigma: float, dtype: torch.dtype) -> bool:
    """True if no distance can be told from 0: the loss and its gradient are 0. NaN is not collapsed: it must show."""
    return sigma <= 16 * torch.finfo(dtype).tiny
