"""Features whose products are a kernel, about: a test on millions of rows goes by their means."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dckt_kernels.two_sample.kernels import Kernel

FeatureMap = Callable[[Tensor], Tensor]
"""Rows [r, d], scaled, to features [r, k]."""
NEGLIGIBLE = 1e-6
"""Share of the largest eigenvalue below which one of the landmarks' is noise of float32."""


def random_features(kernels: Sequence[Kernel], count: int, width: int, generator: torch.Generator) -> FeatureMap:
    """cos and sin of `count` / 2 random frequencies, shared out evenly among the kernels, whose mean they stand for."""
    each = max(1, count // (2 * len(kernels)))
    drawn = torch.cat([kernel.frequencies(each, width, generator) for kernel in kernels], dim=1).float()
    scale = drawn.shape[1] ** -0.5

    def features(rows: Tensor) -> Tensor:
        angles = rows @ drawn.to(rows.device)
        return torch.cat([angles.cos(), angles.sin()], dim=1).mul_(scale)

    return features


def nystrom(kernels: Sequence[Kernel], landmarks: Tensor) -> FeatureMap:
    """k(z, L) k(L, L)^(-1/2) for landmarks L [k, d] (Williams and Seeger, 2001; as a test: arXiv 2502.13570)."""

    def mean(x: Tensor, y: Tensor) -> Tensor:
        return torch.stack([kernel.matrix(x, y) for kernel in kernels]).mean(dim=0)

    values, vectors = torch.linalg.eigh(mean(landmarks.double(), landmarks.double()))
    kept = values > NEGLIGIBLE * values[-1]
    root = (vectors[:, kept] / values[kept].sqrt()).float()

    def features(rows: Tensor) -> Tensor:
        return torch.mm(mean(rows, landmarks.float()), root)

    return features
