"""Which rows are compared where there are more than are wanted."""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_core.base.rng import generator_for


def drawn(count: int, most: int, seed: int) -> Tensor:
    """Numbers of at most so many of `count` rows, int64, ascending; all of them where there are no more."""
    if count <= most:
        return torch.arange(count)
    return torch.randperm(count, generator=generator_for(seed, "gap"))[:most].sort().values
