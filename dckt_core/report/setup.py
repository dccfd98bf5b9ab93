"""What was run: data, settings, versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dckt_core.run_records import RunRecord, flatten


@dataclass(frozen=True)
class DataRow:
    """One side's data; None where the run does not tell."""

    role: str
    origin: str
    classes: int | None
    train: int | None
    val: int | None
    test: int | None
    dropped: int | None


@dataclass(frozen=True)
class Setup:
    """What a run was made of.

    Attributes:
        facts: what matters most, by name.
        settings: every setting, by table and key.
    """

    data: list[DataRow]
    facts: Mapping[str, str]
    settings: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, str]


def setup(record: RunRecord) -> Setup:
    """Raises DataError where the run's files are broken."""
    config, summary, environment = record.config, record.summary or {}, record.environment
    classes = record.model.get("classes", {})
    data = []
    for role in ("source", "target"):
        said = summary.get(role, {})
        origin = str(said.get("origin") or config.get(role, {}).get("location", "?"))
        known = said.get("classes") or (len(classes[role]) if role in classes else None)
        dropped = summary.get("dropped", {}).get(role)
        data.append(DataRow(role, origin, known, said.get("train"), said.get("val"), said.get("test"), dropped))
    facts = {"preset": config.get("preset")}
    for name in ("encoder", "text_encoder", "discrepancy", "sampler"):
        facts[name.replace("_", " ")] = config.get(name, {}).get("name")
    facts |= {"seed": config.get("seed"), "training time": _duration(summary.get("seconds"))}
    machine = {name: environment.get(name) for name in ("python", "platform", "cpus", "threads", "accelerator")}
    return Setup(
        data=data,
        facts={name: str(value) for name, value in facts.items() if value is not None},
        settings=_tables(config),
        versions={
            name: str(value) for name, value in (environment.get("packages", {}) | machine).items() if value is not None
        },
    )


def _tables(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Settings by table; those of no table come first, under an empty name."""
    tables: dict[str, dict[str, str]] = {"": {}}
    for key, value in flatten(config).items():
        table, _, name = key.rpartition(".")
        tables.setdefault(table, {})[name] = str(value)
    return {table: settings for table, settings in tables.items() if settings}


def _duration(seconds: float | None) -> str | None:
    """
    >>> _duration(3725.2), _duration(19.5)
    ('1 h 2 min', '20 s')
    """
    if seconds is None:
        return None
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
