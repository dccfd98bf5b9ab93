"""The two estimators of O(N d): over consecutive quadruples of rows, and over random ones. Plain torch, any device."""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_kernels.bandwidth import mean_distance, pooled_weights
from dckt_kernels.options import Options, accumulation_dtype
from dckt_kernels.scale import LONGEST, SHORTEST, can_tell, fits, to_unit

Quadruples = tuple[Tensor, Tensor, Tensor, Tensor]


def consecutive(n: int, m: int, device: torch.device) -> Quadruples:
    """(x_0, x_1, y_0, y_1), (x_2, x_3, y_2, y_3), ...: floor(min(n, m) / 2) of them; rows left over are not used."""
    first = 2 * torch.arange(min(n, m) // 2, device=device)
    return first, first + 1, first, first + 1


def random(n: int, m: int, device: torch.device, generator: torch.Generator) -> Quadruples:
    """max(n, m) draws of s1 != s2 from X and t1 != t2 from Y, each pair uniform over the ordered pairs of its rows."""
    count = max(n, m)

    def distinct(rows: int) -> tuple[Tensor, Tensor]:
        first = torch.randint(rows, (count,), generator=generator, device=generator.device)
        second = torch.randint(rows - 1, (count,), generator=generator, device=generator.device)
        return first.to(device), (second + (second >= first)).to(device)

    return (*distinct(n), *distinct(m))


def mmd(
    x: Tensor,
    y: Tensor,
    options: Options,
    sigma: float | None,
    weights_x: Tensor | None,
    weights_y: Tensor | None,
    quadruples: Quadruples,
) -> Tensor:
    """The mean over quadruples of k(s1, s2) + k(t1, t2) - k(s1, t2) - k(s2, t1) -> scalar.

    With sample weights the mean is weighted by the product of the four rows' weights. Autograd keeps the same draws
    for the gradient.
    """
    dtype = accumulation_dtype(x.dtype)
    n = x.shape[0]
    with torch.autocast(x.device.type, enabled=False):
        v = pooled_weights(x, y, weights_x, weights_y)
        x, y = x.to(dtype), y.to(dtype)
        with torch.set_grad_enabled(options.bandwidth_grad and torch.is_grad_enabled()):
            bandwidth = _bandwidth(torch.cat([x, y]), v, sigma, None)
        if not (can_tell(x) and fits(1.0 if sigma else float(bandwidth.detach()), sigma)):
            z, scale = to_unit(torch.cat([x, y]), v)
            x, y = z[:n], z[n:]
            bandwidth = _bandwidth(z, v, sigma, scale)
        if not options.bandwidth_grad:
            bandwidth = bandwidth.detach()
        s1, s2, t1, t2 = quadruples
        a, b, c, d = (_rows(z, index) for z, index in ((x, s1), (x, s2), (y, t1), (y, t2)))
        terms = (
            _kernel(a - b, bandwidth, options)
            + _kernel(c - d, bandwidth, options)
            - _kernel(a - d, bandwidth, options)
            - _kernel(b - c, bandwidth, options)
        )
        if weights_x is None and weights_y is None:
            return terms.mean()
        weight = torch.ones_like(terms)
        if weights_x is not None:
            u = weights_x / weights_x.amax()
            weight = weight * u[s1] * u[s2]
        if weights_y is not None:
            w = weights_y / weights_y.amax()
            weight = weight * w[t1] * w[t2]
        return (weight * terms).sum() / weight.sum().clamp_min(torch.finfo(dtype).tiny)


def _bandwidth(z: Tensor, v: Tensor | None, sigma: float | None, scale: Tensor | None) -> Tensor:
    """[], of rows that were multiplied by `scale`. A sigma so wide that all kernels are 1 is a little narrower instead,
    and one so narrow that all are 0 a little wider."""
    if sigma is None:
        return mean_distance(z, v)
    wide = torch.full((), sigma, dtype=torch.float64, device=z.device)
    return (wide if scale is None else wide * scale.double().square()).clamp(SHORTEST, LONGEST).to(z.dtype)


def _kernel(difference: Tensor, bandwidth: Tensor, options: Options) -> Tensor:
    """The mean of K Gaussians of the rows of `difference` [M, d] -> [M]."""
    distance = difference.square().sum(-1)
    collapsed = bandwidth == 0
    scaled = distance / torch.where(collapsed, torch.ones_like(bandwidth), bandwidth)
    kernel = torch.stack([torch.exp(-scaled / step) for step in options.ladder]).mean(0)
    return torch.where(collapsed, torch.ones_like(kernel), kernel)


def _rows(z: Tensor, index: Tensor) -> Tensor:
    """z[index], by the form whose gradient adds up in a fixed order: sorted on CUDA, sequential on the CPU."""
    return z[index] if z.is_cuda else z.index_select(0, index)
