"""Comparisons of numbers up to the rounding of sums, as dckt_core/testing/rounding.py has it.

Means and the like of float64 may be compared by `pytest.approx` as it is: its 1e-6 is billions of eps.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dckt_core.testing.rounding import rounding

SMALL = 1_000
"""What the networks that tests train add up on the way to a cosine, at most."""


def assert_same(
    found: Any, expected: Any, *, terms: int = 1, scale: float | None = None, dtype: torch.dtype | None = None
) -> None:
    """Fails unless the numbers of `found` are those of `expected`, [...] each, up to the rounding of sums.

    terms: how many numbers were added up for each; for sums of sums, all of them.
    scale: how large such a sum is where its terms do not happen to cancel, the root of the sum of their squares; by
        default the largest number expected.
    dtype: what was computed in; by default the coarser of the two dtypes.
    """
    found, expected = (torch.as_tensor(_plain(numbers)).detach() for numbers in (found, expected))
    dtype = dtype or max(found.dtype, expected.dtype, key=lambda kind: torch.finfo(kind).eps)
    if scale is None:
        scale = float(expected.abs().max()) if expected.numel() else 0.0
    allowed = rounding(dtype, terms) * scale
    torch.testing.assert_close(found.double(), expected.double(), rtol=0, atol=allowed)


def approx(expected: Any, *, terms: int = 1, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> Any:
    """What `pytest.approx` takes for the same number, or list of numbers: `assert_same` where plain numbers meet.

    scale: as of `assert_same`; figures such as average precisions are means of numbers up to 1.
    """
    return pytest.approx(expected, rel=0, abs=rounding(dtype, terms) * scale)


def path_terms(module: nn.Module) -> int:
    """How many numbers a network adds up on the way to one output: each of its layers' inputs to one of its outputs."""
    return sum(weight[0].numel() for weight in module.parameters() if weight.ndim > 1)


def _plain(numbers: Any) -> Any:
    """Python's floats are float64."""
    if isinstance(numbers, Tensor) or hasattr(numbers, "__array__"):
        return numbers
    return torch.tensor(numbers, dtype=torch.float64)
