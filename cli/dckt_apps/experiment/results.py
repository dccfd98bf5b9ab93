"""What came out of an experiment: one row a cell."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dckt_apps.experiment.cells import Cell
from dckt_core.evaluation.directions import DIRECTIONS, MEAN
from dckt_core.evaluation.figures import FIGURES
from dckt_core.io.tables import write_table
from dckt_core.runs.results import Results, lookup


@dataclass(frozen=True)
class Row:
    """The numbers of a cell; None where there is none, or the arm is not applicable on the rung.

    Attributes:
        rung: what the target offers, by the plan's name for it.
        network: `before`, `control`, `after` or `space`, or the name of a baseline.
        map_i2t, map_t2i, map_mean: mAP on the test split, images as queries, texts, and the mean of both, in [0, 1].
        map_chance: of random rankings.
        recall_at_1, recall_at_5, recall_at_10, median_rank, mrr: by partner, the mean of both directions.
        val_mean: on validation, of what was kept, the mean of both directions.
        val_kind: `map`, or `mrr` where no validation pair has a label.
        negative_transfer: whether the run warned of it; None for what went through no transfer.
        seconds: of the whole run, by the clock; arms that read from one run have the same.
        key: names the run, `runs/<key>`.
        not_applicable: why there are no numbers; empty where there are.
    """

    data: str
    rung: str
    arm: str
    seed: int
    network: str
    map_i2t: float | None
    map_t2i: float | None
    map_mean: float | None
    map_chance: float | None
    recall_at_1: float | None
    recall_at_5: float | None
    recall_at_10: float | None
    median_rank: float | None
    mrr: float | None
    val_mean: float | None
    val_kind: str
    negative_transfer: bool | None
    seconds: float
    key: str
    not_applicable: str = ""


def row_of(cell: Cell, summary: Mapping[str, Any]) -> Row:
    """The numbers of a cell, from the `summary.json` of its task; of a run's networks, those of the cell's own."""
    reason = cell.not_applicable(summary)
    network = "" if reason else cell.network(summary)
    validation = lookup(summary, "validation", network)

    def test(*keys: str) -> float | None:
        found: float | None = lookup(summary, "test", *keys)
        return found

    by_partner = {figure: test("instances", network, MEAN, figure, "value") for figure in FIGURES}
    return Row(
        data=cell.data,
        rung=cell.rung,
        arm=cell.arm,
        seed=cell.seed,
        network=network,
        map_i2t=test("map", network, "image_to_text", "value"),
        map_t2i=test("map", network, "text_to_image", "value"),
        map_mean=test("map", network, MEAN, "value"),
        map_chance=test("map", "chance", MEAN),
        **by_partner,
        val_mean=sum(validation[direction] for direction in DIRECTIONS) / len(DIRECTIONS) if validation else None,
        val_kind=validation["kind"] if validation else "",
        negative_transfer=summary["negative_transfer"] if network == "after" else None,
        seconds=summary["seconds"],
        key=cell.task.key,
        not_applicable=reason,
    )


@dataclass(frozen=True)
class PartRow:
    """A part of the common space that a cell is; None where there is no number.

    Attributes:
        place: whether it is in the space, as `dckt_core.runs.results.PartResult` says.
        alone, adds: in the measure of the run, `map` or `mrr`, the mean of both directions.
    """

    data: str
    rung: str
    arm: str
    seed: int
    part: str
    place: str
    weight: float | None
    alone: float | None
    adds: float | None


def part_rows_of(cell: Cell, summary: Mapping[str, Any], file: Path) -> list[PartRow]:
    """The parts of the cell's common space; none where it is something else.

    file: where the summary is, for faults.
    """
    if cell.not_applicable(summary) or cell.network(summary) != "space":
        return []
    return [
        PartRow(
            data=cell.data,
            rung=cell.rung,
            arm=cell.arm,
            seed=cell.seed,
            part=part.name,
            place=part.place,
            weight=part.weight,
            alone=None if part.alone is None else part.alone.value,
            adds=None if part.adds is None else part.adds.value,
        )
        for part in Results(summary, file).parts
    ]


def select(rows: Iterable[Row], column: str, *, data: str, rung: str, arm: str) -> dict[int, float]:
    """One number for each seed; what is None is left out."""
    wanted = (data, rung, arm)
    found = {row.seed: getattr(row, column) for row in rows if (row.data, row.rung, row.arm) == wanted}
    return {seed: float(value) for seed, value in found.items() if value is not None}


def as_csv(rows: Sequence[Row] | Sequence[PartRow], kind: type[Row | PartRow] = Row) -> str:
    """Rows of one kind, under the names of its fields."""
    columns = [field.name for field in fields(kind)]
    stream = io.StringIO()
    write_table(stream, columns, [{column: getattr(row, column) for column in columns} for row in rows])
    return stream.getvalue()
