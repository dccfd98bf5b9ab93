"""`dckt evaluate`: how well a run searches, within and across media."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dckt_cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from dckt_core.contract.pairs import Pair
    from dckt_core.evaluation.tasks import Evaluation, TaskSummary

ROWS = {
    "image_to_text": "image->text",
    "text_to_image": "text->image",
    "mean": "mean of both",
    "image_to_image": "image->image",
    "text_to_text": "text->text",
    "image_to_all": "image->all",
    "text_to_all": "text->all",
}
BY_CLASS = ("image_to_text", "text_to_image", "mean")
"""What --per-class shows; --json has all tasks."""

NAMED_AT_MOST = 5
"""Queries with no relevant item that the table names; --per-query and --json have them all."""


@click.command()
@click.argument("run", type=options.Place())
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True)
@options.checkpoint()
@click.option(
    "--tasks",
    type=click.Choice(["all", "across"]),
    default="all",
    show_default=True,
    help="All six, or the two across media alone, which take a quarter of the time.",
)
@click.option("--per-class", is_flag=True, help="Also mAP across media by class of the query.")
@click.option("--k", "ks", type=click.IntRange(min=1), multiple=True, help="Also figures at this cut; repeatable.")
@click.option(
    "--self-hit", is_flag=True, help="Count a query in its own gallery as a hit, as the authors' release does."
)
@click.option(
    "--per-query",
    metavar="FILE",
    type=options.Place(dir_okay=False),
    help="Write the figures of every query to this CSV file.",
)
@options.moved("target")
@options.device
@options.quiet()
@options.as_json()
@click.pass_context
def evaluate(ctx: click.Context, /, run: Path, ks: tuple[int, ...], **flags: Any) -> None:
    """Score RUN on a split of its target data set.

    Mean average precision over the whole ranking by cosine; relevant = same class. Across media the query's own partner
    is a legitimate hit; where the gallery holds the query itself, it is left out. Equal cosines keep the order of the
    data set. Intervals are 95 % bootstrap intervals over queries, chance is the expectation of a random ranking.
    The figures at a cut k are mAP, precision and recall among the k best. --json has precision-recall curves besides:
    interpolated precision at 21 levels of recall, and mAP by class.
    """
    per_query = flags["per_query"]
    if per_query is not None and not per_query.absolute().parent.is_dir():
        raise click.BadParameter(f"{per_query.parent}: no such folder", ctx, param_hint="--per-query")

    import torch

    from dckt_cli.console import watching
    from dckt_core.base.device import find_device
    from dckt_core.base.errors import DataError
    from dckt_core.contract.protocols import Representation
    from dckt_core.evaluation.tasks import CROSS_MEDIA, TASKS
    from dckt_core.evaluation.tasks import evaluate as evaluate_pairs
    from dckt_core.runs.model import load

    with watching(quiet=flags["quiet"]) as progress:
        model = load(
            run,
            registry=ctx.obj.registry,
            checkpoint=flags["checkpoint"],
            target=flags["target"],
            device=str(find_device(flags["device"])),
            progress=progress,
        )
        data = model.target()
        pairs = data.labelled(flags["split"])
        if not pairs:
            lack = "has no labelled pair" if data.split(flags["split"]) else "is empty"
            raise DataError(f"{data.origin}: split '{flags['split']}' {lack}")
        labels = torch.tensor(data.labels(pairs), dtype=torch.int64)
        view = Representation(
            model.encode_images([pair.image_item for pair in pairs], cache=True),
            model.encode_texts([pair.text_item for pair in pairs], cache=True),
        )
        ids, cuts = [pair.id for pair in pairs], sorted(set(ks))
        how: dict[str, Any] = {"ks": cuts, "self_hit": flags["self_hit"], "classes": data.label_space}
        tasks = CROSS_MEDIA if flags["tasks"] == "across" else tuple(TASKS)
        evaluation = evaluate_pairs(view, labels, ids, tasks=tasks, **how)
    seed = model.config.seed
    if per_query is not None:
        _write_per_query(per_query, evaluation, pairs)
    if flags["as_json"]:
        about = {"run": str(run), "checkpoint": flags["checkpoint"], "split": flags["split"]}
        click.echo(json.dumps(about | evaluation.as_json(seed), ensure_ascii=False))
    else:
        title = f"{run}: {_what(flags['checkpoint'])} on {len(pairs)} {flags['split']} pairs"
        _show(title, evaluation.summary(seed), per_class=flags["per_class"])


def _show(title: str, summary: dict[str, TaskSummary], *, per_class: bool) -> None:
    from rich.table import Table

    from dckt_cli.screen import Screen

    console = Screen()
    table, at_k = Table(), Table()
    for growing, columns in ((table, ["mAP (95 % interval)", "chance"]), (at_k, ["k", "mAP", "precision", "recall"])):
        growing.add_column("task")
        for column in columns:
            growing.add_column(column, justify="right", no_wrap=True)
    rows = {name: text for name, text in ROWS.items() if name in summary}
    for name, text in rows.items():
        row, style = summary[name], "bold" if name == "mean" else None
        table.add_row(text, _interval(row), _figure(row.chance), style=style)
        for cut in row.at:
            at_k.add_row(text, str(cut.k), *map(_figure, (cut.map, cut.precision, cut.recall)), style=style)
    click.echo(title)
    console.print(table)
    if at_k.row_count:
        console.print(at_k)
    if per_class:
        console.print(_by_class(summary))
    for name, text in rows.items():
        ids = summary[name].unanswerable
        if ids and name != "mean":
            more = f" and {len(ids) - NAMED_AT_MOST} more" if len(ids) > NAMED_AT_MOST else ""
            found = f"{len(ids)} {'query has' if len(ids) == 1 else 'queries have'}"
            click.echo(
                f"{text}: {found} no relevant item, left out of the means: {', '.join(ids[:NAMED_AT_MOST])}{more}"
            )


def _by_class(summary: dict[str, TaskSummary]) -> Table:
    from rich.table import Table

    table = Table("class")
    for column in ("queries", *(ROWS[name] for name in BY_CLASS)):
        table.add_column(column, justify="right", no_wrap=True)
    for label, first in summary["mean"].classes.items():
        table.add_row(label, str(first.queries), *(_figure(summary[name].classes[label].map) for name in BY_CLASS))
    return table


def _interval(row: TaskSummary) -> str:
    if row.map is None or row.interval is None:
        return "-"
    return f"{row.map:.3f} ({row.interval[0]:.3f}-{row.interval[1]:.3f})"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _write_per_query(file: Path, evaluation: Evaluation, pairs: Sequence[Pair]) -> None:
    """One row for each task and query; no AP stands where nothing is relevant."""
    from dckt_core.base.errors import UsageError
    from dckt_core.io.files import write_text

    columns = ["task", "id", "label", "relevant", "ap", "chance"]
    columns += [f"{name}_at_{k}" for k in evaluation.ks for name in ("ap", "precision", "recall")]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for name, task in evaluation.tasks.items():
        found = task.ranking
        at = [column for k in evaluation.ks for column in (found.at[k].ap, found.at[k].precision, found.at[k].recall)]
        figures = zip(*(column.tolist() for column in (found.ap, task.chance, *at)), strict=True)
        for pair, relevant, row in zip(pairs, found.relevant.tolist(), figures, strict=True):
            writer.writerow([name, pair.id, pair.label, relevant, *(row if relevant else [""] * len(row))])
    try:
        write_text(file, stream.getvalue())
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror or error}") from None


def _what(checkpoint: str) -> str:
    return "common space" if checkpoint == "result" else f"target network '{checkpoint}'"
