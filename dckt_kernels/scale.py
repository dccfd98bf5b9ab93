"""Rows of any length: squares that would overflow or vanish are kept from doing so by a power of two.

With bandwidths from the data, MMD^2 does not depend on a common factor of all rows, and a common offset changes nothing
anyway. So rows Z stand for (Z - z_0) 2^-e, which is exact but for what vanishes beside the longest; their gradient is
2^-e times that of the scaled rows, and a fixed sigma is 4^-e times as wide for them.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHORTEST, LONGEST = 1e-30, 1e30
"""Between these a mean squared length, or a bandwidth, is computed with as it is: the squares of float32 reach from
1e-38 to 3e38, and rows that are not all of one length, weights and sums take their share of that."""


def to_unit(z: Tensor, v: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """z [N, d] less its first row, scaled until the largest number in it is about 1, and the scale [], a power of two.

    Nothing waits for the device. Differentiable, the scale and the first row being constants; rows that v [N] weighs 0
    become 0. The scale is 1 where all rows coincide; numbers that are not finite stay so.
    """
    with torch.no_grad():
        first = z[:1] if v is None else z.index_select(0, (v > 0).to(torch.uint8).argmax().view(1))
    z = z - first
    if v is not None:
        z = torch.where((v > 0)[:, None], z, 0.0)
    with torch.no_grad():
        largest = z.abs().amax()
        # The reciprocal of float32's smallest normal number is its largest power of two but one.
        bound = 126 if z.dtype == torch.float32 else 1022
        exponent = torch.frexp(largest).exponent.clamp(-bound, bound)
        scale = torch.ldexp(torch.ones_like(largest), -exponent)
    return z * scale, scale


def fits(squared_length: float, sigma: float | None) -> bool:
    """Whether rows of this mean squared length can be computed with as they are, and a fixed sigma, if given.

    False for what is not finite, and for 0, which squares of short rows vanish to.
    """
    return SHORTEST < squared_length < LONGEST and (sigma is None or SHORTEST < sigma < LONGEST)


def can_tell(z: Tensor) -> bool:
    """Whether the numbers in z can be looked at: there is no device to wait for, no graph to trace, no batch."""
    return z.device.type == "cpu" and not (torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active())


def scaled_sigma(sigma: float | None, scale: float) -> float | None:
    """A fixed sigma for float64 rows scaled by `to_unit`, which are about 1 long at most in each column.

    One so narrow that all kernels are 0 is a little wider instead, and one so wide that all are 1 a little narrower.
    """
    return None if sigma is None else min(max(sigma * scale * scale, 1e-60), 1e200)
