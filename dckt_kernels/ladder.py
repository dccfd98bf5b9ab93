"""The K Gaussians of geometric bandwidths, with one exponential a pair where the ladder allows it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor

from dckt_kernels.options import Options

SQUARINGS = 4
"""Squaring doubles a relative error: after so many an exponential is taken anew."""


class Ladder:
    """K Gaussians exp(-D / sigma_k), sigma_k = sigma * steps[k], as powers of the widest, t = exp(-D / sigma_max).

    `widest` = sigma_max / sigma, `narrowest` = sigma_min / sigma; `powers` = sigma_max / sigma_k, ascending from 1. For
    kernel_mul 2 (or 1/2) they are 1, 2, 4, 8, ..., and each Gaussian is the square of the one before it, but for every
    fifth.
    """

    def __init__(self, options: Options) -> None:
        steps = options.ladder
        self.widest, self.narrowest = max(steps), min(steps)
        self.powers = sorted(self.widest / step for step in steps)
        self.doubling = options.kernel_mul in (2.0, 0.5)

    def rungs_(self, exponent: Tensor) -> Iterator[tuple[float, Tensor]]:
        """Yield (p_k, t^p_k), widest first. exponent = -D / sigma_max is overwritten; so is each rung by the next."""
        in_place = self.doubling and len(self.powers) <= SQUARINGS + 1
        t = exponent.exp_() if in_place else torch.exp(exponent)
        yield 1.0, t
        for rung, power in enumerate(self.powers[1:], 1):
            if self.doubling and rung % (SQUARINGS + 1):
                t.mul_(t)
            else:
                torch.mul(exponent, power, out=t).exp_()
            yield power, t


@lru_cache(maxsize=16)
def ladder_of(options: Options) -> Ladder:
    """The ladder of these options, made once."""
    return Ladder(options)
