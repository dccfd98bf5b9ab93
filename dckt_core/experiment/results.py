"""What came out of an experiment: one tidy row a number."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dckt_core.experiment.cells import Cell
from dckt_core.training.scoring import DIRECTIONS

MEAN = "mean"
COLUMNS = ("data", "shots", "arm", "seed", "network", "split", "direction", "metric", "value")


@dataclass(frozen=True)
class Row:
    """A number of a cell.

    Attributes:
        shots: training pairs a class, or "all".
        network: `before`, `control` or `after`, or the name of a baseline.
        direction: `image_to_text`, `text_to_image` or their `mean`; empty for what has none.
        metric: `map` in [0, 1]; `chance_map`, that of random rankings; `seconds` of the whole run;
            `negative_transfer`, 1 where the run warned of it.
    """

    data: str
    shots: str
    arm: str
    seed: int
    network: str
    split: str
    direction: str
    metric: str
    value: float


def rows_of(cell: Cell, summary: Mapping[str, Any]) -> list[Row]:
    """The numbers of a cell, from the `summary.json` of its task; of a run's networks, those of the cell's own."""
    validation, test = summary["validation"][cell.network], summary["test"]["map"]
    numbers = [("val", direction, "map", validation[direction]) for direction in DIRECTIONS]
    numbers.append(("val", MEAN, "map", sum(validation[direction] for direction in DIRECTIONS) / len(DIRECTIONS)))
    numbers += [("test", direction, "map", test[cell.network][direction]["value"]) for direction in (*DIRECTIONS, MEAN)]
    numbers.append(("test", MEAN, "chance_map", test["chance"][MEAN]))
    numbers.append(("train", "", "seconds", summary["seconds"]))
    if cell.network == "after":
        numbers.append(("val", "", "negative_transfer", float(summary["negative_transfer"])))
    said = (cell.data, str(cell.shots or "all"), cell.arm, cell.seed, cell.network)
    return [Row(*said, *number) for number in numbers]


def select(
    rows: Iterable[Row],
    *,
    data: str,
    shots: str,
    arm: str,
    split: str = "test",
    direction: str = MEAN,
    metric: str = "map",
) -> dict[int, float]:
    """One number for each seed."""
    wanted = (data, shots, arm, split, direction, metric)
    return {
        row.seed: row.value
        for row in rows
        if (row.data, row.shots, row.arm, row.split, row.direction, row.metric) == wanted
    }


def as_csv(rows: Sequence[Row]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(row, column) for column in COLUMNS] for row in rows)
    return stream.getvalue()
