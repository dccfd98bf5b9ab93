"""Endless batches of row numbers, reshuffled each pass."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def repeat_in_order(kept: Tensor, length: int) -> Tensor:
    """Row numbers [k] repeated in order until there are `length` of them; longer lists stay whole.

    Images and texts share these numbers, so a pair stays together.

    >>> repeat_in_order(torch.tensor([4, 7]), 5)
    tensor([4, 7, 4, 7, 4])
    """
    if len(kept) >= length:
        return kept
    return kept.repeat(-(-length // len(kept)))[:length]


class RowStream:
    """Batches drawn from a list of rows without replacement; a batch may span the end of one pass and the next.

    Args:
        rows: row numbers [k], int64.
        batch: rows in a batch.
        generator: the source of the shuffles.
    """

    def __init__(self, rows: Tensor, batch: int, generator: torch.Generator) -> None:
        self.rows = rows
        self.batch = batch
        self.generator = generator
        self._pending = rows.new_empty(0)

    def next(self) -> Tensor:
        """The next row numbers [batch]."""
        while len(self._pending) < self.batch:
            order = torch.randperm(len(self.rows), generator=self.generator)
            self._pending = torch.cat([self._pending, self.rows[order]])
        batch, self._pending = self._pending[: self.batch], self._pending[self.batch :]
        return batch

    def state_dict(self) -> dict[str, Tensor]:
        """Where it is; the generator's state is kept by who owns it."""
        return {"rows": self.rows, "pending": self._pending}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes back what `state_dict` gave."""
        self.rows, self._pending = state["rows"], state["pending"]
