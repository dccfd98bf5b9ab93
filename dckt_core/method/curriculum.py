"""Which target pairs are learnt from: what the sampler sees of an iteration, and batches of the rows that it chose."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from dckt_core.contract.protocols import Representation
from dckt_core.data.domain import Domain
from dckt_core.engine.processes import Engine
from dckt_core.evaluation.views import layer_outputs, represent


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


class LiveSamplerState:
    """A `protocols.SamplerState` over the networks as they are now. Nothing is computed before it is asked for."""

    def __init__(
        self,
        *,
        iteration: int,
        source: tuple[nn.Module, Domain],
        target: tuple[nn.Module, Domain],
        generator: torch.Generator,
        engine: Engine,
    ) -> None:
        self.iteration = iteration
        self.generator = generator
        self.labels = target[1].train.labels
        self.source_labels = source[1].train.labels
        self._networks = {"source": source[0], "target": target[0]}
        self._data = {"source": source[1].train, "target": target[1].train}
        self._engine = engine
        self.layer = cache(self._layer)

    @cached_property
    def _by_source(self) -> Representation:
        with self._engine.evaluating(self._networks["source"]) as network:
            return represent(network, self._data["target"], self._engine.device)

    @cached_property
    def _by_target(self) -> Representation:
        with self._engine.evaluating(self._networks["target"]) as network:
            return represent(network, self._data["target"], self._engine.device)

    def target_by_source(self) -> Representation:
        return self._by_source

    def target_by_target(self) -> Representation:
        return self._by_target

    def target_losses(self) -> Tensor:
        rows = torch.arange(len(self.labels))
        view = self._by_target
        probability = torch.stack([view.image[rows, self.labels], view.text[rows, self.labels]])
        return -probability.clamp_min(torch.finfo(probability.dtype).tiny).log().sum(dim=0)

    def _layer(self, domain: Literal["source", "target"], name: str) -> Tensor:
        with self._engine.evaluating(self._networks[domain]) as network:
            return layer_outputs(network, self._data[domain], name, self._engine.device)
