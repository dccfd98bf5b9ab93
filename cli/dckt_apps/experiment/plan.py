"""What an experiment compares: a TOML file of arms, seeds, shots and data sets.

    seeds = [0, 1, 2]
    shots = [5, "all"]              # training pairs a class of the target; all where the line is left out
    reference = "target-only"       # every other arm is compared with this one
    contrasts = [["dckt", "no-mmd"]]  # and these with one another

    [base]                          # configuration keys that all arms share
    preset = "paper"

    [data.photos]                   # and those of a data set
    source = "flickr"
    target = "pascal"

    [arms.dckt]                     # what sets an arm apart; nothing, here
    [arms.target-only]
    checkpoint = "control"          # the target-only twin that every run trains
    [arms.no-mmd]
    like = "dckt"                   # that arm's keys, and these
    loss.media.weight = 0.0
    loss.correlation.weight = 0.0
    [arms.cca]
    baseline = "cca"                # another method, on the same frozen features

Layers, each winning over the one before: preset, the target data set's own settings, base, data, arm, seed and shots.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dckt_core.base.errors import UsageError, did_you_mean
from dckt_core.config import Section, merge, read_toml

_NAME = re.compile(r"[\w.+-]+")
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Shots = Annotated[int, Field(ge=1)] | Literal["all"]


class Arm(BaseModel):
    """One way of training. Keys besides these are configuration."""

    model_config = ConfigDict(extra="allow", frozen=True)

    checkpoint: Literal["before", "control", "after", "result"] = "result"
    """Which network of the run the arm is: before transfer, the target-only control, or after transfer."""
    baseline: str | None = None
    """A method of `dckt_apps.experiment.baselines` in place of a training run."""
    like: str | None = None
    """Another arm, whose configuration this one begins with."""

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class _File(Section):
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    shots: Annotated[tuple[Shots, ...], Field(min_length=1)] = ("all",)
    reference: str | None = None
    contrasts: tuple[tuple[str, str], ...] = ()
    keep_checkpoints: bool = False
    base: dict[str, Any] = Field(default_factory=dict)
    data: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    arms: Annotated[dict[str, Arm], Field(min_length=1)]


@dataclass(frozen=True)
class Plan:
    """A plan, checked. `read_plan` makes one.

    Attributes:
        shots: None for all pairs.
        contrasts: (arm, the one it is compared with), in the order of the report.
        keep_checkpoints: leave the networks of finished runs on the disk.
    """

    name: str
    seeds: tuple[int, ...]
    shots: tuple[int | None, ...]
    contrasts: tuple[tuple[str, str], ...]
    keep_checkpoints: bool
    base: Mapping[str, Any]
    data: Mapping[str, Mapping[str, Any]]
    arms: Mapping[str, Arm]

    def settings(self, data: str, arm: str, seed: int, shots: int | None) -> dict[str, Any]:
        """The configuration layer of one training."""
        layer = merge(merge(self.base, self.data[data]), self.arm_settings(arm))
        return layer | {"seed": seed} | ({} if shots is None else {"shots": shots})

    def arm_settings(self, arm: str) -> dict[str, Any]:
        """An arm's own keys over those of the arm that it is like."""
        own = self.arms[arm]
        return own.settings if own.like is None else merge(self.arm_settings(own.like), own.settings)


def read_plan(file: Path, changes: Mapping[str, Any] | None = None) -> Plan:
    """Reads a plan; `changes` are laid over what the file says, table by table.

    Raises:
        UsageError: one line that names the file and what is wrong with it.
    """
    values = merge(read_toml(file), changes or {})
    for table in (values.get("base"), *_tables(values.get("data")), *_tables(values.get("arms"))):
        if isinstance(table, dict):
            for role in ("source", "target"):
                if isinstance(table.get(role), str):
                    table[role] = {"location": table[role]}
    try:
        return _checked(_File.model_validate(values), file.stem)
    except ValidationError as error:
        raise UsageError(f"{file}: {_complaint(error)}") from None
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None


def _checked(said: _File, name: str) -> Plan:
    from dckt_apps.experiment.baselines import BASELINES

    for word in (*said.data, *said.arms):
        if not _NAME.fullmatch(word):
            raise UsageError(f"the name '{word}' may hold letters, digits, '.', '_', '+', '-' and no more")
    for what, numbers in (("seeds", said.seeds), ("shots", said.shots)):
        if len(set(numbers)) < len(numbers):
            raise UsageError(f"'{what}' names the same one twice")
    for what, table in [("base", said.base), *said.data.items(), *((k, arm.settings) for k, arm in said.arms.items())]:
        for key in {"seed", "shots"} & table.keys():
            raise UsageError(f"'{what}' may not say '{key}': a plan lists them for all arms")
    for arm in said.arms.values():
        if arm.baseline is not None and arm.baseline not in BASELINES:
            raise UsageError(f"unknown baseline '{arm.baseline}': {did_you_mean(arm.baseline, BASELINES)}")
        if arm.like is not None and arm.like not in said.arms:
            raise UsageError(f"no arm '{arm.like}' to be like: {did_you_mean(arm.like, said.arms)}")
    for word in said.arms:
        _check_likeness(said.arms, word)
    against = [(arm, said.reference) for arm in said.arms if said.reference not in (None, arm)]
    contrasts = [*((a, b) for a, b in against if b is not None), *said.contrasts]
    for named in (said.reference, *(word for pair in said.contrasts for word in pair)):
        if named is not None and named not in said.arms:
            raise UsageError(f"no arm '{named}': {did_you_mean(named, said.arms)}")
    return Plan(
        name=name,
        seeds=said.seeds,
        shots=tuple(None if count == "all" else count for count in said.shots),
        contrasts=tuple(dict.fromkeys(contrasts)),
        keep_checkpoints=said.keep_checkpoints,
        base=said.base,
        data=said.data,
        arms=said.arms,
    )


def _check_likeness(arms: Mapping[str, Arm], name: str) -> None:
    """Raises where an arm is like itself, by way of others perhaps."""
    met, at = [name], arms[name].like
    while at is not None:
        if at in met:
            raise UsageError(f"arm '{name}' is like itself: {' -> '.join([*met, at])}")
        met, at = [*met, at], arms[at].like


def _tables(value: object) -> list[object]:
    return list(value.values()) if isinstance(value, dict) else []


def _complaint(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key '{where}': {did_you_mean(where, _File.model_fields)}"
    if first["type"] == "missing":
        return f"'{where}' is missing"
    return f"'{where}': {first['msg'].lower()}"
