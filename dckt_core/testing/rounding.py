"""How far two ways of adding up the same numbers may lie apart: a matter of dtype and length, and of nothing else.

Processors, libraries and numbers of threads add up in orders of their own, with fused multiplications or without, and
each rounds its partial sums. A sum of n terms is then off by about eps sqrt(n), eps the distance from 1 to the next
number of the dtype, relative to what was added up: roundings are as good as independent and of mean 0 (Higham and Mary
2019, "A new approach to probabilistic rounding error analysis"). SAFETY times that much is granted, everywhere.
"""

from __future__ import annotations

import math

import torch

SAFETY = 8
"""Two values are compared, each with an error of its own, of thousands; sums follow upon sums."""


def rounding(dtype: torch.dtype, terms: int = 1) -> float:
    """How far apart two sums of so many terms may be, relative to the largest of such sums."""
    return SAFETY * float(torch.finfo(dtype).eps) * math.sqrt(terms)
