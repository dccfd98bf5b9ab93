"""Samples as they are given, torch or NumPy, in memory or mapped from a file: taken block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

BLOCK = 4096
LARGEST = 1e300


class Rows:
    """Rows [n, d] of numbers, of which only a block is ever converted.

    Args:
        given: a tensor, or whatever NumPy takes for an array of real numbers.
        name: in errors.

    Raises:
        ValueError: not a matrix, or without rows.
        TypeError: not of real numbers.
    """

    def __init__(self, given: Any, name: str) -> None:
        if not isinstance(given, Tensor) and not hasattr(given, "__array__"):
            raise TypeError(f"{name} must be a torch tensor or a NumPy array, not {type(given).__name__}")
        shape = tuple(given.shape)
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"{name} must be [rows, width] with at least one row, not {shape}")
        self._given, self.name = given, name
        self.count, self.width = int(shape[0]), int(shape[1])
        self.device = given.device if isinstance(given, Tensor) else torch.device("cpu")
        first = self._taken(slice(0, 1))
        if first.is_complex() or first.dtype == torch.bool:
            raise TypeError(f"{name} must be of real numbers, not {first.dtype}")

    def __len__(self) -> int:
        return self.count

    def take(self, which: slice | Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
        """Some of the rows [k, d].

        Raises:
            ValueError: one holds a value that is not finite.
        """
        rows = self._taken(which).to(dtype)
        if not bool(torch.isfinite(rows).all()):
            raise ValueError(f"{self.name} holds values that are not finite")
        return rows

    def blocks(self, dtype: torch.dtype = torch.float64, size: int = BLOCK) -> Iterator[Tensor]:
        """All rows in order, `size` at a time."""
        for start in range(0, self.count, size):
            yield self.take(slice(start, min(start + size, self.count)), dtype)

    def _taken(self, which: slice | Tensor) -> Tensor:
        if isinstance(self._given, Tensor):
            return self._given[which].detach()
        import numpy as np

        part = np.array(self._given[which if isinstance(which, slice) else which.numpy()])
        if part.dtype.kind not in "fiu":
            raise TypeError(f"{self.name} must be of real numbers, not {part.dtype}")
        return torch.from_numpy(part.astype(np.float64 if part.dtype.kind == "u" else part.dtype.newbyteorder("=")))


def pair(x: Any, y: Any) -> tuple[Rows, Rows]:
    """Both samples.

    Raises:
        ValueError: of different widths.
    """
    first, second = Rows(x, "x"), Rows(y, "y")
    if first.width != second.width:
        raise ValueError(f"x has rows of width {first.width}, and y of {second.width}")
    return first, second


def moments(samples: tuple[Rows, ...]) -> tuple[Tensor, float]:
    """The mean [d] of all rows, and the mean squared distance of two of them that are not the same row, float64.

    0 where there is one row alone.
    """
    total = sum(len(rows) for rows in samples)
    mean = torch.zeros(samples[0].width, dtype=torch.float64, device=samples[0].device)
    for rows in samples:
        for block in rows.blocks():
            mean += block.sum(dim=0) / total
    scattered = 0.0
    for rows in samples:
        for block in rows.blocks():
            scattered += float((block - mean).square().sum())
    return mean, 2 * scattered / (total - 1) if total > 1 else 0.0


def unit(samples: tuple[Rows, ...]) -> tuple[Tensor, float]:
    """The mean [d] of all rows, and what to multiply the centred rows by so that their mean squared distance is 1.

    1 where all rows coincide.

    Raises:
        ValueError: squares of the rows leave what float64 holds.
    """
    mean, distance = moments(samples)
    if not distance < LARGEST:
        raise ValueError(f"{' and '.join(rows.name for rows in samples)} hold numbers too large for float64's squares")
    return mean, distance**-0.5 if distance > 0 else 1.0
