"""A map of the common space: principal components, the same bits every time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Projection:
    """The first two principal components of some rows.

    Attributes:
        mean: of the rows [d].
        axes: [d, 2], orthonormal; zero where the rows do not spread that far.
        explained: share of the rows' variance along each axis.
    """

    mean: Tensor
    axes: Tensor
    explained: tuple[float, float]

    def __call__(self, rows: Tensor) -> Tensor:
        """Rows [n, d] to points [n, 2], float64."""
        return (rows.double() - self.mean) @ self.axes


def principal_components(rows: Tensor) -> Projection:
    """Fits the projection to rows [n, d], in float64.

    An axis may point either way; here its entry that is largest in size is positive.
    """
    rows = rows.double()
    mean = rows.mean(dim=0)
    _, spread, vh = torch.linalg.svd(rows - mean, full_matrices=False)
    axes = torch.zeros(rows.shape[1], 2, dtype=torch.float64)
    total = float(spread.square().sum())
    explained = [0.0, 0.0]
    for number, (size, axis) in enumerate(zip(spread[:2].tolist(), vh[:2], strict=True)):
        if size > 1e-12 * float(spread[0]):
            axes[:, number] = axis * axis[axis.abs().argmax()].sign()
            explained[number] = size**2 / total
    return Projection(mean, axes, (explained[0], explained[1]))


def evenly_spaced(count: int, wanted: int) -> Tensor:
    """At most `wanted` of the numbers 0 to count - 1, ascending and evenly spaced, int64."""
    chosen = min(count, wanted)
    return torch.arange(chosen) * count // max(chosen, 1)
