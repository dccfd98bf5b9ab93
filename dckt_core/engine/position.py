"""How far a training has come, and whether what a snapshot says of it can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Position:
    """How far training has come: `update` updates of a phase or iteration are done."""

    phase: str
    iteration: int = 0
    update: int = 0


def check_position(at: Position, updates: Mapping[str, int], iterations: Mapping[str, int]) -> None:
    """Raises ValueError where a training never comes to this place.

    Args:
        updates: of each phase, or of each iteration of it.
        iterations: of the phases that have any; they count from 1, and of the others there is iteration 0 alone.
    """
    known = range(1, iterations[at.phase] + 1) if at.phase in iterations else range(1)
    if at.update not in range(updates.get(at.phase, -1) + 1) or at.iteration not in known:
        raise ValueError(f"there is no update {at.update} of iteration {at.iteration} of '{at.phase}'")


def check_rows(rows: Tensor, count: int, role: str) -> None:
    """Raises ValueError unless these are row numbers [n] of the `count` pairs of a role; there may be none."""
    whole = rows.dtype == torch.int64 and rows.ndim == 1
    if not whole or (len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= count)):
        raise ValueError(f"it has pairs of the {role} that there are not")
