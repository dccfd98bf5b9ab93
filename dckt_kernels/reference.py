"""The yardstick: explicit differences in float64, plain autograd. Slow, large, and right to the last digits.

Everything else in this package is tested against this file. It is also the backend with second derivatives.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_kernels.bandwidth import pooled_weights
from dckt_kernels.options import Options
from dckt_kernels.scale import to_unit

_ROWS_AT_ONCE = 16  # bounds the [rows, N, d] block of differences when no gradient is wanted


def squared_distances(z: Tensor) -> Tensor:
    """||z_i - z_j||^2 for all pairs, from explicit differences. z [N, d] -> [N, N]."""
    return torch.cat([(block[:, None] - z[None]).square().sum(-1) for block in torch.split(z, _ROWS_AT_ONCE)])


def mean_distance(distances: Tensor, v: Tensor) -> Tensor:
    """sum_{i != j} v_i v_j D_ij / sum_{i != j} v_i v_j. distances [N, N], v [N] -> scalar; 0 for a single row."""
    off_diagonal = v.sum().square() - v.square().sum()
    mean = (v @ distances @ v) / off_diagonal.clamp_min(torch.finfo(v.dtype).tiny)
    return torch.where(off_diagonal > 0, mean, torch.zeros_like(mean))


def mean_kernel(distances: Tensor, sigma: Tensor, options: Options) -> Tensor:
    """(1/K) sum_k exp(-D / sigma_k), elementwise; all ones where sigma is 0 (then every distance is 0 too)."""
    collapsed = sigma == 0
    safe = torch.where(collapsed, torch.ones_like(sigma), sigma)
    kernel = torch.stack([torch.exp(-distances / (safe * step)) for step in options.ladder]).mean(0)
    return torch.where(collapsed, torch.ones_like(kernel), kernel)


def weighted_mean(kernel: Tensor, u: Tensor, v: Tensor, skip_diagonal: bool) -> Tensor:
    """sum u_i v_j k_ij / sum u_i v_j, over i != j if `skip_diagonal`. kernel [n, m], u [n], v [m] -> scalar."""
    pair_weights = u[:, None] * v[None, :]
    if skip_diagonal:
        pair_weights = pair_weights - torch.diag(pair_weights.diagonal())
    return (pair_weights * kernel).sum() / pair_weights.sum()


def mmd(
    x: Tensor, y: Tensor, options: Options, sigma: float | None, weights_x: Tensor | None, weights_y: Tensor | None
) -> Tensor:
    """Squared MMD (biased or unbiased) of x [n, d] and y [m, d] -> scalar, computed in float64."""
    n = x.shape[0]
    result_dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    z = torch.cat([x, y]).double()
    given = pooled_weights(x.double(), y.double(), weights_x, weights_y)
    v = torch.ones(z.shape[0], dtype=z.dtype, device=z.device) if given is None else given
    z, scale = to_unit(z, given)
    u, w = v[:n], v[n:]
    distances = squared_distances(z)
    if sigma is None:
        bandwidth = mean_distance(distances, v)
        if not options.bandwidth_grad:
            bandwidth = bandwidth.detach()
    else:
        bandwidth = (torch.full((), sigma, dtype=z.dtype, device=z.device) * scale * scale).clamp(1e-60, 1e200)
    kernel = mean_kernel(distances, bandwidth, options)
    skip = options.estimator == "unbiased"
    within = weighted_mean(kernel[:n, :n], u, u, skip) + weighted_mean(kernel[n:, n:], w, w, skip)
    return (within - 2 * weighted_mean(kernel[:n, n:], u, w, False)).to(result_dtype)
