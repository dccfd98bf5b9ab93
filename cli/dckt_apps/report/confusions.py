"""Which classes are taken for one another, in words."""

from __future__ import annotations

import torch
from torch import Tensor


def largest_confusions(confusion: Tensor, count: int) -> list[tuple[int, int, float]]:
    """The `count` largest cells off the diagonal of a matrix [C, C]: query's class, result's class, share."""
    off = confusion * (1 - torch.eye(len(confusion), dtype=confusion.dtype))
    values, cells = off.flatten().sort(descending=True, stable=True)
    size = len(confusion)
    pairs = zip(cells.tolist(), values.tolist(), strict=True)
    return [(cell // size, cell % size, value) for cell, value in pairs if value > 0][:count]
