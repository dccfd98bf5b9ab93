"""Run folders read back as plain data: what was set, how it went, what came out. No torch in here.

Lenient where `model.load` is strict: a run that is still training, was stopped or was made by another version has
something to show too. What a run lacks is None or empty here.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from dckt_core.base.errors import DataError
from dckt_core.io.files import is_held
from dckt_core.io.json import read_json
from dckt_core.io.limits import CONFIG, TABLE
from dckt_core.io.seal import Seal
from dckt_core.io.tables import TableReader
from dckt_core.io.text import parse_toml
from dckt_core.runs.layout import Layout
from dckt_core.runs.results import Results, lookup
from dckt_core.runs.seal import is_finished, run_seal

Row = TypeVar("Row")
Status = Literal["finished", "training", "stopped", "failed"]

_FAILED = re.compile(r"\.failed-\d+$")


@dataclass(frozen=True)
class Measurement:
    """One row of `metrics.csv`."""

    phase: str
    iteration: int
    update: int
    metric: str
    value: float


@dataclass(frozen=True)
class Choice:
    """One row of `selection.csv`: a target pair at one iteration.

    Attributes:
        details: what the sampler told of the pair besides, such as its `ap`, which is a mean of both directions with
            the samplers in the box.
    """

    iteration: int
    id: str
    kept: bool
    details: Mapping[str, float]


@dataclass(frozen=True)
class RunRecord:
    """A run folder. Everything but `path` is read when it is asked for, and raises DataError where it is broken."""

    path: Path

    @cached_property
    def files(self) -> Layout:
        return Layout(self.path)

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def seal(self) -> Seal | None:
        """What vouches for the files; None while the run is not finished."""
        return run_seal(self.path) if is_finished(self.path) else None

    def _checked(self, file: Path) -> Path:
        """A file of the run, where it is what it was when the run ended."""
        if self.seal is not None and (file.exists() or file.name in self.seal.files):
            self.seal.check(file)
        return file

    def _read(self, file: Path, what: str) -> dict[str, Any] | None:
        """What a JSON file of the run holds; None where it is not there, or not there yet."""
        return read_json(file, what) if self._checked(file).exists() else None

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration, as nested tables."""
        self._checked(self.files.config)
        try:
            return parse_toml(CONFIG.read(self.files.config).decode("utf-8"))
        except ValueError as error:
            raise DataError(f"{self.files.config}: not the configuration of a run: {error}") from None

    @cached_property
    def summary(self) -> dict[str, Any] | None:
        """The outcome; None while the run is not finished."""
        return None if self.seal is None else self._read(self.files.summary, "the summary of a run")

    @cached_property
    def results(self) -> Results:
        """The outcome, figure by figure; none while the run is not finished."""
        return Results(self.summary or {}, self.files.summary)

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions and machine; empty where they were not written."""
        return self._read(self.files.environment, "the environment of a run") or {}

    @property
    def packages(self) -> dict[str, str]:
        """Versions of the packages that figures depend on, by name."""
        packages = lookup(self.environment, "packages")
        return {name: str(version) for name, version in packages.items()} if isinstance(packages, Mapping) else {}

    @cached_property
    def model(self) -> dict[str, Any]:
        """Classes, digests of the pairs and encoders; empty where they were not written."""
        return self._read(self.files.model, "the description of a model") or {}

    @cached_property
    def started(self) -> datetime:
        """When the command began, as it wrote itself; or else the time of the configuration file."""
        with suppress(ValueError, TypeError, KeyError):
            return datetime.fromisoformat(self.environment["started"]).replace(tzinfo=None)
        return datetime.fromtimestamp(self.files.config.stat().st_mtime)

    @property
    def status(self) -> Status:
        if is_finished(self.path):
            return "finished"
        if is_held(self.path):
            return "training"
        return "failed" if _FAILED.search(self.name) else "stopped"

    @cached_property
    def metrics(self) -> list[Measurement]:
        """`metrics.csv`, in the order in which it was measured; empty where no observer wrote it."""

        def measurement(row: Mapping[str, str]) -> Measurement:
            when = row["phase"], int(row["iteration"]), int(row["update"])
            return Measurement(*when, row["metric"], float(row["value"]))

        return _read_csv(
            self._checked(self.files.metrics), ("phase", "iteration", "update", "metric", "value"), measurement
        )

    @cached_property
    def selection(self) -> list[Choice]:
        """`selection.csv`, iteration by iteration; empty where no observer wrote it."""
        fixed = ("iteration", "id", "kept")

        def choice(row: Mapping[str, str]) -> Choice:
            details = {name: float(value) for name, value in row.items() if name not in fixed and value}
            return Choice(int(row["iteration"]), row["id"], row["kept"] == "1", details)

        return _read_csv(self._checked(self.files.selection), fixed, choice)


def read_run(path: Path | str) -> RunRecord:
    """The record of one run folder.

    Raises:
        DataError: there is no run.
    """
    record = RunRecord(Path(path))
    if not record.files.config.is_file():
        raise DataError(f"{record.path}: no such run" if not record.path.exists() else f"{record.path}: no run folder")
    return record


def list_runs(runs_dir: Path) -> list[RunRecord]:
    """Every run folder in a folder, the oldest first.

    Raises:
        DataError: there is no such folder.
    """
    try:
        folders = [entry for entry in runs_dir.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{runs_dir}: {error.strerror or error}") from None
    records = [RunRecord(folder) for folder in folders if Layout(folder).config.is_file()]
    return sorted(records, key=lambda record: (record.started, record.name))


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys.

    >>> flatten({"loss": {"pair": {"fc6": 1.0}}, "seed": 0})
    {'loss.pair.fc6': 1.0, 'seed': 0}
    """
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def differences(records: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """Settings, versions and facts of the machine in which runs differ: their values by dotted key, None for none. When
    a run began is none of these.
    """
    facts = [{name: fact for name, fact in record.environment.items() if name != "started"} for record in records]
    tables = [flatten(record.config | {"environment": known}) for record, known in zip(records, facts, strict=True)]
    keys = dict.fromkeys(key for table in tables for key in table)
    values = {key: [table.get(key) for table in tables] for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def _read_csv(file: Path, columns: Sequence[str], parse: Callable[[Mapping[str, str]], Row]) -> list[Row]:
    """Rows of a file that a training may be appending to: a last line that is not whole yet is left out."""
    try:
        text = TABLE.read(file).decode("utf-8") if file.exists() else ""
    except ValueError as error:
        raise DataError(f"{file}: cannot be read: {error}") from None
    reader = TableReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    try:
        missing = [column for column in columns if column not in (reader.fieldnames or columns)]
        if missing:
            raise ValueError(f"lacks the column '{missing[0]}'")
        return [parse(row) for row in reader]
    except (ValueError, TypeError, csv.Error) as error:  # TypeError: a line with too few fields has None in it
        raise DataError(f"{file}:{max(reader.line_num, 1)}: {error}") from None
