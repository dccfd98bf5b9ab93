"""The mean-distance bandwidth, from an identity that needs no pair of rows."""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_kernels.options import accumulation_dtype
from dckt_kernels.scale import to_unit


def centred(z: Tensor, v: Tensor | None = None) -> Tensor:
    """z [N, d] less its mean row (weighted by v [N] if given), so that no later difference of large numbers is taken.

    Rows that are all the same can leave a rest: the rounding of their own mean, beside which their spread of 0 drowns.
    Then they are taken relative to the first row instead, which is exact, and centred again.
    """
    z = z - mean(z, v)
    rest = mean(z, v)
    drowned = rest.square().sum() > 0.25 * mean(z.square().sum(-1), v)
    anchored = z - z[:1]
    return torch.where(drowned, anchored - mean(anchored, v), z)


def mean(z: Tensor, v: Tensor | None) -> Tensor:
    """The mean of z [N, ...] over its rows, weighted by v [N] if given. Without a product, which autocast would round,
    in the backward pass too."""
    if v is None:
        return z.mean(0)
    return (z * v.view(-1, *(1,) * (z.ndim - 1))).sum(0) / v.sum()


def mean_distance_bandwidth(
    x: Tensor, y: Tensor, weights_x: Tensor | None = None, weights_y: Tensor | None = None
) -> Tensor:
    """sigma = the mean of ||z_i - z_j||^2 over ordered pairs i != j of the pooled rows Z = [X; Y].

    With weights v = [weights_x; weights_y] (1 where not given, taken as they are):
    sum_{i != j} v_i v_j ||z_i - z_j||^2 / sum_{i != j} v_i v_j.
    Computed in O(N d) from sum_ij v_i v_j ||z_i - z_j||^2 = 2 (sum v) sum_i v_i ||z_i||^2 - 2 ||sum_i v_i z_i||^2.
    Float64 if x or y is, else float32: infinite or 0 where that does not hold it.
    """
    dtype = accumulation_dtype(x.dtype, y.dtype)
    v = pooled_weights(x, y, weights_x, weights_y)
    z, scale = to_unit(torch.cat([x, y]).to(dtype), v)
    return mean_distance(z, v) / scale / scale


def mean_distance(z: Tensor, v: Tensor | None) -> Tensor:
    """The same of the pooled rows z [N, d], of a length whose square is far from overflow and underflow."""
    z = centred(z, v)
    norms = z.square().sum(-1)
    if v is None:
        rows = z.shape[0]
        return (2 * rows * norms.sum() - 2 * z.sum(0).square().sum()).clamp_min(0) / max(rows * (rows - 1), 1)
    total = v.sum()
    pairs = 2 * total.square() * (mean(norms, v) - mean(z, v).square().sum())
    off_diagonal = total.square() - v.square().sum()
    return torch.where(off_diagonal > 0, pairs.clamp_min(0) / off_diagonal, torch.zeros_like(pairs))


def pooled_weights(x: Tensor, y: Tensor, weights_x: Tensor | None, weights_y: Tensor | None) -> Tensor | None:
    """v [N], 1 where not given, divided by the largest, which changes no mean; None if none are given."""
    if weights_x is None and weights_y is None:
        return None
    dtype = accumulation_dtype(x.dtype, y.dtype)
    ones = (torch.ones(rows.shape[0], dtype=dtype, device=rows.device) for rows in (x, y))
    given = (weights_x, weights_y)
    v = torch.cat([one if w is None else w.to(dtype) for one, w in zip(ones, given, strict=True)])
    return v / v.amax()
