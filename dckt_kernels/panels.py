"""MMD of many rows: the pairs are walked block by block over the upper triangle, the gradient is formed on the way.

Beside Z and the gradient, N d each, only two blocks of pairs are held at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from dckt_kernels.ladder import ladder_of
from dckt_kernels.options import Options
from dckt_kernels.pair_weights import PairWeights
from dckt_kernels.pooled import anchor_, collapsed, drowned, mean_distance, pool, too_coarse
from dckt_kernels.product import product
from dckt_kernels.scale import fits, scaled_sigma, to_unit

BLOCK_ROWS = 1024
NORM_ROWS = 4096  # rows squared at once


def panels(
    x: Tensor,
    y: Tensor,
    options: Options,
    sigma: float | None,
    weights: PairWeights,
    gradient: bool,
    own: Sequence[slice] | None = None,
    total: Callable[[float], float] = float,
    scaled: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """x [n, d], y [m, d] -> the value [], and its gradient by Z = [X; Y] [N, d] if asked for.

    scaled: the rows are as `to_unit` leaves them.
    With `own`, slices of the rows of Z, only the pairs (i, j) with i among them are walked and only these rows of the
    gradient are filled in; `total` then adds up a number over all who share the work.
    """
    n, v = weights.n, weights.v
    through_bandwidth = gradient and options.bandwidth_grad and sigma is None
    z = pool(x, y, weights, twice=through_bandwidth)
    norms, rest = _moments(z, weights)
    if not (scaled or fits(norms / weights.total, sigma)):
        del z
        unit, scale = to_unit(torch.cat([x, y]).double(), v)
        sigma = scaled_sigma(sigma, float(scale))
        value, grad = panels(unit[:n], unit[n:], options, sigma, weights.double(), gradient, own, total, scaled=True)
        return value.to(v.dtype), None if grad is None else grad.mul_(scale).to(v.dtype)
    if drowned(rest, norms, weights):
        anchor_(z, weights)
        norms, rest = _moments(z, weights)
    ladder, given = ladder_of(options), sigma
    if sigma is None:
        sigma = mean_distance(norms, rest, weights)
        if collapsed(sigma, z.dtype):
            return z.new_zeros(()), torch.zeros_like(z) if gradient else None
    if too_coarse(float(_squared_norms(z).max()), sigma * ladder.narrowest, z.dtype):
        value, grad = panels(x.double(), y.double(), options, given, weights.double(), gradient, own, total)
        return value.to(z.dtype), None if grad is None else grad.to(z.dtype)

    # With Z scaled by sqrt(2 / sigma_max), -D_ij / sigma_max = z_i . z_j - h_i - h_j, h = ||z||^2 / 2.
    shrink = (2 / (sigma * ladder.widest)) ** 0.5
    z.mul_(shrink)
    half = _squared_norms(z).div_(2)
    az = torch.zeros_like(z) if gradient else None  # A Z, up to a factor
    row_sums = torch.zeros_like(v) if gradient else None  # A 1, up to the same factor

    summed = 0.0
    room = z.new_empty(BLOCK_ROWS * BLOCK_ROWS) if gradient else None
    for rows, columns in _upper_triangle(n, z.shape[0]) if own is None else _strips(n, z.shape[0], own):
        batch = [rows.stop - rows.start, columns.stop - columns.start]
        exponent = product(z[rows], z[columns].t(), -half[columns], batch=batch)
        exponent.sub_(half[rows, None])
        slope = room[: exponent.numel()].view_as(exponent) if room is not None else None
        on_diagonal = rows == columns
        mirrored = own is None and not on_diagonal
        if on_diagonal:
            exponent.fill_diagonal_(0)
        sums = torch.zeros_like(v[rows])
        for rung, (power, t) in enumerate(ladder.rungs_(exponent)):
            sums.add_(t.sum(1) if weights.uniform else torch.mv(t, v[columns]))
            if slope is not None:
                slope.copy_(t) if rung == 0 else slope.add_(t, alpha=power)
        del exponent, t  # before the next block is made
        c = weights.block(rows.start, columns.start)
        summed += (2 if mirrored else 1) * c * float(sums.double().dot(v[rows].double()))
        if az is None or row_sums is None or slope is None:
            continue
        if on_diagonal:
            slope.fill_diagonal_(0)  # cancels in A - diag(A 1): leave it out rather than subtract it again
        if not weights.uniform:
            slope.mul_(v[columns]).mul_(v[rows, None])
        az[rows].add_(product(slope, z[columns], batch=batch), alpha=c)
        row_sums[rows].add_(slope.sum(1), alpha=c)  # sum() adds pairwise: a product with ones is 6 times less exact
        if mirrored:
            az[columns].add_(product(slope.t(), z[rows], batch=batch), alpha=c)
            row_sums[columns].add_(slope.sum(0), alpha=c)

    result = z.new_tensor(total(summed) / options.kernel_num - weights.diagonal)
    if az is None or row_sums is None:
        return result, None
    # Scaled z stands for shrink * z, so one factor of 4 / (K sigma_max) = 2 shrink^2 / K is left as 2 shrink / K.
    grad = az.addcmul_(row_sums[:, None], z, value=-1).mul_(2 * shrink / options.kernel_num)
    if through_bandwidth:
        # MMD^2 is unchanged when Z grows by s and sigma by s^2, so dMMD^2/dsigma = -(Z . grad) / (2 sigma).
        slope_sigma = -total(float(torch.dot(z.view(-1), grad.view(-1)))) / (2 * sigma * shrink)
        grad.addcmul_(z, v[:, None], value=slope_sigma * 4 * weights.total / weights.off_diagonal / shrink)
    return result, grad


def _upper_triangle(n: int, rows: int) -> Iterator[tuple[slice, slice]]:
    """The blocks (i, j), i <= j, of the pairs of `rows` rows. None crosses row n, where X ends and Y begins."""
    spans = _spans([0, n, rows])
    for i, span in enumerate(spans):
        for other in spans[i:]:
            yield span, other


def _strips(n: int, rows: int, own: Sequence[slice]) -> Iterator[tuple[slice, slice]]:
    """The blocks (i, j) of all pairs whose first row is in `own`. None crosses row n, or an end of `own`."""
    spans = _spans([0, n, rows, *(edge for part in own for edge in (part.start, part.stop))])
    for part in own:
        for span in spans:
            if part.start <= span.start and span.stop <= part.stop:
                for other in spans:
                    yield span, other


def _spans(edges: Sequence[int]) -> list[slice]:
    """Runs of at most BLOCK_ROWS rows between neighbouring edges."""
    return [
        slice(start, min(start + BLOCK_ROWS, stop))
        for first, stop in pairwise(sorted(set(edges)))
        for start in range(first, stop, BLOCK_ROWS)
    ]


def _squared_norms(z: Tensor) -> Tensor:
    return torch.cat([rows.square().sum(1) for rows in torch.split(z, NORM_ROWS)])


def _moments(z: Tensor, weights: PairWeights) -> tuple[float, float]:
    """sum v_i ||z_i||^2 and ||sum v_i z_i||^2."""
    v = weights.v
    rest = torch.mv(z.t(), v)
    return float(_squared_norms(z).double().dot(v.double())), float(rest.dot(rest))
