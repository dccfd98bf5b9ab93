"""What came out of an experiment: one row a cell."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from dckt_apps.experiment.cells import Cell
from dckt_core.evaluation.directions import DIRECTIONS


@dataclass(frozen=True)
class Row:
    """The numbers of a cell. mAPs lie in [0, 1].

    Attributes:
        shots: training pairs a class, or "all".
        network: `before`, `control` or `after`, or the name of a baseline.
        map_i2t, map_t2i, map_mean: on the test split, images as queries, texts, and the mean of both.
        map_chance: of random rankings.
        val_map_mean: on validation, of the iteration that was kept.
        negative_transfer: whether the run warned of it; None for what went through no transfer.
        seconds: of the whole run, by the clock; arms that read from one run have the same.
        key: names the run, `runs/<key>`.
    """

    data: str
    shots: str
    arm: str
    seed: int
    network: str
    map_i2t: float
    map_t2i: float
    map_mean: float
    map_chance: float
    val_map_mean: float | None
    negative_transfer: bool | None
    seconds: float
    key: str


def row_of(cell: Cell, summary: Mapping[str, Any]) -> Row:
    """The numbers of a cell, from the `summary.json` of its task; of a run's networks, those of the cell's own."""
    network = cell.network(summary)
    validation, test = summary["validation"].get(network), summary["test"]["map"]
    values = test[network]
    return Row(
        data=cell.data,
        shots=str(cell.shots or "all"),
        arm=cell.arm,
        seed=cell.seed,
        network=network,
        map_i2t=values["image_to_text"]["value"],
        map_t2i=values["text_to_image"]["value"],
        map_mean=values["mean"]["value"],
        map_chance=test["chance"]["mean"],
        val_map_mean=sum(validation[direction] for direction in DIRECTIONS) / len(DIRECTIONS) if validation else None,
        negative_transfer=summary["negative_transfer"] if network == "after" else None,
        seconds=summary["seconds"],
        key=cell.task.key,
    )


def select(rows: Iterable[Row], column: str, *, data: str, shots: str, arm: str) -> dict[int, float]:
    """One number for each seed; what is None is left out."""
    wanted = (data, shots, arm)
    found = {row.seed: getattr(row, column) for row in rows if (row.data, row.shots, row.arm) == wanted}
    return {seed: float(value) for seed, value in found.items() if value is not None}


def as_csv(rows: Sequence[Row]) -> str:
    columns = [field.name for field in fields(Row)]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [getattr(row, column) for column in columns]
        writer.writerow([int(value) if isinstance(value, bool) else value for value in values])
    return stream.getvalue()
