"""MMD of a batch: one Gram product forward, one product backward, N x N kept between them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dckt_kernels.ladder import ladder_of
from dckt_kernels.options import Options
from dckt_kernels.pair_weights import PairWeights
from dckt_kernels.pooled import anchor_, collapsed, drowned, mean_distance, pool, too_coarse
from dckt_kernels.product import product
from dckt_kernels.scale import fits, scaled_sigma, to_unit

GRAM_ROWS = 64  # only the upper triangle of the Gram matrix is multiplied out, in strips of so many rows


class Dense(NamedTuple):
    """value [], and the two factors of the gradient M Z: M [N, N] (None if not asked for), Z [N, d].

    The factors are float64 where float32 would not do.
    """

    value: Tensor
    m: Tensor | None
    z: Tensor


def dense(
    x: Tensor,
    y: Tensor,
    options: Options,
    sigma: float | None,
    weights: PairWeights,
    gradient: bool,
    scaled: bool = False,
) -> Dense:
    """x [n, d], y [m, d] -> the value, and M with dMMD^2/dZ = M Z (see closed_form.py).

    scaled: the rows are as `to_unit` leaves them.
    """
    n, v = weights.n, weights.v
    through_bandwidth = gradient and options.bandwidth_grad and sigma is None
    z = pool(x, y, weights, twice=through_bandwidth)
    gram, norms, rest = _gram(z, weights)
    if not (scaled or fits(norms / weights.total, sigma)):
        unit, factor = to_unit(torch.cat([x, y]).double(), v)
        sigma = scaled_sigma(sigma, float(factor))
        value, exact_m, exact_z = dense(unit[:n], unit[n:], options, sigma, weights.double(), gradient, scaled=True)
        return Dense(value.to(v.dtype), exact_m, exact_z.mul_(factor))
    if drowned(rest, norms, weights):
        anchor_(z, weights)
        gram, norms, rest = _gram(z, weights)
    ladder, given = ladder_of(options), sigma
    if sigma is None:
        sigma = mean_distance(norms, rest, weights)
        if collapsed(sigma, z.dtype):
            return Dense(z.new_zeros(()), torch.zeros_like(gram) if gradient else None, z)
    if too_coarse(float(gram.diagonal().max()), sigma * ladder.narrowest, z.dtype):
        value, exact_m, exact_z = dense(x.double(), y.double(), options, given, weights.double(), gradient)
        return Dense(value.to(z.dtype), exact_m, exact_z)

    widest = sigma * ladder.widest
    exponent = gram.mul_(2 / widest)
    half = exponent.diagonal() / 2
    exponent.sub_(half).sub_(half[:, None])  # -D / sigma_max; exactly 0 on the diagonal
    distances = exponent.clone() if through_bandwidth else None

    kernel = torch.empty_like(exponent)
    slope = torch.empty_like(exponent) if gradient else None
    for rung, (power, t) in enumerate(ladder.rungs_(exponent)):
        if rung == 0:
            kernel.copy_(t)
            if slope is not None:
                slope.copy_(t)
        else:
            kernel.add_(t)
            if slope is not None:
                slope.add_(t, alpha=power)

    # The three sums nearly cancel: added up in float64 they cost nothing and keep the value 4 times as exact.
    exact, u = kernel.double(), v.double()
    from_x, from_y = torch.mv(exact[:, :n], u[:n]).mul_(u), torch.mv(exact[n:, n:], u[n:]).mul_(u[n:])
    xx, xy, yy = float(from_x[:n].sum()), float(from_x[n:].sum()), float(from_y.sum())
    mean = (weights.xx * xx + 2 * weights.xy * xy + weights.yy * yy) / options.kernel_num
    value = z.new_tensor(mean - weights.diagonal)
    if slope is None:
        return Dense(value, None, z)

    # slope = -sigma_max K k'(D), so A = -4 c k' is it times 4 c / (K sigma_max).
    m, scale = slope, 4 / (options.kernel_num * widest)
    m[:n, :n].mul_(weights.xx * scale)
    m[:n, n:].mul_(weights.xy * scale)
    m[n:, :n].mul_(weights.xy * scale)
    m[n:, n:].mul_(weights.yy * scale)
    if not weights.uniform:
        m.mul_(v).mul_(v[:, None])
    diagonal = m.diagonal()
    diagonal.zero_()
    row_sums = m.sum(1)
    if distances is not None:
        # dMMD^2/dsigma = -(1/sigma) sum c k' D, and dsigma/dz_i = 4 (sum v) v_i z_i / sum_{i != j} v_i v_j, Z centred.
        slope_sigma = -(m * distances).sum() * (ladder.widest / 4)
        diagonal.add_(v * (slope_sigma * (4 * weights.total / weights.off_diagonal)))
    diagonal.sub_(row_sums)
    return Dense(value, m, z)


def _gram(z: Tensor, weights: PairWeights) -> tuple[Tensor, float, float]:
    """Z Z^T [N, N], sum v_i ||z_i||^2 and ||sum v_i z_i||^2."""
    rows = z.shape[0]
    gram = z.new_empty(rows, rows)
    for start in range(0, rows, GRAM_ROWS):
        stop = min(start + GRAM_ROWS, rows)
        gram[start:stop, start:] = product(z[start:stop], z[start:].t(), batch=[rows])
        gram[stop:, start:stop].copy_(gram[start:stop, stop:].t())
    v = weights.v
    return gram, float(gram.diagonal().dot(v)), float(torch.mv(gram, v).dot(v))
