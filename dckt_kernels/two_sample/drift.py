"""`witness` and `drift`: where two samples differ, and whether a batch still comes from where a reference came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dckt_kernels.two_sample.kernels import FAMILIES, Family, family
from dckt_kernels.two_sample.permutations import Method, two_sample_test
from dckt_kernels.two_sample.rows import Rows, moments, pair, unit


@dataclass(frozen=True)
class Drift:
    """Whether a batch differs from a reference, and in what.

    Attributes:
        p_value: as of `two_sample_test`.
        mmd: the same.
        method: the same.
        columns: [d], numbers of the columns, what moved most first.
        shifts: [d], by how many of the reference's standard deviations each column's mean moved, in the order of the
            columns; infinite where the reference does not vary and the batch differs.
        rows: [b], numbers of the batch's rows, what is least like the reference first.
    """

    p_value: float
    mmd: float
    method: str
    columns: Tensor
    shifts: Tensor
    rows: Tensor


@torch.no_grad()
def witness(x: Any, y: Any, z: Any, *, kernel: Family = "gaussian") -> Tensor:
    """mean_i k(z, x_i) - mean_j k(z, y_j) [p], float64, of rows z [p, d] (Gretton et al., 2012, section 2.3).

    Above 0 where x is denser than y. The kernel is as in `two_sample_test`: rows are in units of the mean distance of
    x [n, d] and y [m, d].

    Raises:
        ValueError, TypeError: what is asked for cannot be computed.
    """
    samples, where = pair(x, y), Rows(z, "z")
    if kernel not in FAMILIES:
        raise ValueError(f"unknown kernel {kernel!r} (known: {', '.join(FAMILIES)})")
    if where.width != samples[0].width:
        raise ValueError(f"x has rows of width {samples[0].width}, and z of {where.width}")
    mean, scale = unit(samples)
    kernels = family(kernel)
    found = []
    for part in where.blocks(size=1024):
        points = (part - mean) * scale
        density = [torch.zeros(len(points), dtype=torch.float64, device=points.device) for _ in samples]
        for held, rows in zip(density, samples, strict=True):
            for block in rows.blocks():
                placed = (block - mean) * scale
                held += sum(k.matrix(points, placed).sum(dim=1) for k in kernels) / (len(kernels) * len(rows))
        found.append(density[0] - density[1])
    return torch.cat(found)


@torch.no_grad()
def drift(
    reference: Any,
    batch: Any,
    *,
    method: Method = "auto",
    kernel: Family = "gaussian",
    permutations: int = 999,
    generator: torch.Generator,
) -> Drift:
    """Whether the rows of batch [b, d] come from where those of reference [n, d] came from, and what moved most.

    Args:
        method: as of `two_sample_test`, like all that follows.
        kernel: see there.
        permutations: see there.
        generator: see there.
    """
    test = two_sample_test(
        reference, batch, method=method, kernel=kernel, permutations=permutations, generator=generator
    )
    before, now = pair(reference, batch)
    mean, deviation = _spread(before)
    moved = _spread(now)[0] - mean
    shifts = torch.where(moved == 0, 0.0, moved / deviation)
    unlike = witness(reference, batch, batch, kernel=kernel)
    return Drift(
        test.p_value,
        test.mmd,
        test.method,
        shifts.abs().argsort(descending=True, stable=True),
        shifts,
        unlike.argsort(stable=True),
    )


def _spread(rows: Rows) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column [d]."""
    mean, _ = moments((rows,))
    squares = torch.zeros_like(mean)
    for block in rows.blocks():
        squares += (block - mean).square().sum(dim=0) / len(rows)
    return mean, squares.sqrt()
