"""The K Gaussians of geometric bandwidths, with one exponential a pair where the ladder allows it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor

from dckt_kernels.options import Options


class Ladder:
    """K Gaussians exp(-D / sigma_k), sigma_k = sigma * steps[k], as powers of the widest, t = exp(-D / sigma_max).

    `widest` = sigma_max / sigma, `narrowest` = sigma_min / sigma; `powers` = sigma_max / sigma_k, ascending from 1. For
    kernel_mul 2 (or 1/2) they are 1, 2, 4, 8, ..., and each Gaussian is the square of the one before it.
    """

    def __init__(self, options: Options) -> None:
        steps = options.ladder
        self.widest, self.narrowest = max(steps), min(steps)
        self.powers = sorted(self.widest / step for step in steps)
        self.doubling = options.kernel_mul in (2.0, 0.5)

    def rungs_(self, exponent: Tensor) -> Iterator[tuple[float, Tensor]]:
        """Yield (p_k, t^p_k), widest first. exponent = -D / sigma_max is overwritten; so is each rung by the next."""
        t = exponent.exp_() if self.doubling else torch.exp(exponent)
        yield 1.0, t
        for power in self.powers[1:]:
            if self.doubling:
                t.mul_(t)
            else:
                torch.mul(exponent, power, out=t).exp_()
            yield power, t


@lru_cache(maxsize=16)
def ladder_of(options: Options) -> Ladder:
    """The ladder of these options, made once."""
    return Ladder(options)
