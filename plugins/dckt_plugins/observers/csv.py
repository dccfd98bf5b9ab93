"""`csv`: `metrics.csv` and `selection.csv` in the run folder, each row on disk as soon as it is told.

`metrics.csv` is long: one measurement a row (`phase,iteration,update,metric,value`), so that a phase may measure what
no other does. `selection.csv` has a row for each target pair and iteration.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dckt_core import ObserverSpec, hookimpl

if TYPE_CHECKING:
    from dckt_core.protocols import Observer, ObserverContext
    from dckt_core.specs import NoOptions

WHEN = ("phase", "iteration", "update")


@hookimpl
def dckt_observers() -> Iterable[ObserverSpec[Any]]:
    return [ObserverSpec(name="csv", summary="metrics.csv and selection.csv in the run folder", build=_build)]


class CSVObserver:
    """Appends to two files of a run folder."""

    def __init__(self, run_dir: Path) -> None:
        self._metrics = run_dir / "metrics.csv"
        self._selection = run_dir / "selection.csv"

    def on_metrics(self, row: Mapping[str, Any], /) -> None:
        when = [row[key] for key in WHEN]
        measured = [[*when, name, repr(float(value))] for name, value in row.items() if name not in WHEN]
        _append(self._metrics, [*WHEN, "metric", "value"], measured)

    def on_selection(self, iteration: int, rows: Sequence[Mapping[str, Any]], /) -> None:
        if rows:
            _append(self._selection, ["iteration", *rows[0]], [[iteration, *row.values()] for row in rows])

    def on_end(self, summary: Mapping[str, Any], /) -> None: ...


def _append(file: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow(header)
        writer.writerows(rows)


def _build(options: NoOptions, context: ObserverContext) -> Observer:
    return CSVObserver(context.run_dir)
