"""The values of other people's MMD, from this package's kernels: for moving over without a jump in the loss.

Each function takes the options its original takes, under the same names, and returns the original's value, gradient
included. docs/coming-from.md has the same as plain `mk_mmd` calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from dckt_kernels.api import mk_mmd
from dckt_kernels.bandwidth import mean_distance_bandwidth


def snippet_mmd(
    source: Tensor, target: Tensor, kernel_mul: float = 2.0, kernel_num: int = 5, fix_sigma: float | None = None
) -> Tensor:
    """The `guassian_kernel` snippet of many domain adaptation repositories: the SUM of K Gaussians, biased.

    source [n, d], target [m, d]; n and m may differ here. K times `mk_mmd` with the same options.
    """
    value = mk_mmd(source, target, kernel_num=kernel_num, kernel_mul=kernel_mul, sigma=fix_sigma)
    return kernel_num * value


def tllib_mmd(z_s: Tensor, z_t: Tensor, alphas: Sequence[float] = (0.125, 0.25, 0.5, 1.0, 2.0)) -> Tensor:
    """tllib's `MultipleKernelMaximumMeanDiscrepancy([GaussianKernel(alpha=a) for a in alphas])`, not linear.

    The sum over kernels of the unbiased estimate with exp(-D / (2 alpha mean(D))), the mean over all N^2 pairs, the
    zeros of the diagonal among them; plus 2 / (n - 1) once. z_s, z_t [n, d] each.
    `alphas` must form a geometric progression, as tllib's own examples do.
    """
    if z_s.shape != z_t.shape:
        raise ValueError(f"tllib needs equal batches, got {list(z_s.shape)} and {list(z_t.shape)}")
    mul = _ratio(alphas)
    pooled = 2 * z_s.shape[0]
    mean_over_all = float(mean_distance_bandwidth(z_s.detach().double(), z_t.detach().double()))
    mean_over_all *= (pooled - 1) / pooled
    sigma = _middle(2 * alphas[0] * mean_over_all, mul, len(alphas))
    value = mk_mmd(z_s, z_t, kernel_num=len(alphas), kernel_mul=mul, sigma=sigma, estimator="unbiased")
    return len(alphas) * value + 2 / (z_s.shape[0] - 1)


def pytorch_adapt_mmd(
    x: Tensor, y: Tensor, kernel_scales: Sequence[float] | Tensor = (1.0,), bandwidth: float | None = None
) -> Tensor:
    """pytorch-adapt's `MMDLoss(kernel_scales, mmd_type="quadratic", bandwidth=bandwidth)`.

    The mean over kernels of the unbiased estimate with exp(-D scale / bandwidth); bandwidth: the (lower) median of the
    squared distances within x, its diagonal included. `kernel_scales` must form a geometric progression, as those of
    `get_kernel_scales` do.
    """
    scales = [float(scale) for scale in kernel_scales]
    mul = _ratio(scales)
    if bandwidth is None:
        rows = x.detach().to(torch.float64)
        bandwidth = float(torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").square().median())
    # sigma_k = bandwidth / scale_k: ascending scales are descending bandwidths.
    sigma = _middle(bandwidth / scales[-1], mul, len(scales))
    return mk_mmd(x, y, kernel_num=len(scales), kernel_mul=mul, sigma=sigma, estimator="unbiased")


def geomloss_mmd(
    x: Tensor,
    y: Tensor,
    blur: float = 0.05,
    weights_x: Tensor | None = None,
    weights_y: Tensor | None = None,
) -> Tensor:
    """geomloss's `SamplesLoss("gaussian", blur=blur)`: half the biased squared MMD with exp(-D / (2 blur^2)).

    weights_x [n] and weights_y [m], each adding up to 1, are geomloss's alpha and beta; uniform if not given.
    """
    value = mk_mmd(x, y, kernel_num=1, sigma=2 * blur**2, weights_x=weights_x, weights_y=weights_y)
    return value / 2


def _middle(first: float, mul: float, count: int) -> float:
    """The sigma whose ladder sigma * mul^(k - count // 2) begins at `first`."""
    return first * mul ** (count // 2)


def _ratio(values: Sequence[float]) -> float:
    """The common ratio of a geometric progression of positive numbers; 2 for a single one."""
    if not values or min(values) <= 0:
        raise ValueError(f"expected one or more positive numbers, got {list(values)}")
    if len(values) == 1:
        return 2.0
    ratio = values[1] / values[0]
    for before, after in pairwise(values):
        if abs(after / before - ratio) > 1e-6 * ratio:
            raise ValueError(f"not a geometric progression, which the ladder of bandwidths is: {list(values)}")
    # 2 exactly where it is meant: then the ladder needs one exponential instead of K.
    return round(ratio, 6) if abs(ratio - round(ratio, 6)) < 1e-9 * ratio else ratio
