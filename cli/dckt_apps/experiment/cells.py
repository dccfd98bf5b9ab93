"""The single trainings of a plan. Each is known by a hash of its configuration, so a changed plan is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from dckt_apps.experiment.plan import Plan
from dckt_core.base.errors import UsageError
from dckt_core.config import Config
from dckt_core.contract.discovery import Registry
from dckt_core.runs.plugins import Plugins
from dckt_core.runs.setup import resolve_config

FORMAT = 2
"""Part of every key; counts up where the same configuration comes to train otherwise."""

CHANGES_NO_RESULT = ("preset", "observers", "checkpoint_minutes", "checkpoints_kept")
"""Keys of the configuration that are no part of a cell's key. A preset is what it says, whatever it is called."""

OF_BASELINES = (
    "seed",
    "source",
    "target",
    "shots",
    "offer",
    "encoder",
    "text_encoder",
    "prompts",
    "on_error",
    "device",
)
"""Keys that a baseline's outcome depends on. The source is one: an encoder may learn its vocabulary from its texts."""

KEY_LENGTH = 16


@dataclass(frozen=True)
class Task:
    """Something to train, once, however many arms read from it.

    Attributes:
        config: resolved, every plugin's options spelled out.
        baseline: a method in place of a training run.
    """

    config: Config
    baseline: str | None

    @cached_property
    def key(self) -> str:
        """Names the task: hexadecimal digits, the same on every machine."""
        values: dict[str, Any] = self.config.model_dump(mode="json")
        if self.baseline is None:
            decisive = {name: value for name, value in values.items() if name not in CHANGES_NO_RESULT}
        else:
            decisive = {name: values[name] for name in OF_BASELINES}
        said = json.dumps([FORMAT, self.baseline, decisive], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:KEY_LENGTH]


@dataclass(frozen=True)
class Cell:
    """One number of the table: an arm on a data set that offers so much, with a seed.

    Attributes:
        rung: what the target offers, by the plan's name for it.
        checkpoint: which network of the task's run the arm is.
    """

    data: str
    rung: str
    arm: str
    seed: int
    checkpoint: str
    task: Task

    def network(self, summary: Mapping[str, Any]) -> str:
        """The row of the task's summary that this cell reads."""
        if self.task.baseline is None and self.checkpoint == "result":
            return str(summary["test"]["result"])
        return self.task.baseline or self.checkpoint

    def not_applicable(self, summary: Mapping[str, Any]) -> str:
        """Why the arm has no number on this rung; empty where it has one."""
        if "not_applicable" in summary:
            return str(summary["not_applicable"])
        network = self.network(summary)
        return "" if network in summary["test"]["instances"] else f"the run trained no network '{network}'"

    def __str__(self) -> str:
        return f"{self.arm} on {self.data}, rung {self.rung}, seed {self.seed}"


def cells_of(plan: Plan, registry: Registry) -> list[Cell]:
    """All cells of a plan, seed by seed, so that an experiment that is cut short has whole comparisons.

    Raises:
        UsageError: an arm's configuration is wrong, or asks for the control of a run that trains none; it is named.
        DataError: a target data set is not there.
    """
    cells = []
    for seed, data, rung, name in product(plan.seeds, plan.data, plan.rungs, plan.arms):
        if rung not in plan.rungs_of(name) or seed not in plan.seeds_of(name):
            continue
        arm = plan.arms[name]
        try:
            config = resolve_config(registry, flags=plan.settings(data, name, rung, seed))
            config = Plugins(config, registry).config
            if arm.checkpoint == "control" and not config.transfer.control:
                raise UsageError("its checkpoint is 'control', and transfer.control = false trains none")
        except UsageError as error:
            raise UsageError(f"arm '{name}' on data '{data}', rung '{rung}': {error}") from None
        cells.append(Cell(data, rung, name, seed, arm.checkpoint, Task(config, arm.baseline)))
    return cells


def tasks_of(cells: Sequence[Cell]) -> list[Task]:
    """The tasks behind cells, each once, in their order."""
    return list({cell.task.key: cell.task for cell in cells}.values())
