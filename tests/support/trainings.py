"""A small training, stopped where a test wants it, and what two trainings are compared by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dckt_core.base.errors import StoppedError
from dckt_core.contract.protocols import Selection
from dckt_core.engine.snapshot import Snapshot, load_snapshot
from dckt_core.method.loop import Trainer
from tests.support import tiny

SNAPSHOT: dict[str, Any] = {"network__media_width": 2, "network__common_width": 2, "transfer__control": False}
"""The training that every format of tests/formats keeps a snapshot of."""
STOPPED_AFTER = 12
"""Its updates until then."""


class Remembering:
    """A sampler whose choice depends on how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def select(self, state: Any) -> Any:
        self.asked += 1
        order = torch.randperm(len(state.labels), generator=state.generator)
        return Selection(indices=order[: 5 + self.asked])

    def state_dict(self) -> dict[str, Any]:
        return {"asked": self.asked}

    def load_state_dict(self, state: Any) -> None:
        self.asked = state["asked"]


class Drawing:
    """A discrepancy that draws, as the quadruple estimator does."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(3)

    def __call__(self, source: Tensor, target: Tensor) -> Tensor:
        return torch.rand((), generator=self.generator) * (source.mean(0) - target.mean(0)).square().sum()

    def state_dict(self) -> dict[str, Tensor]:
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: Any) -> None:
        self.generator.set_state(state["generator"])


def trainer(stop_after: int | None = None, **changes: Any) -> tuple[Trainer, list[Snapshot], dict[str, Any]]:
    """A trainer that asks to stop after some updates; what it keeps and what it saves."""
    config = tiny.config(**{"transfer__accumulation": 2, "checkpoint_minutes": 1e9, **changes})
    kept: list[Snapshot] = []
    saved: dict[str, Any] = {}
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == stop_after

    made = tiny.trainer(
        config,
        sampler=Remembering(),
        discrepancy=Drawing(),
        save=lambda what, network: saved.update({what: {k: v.clone() for k, v in network.state_dict().items()}}),
        keep=kept.append,
        stop=stop,
    )
    return made, kept, saved


def ending(made: Trainer) -> dict[str, Any]:
    """Everything that two trainings are compared by."""
    outcome = made.run()
    weights = {role: made.state.bare(role).state_dict() for role in made.state.networks}
    return {"weights": weights, "history": outcome.history, "after": outcome.after, "control": outcome.control}


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    found = [name for name in ("history", "after", "control") if first[name] != second[name]]
    for role, weights in first["weights"].items():
        found += [f"{role} {n}" for n, value in weights.items() if not torch.equal(value, second["weights"][role][n])]
    return found


def stopped_at(update: int, tmp_path: Any, **changes: Any) -> Snapshot:
    made, kept, _ = trainer(stop_after=update, **changes)
    with pytest.raises(StoppedError, match="after update"):
        made.run()
    kept[-1].save(tmp_path / "one")
    return load_snapshot(tmp_path / "one")


def at_update(monkeypatch: pytest.MonkeyPatch, number: int, do: Callable[[], object]) -> None:
    """Does something before the training's so-manieth update, counted over all phases."""
    step, count = Trainer._step, 0

    def counted(self: Trainer, *of_the_update: Any) -> None:
        nonlocal count
        count += 1
        if count == number:
            do()
        step(self, *of_the_update)

    monkeypatch.setattr(Trainer, "_step", counted)
