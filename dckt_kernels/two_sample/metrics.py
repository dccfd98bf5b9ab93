"""`kid` and `cmmd`: the MMD of generated from real images' features, with the constants that are published."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from dckt_kernels.two_sample.rows import BLOCK, Rows, pair

CMMD_SIGMA, CMMD_SCALE = 10.0, 1000.0
KID_SUBSETS, KID_SUBSET_SIZE = 100, 1000


class KID(NamedTuple):
    """What `kid` gives.

    Attributes:
        mean: over the subsets.
        std: standard deviation over them.
    """

    mean: float
    std: float


@torch.no_grad()
def kid(
    x: Any,
    y: Any,
    *,
    subsets: int = KID_SUBSETS,
    subset_size: int = KID_SUBSET_SIZE,
    generator: torch.Generator,
) -> KID:
    """The kernel inception distance (Bińkowski et al., 2018) between features x [n, d] and y [m, d].

    The unbiased squared MMD with the kernel (a . b / d + 1)^3, over random subsets without replacement of both. Only
    the rows of a subset are read, so that memory-mapped arrays of any length will do. In float64.

    Raises:
        ValueError: fewer rows than a subset has, or a subset of fewer than two.
    """
    samples = pair(x, y)
    for rows in samples:
        if len(rows) < subset_size:
            raise ValueError(f"{rows.name} has {len(rows)} rows, fewer than subset_size = {subset_size}")
    if subset_size < 2 or subsets < 1:
        raise ValueError(f"subsets = {subsets} must be at least 1 and subset_size = {subset_size} at least 2")
    values = []
    for _ in range(subsets):
        a, b = (
            rows.take(torch.randperm(len(rows), generator=generator)[:subset_size].sort().values) for rows in samples
        )
        values.append(_unbiased(a, b))
    found = torch.tensor(values, dtype=torch.float64)
    return KID(float(found.mean()), float(found.std(correction=0)))


@torch.no_grad()
def cmmd(x: Any, y: Any) -> float:
    """CMMD (Jayasumana et al., 2024) between CLIP features x [n, d] and y [m, d], of length 1 each as published.

    1,000 times the biased squared MMD with the kernel exp(-||a - b||^2 / (2 sigma^2)), sigma = 10, over all pairs, in
    float64: a block of them at a time, of arrays that may be memory-mapped.
    """
    first, second = pair(x, y)
    within = _mean_gaussian(first, first) + _mean_gaussian(second, second)
    return CMMD_SCALE * (within - 2 * _mean_gaussian(first, second))


def _unbiased(a: Tensor, b: Tensor) -> float:
    count, width = a.shape
    within = 0.0
    for rows in (a, b):
        kernel = (rows @ rows.T / width + 1) ** 3
        within += float(kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1))
    return within - 2 * float(((a @ b.T / width + 1) ** 3).mean())


def _mean_gaussian(x: Rows, y: Rows) -> float:
    total = 0.0
    for a in x.blocks():
        for b in y.blocks(size=BLOCK):
            squares = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
            total += float((-squares / (2 * CMMD_SIGMA**2)).exp().sum())
    return total / (len(x) * len(y))
