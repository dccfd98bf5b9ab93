"""What an experiment compares: a TOML file of arms, seeds, rungs and data sets.

    seeds = [0, 1, 2]
    shots = [5, "all"]              # rungs: so many labels a class of the target; all where none is named
    split = "folds"                 # each seed tests another fifth of the target's pairs; its own split where left out
    reference = "target-only"       # every other arm is compared with this one
    contrasts = [["dckt", "no-mmd"]]  # and these with one another

    [base]                          # configuration keys that all arms share
    preset = "paper"

    [data.photos]                   # and those of a data set
    source = "flickr"
    target = "pascal"

    [rungs.pairs]                   # what the target offers, in further keys
    title = "pairs without labels"
    above = ["unpaired"]            # rungs that offer less, to be compared with; the one before where left out
    offer.labels = "none"

    [arms.dckt]                     # what sets an arm apart; nothing, here
    [arms.target-only]
    checkpoint = "control"          # the target-only twin that every run trains
    [arms.no-mmd]
    like = "dckt"                   # that arm's keys, and these
    loss.media.weight = 0.0
    loss.correlation.weight = 0.0
    [arms.cca]
    baseline = "cca"                # another method, on the same frozen features
    rungs = ["pairs"]               # on these alone
    seeds = [0]                     # and with fewer seeds

Layers, each winning over the one before: preset, the target data set's own settings, base, data, arm, rung, seed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dckt_core.base.errors import UsageError, did_you_mean, one_line
from dckt_core.config import Section, merge, read_toml
from dckt_core.contract.pairs import ROLES
from dckt_core.data.folds import FOLDS
from dckt_core.io.complaint import complaint

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
    """Another arm, whose configuration this one begins with, and whose rungs and seeds it has unless it says so."""
    rungs: tuple[str, ...] | None = None
    """The rungs that it is tried on; all where left out."""
    seeds: tuple[Seed, ...] | None = None
    """Those of the plan's seeds that it has; all where left out."""

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Rung(BaseModel):
    """What the target offers. Keys besides these are configuration."""

    model_config = ConfigDict(extra="allow", frozen=True)

    title: str = ""
    """What it is called where people read it; by its name where left out."""
    above: tuple[str, ...] | None = None
    """Rungs that offer less than this one; the one before it where left out."""

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class _File(Section):
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    split: Literal["official", "folds"] = "official"
    folds: Annotated[int, Field(ge=3)] | None = None
    shots: Annotated[tuple[Shots, ...], Field(min_length=1)] | None = None
    reference: str | None = None
    contrasts: tuple[tuple[str, str], ...] = ()
    keep_checkpoints: bool = False
    base: dict[str, Any] = Field(default_factory=dict)
    data: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    rungs: dict[str, Rung] = Field(default_factory=dict)
    arms: Annotated[dict[str, Arm], Field(min_length=1)]


@dataclass(frozen=True)
class Plan:
    """A plan, checked. `read_plan` makes one.

    Attributes:
        folds: each seed tests another one of so many folds of the target; None where the data set's own split stays.
        rungs: in their order, by name; those of `shots` first.
        contrasts: (arm, the one it is compared with), in the order of the report.
        keep_checkpoints: leave the networks of finished runs on the disk.
    """

    name: str
    seeds: tuple[int, ...]
    folds: int | None
    contrasts: tuple[tuple[str, str], ...]
    keep_checkpoints: bool
    base: Mapping[str, Any]
    data: Mapping[str, Mapping[str, Any]]
    rungs: Mapping[str, Rung]
    arms: Mapping[str, Arm]

    def settings(self, data: str, arm: str, rung: str, seed: int) -> dict[str, Any]:
        """The configuration layer of one training."""
        layer = merge(merge(self.base, self.data[data]), self.arm_settings(arm))
        layer = merge(layer, self.rungs[rung].settings) | {"seed": seed}
        return layer if self.folds is None else merge(layer, {"offer": {"fold": seed, "folds": self.folds}})

    def arm_settings(self, arm: str) -> dict[str, Any]:
        """An arm's own keys over those of the arm that it is like."""
        own = self.arms[arm]
        return own.settings if own.like is None else merge(self.arm_settings(own.like), own.settings)

    def rungs_of(self, arm: str) -> Sequence[str]:
        """The rungs that an arm is tried on, in the plan's order."""
        own = self.arms[arm]
        if own.rungs is None:
            return list(self.rungs) if own.like is None else self.rungs_of(own.like)
        return [rung for rung in self.rungs if rung in own.rungs]

    def seeds_of(self, arm: str) -> Sequence[int]:
        """The seeds that an arm has, in the plan's order."""
        own = self.arms[arm]
        if own.seeds is None:
            return self.seeds if own.like is None else self.seeds_of(own.like)
        return [seed for seed in self.seeds if seed in own.seeds]

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Each rung with every one that it stands above."""
        names = list(self.rungs)
        steps = []
        for number, (name, rung) in enumerate(self.rungs.items()):
            below = names[max(number - 1, 0) : number] if rung.above is None else rung.above
            steps += [(name, other) for other in below]
        return steps

    def title(self, rung: str) -> str:
        """What people read, on one line."""
        return one_line(self.rungs[rung].title) or rung


def read_plan(file: Path, changes: Mapping[str, Any] | None = None) -> Plan:
    """Reads a plan; `changes` are laid over what the file says, table by table.

    Raises:
        UsageError: one line that names the file and what is wrong with it.
    """
    values = merge(read_toml(file), changes or {})
    for table in (
        values.get("base"),
        *(one for what in ("data", "rungs", "arms") for one in _tables(values.get(what))),
    ):
        if isinstance(table, dict):
            for role in ROLES:
                if isinstance(table.get(role), str):
                    table[role] = {"location": table[role]}
    try:
        return _checked(_File.model_validate(values), file.stem)
    except ValidationError as error:
        raise UsageError(f"{file}: {_complaint(error)}") from None
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None


def _checked(said: _File, name: str) -> Plan:
    rungs = _rungs(said)
    for word in (*said.data, *rungs, *said.arms):
        if not _NAME.fullmatch(word):
            raise UsageError(f"the name '{word}' may hold letters, digits, '.', '_', '+', '-' and no more")
    if len(set(said.seeds)) < len(said.seeds):
        raise UsageError("'seeds' names the same one twice")
    for what, table, kept in [
        ("base", said.base, {"seed", "shots"}),
        *((word, table, {"seed", "shots"}) for word, table in said.data.items()),
        *((word, arm.settings, {"seed", "shots"}) for word, arm in said.arms.items()),
        *((word, rung.settings, {"seed"}) for word, rung in said.rungs.items()),
    ]:
        for key in sorted(kept & table.keys()):
            raise UsageError(f"'{what}' may not say '{key}': a plan lists them for all arms")
    for word, rung in rungs.items():
        for below in rung.above or ():
            _check_named("rung", below, rungs)
            if below == word:
                raise UsageError(f"rung '{word}' is above itself")
    for word, arm in said.arms.items():
        _check_arm(word, arm, said.arms, rungs)
    if said.folds is not None and said.split != "folds":
        raise UsageError(f'folds = {said.folds} goes with split = "folds"')
    against = [(arm, said.reference) for arm in said.arms if said.reference not in (None, arm)]
    contrasts = [*((a, b) for a, b in against if b is not None), *said.contrasts]
    for named in (said.reference, *(word for pair in said.contrasts for word in pair)):
        if named is not None:
            _check_named("arm", named, said.arms)
    return Plan(
        name=name,
        seeds=said.seeds,
        folds=(said.folds or FOLDS) if said.split == "folds" else None,
        contrasts=tuple(dict.fromkeys(contrasts)),
        keep_checkpoints=said.keep_checkpoints,
        base=said.base,
        data=said.data,
        rungs=rungs,
        arms=said.arms,
    )


def _rungs(said: _File) -> dict[str, Rung]:
    """Those of `shots`, then those of the tables."""
    shots = said.shots or (() if said.rungs else ("all",))
    made: dict[str, Rung] = {}
    for count in shots:
        if str(count) in made or str(count) in said.rungs:
            raise UsageError(f"two rungs are called '{count}'")
        made[str(count)] = (
            Rung(title="all labels") if count == "all" else Rung(title=f"{count} labels a class", shots=count)
        )
    return made | said.rungs


def _check_arm(name: str, arm: Arm, arms: Mapping[str, Arm], rungs: Mapping[str, Rung]) -> None:
    from dckt_apps.experiment.baselines import BASELINES

    if arm.baseline is not None and arm.baseline not in BASELINES:
        raise UsageError(f"unknown baseline '{arm.baseline}'{did_you_mean(arm.baseline, BASELINES)}")
    for rung in arm.rungs or ():
        _check_named("rung", rung, rungs)
    if arm.like is not None and arm.like not in arms:
        raise UsageError(f"no arm '{arm.like}' to be like{did_you_mean(arm.like, arms)}")
    _check_likeness(arms, name)


def _check_named(what: str, name: str, names: Mapping[str, Any]) -> None:
    if name not in names:
        raise UsageError(f"no {what} '{name}'{did_you_mean(name, names)}")


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
    found = complaint(error)
    if found.kind == "unknown":
        return f"unknown key '{found.key}'{did_you_mean(found.key, _File.model_fields)}"
    if found.kind == "missing":
        return f"'{found.key}' is missing"
    return f"'{found.key}' = {found.value}: {found.text}"
