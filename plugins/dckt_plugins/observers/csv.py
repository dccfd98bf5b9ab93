"""`csv`: `metrics.csv` and `selection.csv` in the run folder, each row on disk as soon as it is told.

`metrics.csv` is long: one measurement a row (`phase,iteration,update,metric,value`), so that a phase may measure what
no other does. `selection.csv` has a row for each target pair and iteration: `iteration,id,kept` and what the sampler
tells of a pair, such as its `ap`; a column that turns up later is empty in the rows before. A text that a spreadsheet
would run has an apostrophe in front.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dckt_core import (
    NoOptions,
    ObserverContext,
    StorageError,
    TableReader,
    add_to_table,
    write_atomically,
    write_table,
)

WHEN = ("phase", "iteration", "update")
METRIC_COLUMNS = (*WHEN, "metric", "value")


class CSVObserver:
    """Appends to two files of a run folder, or goes on with those of a run that was interrupted."""

    def __init__(self, options: NoOptions, context: ObserverContext) -> None:
        self._metrics = context.run_dir / "metrics.csv"
        self._selection = context.run_dir / "selection.csv"
        self._rows = {self._metrics.name: 0, self._selection.name: 0}

    def state_dict(self) -> dict[str, Any]:
        """How many rows each file had, so that a run that goes on can drop those that came after."""
        return dict(self._rows)

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        self._rows = dict(state)
        for file in (self._metrics, self._selection):
            _rewrite(file, _header(file), _rows(file)[: self._rows[file.name]])

    def on_metrics(self, row: Mapping[str, Any], /) -> None:
        when = {key: row[key] for key in WHEN}
        measured = [{**when, "metric": key, "value": float(row[key])} for key in row if key not in WHEN]
        self._tell(self._metrics, METRIC_COLUMNS, measured)

    def on_selection(self, iteration: int, rows: Sequence[Mapping[str, Any]], /) -> None:
        told = [{"iteration": iteration, **row} for row in rows]
        self._tell(self._selection, list(dict.fromkeys(key for row in told for key in row)), told)

    def on_end(self, summary: Mapping[str, Any], /) -> None: ...

    def _tell(self, file: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        header = _header(file)
        missing = [column for column in columns if column not in header]
        if missing:
            header = [*header, *missing]
            _rewrite(file, header, _rows(file))
        try:
            with file.open("a", newline="", encoding="utf-8") as stream:
                add_to_table(stream, header, rows)
        except OSError as error:
            raise StorageError(file, error.strerror or str(error)) from error
        self._rows[file.name] += len(rows)


def _header(file: Path) -> list[str]:
    """The columns that the file has; none where there is no file yet."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return list(TableReader(stream).fieldnames or ())


def _rows(file: Path) -> list[dict[str, str]]:
    """The file's rows; none where there is no file yet."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return list(TableReader(stream))


def _rewrite(file: Path, header: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Writes the file anew, whole or not at all; what a row has no value for is empty."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            if header:
                write_table(stream, header, rows)

    write_atomically(file, write)
