"""A permutation test of whether two samples come from one distribution, by their squared MMD."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dckt_kernels.bandwidth import centred, mean_distance
from dckt_kernels.scale import to_unit

_ROWS_AT_ONCE = 512
"""Bounds the [rows, N] block of the kernel matrix."""

_ROUNDING = 1e-12
"""By this much deals may differ that are the same samples in another order; kernels are 1 at most."""


class TwoSampleTest(NamedTuple):
    """The squared MMD of two samples, and how often chance does as much.

    Attributes:
        mmd: the biased squared MMD, at least 0.
        p_value: the share of dealings, the observed one included, whose MMD is at least as large; in (0, 1].
    """

    mmd: float
    p_value: float


@torch.no_grad()
def permutation_test(
    x: Tensor,
    y: Tensor,
    *,
    permutations: int = 999,
    stacked: int = 1,
    kernel_num: int = 5,
    kernel_mul: float = 2.0,
    generator: torch.Generator,
) -> TwoSampleTest:
    """Tests the hypothesis that the rows of x [n, d] and y [m, d] come from one distribution.

    The statistic is the biased squared MMD, that of `mk_mmd(x, y, kernel_num=..., kernel_mul=...)`. The pooled rows are
    dealt out anew to samples of the same sizes; p = (1 + permutations whose MMD is at least the observed) / (1 +
    permutations), which holds its level exactly for every number of permutations (Gretton et al. 2012, section 5.1;
    Phipson and Smyth 2010). The smallest p is 1 / (1 + permutations).

    Args:
        stacked: how many rows belong together: x is `stacked` blocks of n / stacked rows, row i of every block is one
            observation's, and so is y. Observations are dealt out whole, as rows of one are not independent.
        generator: on the CPU.

    Everything is computed in float64: O((n + m)^2 (d + permutations)) operations, O((n + m) permutations) memory.

    Raises:
        ValueError: no rows, widths that differ, rows that `stacked` does not divide, no permutations, values that are
            not finite.
    """
    _check(x, y, permutations, stacked, kernel_num, kernel_mul)
    n, m = x.shape[0] // stacked, y.shape[0] // stacked
    x, y = x.double(), y.double()
    by_observation = [rows.reshape(stacked, -1, rows.shape[1]).transpose(0, 1) for rows in (x, y)]
    # [(n + m) * stacked, d], an observation's rows in sequence; the bandwidth goes with their length
    z = centred(to_unit(torch.cat(by_observation).flatten(0, 1))[0])
    dealt = torch.tensor([1 / (n * stacked)] * n + [-1 / (m * stacked)] * m, dtype=torch.float64)
    orders = [torch.arange(n + m), *(torch.randperm(n + m, generator=generator) for _ in range(permutations))]
    signs = dealt[torch.stack(orders, dim=1)].repeat_interleave(stacked, dim=0).to(z.device)
    sigma = mean_distance(z, None)
    values = _quadratic_forms(z, signs, [float(sigma) * kernel_mul ** (k - kernel_num // 2) for k in range(kernel_num)])
    observed, others = values[0], values[1:]
    at_least = int((others >= observed - _ROUNDING).sum())
    return TwoSampleTest(max(float(observed), 0.0), (1 + at_least) / (1 + permutations))


def _quadratic_forms(z: Tensor, signs: Tensor, sigmas: list[float]) -> Tensor:
    """s^T K s for each column s of signs [N, P], K the mean kernel of the rows of z [N, d] -> [P]."""
    norms = z.square().sum(-1)
    total = torch.zeros(signs.shape[1], dtype=z.dtype, device=z.device)
    for rows in torch.split(torch.arange(z.shape[0], device=z.device), _ROWS_AT_ONCE):
        distances = (norms[rows, None] + norms - 2 * z[rows] @ z.T).clamp_min(0)
        if sigmas[0] > 0:
            kernel = torch.stack([(-distances / sigma).exp() for sigma in sigmas]).mean(0)
        else:  # all rows coincide
            kernel = torch.ones_like(distances)
        total += (signs[rows] * (kernel @ signs)).sum(0)
    return total


def _check(x: Tensor, y: Tensor, permutations: int, stacked: int, kernel_num: int, kernel_mul: float) -> None:
    for name, rows in (("x", x), ("y", y)):
        if rows.ndim != 2 or not rows.shape[0]:
            raise ValueError(f"{name} must be [rows, width] with at least one row, not {tuple(rows.shape)}")
        if stacked < 1 or rows.shape[0] % stacked:
            raise ValueError(f"stacked = {stacked} does not divide the {rows.shape[0]} rows of {name}")
        if not torch.isfinite(rows).all():
            raise ValueError(f"{name} holds values that are not finite")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x has rows of width {x.shape[1]}, and y of {y.shape[1]}")
    if permutations < 1:
        raise ValueError(f"permutations = {permutations} must be at least 1")
    if kernel_num < 1 or not kernel_mul > 0:
        raise ValueError(f"kernel_num = {kernel_num} must be at least 1, and kernel_mul = {kernel_mul} above 0")
