"""What was run: data, settings, versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dckt_core.contract.pairs import ROLES
from dckt_core.data.findings import Finding, of_json
from dckt_core.runs.record import RunRecord, flatten
from dckt_core.runs.results import lookup

COUNTS = {name: name for name in ("classes", "train", "unlabelled", "val", "test")} | {
    f"{medium}_alone": f"{medium} alone" for medium in ("images", "texts")
}
"""Fields of a `DataRow`, and what the summary calls them."""


@dataclass(frozen=True)
class DataRow:
    """One side's data; None where the run does not tell.

    train, unlabelled, images_alone, texts_alone: items for training: labelled pairs, pairs without a label, and those
        of one medium.
    """

    role: str
    origin: str
    classes: int | None
    train: int | None
    unlabelled: int | None
    images_alone: int | None
    texts_alone: int | None
    val: int | None
    test: int | None
    dropped: int | None


@dataclass(frozen=True)
class Setup:
    """What a run was made of.

    Attributes:
        facts: what matters most, by name.
        settings: every setting, by table and key.
        health: what was found of the data, with the side that it is of, what figures suffer from first.
    """

    data: list[DataRow]
    facts: Mapping[str, str]
    settings: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, str]
    health: list[tuple[str, Finding]]


def setup(record: RunRecord) -> Setup:
    """Raises DataError where the run's files are broken."""
    config, summary, environment = record.config, record.summary, record.environment
    data = []
    for role in ROLES:
        known = lookup(record.model, "classes", role)
        counts = {name: _count(lookup(summary, role, said)) for name, said in COUNTS.items()}
        if counts["classes"] is None and isinstance(known, list):
            counts["classes"] = len(known)
        origin = lookup(summary, role, "origin") or lookup(config, role, "location") or "?"
        data.append(DataRow(role, str(origin), **counts, dropped=_count(lookup(summary, "dropped", role))))
    facts = {"preset": config.get("preset")}
    for name in ("encoder", "text_encoder", "discrepancy", "sampler"):
        facts[name.replace("_", " ")] = lookup(config, name, "name")
    facts |= {"seed": config.get("seed"), "training time": _duration(lookup(summary, "seconds"))}
    machine = {name: environment.get(name) for name in ("python", "platform", "cpus", "threads", "accelerator")}
    found: list[tuple[str, Finding]] = [
        (role, one) for role in ROLES for one in of_json(lookup(summary, "health", role))
    ]
    health: list[tuple[str, Finding]] = sorted(found, key=lambda finding: not finding[1].grave)
    return Setup(data, _spelled_out(facts), _tables(config), record.packages | _spelled_out(machine), health)


def _spelled_out(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _tables(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Settings by table; those of no table come first, under an empty name."""
    tables: dict[str, dict[str, str]] = {"": {}}
    for key, value in flatten(config).items():
        table, _, name = key.rpartition(".")
        tables.setdefault(table, {})[name] = str(value)
    return {table: settings for table, settings in tables.items() if settings}


def _duration(seconds: Any) -> str | None:
    """
    >>> _duration(3725.2), _duration(19.5)
    ('1 h 2 min', '20 s')
    """
    if not isinstance(seconds, (int, float)):
        return None
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
