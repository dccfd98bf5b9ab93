"""What a training tells of itself while it runs: rows of metrics, and what the sampler chose, for the observers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dckt_core.contract.guards import GuardedObserver
from dckt_core.contract.pairs import Pair
from dckt_core.contract.protocols import Selection
from dckt_core.engine.processes import Engine

CURVE_POINTS = 20
"""Rows of the learning curve that each phase or iteration leaves."""


@dataclass(frozen=True)
class Loss:
    """A loss and the terms it was made of, unweighted, by name."""

    total: Tensor
    terms: Mapping[str, Tensor] = field(default_factory=dict)


class Record:
    """Rows in the order in which things happened. The main process tells the observers of them.

    Attributes:
        history: all rows so far: `phase`, `iteration`, `update`, and figures by name.
    """

    def __init__(self, engine: Engine, observers: Sequence[GuardedObserver]) -> None:
        self.history: list[dict[str, Any]] = []
        self._engine = engine
        self._observers = observers
        self._running: dict[str, list[Tensor]] = defaultdict(list)

    def note(self, terms: Mapping[str, Tensor]) -> None:
        """Keeps a batch's loss terms, scalars, for the next row of the learning curve."""
        for name, term in terms.items():
            self._running[name].append(term.detach())

    def curve(self, phase: str, iteration: int, update: int, updates: int) -> None:
        """A row of means over the updates since the last one, where it is time for one."""
        every = -(-updates // CURVE_POINTS)
        if update % every and update != updates:
            return
        means = {name: torch.stack(values).mean() for name, values in self._running.items()}
        self._running.clear()
        self.row(phase, iteration, update, {name: float(self._engine.mean(mean)) for name, mean in means.items()})

    def row(self, phase: str, iteration: int, update: int, figures: Mapping[str, float]) -> None:
        row = {"phase": phase, "iteration": iteration, "update": update, **figures}
        self.history.append(row)
        if self._engine.is_main:
            for observer in self._observers:
                observer.on_metrics(row)

    def selection(self, iteration: int, selection: Selection, pairs: Sequence[Pair]) -> int:
        """What was kept of the target's training pairs: a row of means, and a row a pair. How many were kept."""
        kept = torch.zeros(len(pairs), dtype=torch.bool)
        kept[selection.indices] = True
        figures = {"kept": float(kept.sum()), "kept_share": float(kept.double().mean())}
        for name, values in selection.details.items():
            values = values.double()
            figures[f"{name}_mean"] = float(values.mean())
            for part, mask in (("kept", kept), ("left", ~kept)):
                if mask.any():
                    figures[f"{name}_{part}"] = float(values[mask].mean())
        self.row("selection", iteration, 0, figures)
        details = {name: values.tolist() for name, values in selection.details.items()}
        rows = [
            {"id": pair.id, "kept": int(kept[q]), **{name: values[q] for name, values in details.items()}}
            for q, pair in enumerate(pairs)
        ]
        if self._engine.is_main:
            for observer in self._observers:
                observer.on_selection(iteration, rows)
        return int(kept.sum())

    def observer_states(self) -> list[dict[str, Any]]:
        return [observer.state_dict() for observer in self._observers]

    def running(self) -> dict[str, Tensor]:
        """The terms that the learning curve has yet to tell of, as every process saw them: [processes, batches]."""
        own = {name: torch.stack(values).cpu() for name, values in self._running.items()}
        everywhere = self._engine.from_all(own)
        return {name: torch.stack([seen[name] for seen in everywhere]) for name in own}

    def restore(
        self,
        history: list[dict[str, Any]],
        running: Mapping[str, Tensor],
        observer_states: Iterable[dict[str, Any]],
    ) -> None:
        """Takes back what `history`, `running` and `observer_states` gave."""
        self.history = history
        self._running = defaultdict(list)
        for name, values in running.items():
            if values.ndim == 2:  # once there were the main process's alone
                values = values[self._engine.process % len(values)]
            self._running[name] = list(values.to(self._engine.device).unbind())
        for observer, state in zip(self._observers, observer_states, strict=False):
            observer.load_state_dict(state)
